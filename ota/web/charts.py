"""Charts as SVG, made by pure functions. Colors are classes, since the pages allow no inline styles.

A plot is stretched to the available width, so it has no text. Its labels are HTML around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from ota.core.statistics import Share
from ota.fleet.series import OTHER, Series

_WIDTH, _HEIGHT = 1000, 200
_COLOURS = 9
_AXIS = 52
_LINE = 14
"""Smallest distance between two labels of an axis."""

_LOWEST = -2
"""Lowest power of ten. Evidence below a hundredth is drawn as a hundredth, since it means the same."""


def stacked(
    series: Series,
    *,
    title: str,
    label: Callable[[datetime], str],
    colours: Mapping[str, int],
    named: Callable[[str], str] = str,
) -> Markup:
    """Draw a column for each moment, divided by name. The first name is at the bottom."""
    top = nice(max((series.total(moment) for moment in series.moments), default=0))
    labels = [label(moment) for moment in series.moments]
    columns = [_column(series, place, top, text, colours, named) for place, text in enumerate(labels)]
    names = [(series_class(name, colours), named(name)) for name in series.names]
    axis = _spans("chart-y", [compact(top), compact(top / 2), "0"])
    return _figure(Markup("").join(columns), title, axis, _thinned(labels), names)


def _column(
    series: Series,
    place: int,
    top: float,
    label: str,
    colours: Mapping[str, int],
    named: Callable[[str], str],
) -> Markup:
    step, below, parts = _WIDTH / len(series.moments), 0, []
    rect = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}, {}: {}</title></rect>')
    for name in series.names:
        value = series.at(series.moments[place], name)
        if not value:
            continue
        below += value
        left, width = _short(place * step + step * 0.08), _short(step * 0.84)
        y, height = _short(_HEIGHT * (1 - below / top)), _short(_HEIGHT * value / top)
        css = series_class(name, colours)
        parts.append(rect.format(css, left, y, width, height, label, named(name), f"{value:,}"))
    return Markup("").join(parts)


def colours_of(wanted: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    """Return the color of each name, from 1 on: that of its number, or the next one that is free.

    A name keeps its color whatever else is drawn.
    """
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
    """Draw the evidence of health tests by name, on a logarithmic scale, with the threshold as a line.

    A point is a moment and, at index 5, the evidence E. Returns nothing if no curve has two points in time.
    """
    curves = [(name, curve) for name, curve in curves if len(curve) > 1]
    start = min((curve[0][0] for _, curve in curves), default=0.0)
    length = max((curve[-1][0] for _, curve in curves), default=0.0) - start
    if length <= 0:
        return Markup("")
    highest = max(threshold, *(point[5] for _, curve in curves for point in curve))
    top = min(math.ceil(math.log10(threshold)) + 4, math.ceil(math.log10(highest) + 0.25))
    scale = _Scale(start, length, top, threshold)
    drawn = _grid(scale) + _limit(scale) + _curves(curves, scale)
    names = [(f"series-{number}", name) for number, (name, _) in enumerate(curves, 1)]
    names.append(("series-limit", f"enough to call it bad: {threshold:,.0f}"))
    marks = [label(start), label(start + length / 2), label(start + length)]
    return _figure(drawn, title, _axis(_marks(scale)), marks, names)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Scale of a chart of evidence: linear in time, logarithmic in height up to the power of ten ``top``."""

    start: float
    length: float
    top: int
    threshold: float

    def x(self, moment: float) -> float:
        return (moment - self.start) / self.length * _WIDTH

    def y(self, value: float) -> float:
        power = max(_LOWEST, min(self.top, math.log10(value) if value > 0 else _LOWEST))
        return _HEIGHT * (1 - (power - _LOWEST) / (self.top - _LOWEST))

    def powers(self) -> Sequence[int]:
        """Return the labeled powers of ten: always 1, others if there is room, none next to the threshold."""
        steps = (1, 2, 3, 5, 10, 20, 50, 100, 1000)
        step = next(step for step in steps if abs(self.y(10.0**step) - self.y(1.0)) >= 2 * _LINE)
        found = [power for power in range(_LOWEST, self.top + 1) if power % step == 0]
        return [power for power in found if abs(self.y(10.0**power) - self.y(self.threshold)) >= _LINE]


