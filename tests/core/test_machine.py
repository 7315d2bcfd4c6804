"""Any sequence of acts by publishers, and the updates of a small fleet of phones that follow.

``OTA_EXAMPLES`` is the number of sequences. ``make nightly`` tries 10,000.
"""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ota.core.decision import Decision, NoUpdate, Offer, decide
from ota.core.lifecycle import ReleaseState, may_move_release
from ota.core.platforms import Platform
from ota.core.rollout import FULL
from tests.core import oracle
from tests.core.cases import EXAMPLES
from tests.core.world import BETA, HOURS, KEYS, PARTS, REACHED, STABLE, Build, Phone, World, WorldRelease

platforms = st.sampled_from(list(Platform))
channels = st.sampled_from([STABLE, BETA])
parts = st.sampled_from(PARTS)
which = st.integers(0, 11)
"""The index of an item, modulo their number."""

makings = st.fixed_dictionaries(
    {
        "key": st.sampled_from([0, 0, 0, 1, 2, 3]),
        "system": st.sampled_from([None, None, 0, 1]),
        "abis": st.sampled_from(
            [frozenset(), frozenset(), frozenset({"arm64-v8a"}), frozenset({"arm64-v8a", "x86"})]
        ),
        "is_mandatory": st.sampled_from([False, False, True]),
        "minimum": st.sampled_from([None, None, None, 1, 2, 5]),
    }
)
terms = st.fixed_dictionaries(
    {
        "starts_in": st.sampled_from([*HOURS[:1] * 4, *HOURS]),
        "mandatory_in": st.sampled_from([None, None, None, *HOURS]),
        "critical": st.sampled_from([None, None, None, (0, 3), (2, 6)]),
        "groups": st.sampled_from([frozenset(), frozenset(), frozenset({1}), frozenset({2, 3})]),
        "is_floor": st.sampled_from([False, False, True]),
    }
)
SYSTEMS = {Platform.ANDROID: (28, 34), Platform.IOS: (16, 18)}


