"""When a drawn chart equals the `y_references` of TableBench (Wu et al. 2024, arXiv 2408.09174).

`honest` compares as the authors' evaluation does, which takes the values of one kind of artist by the chart's type,
forgets their order and rounds to two digits; here the tolerance is 0.01, and the values of one position stay together.
`paper` compares the values passed to three functions of pyplot, in order.
"""

import ast
import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from tasks.chart_code import Drawing, Kind, Series

TOLERANCE = 0.01
"""Largest difference of equal values; of a pie, of the shares of the whole."""

Value = float | str
Rows = list[list[Value]]

_ROUNDING = 1e-9
_ORDERS = 100
_KINDS: dict[str, tuple[Kind, ...]] = {
    "bar": ("bar",),
    "hbar": ("bar",),
    "waterfall": ("bar",),
    "line": ("line",),
    "radar": ("line",),
    "area": ("area", "line"),
    "scatter": ("point", "line"),
    "pie": ("pie",),
}
_NUMBER_SIGNS = str.maketrans("", "", "$€£¥₹%, \u00a0")


# --- the reference


def read_reference(text: str) -> Rows | None:
    """The rows of `y_references = [[...], ...]` (one row may stand alone), or None when it is not of that form.

    A missing value (`np.nan`, `None`, `null`) is 0: a chart shows nothing in either place. Text that is a number with
    currency or percent signs is that number.
    """
    try:
        values = _literal(ast.parse(_after_name(text), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(values, list) or not values:
        return None
    rows: list[Any] = values if all(isinstance(row, list) for row in values) else [values]
    if not all(row for row in rows) or any(isinstance(value, list) for row in rows for value in row):
        return None
    return [[_value(value) for value in row] for row in rows]


def _after_name(text: str) -> str:
    return text.partition("=")[2].strip() if "y_references" in text.lower() else text.strip()


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if {"nan", "NaN", "null"} & {getattr(node, "id", ""), getattr(node, "attr", "")}:
        return None
    return ast.literal_eval(node)


def _value(value: Any) -> Value:
    """A number, or lower-case text."""
    if value is None:
        return 0.0
    if isinstance(value, int | float):
        return float(value)
    text = str(value)
    try:
        number = float(text.translate(_NUMBER_SIGNS))
    except ValueError:
        number = math.nan
    return number if math.isfinite(number) else text.strip().lower()


# --- honest


def same_chart(drawing: Drawing, chart_type: str, reference: Rows) -> bool:
    """Whether a drawing shows the values of the reference, on all its axes together or on the current one alone.

    The chart's type names the kind of artist that is read; lines over bars, for example, do not count. Where none of
    that kind was drawn, each other kind is tried, and always bars, lines and points together: the kind itself is not
    judged, for the types given are not always those asked for. A pie counts only where a pie is asked for.
    """
    places = [drawing.axes]
    if drawing.current is not None and 0 <= drawing.current < len(drawing.axes):
        places.append((drawing.axes[drawing.current],))
    return any(
        _same_pie(series, reference) if series[0].kind == "pie" else same_values(_rows(series), reference)
        for place in places
        for series in _readings(list(chain.from_iterable(place)), chart_type)
        if series
    )


def _readings(series: list[Series], chart_type: str) -> Iterator[list[Series]]:
    kinds = _KINDS.get(chart_type.strip().lower())
    drawn = sorted({one.kind for one in series})
    chosen = [kind for kind in kinds or () if kind in drawn]
    for kind in chosen or [kind for kind in drawn if kinds is None or kind != "pie"]:
        yield [one for one in series if one.kind == kind]
    yield [one for one in series if one.kind in ("bar", "line", "point")]


def _rows(series: list[Series]) -> Rows:
    return [[_value(value) for value in one.values] for one in series]


def _same_pie(series: list[Series], reference: Rows) -> bool:
    values = list(chain.from_iterable(reference))
    numbers = [value for value in values if isinstance(value, float)]
    total = sum(numbers)
    if len(numbers) < len(values) or total <= 0:
        return False
    return _same_members(list(chain.from_iterable(_rows(series))), [value / total for value in numbers])


def same_values(drawn: Rows, reference: Rows) -> bool:
    """Whether two sets of series hold the same values, whatever the order of the series and of their positions.

    Series of equal length are compared position by position: the values of one position must stay together, and the
    series may run along either side of the table. Series cut otherwise, say one for each bar, are compared as a whole.
    """
    if not _same_members(list(chain.from_iterable(drawn)), list(chain.from_iterable(reference))):
        return False
    shape = {len(row) for row in reference}
    if len(reference) == 1 or len(shape) > 1:
        return True
    widths, wanted = {len(row) for row in drawn}, (len(reference), *shape)
    straight, turned = (len(drawn), *widths) == wanted, (*widths, len(drawn)) == wanted
    if not straight and not turned:
        return True
    return (straight and _aligned(drawn, reference)) or (turned and _aligned(_turned(drawn), reference))


def _turned(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


def _aligned(drawn: Rows, reference: Rows) -> bool:
    """Whether some order of the drawn rows, and then some order of the columns, gives the reference."""
    fitting = [[place for place, row in enumerate(drawn) if _same_members(row, wanted)] for wanted in reference]
    wanted = _turned(reference)
    return any(_same_columns(_turned([drawn[i] for i in order]), wanted) for order in islice(_orders(fitting), _ORDERS))


def _orders(fitting: list[list[int]], taken: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    if len(taken) == len(fitting):
        yield taken
        return
    for place in fitting[len(taken)]:
        if place not in taken:
            yield from _orders(fitting, (*taken, place))


def _same_columns(drawn: Rows, reference: Rows) -> bool:
    left = list(drawn)
    for column in reference:
        near = [one for one in left if all(map(_close, one, column))]
        if not near:
            return False
        left.remove(min(near, key=lambda one: sum(_distance(a, b) for a, b in zip(one, column, strict=True))))
    return True


def _same_members(first: Sequence[Value], second: Sequence[Value]) -> bool:
    if len(first) != len(second):
        return False
    return all(map(_close, sorted(first, key=_rank), sorted(second, key=_rank)))


def _rank(value: Value) -> tuple[bool, Value]:
    return isinstance(value, str), value


def _close(first: Value, second: Value) -> bool:
    return _distance(first, second) <= TOLERANCE + _ROUNDING


def _distance(first: Value, second: Value) -> float:
    if isinstance(first, str) or isinstance(second, str):
        return 0.0 if first == second else float("inf")
    return abs(first - second)


# --- paper


def literal_reference(text: str) -> list[Any] | None:
    """The list after `y_references =` where it is a literal; None otherwise (`np.nan` is none)."""
    try:
        value = ast.literal_eval(_after_name(text))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list) else None


def same_calls(calls: list[Any], reference: list[Any]) -> bool:
    """Whether the series passed to pyplot are those of the reference, in order.

    Two numbers are equal within the tolerance, and always where one is nan; all else is compared as text. A reference
    that is one row alone is only asked for as many series as it has numbers, and these are then not looked at.
    """
    if not calls or len(calls) != len(reference):
        return False
    pairs = [(call, row) for call, row in zip(calls, reference, strict=True) if isinstance(row, list | tuple)]
    try:
        return all(len(call) == len(row) and not any(map(_differs, call, row)) for call, row in pairs)
    except (OverflowError, RecursionError):  # a whole number beyond all floats; lists within lists
        return False


def _differs(drawn: Any, wanted: Any) -> bool:
    try:
        return abs(float(drawn) - float(wanted)) > TOLERANCE
    except (ValueError, TypeError):
        return str(drawn) != str(wanted)
