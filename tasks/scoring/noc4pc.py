"""PANORAMA, NOC4PC: is a patent claim new and not obvious? (https://github.com/LGAI-Research/PANORAMA)."""

import re
from typing import Literal

from tasks.fenced_json import MAX_CHARACTERS, decode, fenced
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

LABELS = ("ALLOW", "102", "103")
"""In the order in which text is searched for them."""

_WRITTEN = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r'"code"\s*:\s*"(ALLOW|102|103)"',
        r"\"code\"\s*:\s*'(ALLOW|102|103)'",
        r"\bcode\s*[:=]\s*(ALLOW|102|103)\b",
    )
)


class Noc4pc(Record):
    """1 when the answer is the label of the reference: `ALLOW`, `102` (not new) or `103` (obvious).

    The answer is `{"code": "102"}`, bare or fenced; where that is no JSON, the field in the text, such as `code: 102`;
    at last the first of `ALLOW`, `102`, `103` that occurs anywhere. The reference is the label, or such an object.

    The task's metric is the macro F1 over the three labels, from the counts in `metrics`. An unreadable answer misses
    its label. Under `paper` it leaves the denominator instead (a quirk): `metrics` then holds no counts.
    In a task file: `scorer: {name: noc4pc, protocol: honest}`.
    """

    name: Literal["noc4pc"] = "noc4pc"
    protocol: Protocol = "honest"

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference is no label."""
        paper = self.protocol == "paper"
        label = _label(prediction if paper else prediction[-MAX_CHARACTERS:])
        try:
            gold = _reference(sample)
        except ValueError:
            if label:
                raise
            return ItemScore(score=0, parsed=False)
        return ItemScore(
            score=float(label == gold),
            parsed=label is not None,
            extracted=label,
            metrics=_counts(label, gold) if label or not paper else {},
        )

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description='A JSON object, bare or in a ```json block, whose field "code" is "ALLOW", "102" or "103".',
            example='```json\n{"code": "102"}\n```',
        )


def _label(text: str) -> str | None:
    content = fenced(text)
    value = decode(content)
    code = value.get("code") if isinstance(value, dict) else None
    if isinstance(code, str | int) and str(code).strip().upper() in LABELS:
        return str(code).strip().upper()
    for pattern in _WRITTEN:
        if match := pattern.search(content):
            return match.group(1).upper()
    capitals = content.upper()
    return next((label for label in LABELS if label in capitals), None)


def _counts(label: str | None, gold: str) -> dict[str, float]:
    """Every label is named, because one that never occurs counts as an F1 of 0."""
    counts: dict[str, float] = {}
    for each in sorted(LABELS):
        counts[f"tp.{each}"] = label == each == gold
        counts[f"fp.{each}"] = label == each != gold
        counts[f"fn.{each}"] = label != each == gold
    return counts


def _reference(sample: Sample) -> str:
    bare = sample.answer.strip().upper()
    label = bare if bare in LABELS else _label(sample.answer)
    if label is None:
        raise ValueError(f"reference {sample.answer!r} of sample {sample.id} is none of {', '.join(LABELS)}")
    return label


SCORER = Noc4pc