class Fleet(RuleBasedStateMachine):
    """Every rule is an act of a person or a phone. The laws hold after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    # Acts of publishers.

    @initialize(
        published=st.lists(st.tuples(platforms, channels, parts, makings, terms), min_size=2, max_size=5)
    )
    def there_is_a_history(self, published: list[tuple[Platform, int, int, dict, dict]]) -> None:
        for platform, channel, rollout, making, chosen in published:
            self._begin(self._make(platform, 1, making), channel, rollout, chosen)

    @rule(
        platform=platforms,
        channel=channels,
        rollout=parts,
        ahead=st.sampled_from([1, 1, 2]),
        making=makings,
        chosen=terms,
    )
    def publish(
        self, platform: Platform, channel: int, rollout: int, ahead: int, making: dict, chosen: dict
    ) -> None:
        self._begin(self._make(platform, ahead, making), channel, rollout, chosen)

    @rule(n=which, channel=channels, rollout=parts, chosen=terms)
    def publish_again(self, n: int, channel: int, rollout: int, chosen: dict) -> None:
        builds = [build for build in self.world.builds.values() if self.world.on(build, channel) is None]
        if builds:
            self._begin(builds[n % len(builds)], channel, rollout, chosen)

    @precondition(lambda self: any(0 < each.rollout < FULL for each in self.world.live()))
    @rule(n=which)
    def supersede(self, n: int) -> None:
        """Every phone that can install a full release on top of a partial one is offered it."""
        half_open = [each for each in self.world.live() if 0 < each.rollout < FULL]
        old = half_open[n % len(half_open)]
        build = self._make(old.build.platform, 1, {"key": 0})
        self._begin(build, old.channel, FULL, {})
        for phone in self._phones(build.platform):
            if phone.channel == old.channel and phone.is_offerable(build) and not self._is_off(phone):
                offered = self._offered(phone)
                assert offered is not None or any(self.world.floors_between(phone, build.code))
                assert (
                    offered is None
                    or offered.build is build
                    or offered.is_floor
                    or any(self.world.floors_between(phone, build.code))
                )

    @precondition(lambda self: self.world.live())
    @rule(n=which, rollout=parts)
    def promote(self, n: int, rollout: int) -> None:
        """Release the same version on the other channel, with its own draw."""
        release = self._pick(n)
        other = BETA if release.channel == STABLE else STABLE
        if self.world.on(release.build, other) is None:
            self._begin(release.build, other, rollout, {})

    @precondition(lambda self: self.world.live())
    @rule(
        n=which,
        state=st.sampled_from(
            [ReleaseState.PAUSED, ReleaseState.HALTED, ReleaseState.ACTIVE, ReleaseState.ACTIVE]
        ),
    )
    def pause_halt_or_resume(self, n: int, state: ReleaseState) -> None:
        release = self._pick(n)
        if may_move_release(release.state, state):
            release.state = state
            self.world.touch()

    @precondition(lambda self: self.world.live())
    @rule(n=which, state=st.sampled_from([ReleaseState.ROLLED_BACK, ReleaseState.WITHDRAWN]))
    def roll_back_or_withdraw(self, n: int, state: ReleaseState) -> None:
        release = self._pick(n)
        self.world.end(release, state)
        assert all(self._offered(phone) is not release for phone in self.world.phones)

    @precondition(lambda self: any(each.rollout < FULL for each in self.world.live()))
    @rule(n=which, by=st.sampled_from([1, 1_000, 2_500, FULL]))
    def raise_rollout(self, n: int, by: int) -> None:
        """Phones inside stay inside. The others keep their offer, or are let in."""
        partial = [each for each in self.world.live() if each.rollout < FULL]
        release = partial[n % len(partial)]
        before = {phone: self._offered(phone) for phone in self.world.phones}
        release.rollout = min(release.rollout + by, FULL)
        self.world.touch()
        for phone, old in before.items():
            new = self._offered(phone)
            assert (
                new is old
                or new is release
                or (new is not None and new.is_floor and new.build.code < release.build.code)
            )
            assert old is not release or new is release

    @precondition(lambda self: any(each.rollout and not each.is_floor for each in self.world.live()))
    @rule(n=which, by=st.sampled_from([1, 1_000, 2_500, FULL]))
    def lower_rollout(self, n: int, by: int) -> None:
        """No phone is let in. A floor stays open."""
        opened = [each for each in self.world.live() if each.rollout and not each.is_floor]
        release = opened[n % len(opened)]
        before = {phone: self._offered(phone) for phone in self.world.phones}
        release.rollout = max(release.rollout - by, 0)
        self.world.touch()
        assert all(before[phone] is release for phone in before if self._offered(phone) is release)

    @rule(channel=st.sampled_from([None, None, STABLE, BETA]))
    def shut_off_or_turn_on(self, channel: int | None) -> None:
        if channel is None:
            self.world.is_off = not self.world.is_off
        else:
            self.world.shut_off ^= {channel}
        self.world.touch()

    # Time, and acts of phones.

    @rule(passed=st.sampled_from([timedelta(seconds=1), *HOURS[1:], timedelta(days=2)]))
    def time_passes(self, passed: timedelta) -> None:
        self.world.now += passed

    @rule()
    def a_server_starts(self) -> None:
        self.world.touch()

    @rule(n=which, by_hand=st.booleans())
    def a_phone_updates(self, n: int, by_hand: bool) -> None:
        phone = self.world.phones[n % len(self.world.phones)]
        decision = self._ask(phone, by_hand)
        self._check(phone, decision)
        if isinstance(decision, Offer):
            phone.build = self.world.release_of(decision).build

    def teardown(self) -> None:
        """No phone is updated in a circle."""
        for phone in self.world.phones:
            for _ in range(len(self.world.builds) + 1):
                offered = self._offered(phone)
                if offered is None:
                    break
                assert phone.accepts(offered.build)
                phone.build = offered.build
            else:
                raise AssertionError("more offers than versions")

    # The laws.

    @invariant()
    def every_phone_gets_the_right_answer(self) -> None:
        for phone in self.world.phones:
            decision = self._ask(phone)
            self._check(phone, decision)
            self._check_promises(phone, decision)
            if isinstance(decision, Offer):
                release = self.world.release_of(decision)
                phone.offered[release.id] = min(release.rollout, phone.offered.get(release.id, FULL))

    def _ask(self, phone: Phone, by_hand: bool = False) -> Decision:
        """Return the decision: the one that the semantics require, for the whole and the reduced catalog."""
        world, stream, query = self.world, (phone.platform, phone.channel), phone.question(by_hand)
        decision = decide(query, world.reduced[stream], world.now)
        assert decide(query, world.whole[stream], world.now) == decision
        assert oracle.as_answer(decision) == oracle.answer(
            query, world.whole[stream].candidates, world.now, self._is_off(phone)
        )
        is_withdrawn = phone.build in world.withdrawn
        assert world.reduced[stream].has_withdrawn(query.current) is is_withdrawn
        return decision

    def _check(self, phone: Phone, decision: Decision) -> None:
        """No phone is offered a release that it would refuse, that is closed to it, or that jumps a floor."""
        if isinstance(decision, NoUpdate):
            return
        release = self.world.release_of(decision)
        assert not self._is_off(phone)
        assert phone.accepts(release.build), (phone, release)
        assert release.state is ReleaseState.ACTIVE
        assert release.starts_at <= self.world.now
        assert release.channel in REACHED[phone.channel] - self.world.shut_off
        assert release.rollout > 0 or release.groups & phone.groups
        assert not any(self.world.floors_between(phone, release.build.code))

    def _check_promises(self, phone: Phone, decision: Decision) -> None:
        """An offer is repeated while its release stays as open as it was, and what is mandatory stays so."""
        code = self.world.release_of(decision).build.code if isinstance(decision, Offer) else 0
        if self._is_off(phone):
            return
        for each in self.world.live_on(phone.platform, phone.channel):
            if each.rollout < phone.offered.get(each.id, FULL + 1) or not phone.is_offerable(each.build):
                continue
            if each.state is ReleaseState.ACTIVE:
                assert code >= each.build.code or any(self.world.floors_between(phone, each.build.code)), (
                    phone,
                    each,
                )
            if each.demands(phone.build.code, self.world.now) and each.state is not ReleaseState.HALTED:
                is_demanded = decision.is_mandatory if isinstance(decision, Offer) else decision.is_blocked
                assert is_demanded or 0 < code < each.build.code, (phone, each)

    # Shorthands.

    def _make(self, platform: Platform, ahead: int, making: dict) -> Build:
        code = max(code for each, code in self.world.builds if each is platform) + ahead
        system = making.get("system")
        build = Build(
            platform,
            code,
            KEYS[platform][making["key"] % len(KEYS[platform])],
            system=None if system is None else SYSTEMS[platform][system],
            abis=making.get("abis", frozenset()) if platform is Platform.ANDROID else frozenset(),
            is_mandatory=making.get("is_mandatory", False),
            minimum=making.get("minimum"),
        )
        self.world.builds[platform, code] = build
        return build

    def _begin(self, build: Build, channel: int, rollout: int, chosen: dict) -> None:
        starts_in, mandatory_in = chosen.get("starts_in", HOURS[0]), chosen.get("mandatory_in")
        self.world.add(
            WorldRelease(
                len(self.world.releases) + 1,
                build,
                channel,
                rollout,
                self.world.now + starts_in,
                groups=chosen.get("groups", frozenset()),
                critical=chosen.get("critical"),
                mandatory_from=None if mandatory_in is None else self.world.now + mandatory_in,
                is_floor=chosen.get("is_floor", False) and rollout == FULL and not starts_in,
            )
        )

    def _pick(self, n: int) -> WorldRelease:
        live = self.world.live()
        return live[n % len(live)]

    def _phones(self, platform: Platform) -> list[Phone]:
        return [phone for phone in self.world.phones if phone.platform is platform]

    def _offered(self, phone: Phone) -> WorldRelease | None:
        decision = decide(phone.question(), self.world.reduced[phone.platform, phone.channel], self.world.now)
        return self.world.release_of(decision) if isinstance(decision, Offer) else None

    def _is_off(self, phone: Phone) -> bool:
        return self.world.is_off or phone.channel in self.world.shut_off


TestFleet = Fleet.TestCase
TestFleet.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
