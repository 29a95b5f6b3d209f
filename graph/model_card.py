"""The model card: what was measured, of what, on what, and how to use and to check it."""

from collections.abc import Iterable
from typing import NamedTuple

from eval.base_identity import BaseIdentity
from eval.base_model import SMOLLM2_GGUF, SMOLLM2_INSTALL
from eval.evaluator_client import TestResult
from eval.hardware import versions
from eval.result import EvalResult, wilson
from graph.config import RunConfig
from graph.lineage import Lineage
from graph.templates import render
from memory.recall import intention
from memory.records import Experiment
from roles.briefing import Survey


class Story(NamedTuple):
    """What a card tells of."""

    config: RunConfig
    survey: Survey
    untouched: Experiment
    best: Experiment
    result: TestResult
    lineage: Lineage | None
    """None when nothing but the card is delivered."""
    merged: bool
    """The merged model is delivered too."""


class UsedSource(NamedTuple):
    """One source of the corpus, and what of it was trained on."""

    name: str
    description: str
    licence: str
    rows: int | None
    """None where a data step has made the rows."""
    used: int


def model_card(story: Story, adapter: str) -> str:
    """The card in Markdown.

    Args:
        adapter: where the adapter lies, seen from the card.
    """
    sources = used_sources(story)
    return render(
        "MODEL_CARD.md",
        **story._asdict(),
        adapter=adapter,
        sources=sources,
        licence=agreed_licence(story.lineage.base, sources) if story.lineage else None,
        splits=_splits(story),
        measured=measured,
        intention=intention,
        versions=story.lineage.versions if story.lineage else versions(),
        gguf=SMOLLM2_GGUF,
        install=SMOLLM2_INSTALL,
    )


def used_sources(story: Story) -> list[UsedSource]:
    """The sources of the corpus in order, then what data steps have made of none of them."""
    used = dict(story.lineage.data.rows_by_source) if story.lineage else {}
    known = [
        UsedSource(source.name, source.description, source.licence, source.rows, used.pop(source.name, 0))
        for source in story.survey.corpus.sources
    ]
    return known + [UsedSource(name, "made by a data step", "unknown", None, rows) for name, rows in used.items()]


def agreed_licence(base: BaseIdentity, sources: Iterable[UsedSource]) -> str | None:
    """The one licence that the base model and all rows trained on share, as hubs write it; None when they differ."""
    stated = {base.licence.lower(), *(source.licence.lower() for source in sources if source.used)}
    return stated.pop() if len(stated) == 1 and "unknown" not in stated else None


def measured(result: EvalResult) -> str:
    """A score with its 95 % interval: normal, or Wilson's where all items scored alike."""
    low, high = result.score - 1.96 * result.standard_error, result.score + 1.96 * result.standard_error
    if result.standard_error == 0 and 0 <= result.score <= 1:
        low, high = wilson(result.score, result.n)
    return f"{result.score:.3f} ({low:.3f} to {high:.3f})"


def _splits(story: Story) -> list[tuple[str, EvalResult | None, EvalResult | None]]:
    """For each split its name and the results of the untouched model and of the adapter."""
    untouched, best, test = story.untouched, story.best, story.result
    tuned = best if story.lineage else None
    return [
        ("feedback", untouched.feedback, tuned and tuned.feedback),
        ("selection", untouched.selection, tuned and tuned.selection),
        ("test (sealed)", test.baseline, test.best),
    ]