def _grid(scale: _Scale) -> Markup:
    line = Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>')
    heights = [_short(scale.y(10.0**power)) for power in scale.powers() if power not in (_LOWEST, scale.top)]
    return Markup("").join(line.format(_WIDTH, y, y) for y in heights)


def _limit(scale: _Scale) -> Markup:
    y = _short(scale.y(scale.threshold))
    return Markup(
        '<rect class="zone" width="{}" height="{}"/><line class="limit" x1="0" x2="{}" y1="{}" y2="{}"/>'
    ).format(_WIDTH, y, _WIDTH, y, y)


def _curves(curves: Sequence[tuple[str, Sequence[Sequence[float]]]], scale: _Scale) -> Markup:
    path = Markup('<path class="curve curve-{}" d="{}"><title>{}</title></path>')
    return Markup("").join(
        path.format(number, _steps(curve, scale), name) for number, (name, curve) in enumerate(curves, 1)
    )


def _steps(curve: Sequence[Sequence[float]], scale: _Scale) -> str:
    """Return the path of a curve: level until the next point, then straight up or down."""
    points = [(_short(scale.x(point[0])), _short(scale.y(point[5]))) for point in curve]
    return f"M{points[0][0]} {points[0][1]}" + "".join(f"H{x}V{y}" for x, y in points[1:])


def _marks(scale: _Scale) -> list[tuple[float, str, str]]:
    marks = [(scale.y(10.0**power), _power(power), "") for power in scale.powers()]
    return [*marks, (scale.y(scale.threshold), compact(scale.threshold), "limit-mark")]


def _axis(marks: Sequence[tuple[float, str, str]]) -> Markup:
    """Return labels at any height, in a drawing of their own, which is not stretched."""
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
    """Return a bar, for decoration next to its number."""
    width = _short(_WIDTH * min(1.0, value / of)) if of else "0"
    return Markup(
        '<svg class="level" viewBox="0 0 {} 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="{}" width="{}" height="10"/></svg>'
    ).format(_WIDTH, css, width)


def interval(share: Share, top: float) -> Markup:
    """Return a share with its interval, on a scale from 0 to ``top``."""
    low, middle, high = (
        _short(_WIDTH * min(1.0, value / top)) for value in (share.low, share.rate, share.high)
    )
    return Markup(
        '<svg class="interval" viewBox="0 0 {} 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="grid" x1="0" x2="{}" y1="6" y2="6"/><line class="range" x1="{}" x2="{}" y1="6" y2="6"/>'
        '<line class="middle" x1="{}" x2="{}" y1="0" y2="12"/></svg>'
    ).format(_WIDTH, _WIDTH, low, high, middle, middle)


def series_class(name: str, colours: Mapping[str, int]) -> str:
    """Return the class for a series' color. The series of all others is gray."""
    return f"series-{colours[name]}" if name in colours and name != OTHER else "series-other"


def nice(value: float) -> float:
    """Return the next round number for an axis, at least 2."""
    if value <= 2:
        return 2
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def compact(value: float) -> str:
    """Return a short number for an axis, such as 12k for 12,000."""
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
        '<figure class="chart">{}<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">'
        '<title>{}</title>{}</svg>{}<ul class="legend">{}</ul></figure>'
    ).format(axis, _WIDTH, _HEIGHT, title, title, drawn, _spans("chart-x", marks), legend)


def _spans(css: str, texts: Sequence[str]) -> Markup:
    spans = Markup("").join(Markup("<span>{}</span>").format(text) for text in texts)
    return Markup('<div class="{}" aria-hidden="true">{}</div>').format(css, spans)


def _thinned(labels: Sequence[str]) -> Sequence[str]:
    """Return the first, the middle and the last label."""
    return labels if len(labels) < 4 else [labels[0], labels[len(labels) // 2], labels[-1]]


def _power(power: int) -> str:
    return f"{10.0**power:g}" if power < 0 else compact(10.0**power)


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
