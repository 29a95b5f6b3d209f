"""Scores answers with a user's Python file; the evaluator starts this program inside the sandbox.

`python scorer_runner.py SCORER CASES SCORES` loads the file, reads a JSON object a line (`prediction`, `reference`,
`item`, `seconds`, and `score`: false when only its form is asked for) and writes one a line: `parsed` and what the
file's `score` returned, or `error`. An answer that takes too long, or ends the process, has no line; the evaluator then
goes on with the next one.
"""

import faulthandler
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOM = 20_000
"""Characters that a line may have."""


def main() -> None:
    """Score the cases named on the command line."""
    scorer, cases, scores = sys.argv[1:4]
    spec = importlib.util.spec_from_file_location("scorer", scorer)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with Path(cases).open(encoding="utf-8") as lines, Path(scores).open("w", encoding="utf-8") as told:
        for line in lines:
            case = json.loads(line)
            faulthandler.dump_traceback_later(case["seconds"], exit=True)  # ends the process, whatever it does
            told.write(_line(module, case) + "\n")
            told.flush()
    faulthandler.cancel_dump_traceback_later()
    os._exit(0)


def _line(module: Any, case: dict[str, Any]) -> str:
    try:
        line = json.dumps(_scored(module, case))
    except Exception as error:  # noqa: BLE001 (whatever the file raises or returns is its result)
        line = json.dumps({"error": f"{type(error).__name__}: {error}"[:500]})
    return line if len(line) <= ROOM else json.dumps({"error": "the result is too long"})


def _scored(module: Any, case: dict[str, Any]) -> dict[str, Any]:
    text = case["prediction"]
    parsed = bool(module.parses(text) if hasattr(module, "parses") else text.strip())
    if not parsed or not case["score"]:
        return {"parsed": parsed}
    return {"parsed": True, "returned": module.score(text, case["reference"], case["item"])}


if __name__ == "__main__":
    main()
