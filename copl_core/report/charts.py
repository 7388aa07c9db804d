"""Line charts as coordinates; the template ``chart.html`` draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Of the drawing, in units of its own: it scales with the page.
WIDTH, HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 12, 28
#: Values beyond are drawn no more than infinite ones are.
LARGEST = 1e300
#: Values that differ by less are the same: absolutely, and as a part of the larger one, whose label would not show it.
SMALLEST, ALIKE = 1e-300, 1e-6


@dataclass(frozen=True)
class Series:
    """A line.

    Attributes:
        name: Of the line.
        points: Epoch and value; a value that is not finite, or beyond ``LARGEST``, interrupts the line.
        color: Number of its colour.
    """

    name: str
    points: Sequence[tuple[int, float]]
    color: int = 0


@dataclass(frozen=True)
class Dot:
    """A value at its place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line at its place: ``paths`` are points as SVG writes them, one for each piece."""

    name: str
    color: int
    paths: Sequence[str]
    dots: Sequence[Dot]


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        title: Above it.
        lines: The curves.
        x_ticks: Place and label.
        y_ticks: Place and label.
        mark: Place of the selected epoch; None for none.
    """

    title: str
    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    mark: float | None = None

    width, height, left, top = WIDTH, HEIGHT, LEFT, TOP
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM


def line_chart(title: str, series: Sequence[Series], mark: int | None = None) -> Chart | None:
    """Lay out a chart.

    Args:
        title: Of the chart.
        series: Its lines.
        mark: An epoch to mark.

    Returns:
        The chart; None if no value can be drawn.
    """
    points = [point for each in series for point in each.points if _can_be_drawn(point[1])]
    if not points:
        return None
    first, last = min(epoch for epoch, _ in points), max(epoch for epoch, _ in points)
    y_values = ticks(min(value for _, value in points), max(value for _, value in points))
    low, high = y_values[0], y_values[-1]

    def x(epoch: float) -> float:
        share = (epoch - first) / (last - first) if last > first else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    def line(each: Series) -> Line:
        paths, dots = [list[str]()], list[Dot]()
        for epoch, value in each.points:
            if not _can_be_drawn(value):
                paths.append([])
                continue
            paths[-1].append(f"{x(epoch)},{y(value)}")
            dots.append(Dot(x(epoch), y(value), f"{each.name}, epoch {epoch}: {value:.6g}"))
        return Line(each.name, each.color, [" ".join(path) for path in paths if len(path) > 1], dots)

    epochs = [int(each) for each in ticks(first, last) if each == int(each) and first <= each <= last] or [first]
    return Chart(
        title=title,
        lines=[line(each) for each in series],
        x_ticks=[(x(epoch), str(epoch)) for epoch in epochs],
        y_ticks=[(y(value), f"{value:.6g}") for value in y_values],
        mark=x(mark) if mark is not None and first <= mark <= last else None,
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values, some ``count`` of them, the first at or below ``low`` and the last at or above ``high``."""
    if high - low <= max(SMALLEST, ALIKE * abs(low), ALIKE * abs(high)):
        margin = abs(low) * 0.1
        # Of a score that stays 0 the axis goes up to 1: nothing below 0 can come.
        low, high = (low - margin, high + margin) if margin > SMALLEST else (0.0, 1.0)
    raw = (high - low) / (count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _can_be_drawn(value: float) -> bool:
    return abs(value) <= LARGEST  # not so for nan
