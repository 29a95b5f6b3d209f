"""Mathematical answers, compared symbolically by `math-verify` (https://github.com/huggingface/Math-Verify)."""

import logging
import re
from functools import lru_cache
from typing import Any, Literal

from tasks.expression import differ, tractable
from tasks.failure import InputError
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample
from tasks.text import numbers

# The library's own time limits use signals, which work in the main thread only. These bounds, and
# `tasks/expression.py`, stand in for them.
MAX_CHARACTERS = 300
"""Length of an expression; a longer answer is unparsed."""
MAX_DEPTH = 8
"""Nested brackets, and half the number of bars: the parser's time grows steeply with both."""

_DOLLARS = r"\$\$([^$]{1,300})\$\$|(?<![\\$])\$(?=[^\s$])([^$\n]{1,300})(?<=[^\s\\])\$(?!\d)"
_FORMULA = re.compile(_DOLLARS + r"|\\\((.{1,300}?)\\\)|\\\[(.{1,300}?)\\\]", re.DOTALL)


class Math(Record):
    r"""1 when the answer equals the reference symbolically, else 0: `\boxed{\frac{1}{2}}` is 0.5.

    The last `\boxed{}` counts; without one, the last formula in `$...$`, `\(...\)` or `\[...\]`.
    In a task file: `scorer: {name: math, bare: true}`.
    """

    name: Literal["math"] = "math"
    bare: bool = False
    """Without a box and a formula, read the last number of the text."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference is no formula, InputError without the package `math-verify`."""
        text = self._extract(prediction)
        answer = _parse(text)
        if answer is None:
            return ItemScore(score=0, parsed=False)
        reference = _parse(_formula(sample.answer) or sample.answer.strip())
        if reference is None:
            reference = _parse(self._extract(sample.answer))
        if reference is None:
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} is no formula that can be read")
        return ItemScore(score=float(_equal(reference, answer)), parsed=True, extracted=text)

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description=r"The final answer stands in \boxed{}; the last box counts.",
            example=r"The legs are 3 and 4, so the hypotenuse is \boxed{5}.",
        )

    def _extract(self, text: str) -> str:
        return _formula(text) or (_last_number(text) if self.bare else "")


def _formula(text: str) -> str | None:
    """The content of the last box, or of the last formula; None when there is none, or the last box never closes."""
    _, box, rest = text.rpartition(r"\boxed")
    if box:
        return _box(rest.lstrip())
    formulas = _FORMULA.findall(text)
    return max(formulas[-1]).strip() if formulas else None


def _box(rest: str) -> str | None:
    if not rest.startswith("{"):
        return rest.split(None, 1)[0].rstrip("$.,") if rest else None
    depth = 0
    for end, character in enumerate(rest[: MAX_CHARACTERS + 2]):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[1:end].strip()
    return None


def _last_number(text: str) -> str:
    found = [number for number, _ in numbers(text)]
    return found[-1].lstrip("$€£¥₹+") if found else ""


@lru_cache(maxsize=4096)
def _parse(text: str) -> Any:
    """The expression that the LaTeX text stands for; None when it is none, or is out of bounds."""
    if len(text) > MAX_CHARACTERS or _depth(text) > MAX_DEPTH or text.count("|") > 2 * MAX_DEPTH:
        return None
    text = re.sub(r"(?<=\d)\\,(?=\d{3})", "", text)  # 10\,000
    library = _library()
    latex = [library.LatexExtractionConfig(boxed_match_priority=0)]
    found = library.parse(rf"\boxed{{{text}}}", latex, fallback_mode="no_fallback", parsing_timeout=None)
    return found[0] if found else None


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _equal(reference: Any, answer: Any) -> bool:
    if not tractable(reference, answer):
        return bool(reference == answer)  # sympy compares how they are written
    return not differ(reference, answer) and bool(_library().verify(reference, answer, timeout_seconds=None))


@lru_cache(maxsize=1)
def _library() -> Any:
    try:
        import math_verify
    except ImportError:
        raise InputError("the scorer math needs a package: pip install math-verify") from None
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns once that its time limits are off
    return math_verify


SCORER = Math
