"""PANORAMA, PI4PC: which paragraph of a document bears on a patent claim (https://github.com/LGAI-Research/PANORAMA)."""

import re
from typing import Any, Literal

from tasks.fenced_json import MAX_CHARACTERS, decode, fenced
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

_WRITTEN = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (r'"answer"\s*:\s*(\d+)', r'"answer"\s*:\s*"(\d+)"', r"answer\s*[:=]\s*(\d+)")
)
_ALONE = re.compile(r"\b\d+\b")


class Pi4pc(Record):
    """1 when the paragraph that the answer names is a gold one, else 0.

    The answer is `{"answer": 12}`, bare or fenced; where that is no JSON, `"answer": 12`, `answer: 12` or `answer = 12`
    in the text. Without such a field the text may name one number only; under `paper` its first number counts (a
    quirk).

    The reference is the JSON text of a list of numbers, or of an object with `gold_answers` (or `gold`) and
    `silver_answers` (or `silver`); a text stands for every run of digits in it. `graded` in `metrics` is the authors'
    scale as a share: 1 for gold, 0.5 for silver. In a task file: `scorer: {name: pi4pc, protocol: honest}`.
    """

    name: Literal["pi4pc"] = "pi4pc"
    protocol: Protocol = "honest"

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference holds no number."""
        paper = self.protocol == "paper"
        named = _number(prediction, paper=True) if paper else _number(prediction[-MAX_CHARACTERS:], paper=False)
        if named is None:
            return ItemScore(score=0, parsed=False, metrics={"graded": 0})
        gold, silver = _reference(sample)
        return ItemScore(
            score=float(named in gold),
            parsed=True,
            extracted=str(named),
            metrics={"graded": 1 if named in gold else 0.5 if named in silver else 0},
        )

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description='A JSON object, bare or in a ```json block, whose field "answer" is a paragraph number.',
            example='```json\n{"answer": 12}\n```',
        )


def _number(text: str, *, paper: bool) -> int | None:
    content = fenced(text)
    value = decode(content)
    if isinstance(value, dict) and (number := _whole(value.get("answer"))) is not None:
        return number
    for pattern in _WRITTEN:
        if (match := pattern.search(content)) and (number := _whole(match.group(1))) is not None:
            return number
    alone = _ALONE.findall(content)
    if not alone or not (paper or len(set(map(_whole, alone))) == 1):
        return None
    return _whole(alone[0])


def _whole(value: Any) -> int | None:
    """What `int()` makes of a JSON value or of digits; None where it refuses."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):  # null, words, thousands of digits, infinity
        return None


def _reference(sample: Sample) -> tuple[set[int], set[int]]:
    """Gold and silver numbers."""
    value = decode(sample.answer)
    if isinstance(value, dict):
        gold = next((value[key] for key in ("gold_answers", "gold", "answer") if key in value), None)
        silver = next((value[key] for key in ("silver_answers", "silver") if key in value), None)
    else:
        gold, silver = sample.answer if value is None else value, None
    numbers = _listed(gold)
    if not numbers:
        raise ValueError(f"reference {sample.answer!r} of sample {sample.id} holds no number of a paragraph")
    return numbers, _listed(silver)


def _listed(value: Any) -> set[int]:
    items = re.findall(r"\d+", value) if isinstance(value, str) else value if isinstance(value, list) else [value]
    return {number for item in items if (number := _whole(item)) is not None}


SCORER = Pi4pc
