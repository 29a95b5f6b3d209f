"""One field of the JSON object in an answer."""

import json
import math
import re
from typing import Any, Literal

from pydantic import Field

from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample
from tasks.text import normalise, numbers

MAX_CHARACTERS = 20_000
"""The object is looked for in so many characters at the end of the answer."""

_OPENING = re.compile(r'\{(?=\s*+["}])')
_EXAMPLES: dict[str, Any] = {"exact": "yes", "number": 42, "set": ["A", "C"]}


class JsonField(Record):
    """1 when a field of the last valid JSON object of the answer (fenced or bare) equals the reference, else 0.

    In a task file: `scorer: {name: json_field, field: result.answer, compare: set}`.
    """

    name: Literal["json_field"] = "json_field"
    field: str = Field(min_length=1)
    """Name of the field; dots lead into nested objects."""
    compare: Literal["exact", "number", "set"] = "exact"
    """`exact`: equal text after normalisation. `number`: within `tolerance`. `set`: the same members in any order, from
    a JSON list or from text with commas. The reference is the value, written as text or inside such an object."""
    tolerance: float = Field(default=1e-6, ge=0)
    """Largest difference of equal numbers."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference cannot be compared in this way."""
        raw = _lookup(prediction, self.field)
        value = self._read(raw)
        if value is None:
            return ItemScore(score=0, parsed=False)
        inside = _lookup(sample.answer, self.field)
        reference = self._read(_reference(sample.answer, self.compare) if inside is None else inside)
        if reference is None:
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} is no {self.compare} value")
        if isinstance(value, float) and isinstance(reference, float):
            equal = abs(value - reference) <= self.tolerance
        else:
            equal = value == reference
        return ItemScore(score=float(equal), parsed=True, extracted=_text(raw))

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        example: Any = _EXAMPLES[self.compare]
        for key in reversed(self.field.split(".")):
            example = {key: example}
        return AnswerContract(
            description=f"A JSON object, bare or in a ```json block, whose field {self.field!r} holds the answer.",
            example=json.dumps(example),
        )

    def _read(self, value: Any) -> str | float | frozenset[str] | None:
        """The value as it is compared; None when it is none of this kind."""
        if self.compare == "set":
            return _members(value)
        if value is None or isinstance(value, dict | list):
            return None
        if self.compare == "number":
            return _number(value)
        return normalise(_text(value)) or None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    found = [number for _, number in numbers(_text(value))]
    return found[0] if len(found) == 1 and math.isfinite(found[0]) else None


def _members(value: Any) -> frozenset[str] | None:
    items = re.split("[,;\uff0c\u3001]", value) if isinstance(value, str) else value
    if not isinstance(items, list) or any(item is None or isinstance(item, dict | list) for item in items):
        return None
    members = frozenset(normalise(_text(item)) for item in items)
    return None if "" in members else members


def _reference(answer: str, compare: str) -> Any:
    """A set may be written as a JSON list; everything else is taken as text."""
    if compare != "set" or not answer.lstrip().startswith("["):
        return answer
    try:
        return json.loads(answer)
    except ValueError:
        return None


def _lookup(text: str, path: str) -> Any:
    value = _last_object(text[-MAX_CHARACTERS:])
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _last_object(text: str) -> Any:
    """The last valid object that lies in no other one; the fence around it does not matter."""
    decoder, found, end = json.JSONDecoder(), None, 0
    for opening in _OPENING.finditer(text):
        if opening.start() < end:
            continue
        try:
            found, end = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):  # not JSON, a number of thousands of digits, or nested too deep
            continue
    return found


SCORER = JsonField
