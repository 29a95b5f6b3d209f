"""SVG by hand: a drawing with a title, elements, axes. ElementTree escapes every text.

Colours are left to the page: elements carry classes, and the style sheet knows light and dark.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring


class Box(NamedTuple):
    """Where data are drawn, and which part of the data's plane lies there."""

    left: float
    top: float
    right: float
    bottom: float
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """The pixel of a horizontal value."""
        return self.left + (value - self.x_low) / ((self.x_high - self.x_low) or 1.0) * (self.right - self.left)

    def y(self, value: float) -> float:
        """The pixel of a vertical value; larger values lie higher."""
        return self.bottom - (value - self.y_low) / ((self.y_high - self.y_low) or 1.0) * (self.bottom - self.top)


def drawing(name: str, title: str, description: str, width: float, height: float) -> Element:
    """An empty drawing that is read out as its title and description."""
    svg = Element(
        "svg",
        {
            "viewBox": f"0 0 {_written(width)} {_written(height)}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-description",
        },
    )
    SubElement(svg, "title", {"id": f"{name}-title"}).text = title
    SubElement(svg, "desc", {"id": f"{name}-description"}).text = description
    return svg


def add(parent: Element, tag: str, *, text: str = "", hover: str = "", **attributes: str | float) -> Element:
    """Add an element; in the names of attributes `_` stands for `-`, and `kind` is the class.

    Args:
        hover: shown by browsers when the pointer rests on the element.
    """
    names = {"kind": "class"}
    written = {names.get(name, name.replace("_", "-")): _written(value) for name, value in attributes.items()}
    element = SubElement(parent, tag, written)
    if hover:
        SubElement(element, "title").text = hover
    if text:
        element.text = text
    return element


def polyline(parent: Element, points: Sequence[tuple[float, float]], *, kind: str, hover: str = "") -> None:
    """A line through pixels."""
    add(parent, "polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), kind=kind, hover=hover)


def markup(svg: Element) -> str:
    """The drawing as text for an HTML page."""
    return tostring(svg, encoding="unicode", short_empty_elements=False)


def y_axis(svg: Element, box: Box, label: Callable[[float], str], name: str) -> None:
    """Horizontal grid lines with their values, and what is measured above them."""
    for value in ticks(box.y_low, box.y_high):
        at = box.y(value)
        add(svg, "line", x1=box.left, x2=box.right, y1=at, y2=at, kind="grid")
        add(svg, "text", x=box.left - 8, y=at + 4, kind="tick end", text=label(value))
    add(svg, "text", x=4, y=box.top - 12, kind="axis", text=name)


def x_axis(svg: Element, box: Box, values: Sequence[float], name: str) -> None:
    """The bottom line with its values, and what is counted below them."""
    add(svg, "line", x1=box.left, x2=box.right, y1=box.bottom, y2=box.bottom, kind="base")
    for value in values:
        add(svg, "text", x=box.x(value), y=box.bottom + 18, kind="tick middle", text=f"{value:g}")
    add(svg, "text", x=box.right, y=box.bottom + 36, kind="axis end", text=name)


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round values from `low` to `high`: multiples of 1, 2 or 5 times a power of ten, `about` that many."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def span(values: Sequence[float], *, floor: float | None = None, ceiling: float | None = None) -> tuple[float, float]:
    """A range around the values with a little air; `floor` and `ceiling` bound it and, when near, end it."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    air = 0.08 * (high - low) or 0.1 * abs(high) or 0.1
    start, end = low - air, high + air
    if floor is not None and (start < floor or low - floor < 0.6 * (high - low)):
        start = floor
    if ceiling is not None:
        end = min(end, ceiling)
    return start, end if end > start else start + 1.0


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
