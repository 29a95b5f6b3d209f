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

FAILED = "failed"
"""Among the metrics of an answer on which the scorer itself failed."""


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
    """Score many answers; a scorer with a method of this name does several at a time."""
    own = getattr(scorer, "score_all", None)
    if own:
        return list(own([text for text, _ in pairs], [sample for _, sample in pairs]))
    return [scorer.score(text, sample) for text, sample in pairs]


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
