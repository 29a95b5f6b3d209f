"""PANORAMA, PAR4PC: which of eight documents bear on a patent claim (https://github.com/LGAI-Research/PANORAMA)."""

import re
from typing import Any, Literal

from tasks.fenced_json import MAX_CHARACTERS, decode, fenced
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

_WRITTEN = (
    re.compile(r'"answer"\s*:\s*\[\s*"[A-H]"\s*(?:,\s*"[A-H]"\s*)*\]', re.IGNORECASE),
    re.compile(r'"answer"\s*:\s*"[A-H](?:,\s*[A-H])*"', re.IGNORECASE),
)
"""The field in text that is no JSON as a whole: a list of quoted letters, or letters between two quotes."""
_ALONE = re.compile(r"\b[A-H]\b", re.IGNORECASE)
_IN_PROSE = re.compile(r"\b[A-H]\b|(?<![\w.])[b-h](?!\w|\.\w)")
"""A letter among other words: neither the article "a" nor a part of "e.g."."""


class Par4pc(Record):
    """The F1 between the letters that the answer names and the gold letters; silver letters are no false positives.

    The answer is `{"answer": "A"}`, `{"answer": "A, C"}` or `{"answer": ["A", "C"]}`, bare or fenced. Where that is no
    JSON, the field is looked for in the text, and at last every letter A to H that stands alone counts.

    The reference is the JSON text of a list of letters, or of an object with `gold` and `silver` (or `gold_answers`
    and `silver_answers`). The task's metric is the micro F1 over all items, from the counts in `metrics`; `custom` is
    the authors' max(0, (2 TP - FP - FN) / (2 |gold|)).

    Three quirks of the protocol `paper` are repaired under `honest`. A field found in broken JSON adds the letters A
    and E of the word "answer". Part of an answer string that sorts between A and H (`AND`, `B.`) is one wrong letter.
    In prose the article "a" is the letter A. And `exact_match` forgives silver letters under `honest` only.
    In a task file: `scorer: {name: par4pc, protocol: honest}`.
    """

    name: Literal["par4pc"] = "par4pc"
    protocol: Protocol = "honest"

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference names no letters."""
        paper = self.protocol == "paper"
        named = _letters(prediction, paper=True) if paper else _letters(prediction[-MAX_CHARACTERS:], paper=False)
        try:
            gold, silver = _reference(sample)
        except ValueError:
            if named:
                raise
            return ItemScore(score=0, parsed=False)
        right, wrong, missed = len(named & gold), len(named - gold - silver), len(gold - named)
        exact = named == gold if paper else missed == wrong == 0
        return ItemScore(
            score=2 * right / (2 * right + wrong + missed),
            parsed=bool(named),
            extracted=", ".join(sorted(named)) or None,
            metrics={
                "tp.all": right,
                "fp.all": wrong,
                "fn.all": missed,
                "exact_match": exact,
                "custom": max(0, (2 * right - wrong - missed) / (2 * len(gold))),
            },
        )

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description='A JSON object, bare or in a ```json block; its field "answer" is one letter A to H or a list.',
            example='```json\n{"answer": ["A", "C"]}\n```',
        )


def _letters(text: str, *, paper: bool) -> set[str]:
    """The letters that an answer names; under `paper` also the parts of an answer string that pass for letters."""
    content = fenced(text)
    value = decode(content)
    if isinstance(value, dict):
        answer = value.get("answer", [])
        if isinstance(answer, str):
            return _tokens(answer) if paper else _found(_ALONE, answer)
        if isinstance(answer, list):
            return {letter for item in answer if (letter := _single(item))}
    for pattern in _WRITTEN:
        if match := pattern.search(content):
            field = match.group() if paper else match.group().partition(":")[2]
            return set(re.findall("[A-H]", field.upper()))
    listed = all(len(word) == 1 for word in re.findall(r"\w+", content))
    return _found(_ALONE if paper or listed else _IN_PROSE, content)


def _found(pattern: re.Pattern[str], text: str) -> set[str]:
    return {letter.upper() for letter in pattern.findall(text)}


def _tokens(text: str) -> set[str]:
    """What stands between commas and blanks and sorts between A and H, whole."""
    return {token for token in re.split(r"[,\s]+", text.upper()) if token and "A" <= token <= "H"}


def _single(item: Any) -> str:
    letter = item.strip().upper() if isinstance(item, str) and len(item.strip()) == 1 else ""
    return letter if "A" <= letter <= "H" else ""


def _reference(sample: Sample) -> tuple[set[str], set[str]]:
    """Gold and silver letters."""
    value = decode(sample.answer)
    if isinstance(value, dict):
        gold = _listed(next((value[key] for key in ("gold_answers", "gold", "answer") if key in value), None))
        silver = _listed(next((value[key] for key in ("silver_answers", "silver") if value.get(key)), []))
    else:
        gold, silver = _listed(sample.answer if value is None else value), set[str]()
    if gold is None and not isinstance(value, dict):
        gold = _letters(sample.answer, paper=False)  # a whole answer may serve as a reference
    if not gold or silver is None:
        raise ValueError(f"reference {sample.answer!r} of sample {sample.id} does not name letters A to H")
    return gold, silver


def _listed(value: Any) -> set[str] | None:
    """The letters of a list, or of text with commas and blanks; None when anything else stands there."""
    items = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(items, list):
        return None
    letters = {_single(item) for item in items}
    return None if "" in letters else letters


SCORER = Par4pc
