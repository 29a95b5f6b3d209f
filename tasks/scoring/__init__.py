"""Scorers, one a file, found by the folder: `tasks/scoring/exact.py` is the scorer `exact`.

Every module here defines `SCORER`, a `Record` class with the interface of `tasks.task.Scorer`. To add a scorer, add a
file; the contract suite then asks for a canonical sample.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from tasks.failure import InputError
from tasks.record import explain
from tasks.task import ItemScore, Sample, Scorer
from tasks.time_limit import within

FAILED = "failed"
"""Among the metrics of an answer on which the scorer itself failed."""
_OUT_OF_TIME = ItemScore(score=0, parsed=False, extracted="the scorer ran out of time", metrics={FAILED: 1.0})


def names() -> list[str]:
    """The names of all scorers, sorted; nothing is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def compares(scorer: Scorer) -> bool:
    """Whether answers are compared with a reference; otherwise they are judged by the item's context."""
    return getattr(scorer, "compares", True)


def parses(scorer: Scorer, text: str, options: Sequence[str] = ()) -> bool:
    """Whether an answer can be read: what a training answer must do, whose reference and sub-task are not known."""
    own = getattr(scorer, "parses", None)
    if own:
        return bool(own(text))
    return scorer.score(text, Sample(id="", prompt="", answer=text, options=tuple(options))).parsed


def parses_all(scorer: Scorer, answers: Sequence[tuple[str, Sequence[str]]]) -> list[bool]:
    """`parses` of many answers, each with its options; a scorer with a method of this name does several at a time."""
    own = getattr(scorer, "parses_all", None)
    if own:
        return list(own([text for text, _ in answers]))
    return [parses(scorer, text, options) for text, options in answers]


def score_all(scorer: Scorer, pairs: Sequence[tuple[str, Sample]]) -> list[ItemScore]:
    """Score many answers.

    Raises:
        ValueError: a reference, a sub-task or a context cannot be used.
    """
    scores: list[ItemScore] = []
    for score in score_each(scorer, pairs):
        if isinstance(score, ValueError):
            raise score
        scores.append(score)
    return scores


def score_each(scorer: Scorer, pairs: Sequence[tuple[str, Sample]]) -> list[ItemScore | ValueError]:
    """Score many answers, with the error in place of a score that cannot be had.

    A scorer with a method `score_all` does several at a time. One with `ITEM_SECONDS` is called in other processes, and
    an answer that keeps it busy for longer than that scores 0 and has `FAILED` among its metrics.

    Raises:
        InputError: a package is missing.
    """
    own = getattr(scorer, "score_all", None)
    if own:
        try:
            return list(own([text for text, _ in pairs], [sample for _, sample in pairs]))
        except ValueError:  # of one of them: which?
            return [_score(scorer, *pair) for pair in pairs]
    seconds: float | None = getattr(scorer, "ITEM_SECONDS", None)
    if seconds is None or len(pairs) < 2:
        return [_score(scorer, *pair) for pair in pairs]
    example = (scorer, scorer.contract().example, pairs[0][1])
    _score(*example)  # here too: an error that is not of one answer
    scores = within(seconds, _score, [(scorer, *pair) for pair in pairs], warm=example)
    return [_OUT_OF_TIME if score is None else score for score in scores]


def _score(scorer: Scorer, prediction: str, sample: Sample) -> ItemScore | ValueError:
    try:
        return scorer.score(prediction, sample)
    except ValueError as error:
        return error


def load(spec: str | dict[str, Any]) -> Scorer:
    """Make a scorer from its name, or from `{"name": ..., parameters}` as a task file holds it.

    Raises:
        InputError: there is no such scorer (the known ones are listed), or a parameter is unknown or invalid.
    """
    settings: dict[str, Any] = {"name": spec} if isinstance(spec, str) else spec
    name = settings.get("name")
    if name not in names():
        raise InputError(f"unknown scorer {name!r}; known scorers: {', '.join(names())}")
    scorer = importlib.import_module(f"{__name__}.{name}").SCORER
    try:
        return scorer(**settings)
    except ValidationError as error:
        known = ", ".join(field for field in scorer.model_fields if field != "name") or "none"
        raise InputError(f"scorer {name}: {explain(error)} (parameters: {known})") from None
