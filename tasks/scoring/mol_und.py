"""Understanding of molecules: the mol_und sub-tasks of ChemCoTBench (https://github.com/IDEA-XL/ChemCoTBench)."""

import re
from typing import ClassVar, Literal

from tasks.chemistry_answers import (
    answer_body,
    as_text,
    first_present,
    json_object,
    quoted,
    reference_text,
    shown,
    unknown_subtask,
)
from tasks.molecules import molecule, tanimoto
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

KEYS = {
    "fg_count": ("count", "answer"),
    "ring_count": ("count", "answer"),
    "equivalence": ("output", "answer"),
    "ring_system_scaffold": ("output", "answer"),
    "Murcko_scaffold": ("Output Scaffold", "output", "answer"),
}
"""Sub-task to the JSON keys that may hold the answer."""
COUNTS = ("fg_count", "ring_count")
LARGEST = 10**15
"""An absolute error is reported up to this."""

_WORDS = (("yes", re.compile(r"\byes\b", re.IGNORECASE)), ("no", re.compile(r"\bno\b", re.IGNORECASE)))


class MolUnd(Record):
    """Counts, yes/no answers and scaffolds; the sub-task is the sample's group, the reference the bare answer.

    `fg_count`, `ring_count`: 1 for the exact whole number; under `paper` the absolute error, where lower is better and
    an unread answer is the number 0. `equivalence`, `ring_system_scaffold`: 1 for the right one of yes and no.
    `Murcko_scaffold`: Tanimoto similarity to the reference. In a task file: `scorer: {name: mol_und}`.
    """

    ITEM_SECONDS: ClassVar[float] = 30

    name: Literal["mol_und"] = "mol_und"
    protocol: Protocol = "honest"
    """Whether counts are scored by accuracy or by error; the extraction is the same."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError for an unknown sub-task, a count that is no whole number, or a scaffold that is no
        molecule (under `paper` such a scaffold is like no answer), InputError without RDKit."""
        if sample.group not in KEYS:
            if not self.parses(prediction):
                return ItemScore(score=0, parsed=False)
            raise unknown_subtask(sample, KEYS)
        answer = self._read(prediction, sample.group)
        if sample.group in COUNTS:
            return self._score_count(answer, sample)
        if answer is None:
            return ItemScore(score=0, parsed=False)
        reference = self._reference(sample)
        equal = (
            self._similarity(answer, reference, sample) if sample.group == "Murcko_scaffold" else answer == reference
        )
        return ItemScore(score=float(equal), parsed=True, extracted=shown(answer))

    def parses(self, prediction: str, group: str | None = None) -> bool:
        """Whether an answer to the sub-task, or without one to any sub-task, can be read."""
        groups = KEYS if group is None else [group]
        return any(self._read(prediction, group) is not None for group in groups)

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description='A JSON object with the key the prompt asks for: "count" (a whole number), "output" (Yes or '
            'No) or "Output Scaffold" (a SMILES).',
            example='{"count": 2}',
        )

    def _read(self, text: str, group: str) -> str | None:
        """A whole number in digits, `yes` or `no`, or the SMILES of a molecule."""
        body = answer_body(text, self.protocol)
        value = as_text(first_present(json_object(body), KEYS[group]))
        if group in COUNTS:
            return _whole(_count(body) if value is None else value)
        if group == "Murcko_scaffold":
            smiles = _scaffold(body, KEYS[group]) if value is None else value
            return smiles if molecule(smiles) is not None else None
        word = (_word(body, KEYS[group]) if value is None else value).lower()
        return word if word in ("yes", "no") else None

    def _reference(self, sample: Sample) -> str:
        reference = reference_text(sample.answer, lambda text: self._read(text, sample.group))
        if sample.group in COUNTS:
            return _whole(reference) or ""
        if not reference:
            raise ValueError(f"the reference of sample {sample.id} is empty")
        return reference if sample.group == "Murcko_scaffold" else reference.lower()

    def _score_count(self, answer: str | None, sample: Sample) -> ItemScore:
        paper = self.protocol == "paper"
        reference = self._reference(sample)
        if not reference:
            if answer is None and not paper:
                return ItemScore(score=0, parsed=False)
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} is no whole number")
        error = min(abs(int(answer or 0) - int(reference)), LARGEST)
        return ItemScore(
            score=float(error if paper else answer == reference),
            parsed=answer is not None,
            extracted=None if answer is None else shown(answer),
            metrics={"absolute_error": float(error)},
            lower_is_better=paper,
        )

    def _similarity(self, answer: str, reference: str, sample: Sample) -> float:
        target = molecule(reference)
        if target is None and self.protocol == "honest":
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} is no molecule")
        return 0.0 if target is None else tanimoto(molecule(answer), target)


def _whole(text: str) -> str | None:
    """The digits of a whole number; None for `2.0`, `two`, and numbers of thousands of digits."""
    try:
        return str(int(text))
    except ValueError:
        return None


def _count(body: str) -> str:
    found = quoted(body, ("count", "answer"), r'"?(\d+)"?', ignore_case=False)
    run = re.search(r"\b(\d+)\b", body)
    return found or (run[1] if run else "")


def _scaffold(body: str, keys: tuple[str, ...]) -> str:
    found = quoted(body, keys)
    return body if found is None else found


def _word(body: str, keys: tuple[str, ...]) -> str:
    found = quoted(body, keys, '"(Yes|No)"')
    return found or next((word for word, pattern in _WORDS if pattern.search(body)), "")


SCORER = MolUnd
