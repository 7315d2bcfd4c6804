"""The journal keeps every appended record, whatever happens to its writer."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.config import ROOT
from ota.journal import Journal, JournalFull, forget_old, segments, set_aside
from ota.journal.format import MAX_PAYLOAD, payload_at, record
from ota.journal.set_aside import MAX_FILES

SMALL = 4096
ENDLESS = """
import sys, threading
from pathlib import Path
from ota.journal import Journal
journal = Journal(Path(sys.argv[1]), max_bytes=10**9, segment_bytes=65536)
def write(name):
    number = 0
    while True:
        journal.append(b"%d:%d:" % (name, number) + b"x" * (number % 300))
        number += 1
        if number == 500:
            print(name, flush=True)
for name in range(3):
    threading.Thread(target=write, args=(name,)).start()
"""


def journal(folder: Path, *, max_bytes: int = 10**8) -> Journal:
    return Journal(folder, max_bytes=max_bytes, segment_bytes=SMALL)


def everything(folder: Path) -> list[bytes]:
    return [payload for segment in segments(folder) for payload, _ in segment.records(0)]


def test_what_was_appended_is_read_in_order_across_segments(tmp_path: Path) -> None:
    written = journal(tmp_path)
    payloads = [b"%d" % number * 5 for number in range(1_000)]
    for payload in payloads:
        written.append(payload)
    found = segments(tmp_path)
    assert len(found) > 2
    assert everything(tmp_path) == payloads
    assert [segment.is_finished() for segment in found] == [*[True] * (len(found) - 1), False]
    written.close()
    assert found[-1].is_finished()


def test_reading_goes_on_from_where_it_was(tmp_path: Path) -> None:
    written = journal(tmp_path)
    for number in range(10):
        written.append(b"%d" % number)
    (segment,) = segments(tmp_path)
    found = list(segment.records(0))
    assert [payload for payload, _ in found] == [b"%d" % number for number in range(10)]
    written.append(b"later")
    after_four = [payload for payload, _ in segment.records(found[3][1])]
    assert after_four == [b"4", b"5", b"6", b"7", b"8", b"9", b"later"]
    ((_, end),) = segment.records(found[-1][1])
    assert list(segment.records(end)) == []
    assert segment.has_more(found[-1][1])
    assert not segment.has_more(end)


def test_what_was_read_is_wiped_while_the_writer_goes_on(tmp_path: Path) -> None:
    written = journal(tmp_path)
    for number in range(300, 310):
        written.append(b"secret" * number)
        segment = segments(tmp_path)[-1]
        _, end = list(segment.records(0))[-1]
        segment.wipe(0, end)
        assert b"secret" not in segment.path.read_bytes()
        written.append(b"more")
        assert list(segment.records(end)) == [(b"more", end + 12)]
        assert segment.after_wiped(0) == segment.after_wiped(end) == end
        segment.wipe(end, end + 12)
        assert segment.after_wiped(0) == 0
        written.close()


@given(st.integers(1, 70_000), st.integers(0, 100))
def test_the_first_record_behind_what_was_wiped_is_found(
    tmp_path_factory: pytest.TempPathFactory, length: int, wiped: int
) -> None:
    path = tmp_path_factory.mktemp("found") / "one.journal"
    path.write_bytes(bytes(wiped) + record(b"x" * min(length, MAX_PAYLOAD)) + bytes(10))
    assert segments(path.parent)[0].after_wiped(0) == wiped


def test_a_segment_that_another_process_deleted_reads_as_empty(tmp_path: Path) -> None:
    written = journal(tmp_path)
    written.append(b"x")
    (segment,) = segments(tmp_path)
    segment.delete()
    assert segment.is_finished()
    assert not segment.has_more(0)
    assert list(segment.records(0)) == []
    assert segment.after_wiped(0) == 0
    segment.wipe(0, 9)
    segment.delete()


def test_a_record_set_aside_can_be_counted_again(tmp_path: Path) -> None:
    kept = set_aside(tmp_path, "1-2-3", 40, b"odd")
    assert kept == set_aside(tmp_path, "1-2-3", 40, b"odd")
    assert kept
    kept.rename(kept.with_suffix(".journal"))
    assert everything(tmp_path) == [b"odd"]


def test_records_set_aside_are_limited_in_number_and_age(tmp_path: Path) -> None:
    kept = [path for number in range(250) if (path := set_aside(tmp_path, "1-2-3", number, b"x"))]
    assert len(kept) == MAX_FILES == 200
    forget_old(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    for age, path in ((29, kept[0]), (31, kept[1])):
        os.utime(path, (time.time() - age * 86_400,) * 2)
    forget_old(tmp_path)
    assert kept[0].exists()
    assert sorted(tmp_path.iterdir()) == sorted({*kept} - {kept[1]})


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EMFILE, errno.ENOSPC])
def test_a_segment_that_can_not_be_created_is_a_full_journal_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def refused(*_: Any, **__: Any) -> int:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("ota.journal.writer.os.open", refused)
    with pytest.raises(JournalFull) as failure:
        journal(tmp_path).append(b"x")
    assert failure.value.errno == reason


def test_a_process_that_is_killed_loses_nothing_that_it_appended(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        for _ in range(3):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    found: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for payload in everything(tmp_path):
        name, number, filling = payload.split(b":")
        assert filling == b"x" * (int(number) % 300)
        found[int(name)].append(int(number))
    for numbers in found.values():
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= 500
    assert all(segment.is_finished() for segment in segments(tmp_path))


def test_threads_and_processes_do_not_mix_their_records(tmp_path: Path) -> None:
    written = [journal(tmp_path), journal(tmp_path)]

    def write(name: int) -> None:
        for number in range(300):
            written[name % 2].append(b"%d-%d" % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(everything(tmp_path)) == sorted(
        b"%d-%d" % (name, number) for name in range(6) for number in range(300)
    )


def test_a_child_of_a_fork_writes_a_segment_of_its_own(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from ota.journal import Journal
journal = Journal(Path(sys.argv[1]), max_bytes=10**8)
journal.append(b"parent")
if os.fork() == 0:
    journal.append(b"child")
    os._exit(0)
os.wait()
journal.append(b"parent again")
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True)
    assert sorted(everything(tmp_path)) == [b"child", b"parent", b"parent again"]
    assert len(segments(tmp_path)) == 2


def test_a_full_journal_says_so_and_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    monkeypatch.setattr("ota.journal.writer.time.monotonic", lambda: seconds[0])
    written = journal(tmp_path, max_bytes=2 * SMALL)
    for _ in range(2 * (SMALL // 108)):
        written.append(b"x" * 100)
    with pytest.raises(JournalFull) as failure:
        written.append(b"x" * 100)
    assert failure.value.errno == errno.EDQUOT
    segments(tmp_path)[0].delete()
    with pytest.raises(JournalFull):
        written.append(b"at once")
    seconds[0] += 1.5
    written.append(b"later")
    assert everything(tmp_path)[-1] == b"later"


def test_a_full_disk_is_a_full_journal_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(JournalFull) as failure:
        journal(tmp_path).append(b"x")
    assert failure.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("payload", [b"", b"x" * (MAX_PAYLOAD + 1)])
def test_nothing_and_too_much_are_refused(tmp_path: Path, payload: bytes) -> None:
    with pytest.raises(ValueError, match=str(MAX_PAYLOAD)):
        journal(tmp_path).append(payload)


@given(st.binary(min_size=1, max_size=200), st.binary(min_size=1, max_size=200), st.data())
def test_reading_ends_at_a_damaged_record(first: bytes, second: bytes, data: st.DataObject) -> None:
    whole = bytearray(record(first) + record(second) + bytes(16))
    place = data.draw(st.integers(len(record(first)), len(whole) - 17))
    whole[place] ^= data.draw(st.integers(1, 255))
    assert payload_at(bytes(whole), 0) == first
    assert payload_at(bytes(whole), len(record(first))) is None


@given(st.binary(max_size=400))
def test_garbage_is_read_as_nothing_or_something_that_is_whole(content: bytes) -> None:
    payload = payload_at(content, 0)
    assert payload is None or record(payload) == content[: len(record(payload))]
