"""Mathematical answers, compared symbolically by `math-verify` (https://github.com/huggingface/Math-Verify)."""

import logging
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, product
from typing import Any, ClassVar, Literal

from tasks.expression import differ, tractable
from tasks.failure import InputError
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample
from tasks.text import numbers

# The library's own time limits use signals, which work in the main thread only. These bounds, and
# `tasks/expression.py`, stand in for them.
MAX_CHARACTERS = 300
"""Length of an expression; a longer answer is unparsed."""
MAX_DEPTH = 8
"""Nested brackets, and half the number of bars: the parser's time grows steeply with both."""
MAX_WINDOW = 5_000
"""Under `paper`: characters around the last boxes, or around the last word "answer", that the library searches."""
MAX_BOXES = 8
"""Under `paper`: boxes in that window; the time of the library's patterns grows with their square."""

_BOX = r"\boxed{"
_DOLLARS = r"\$\$([^$]{1,300})\$\$|(?<![\\$])\$(?=[^\s$])([^$\n]{1,300})(?<=[^\s\\])\$(?!\d)"
_FORMULA = re.compile(_DOLLARS + r"|\\\((.{1,300}?)\\\)|\\\[(.{1,300}?)\\\]", re.DOTALL)


class Math(Record):
    r"""1 when the answer equals the reference symbolically, else 0: `\boxed{\frac{1}{2}}` is 0.5.

    The last `\boxed{}` counts; without one, the last formula in `$...$`, `\(...\)` or `\[...\]`. Under `paper` it is
    what math-verify's LaTeX extraction takes: boxes first, else a formula after "final answer is" or "answer". Boxes
    close together are one answer then, so `\boxed{1} \boxed{234}` is 1234 (a quirk).

    `judge_response` in the sample's context, if given, is what a language model said of the answer: `A`, or text that
    starts with `CORRECT`, accepts it. Under `paper` that makes up for a rejection by the rule; under `honest` it only
    shows as `judge` in `metrics`. In a task file: `scorer: {name: math, bare: true}`.
    """

    ITEM_SECONDS: ClassVar[float] = 30

    name: Literal["math"] = "math"
    bare: bool = False
    """Without a box and a formula, read the last number of the text. Of no effect under `paper`."""
    protocol: Protocol = "honest"

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference is no formula, InputError without the package `math-verify`."""
        rule = self._rule_of_library(prediction, sample) if self.protocol == "paper" else self._rule(prediction, sample)
        judged = _judged(sample)
        if judged is None:
            return rule
        accepted = judged and self.protocol == "paper"
        return ItemScore(
            score=max(rule.score, float(accepted)),
            parsed=rule.parsed or accepted,
            extracted=rule.extracted,
            metrics={"judge": judged, "rule": rule.score},
        )

    def _rule(self, prediction: str, sample: Sample) -> ItemScore:
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

    def _rule_of_library(self, prediction: str, sample: Sample) -> ItemScore:
        found = _parse_as_library(_taken(prediction))
        if not found:
            return ItemScore(score=0, parsed=False)
        gold = _parse_gold(sample.answer.strip())
        if not gold:
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} is no formula that can be read")
        accepted = any(_verified(answer, reference) for answer, reference in product(found, gold))
        return ItemScore(score=float(accepted), parsed=True, extracted=str(found[-1]))

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
    if not _bounded(text):
        return None
    text = re.sub(r"(?<=\d)\\,(?=\d{3})", "", text)  # 10\,000
    library = _library()
    latex = [library.LatexExtractionConfig(boxed_match_priority=0)]
    found = library.parse(rf"\boxed{{{text}}}", latex, fallback_mode="no_fallback", parsing_timeout=None)
    return found[0] if found else None


def _judged(sample: Sample) -> bool | None:
    """Whether the judge accepted the answer; None when no judge was asked."""
    reply = sample.context.get("judge_response")
    if reply is not None and not isinstance(reply, str):
        raise ValueError(f"judge_response of sample {sample.id} is {reply!r}; expected text")
    return reply if reply is None else reply.strip().upper() == "A" or reply.strip().upper().startswith("CORRECT")


def _taken(text: str) -> str:
    """The part of an answer that the library takes its formula from; `""` when there is none or it is out of bounds."""
    text = _window(text)
    for _, patterns in groupby(_patterns(), key=lambda pattern: pattern[1]):
        matches = [match for pattern, _ in patterns for match in pattern.finditer(text)]
        if matches:
            last = max(matches, key=lambda match: (match.end(), -match.start()))
            return last.group() if all(map(_bounded, _contents(last))) else ""
    return ""


def _window(text: str) -> str:
    """As much of a long text as decides: the last boxes and what stands around them, or the last "answer"."""
    if len(text) <= MAX_WINDOW and text.count(_BOX) <= MAX_BOXES:
        return text
    last = text.rfind(_BOX)
    middle = last if last >= 0 else text.lower().rfind("answer")
    text = text[max(0, middle - MAX_WINDOW // 2) : middle + MAX_WINDOW // 2] if middle >= 0 else ""
    for _ in range(max(0, text.count(_BOX) - MAX_BOXES)):
        text = text[text.find(_BOX) + 1 :]
    return text


def _contents(match: re.Match[str]) -> Iterator[str]:
    """The formulas that the library would parse: those of the boxes, or of the pairs of dollars and brackets."""
    if _BOX not in match.group():
        yield from (text for name, text in match.groupdict().items() if text and "latex" in name)
    for rest in match.group().split(_BOX)[1:]:
        yield _box("{" + rest) or rest


def _bounded(text: str) -> bool:
    return len(text) <= MAX_CHARACTERS and _depth(text) <= MAX_DEPTH and text.count("|") <= 2 * MAX_DEPTH


def _patterns() -> list[tuple[re.Pattern[str], int]]:
    """The library's patterns of a formula with their rank, the first rank first."""
    patterns = _library().parser.get_extraction_regexes(_extraction())[0][0]
    return sorted(patterns, key=lambda pattern: pattern[1])


@lru_cache(maxsize=1)
def _extraction() -> list[Any]:
    """LaTeX only, boxes first, no formula that neither a box nor the word "answer" marks."""
    from latex2sympy2_extended import NormalizationConfig  # comes with the library

    normalisation = NormalizationConfig(
        basic_latex=True, units=True, malformed_operators=False, nits=False, boxed="all", equations=True
    )
    return [
        _library().LatexExtractionConfig(
            normalization_config=normalisation, boxed_match_priority=0, try_extract_without_anchor=False
        )
    ]


@lru_cache(maxsize=4096)
def _parse_as_library(text: str) -> list[Any]:
    """The expression and its text, or the text alone where it is no expression; nothing where there is no formula."""
    return _library().parse(text, _extraction(), extraction_mode="first_match", parsing_timeout=None) if text else []


@lru_cache(maxsize=4096)
def _parse_gold(text: str) -> list[Any]:
    library = _library()
    if not _bounded(text):
        return []
    targets = [library.LatexExtractionConfig(), library.ExprExtractionConfig()]
    return library.parse(f"${text}$", targets, extraction_mode="first_match", parsing_timeout=None)


def _verified(answer: Any, reference: Any) -> bool:
    """As the reference system asks it: the answer stands where the library expects the gold."""
    if not tractable(reference, answer):
        return bool(reference == answer)
    return not differ(reference, answer) and bool(_library().verify(answer, reference, timeout_seconds=None))


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
    for name in ("math_verify", "latex2sympy2_extended"):  # they warn of time limits that are off and of an old setting
        logging.getLogger(name).setLevel(logging.ERROR)
    return math_verify


SCORER = Math
