"""Charts as SVG, made by pure functions. Their colours are classes, since the pages allow no inline styles.

A plot is stretched to the width that there is, so no text stands in it: the labels are HTML around it and stay readable on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from markupsafe import Markup

from ota.core.statistics import Share
from ota.fleet.figures import OTHER, Series

_WIDTH, _HEIGHT = 1000, 200
_COLOURS = 9
_AXIS = 52
_LINE = 14
"""So far apart two labels of an axis are at least."""

_LOWEST = -2
"""Evidence below a hundredth is drawn as a hundredth: it says nothing more."""


def stacked(
    series: Series,
    *,
    title: str,
    label: Callable[[datetime], str],
    colours: Mapping[str, int],
    named: Callable[[str], str] = str,
) -> Markup:
    """A column for each moment, divided by name. The first name lies at the bottom."""
    top = nice(max((series.total(moment) for moment in series.moments), default=0))
    step = _WIDTH / max(1, len(series.moments))
    parts = []
    for place, moment in enumerate(series.moments):
        below = 0
        for name in series.names:
            value = series.at(moment, name)
            if not value:
                continue
            below += value
            parts.append(
                Markup(
                    '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}, {}: {}</title></rect>'
                ).format(
                    series_class(name, colours),
                    _short(place * step + step * 0.08),
                    _short(_HEIGHT * (1 - below / top)),
                    _short(step * 0.84),
                    _short(_HEIGHT * value / top),
                    label(moment),
                    named(name),
                    f"{value:,}",
                )
            )
    names = [(series_class(name, colours), named(name)) for name in series.names]
    marks = _thinned([label(moment) for moment in series.moments])
    return _figure(
        Markup("").join(parts), title, _spans("chart-y", [compact(top), compact(top / 2), "0"]), marks, names
    )


def colours_of(wanted: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    """The colour of each name, from 1 on. Each gets the one that its number asks for, or the next that no name before it has: a name
    keeps its colour whatever is drawn beside it."""
    found: dict[str, int] = {}
    for name, number in dict(wanted).items():
        order = [(number + step) % _COLOURS + 1 for step in range(_COLOURS)]
        found[name] = next((colour for colour in order if colour not in found.values()), order[0])
    return found


def evidence(
    curves: Sequence[tuple[str, Sequence[Sequence[float]]]],
    threshold: float,
    *,
    title: str,
    label: Callable[[float], str],
) -> Markup:
    """The courses of health tests by name, on a logarithmic scale, with the line that none must reach. Empty without two points in
    time."""
    curves = [(name, curve) for name, curve in curves if len(curve) > 1]
    start = min((curve[0][0] for _, curve in curves), default=0.0)
    length = max((curve[-1][0] for _, curve in curves), default=0.0) - start
    if length <= 0:
        return Markup("")
    highest = max(threshold, *(point[5] for _, curve in curves for point in curve))
    top = min(math.ceil(math.log10(threshold)) + 4, math.ceil(math.log10(highest) + 0.25))

    def height(value: float) -> float:
        power = max(_LOWEST, min(top, math.log10(value) if value > 0 else _LOWEST))
        return _HEIGHT * (1 - (power - _LOWEST) / (top - _LOWEST))

    def path(curve: Sequence[Sequence[float]]) -> str:
        places = [((point[0] - start) / length * _WIDTH, height(point[5])) for point in curve]
        return f"M{_short(places[0][0])} {_short(places[0][1])}" + "".join(
            f"H{_short(x)}V{_short(y)}" for x, y in places[1:]
        )

    line = _short(height(threshold))
    powers = _powers(top, height, threshold)
    grid = Markup("").join(
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(_WIDTH, y, y)
        for y in (_short(height(10.0**power)) for power in powers if power not in (_LOWEST, top))
    )
    limit = Markup(
        '<rect class="zone" width="{}" height="{}"/><line class="limit" x1="0" x2="{}" y1="{}" y2="{}"/>'
    ).format(_WIDTH, line, _WIDTH, line, line)
    drawn = Markup("").join(
        Markup('<path class="curve curve-{}" d="{}"><title>{}</title></path>').format(
            number, path(curve), name
        )
        for number, (name, curve) in enumerate(curves, 1)
    )
    marks = [(height(10.0**power), _power(power), "") for power in powers] + [
        (height(threshold), compact(threshold), "limit-mark")
    ]
    names = [(f"series-{number}", name) for number, (name, _) in enumerate(curves, 1)]
    names.append(("series-limit", f"enough to call it bad: {threshold:,.0f}"))
    return _figure(
        grid + limit + drawn,
        title,
        _axis(marks),
        [label(start), label(start + length / 2), label(start + length)],
        names,
    )


def _powers(top: int, height: Callable[[float], float], threshold: float) -> Sequence[int]:
    """The powers of ten that are named on the axis: always 1, the others as close as there is room, none where the threshold stands."""
    step = next(
        step
        for step in (1, 2, 3, 5, 10, 20, 50, 100, 1000)
        if abs(height(10.0**step) - height(1.0)) >= 2 * _LINE
    )
    found = [power for power in range(_LOWEST, top + 1) if power % step == 0]
    return [power for power in found if abs(height(10.0**power) - height(threshold)) >= _LINE]


def _axis(marks: Sequence[tuple[float, str, str]]) -> Markup:
    """Labels at any height: a drawing of its own, which is not stretched."""
    texts = Markup("").join(
        Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
            css, _AXIS, _short(min(max(height, 6), _HEIGHT - 4) + 4), text
        )
        for height, text, css in marks
    )
    return Markup('<svg class="chart-axis" viewBox="0 0 {} {}" aria-hidden="true">{}</svg>').format(
        _AXIS, _HEIGHT, texts
    )


def bar(value: float, of: float, css: str = "series-1") -> Markup:
    """A bar beside a number that says the same."""
    width = _short(_WIDTH * min(1.0, value / of)) if of else "0"
    return Markup(
        '<svg class="level" viewBox="0 0 {} 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="{}" width="{}" height="10"/></svg>'
    ).format(_WIDTH, css, width)


def interval(share: Share, top: float) -> Markup:
    """A share with its interval, on a scale from 0 to ``top``."""
    low, middle, high = (
        _short(_WIDTH * min(1.0, each / top)) for each in (share.low, share.rate, share.high)
    )
    return Markup(
        '<svg class="interval" viewBox="0 0 {} 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="grid" x1="0" x2="{}" y1="6" y2="6"/><line class="range" x1="{}" x2="{}" y1="6" y2="6"/>'
        '<line class="middle" x1="{}" x2="{}" y1="0" y2="12"/></svg>'
    ).format(_WIDTH, _WIDTH, low, high, middle, middle)


def series_class(name: str, colours: Mapping[str, int]) -> str:
    """The class that gives a series its colour; what was put together is grey."""
    return f"series-{colours[name]}" if name in colours and name != OTHER else "series-other"


def nice(value: float) -> float:
    """The next round number that is easy to read on an axis; at least 2."""
    if value <= 2:
        return 2
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def compact(value: float) -> str:
    """12k for 12,000: an axis has little room."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / {'G': 1e9, 'M': 1e6, 'k': 1e3}[unit]:.3g}{unit}"
    return f"{value:,.4g}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _figure(
    drawn: Markup, title: str, axis: Markup, marks: Sequence[str], names: Sequence[tuple[str, str]]
) -> Markup:
    legend = Markup("").join(
        Markup('<li><span class="swatch {}"></span>{}</li>').format(css, name) for css, name in names
    )
    return Markup(
        '<figure class="chart">{}<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<title>{}</title>{}</svg>{}<ul class="legend">{}</ul></figure>'
    ).format(axis, _WIDTH, _HEIGHT, title, title, drawn, _spans("chart-x", marks), legend)


def _spans(css: str, texts: Sequence[str]) -> Markup:
    spans = Markup("").join(Markup("<span>{}</span>").format(text) for text in texts)
    return Markup('<div class="{}" aria-hidden="true">{}</div>').format(css, spans)


def _thinned(labels: Sequence[str]) -> Sequence[str]:
    """The first, the middle and the last."""
    return labels if len(labels) < 4 else [labels[0], labels[len(labels) // 2], labels[-1]]


def _power(power: int) -> str:
    return f"{10.0**power:g}" if power < 0 else compact(10.0**power)


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
