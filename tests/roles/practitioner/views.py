"""Situations of the practitioner: sources with categories, experiments it made itself, evidence, remembered ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import situations as s

from memory.records import DataRecipe, Evidence, Experiment, Flow, Plan, Step, TrainingConfig, TrainingData
from roles.briefing import Recollection, Remaining, Survey
from roles.practitioner.design import Design, draft, recipe_of, with_rows
from roles.practitioner.rules.view import View
from tasks.embedding import Vectors

GROUPS = ("red", "blue", "dark green, olive")
"""One has blanks and a comma."""
PAGE = (
    '<div class="question"><p class="body">Which colour?</p></div>'
    '<div class="answer accepted"><p class="body">Red.</p><b>7</b></div>'
)
BANK = s.source(
    "bank", *({"question": "Which?", "A": "x", "B": "y", "answer": "A", "colour": group} for group in GROUPS)
).model_copy(update={"rows": 900})
GLOSSARY = s.GLOSSARY.model_copy(update={"rows": 150})
FORUM = s.source("old forum", {"id": 1, "page": PAGE}).model_copy(update={"rows": 150})
SOURCES = (BANK, GLOSSARY, FORUM)
FOREIGN = DataRecipe(
    sources=("bank", "glossary"),
    steps=(
        Step(name="filter", parameters={"source": "bank", "require": ["answer"]}),
        Step(name="script", parameters={"code": "print('rows')"}),
    ),
    reason="by another mind",
)
"""A recipe that the practitioner would not have written."""


def survey(**changes: Any) -> Survey:
    """A bank in the task's form with categories, a glossary and a forum of HTML pages; at most 400 rows."""
    task = s.card(**{"groups": dict.fromkeys(GROUPS, 40)} | changes.pop("task", {}))
    settings: dict[str, Any] = {"task": task, "max_train_rows": 400, "model_gib": 0.3}
    return s.survey(*changes.pop("sources", SOURCES), **(settings | changes))


def design(**changes: Any) -> Design:
    """A first draft of 200 rows, 40 of them in other forms."""
    return with_rows(draft(survey()), survey(), 200).model_copy(update=changes)


def recipe(chosen: Design | None = None) -> DataRecipe:
    """A recipe that the practitioner wrote."""
    return recipe_of(chosen or design(), survey(), "because")


def data(rows: int = 200, *, sampled_out: int = 1000, **changes: Any) -> TrainingData:
    """Rows by source as that draft leaves them, of 50 tokens each; a sample left others out."""
    others = rows // 20
    fields: dict[str, Any] = {
        "rows_by_source": {"bank": rows - 2 * others, "glossary": others, "old forum": others},
        "flow": (Flow(step="sample", rows=rows, removed={"not sampled": sampled_out} if sampled_out else {}),),
    }
    return s.training_data(rows).model_copy(update=fields | changes)


def trained(number: int = 1, decided: Plan | None = None, **changes: Any) -> Experiment:
    """An experiment whose recipe the practitioner wrote; nothing is known about it unless told."""
    fields: dict[str, Any] = {
        "recipe": recipe(),
        "data": data(),
        "evidence": (),
        "config": TrainingConfig(),
        "score": 0.5,
    } | changes
    settings = {name: fields.pop(name) for name in list(fields) if name in ("score", "groups", "failure", "cause")}
    one = s.trial(number, decided, recipe=fields["recipe"], config=fields["config"], **settings)
    if settings.get("failure") and "config" not in changes:
        fields["config"] = None  # a configuration is recorded after its training
    return one.model_copy(update=fields)


def evidence(name: str, count: int = 0, of: int = 100, **figures: float) -> Evidence:
    """A finding whose claim can be told from all others."""
    return Evidence(name=name, claim=f"{name} found {count} of {of}.", count=count, of=of, figures=figures)


def view(*found: Evidence, remaining: Remaining | None = None, **changes: Any) -> View:
    """What the rules see of a trained experiment with these findings."""
    world = changes.pop("survey", None) or survey()
    trials = changes.pop("trials", ())
    parent = changes.pop("parent", None) or trained(evidence=found, **changes)
    return View(world, parent, (s.untouched(), *trials), remaining or s.remaining())


def remembered(one: Experiment, run: str = "other", baseline: float | None = 0.3, **changes: Any) -> Recollection:
    """An experiment of another run."""
    experiment = one.model_copy(update={"run": run} | changes)
    return Recollection(
        id=experiment.id, similarity=0.8, summary=f"about {experiment.id}", experiment=experiment, baseline=baseline
    )


class Letters:
    """An embedder of three dimensions, for memories in which similarity does not matter."""

    name = "letters"
    dimension = 3

    def embed(self, texts: Sequence[str]) -> Vectors:
        """How often three letters occur."""
        counts = np.array([[1 + text.count(letter) for letter in "abc"] for text in texts], dtype=np.float32)
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
