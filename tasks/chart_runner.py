"""Runs one untrusted chart program and tells what it drew; the evaluator starts this file inside the sandbox.

`python chart_runner.py REQUEST` reads a JSON object: `code`, `table` (columns and data, or null), `seconds` for the
code, and `watch`, which is `axes` (what stands on the axes afterwards) or `calls` (what was passed to plt.bar, plt.plot
and plt.scatter). The working directory receives `table.csv`; the last line of the output is a JSON object, see
`tasks.chart_code.Drawing`. While the code runs, the standard streams lead nowhere.

The code shares the process and could print a result of its own. That gains nothing: the reference is not in here, so
whatever it prints it could as well have drawn.
"""

import builtins
import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOM = 15_000
"""Characters that a result may have; the sandbox keeps 16 KiB of the output."""

Series = dict[str, Any]


def main() -> None:
    """Answer the request named on the command line, and end the process whatever the code has left running."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with os.fdopen(os.dup(1), "w") as told:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        result = json.dumps(_attempt(request))
        told.write("\n" + (result if len(result) <= ROOM else json.dumps(_failed("too many values were drawn"))))
        told.flush()
        os._exit(0)


def _attempt(request: dict[str, Any]) -> dict[str, Any]:
    import matplotlib.pyplot as plt
    import numpy as np
    import pandas as pd

    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    names = {"__name__": "__main__", "__builtins__": builtins, "pd": pd, "plt": plt, "np": np}
    names |= {"sys": sys, "os": os, "json": json, "Path": Path}
    try:
        if request["table"]:
            table = request["table"]
            pd.DataFrame(table["data"], columns=table["columns"]).to_csv("table.csv", index=False)
        if request["watch"] == "calls":
            return {"executed": True, "calls": _calls(plt, request["code"], names)}
        return {"executed": True, **_axes(plt, request["code"], names)}
    except BaseException as error:  # noqa: BLE001 (sys.exit too: whatever the code raises is its result)
        return _failed(f"{type(error).__name__}: {error}")


def _failed(error: str) -> dict[str, Any]:
    return {"executed": False, "error": error[:300]}


# --- calls


def _calls(plt: Any, code: str, names: dict[str, Any]) -> list[Any]:
    """The second positional argument of each watched call, and of plt.plot every second one, as lists."""
    calls: list[Any] = []

    def watched(original: Any, every: bool) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            for values in args[1::2] if every else args[1:2]:
                calls.append(list(values) if hasattr(values, "__iter__") else [values])
            return original(*args, **kwargs)

        return call

    for name in ("bar", "plot", "scatter"):
        setattr(plt, name, watched(getattr(plt, name), name == "plot"))
    # Indented as in the reference system, where it stands in a `try` block: lines within a long string move too.
    block = "if True:\n" + "\n".join(f"    {line}" for line in code.split("\n")) + "\n    pass\n"
    exec(compile(block, "chart.py", "exec"), names)
    return json.loads(json.dumps(calls))


# --- axes


def _axes(plt: Any, code: str, names: dict[str, Any]) -> dict[str, Any]:
    """The series on each axes of every figure that was made, also of those closed since, and the current axes."""
    figures: list[Any] = []
    original = plt.figure

    def figure(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        if not any(made is known for known in figures):
            figures.append(made)
        return made

    plt.figure = figure
    exec(compile(code, "chart.py", "exec"), names)
    places = [place for one in figures for place in one.axes]
    now = plt.gca() if plt.get_fignums() else None
    current = next((index for index, place in enumerate(places) if place is now), None)
    return {"axes": [_read(place) for place in places], "current": current}


def _read(place: Any) -> list[Series]:
    """What one axes shows: bars (heights, or widths of horizontal ones), lines, points, areas, and a pie's shares."""
    return [series for series in (*_bars(place), *_lines(place), *_points(place), *_pie(place)) if series["values"]]


def _bars(place: Any) -> Iterable[Series]:
    from matplotlib.container import BarContainer

    for container in place.containers:
        if isinstance(container, BarContainer):
            across = container.orientation == "horizontal"
            bars = [bar for bar in container.patches if _shown(bar)]
            sizes = [bar.get_width() if across else bar.get_height() for bar in bars]
            yield _series("bar", sizes, place.xaxis if across else place.yaxis)


def _lines(place: Any) -> Iterable[Series]:
    """Lines over the data: neither a line across the whole axes, nor the caps of error bars, nor a stem's base."""
    parts = [getattr(container, "baseline", None) for container in place.containers]
    for container in place.containers:
        caps = getattr(container, "lines", None)
        parts += caps[1] if isinstance(caps, tuple) and len(caps) == 3 else ()
    for line in place.get_lines():
        over_data = all(line.get_transform().contains_branch_seperately(place.transData))
        if over_data and _shown(line) and not any(line is part for part in parts):
            heights = list(line.get_ydata(orig=False))
            yield _series("line", heights[: len(heights) - _closed(place, line)], place.yaxis)


def _closed(place: Any, line: Any) -> bool:
    """Whether the line of a radar chart ends where it began, so that its last value is no value of its own."""
    import numpy as np

    if place.name != "polar" or len(line.get_xdata()) < 2:
        return False
    angles, heights = line.get_xdata(orig=False), line.get_ydata(orig=False)
    turn = abs(angles[-1] - angles[0]) % (2 * np.pi)
    return bool(min(turn, 2 * np.pi - turn) < 1e-6 and heights[-1] == heights[0])


def _points(place: Any) -> Iterable[Series]:
    from matplotlib.collections import PathCollection, PolyCollection

    shown: list[Any] = [collection for collection in place.collections if _shown(collection)]
    for points in (collection for collection in shown if isinstance(collection, PathCollection)):
        yield _series("point", list(_heights(points.get_offsets())), place.yaxis)
    for areas in (collection for collection in shown if isinstance(collection, PolyCollection)):
        for outline in areas.get_paths():
            yield _series("area", _thickness(_heights(outline.vertices)), place.yaxis)


def _heights(positions: Any) -> Any:
    return positions[:, 1]


def _thickness(heights: Any) -> list[Any]:
    """Distances of the two edges of a filled area, whose outline is: start, edge, end, other edge backwards, start."""
    count = (len(heights) - 3) // 2
    if count < 1 or len(heights) % 2 == 0:
        return []
    distances = heights[1 : 1 + count] - heights[2 + count : 2 + 2 * count][::-1]
    return list(distances if distances.sum() >= 0 else -distances)


def _pie(place: Any) -> Iterable[Series]:
    from matplotlib.patches import Wedge

    wedges = [patch for patch in place.patches if isinstance(patch, Wedge) and _shown(patch)]
    yield _series("pie", [(wedge.theta2 - wedge.theta1) / 360 for wedge in wedges], None)


def _shown(artist: Any) -> bool:
    return bool(artist.get_visible()) and artist.get_alpha() != 0


def _series(kind: str, values: list[Any], axis: Any) -> Series:
    """Values as JSON: numbers, None where there is none, and the text where the axis has categories for numbers."""
    units = axis.get_units() if axis is not None else None
    texts = {float(place): text for text, place in getattr(units, "_mapping", {}).items()}
    return {"kind": kind, "values": [_value(value, texts) for value in values]}


def _value(value: Any, texts: dict[float, str]) -> float | str | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)[:100]
    if number != number or number in (float("inf"), -float("inf")):
        return None
    return texts.get(number, float(f"{number:.15g}"))


if __name__ == "__main__":
    main()
