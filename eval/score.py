"""Score answers that lie in a file.

    python -m eval.score --task patent_par4pc --protocol paper --in cases.jsonl

Each line in is a JSON object with `prediction`, the text of an answer, and `reference`: text, or a number, a list or an
object, which the scorer gets as JSON text. `subtask` and `context`, an object with what else the scorer needs, are
optional; other fields are passed over. A scorer of multiple choice takes the texts of the options from
`context.options`.

Each line out is a JSON object with `score`, `parsed` and `metrics`; the score is between 0 and 1, or an error, and then
the line says `"lower_is_better": true`. A case that cannot be compared, because of its reference or its context, scores
0 and says why in `error`; it counts among the `errors` and is left out of the means.

The last line holds the aggregate: `n` items, the share `unparsed`, the `mean` (of errors it is called `mae`), the same
`by_subtask`, and `f1` where the metrics hold counts.
"""

import argparse
import codecs
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, field_validator

from eval.f1 import f1_of_counts, is_counted
from tasks import scoring
from tasks.catalogue import find_task
from tasks.failure import InputError
from tasks.record import explain, write_text
from tasks.task import ItemScore, Protocol, Sample, Scorer, Task

WHOLE = "all"
"""The sub-task of an item that names none."""


class Case(BaseModel):
    """One line in; fields that it does not declare are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prediction: str
    reference: JsonValue
    subtask: str | None = None
    context: dict[str, JsonValue] | None = None

    @field_validator("reference")
    @classmethod
    def _is_no_constant(cls, value: JsonValue) -> JsonValue:
        if value is None or isinstance(value, bool):
            raise ValueError("expected text, a number, a list or an object")
        return value

    def sample(self, number: int) -> Sample:
        """The item as scorers see it."""
        reference, context = self.reference, self.context or {}
        options = context.get("options")
        return Sample(
            id=str(number),
            prompt="",
            answer=reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False),
            options=tuple(map(str, options)) if isinstance(options, list) else (),
            group=self.subtask or WHOLE,
            context=context,
        )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m eval.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    say = made.add_argument
    say("--task", required=True, metavar="NAME|FILE", help="a task, or a task file (.yaml)")
    say("--protocol", choices=get_args(Protocol), default="honest", help="how to score (default: honest)")
    say("--in", dest="cases", type=Path, required=True, metavar="FILE", help="answers, one JSON object a line")
    say("--out", type=Path, metavar="FILE", help="where the scores go (default: they are printed)")
    return made


def score_file(task: Task, protocol: Protocol, path: Path) -> list[dict[str, Any]]:
    """The lines out for a file of answers, the aggregate last.

    Raises:
        InputError: a line cannot be read (the file and the line are named), or the task's scorer does not know the
            protocol.
    """
    scorer = scorer_of(task, protocol)
    pairs = [(case.prediction, case.sample(number)) for number, case in _read(path).items()]
    scores = scoring.score_each(scorer, pairs)
    good = [(score, sample) for score, (_, sample) in zip(scores, pairs, strict=True) if isinstance(score, ItemScore)]
    found = aggregate([score for score, _ in good], [None if s.group == WHOLE else s.group for _, s in good])
    errors = len(scores) - len(good)
    return [*map(_line, scores), {"aggregate": {**found, "n": len(scores), **({"errors": errors} if errors else {})}}]


def scorer_of(task: Task, protocol: Protocol) -> Scorer:
    """The scorer of a task under a protocol.

    Raises:
        InputError: `paper` is asked of a scorer that has one way of scoring.
    """
    scorer = scoring.load(task.scorer)
    if isinstance(scorer, BaseModel) and "protocol" in type(scorer).model_fields:
        return scoring.load({**task.scorer, "protocol": protocol})
    if protocol != "honest":
        raise InputError(f"--protocol {protocol}: the scorer of {task.name}, {task.scorer['name']}, knows honest only")
    return scorer


def aggregate(scores: Sequence[ItemScore], subtasks: Sequence[str | None]) -> dict[str, Any]:
    """What the last line says of all items.

    Where some items have counts, an item without any has left the denominator of the means too.
    """
    counting = any(is_counted(score.metrics) for score in scores)
    kept = [pair for pair in zip(scores, subtasks, strict=True) if not counting or is_counted(pair[0].metrics)]
    named = sorted({subtask for _, subtask in kept if subtask})
    f1 = f1_of_counts(score.metrics for score, _ in kept)
    return {
        "n": len(scores),
        "unparsed": _mean([not score.parsed for score in scores]),
        **_means([score for score, _ in kept]),
        "by_subtask": {name: _means([score for score, subtask in kept if subtask == name]) for name in named},
        **({} if f1 is None else {"f1": f1}),
    }


def _means(scores: Sequence[ItemScore]) -> dict[str, float | None]:
    """`mean` of the shares; of errors `mae`."""
    errors = [score.score for score in scores if score.lower_is_better]
    shares = [score.score for score in scores if not score.lower_is_better]
    return ({"mean": _mean(shares)} if shares or not errors else {}) | ({"mae": _mean(errors)} if errors else {})


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _read(path: Path) -> dict[int, Case]:
    """The cases by line number; blank lines are passed over."""
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    cases: dict[int, Case] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            cases[number] = Case.model_validate_json(line)
        except ValidationError as error:
            raise InputError(f"{path}, line {number}: {explain(error)}") from None
    return cases


def _line(score: ItemScore | ValueError) -> dict[str, Any]:
    if isinstance(score, ValueError):
        return {"score": 0.0, "parsed": False, "metrics": {}, "error": str(score)}
    line = {"score": score.score, "parsed": score.parsed, "metrics": score.metrics}
    return {**line, "lower_is_better": True} if score.lower_is_better else line


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the scores; the exit code is 2 for wrong input."""
    arguments = parser().parse_args(argv)
    try:
        lines = score_file(find_task(arguments.task), arguments.protocol, arguments.cases)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if arguments.out:
        write_text(arguments.out, text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
