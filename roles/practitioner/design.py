"""What the practitioner chooses about the data, as one record: a recipe is made from it and it is read off a recipe.

`recipe_of(design_of(recipe))` is that recipe again, whoever wrote it: of a recipe that this module would not have
written (a script, other steps), all is kept as a foundation, and the practitioner's own steps come after it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from pydantic import JsonValue

from memory.records import DataRecipe, Step
from roles.briefing import Survey
from roles.practitioner.formats import (
    OFFERED,
    choice_steps,
    format_steps,
    group_field,
    html_steps,
    in_task_format,
    molecule_steps,
)
from tasks.record import Record
from tasks.template import fields

OTHER_SHARE = 0.1
"""Share of rows in another form than the benchmark's, unless evidence asks for less."""
EVEN = 2.0
"""Balanced categories differ at most by this factor in their rows: evener ones would cost more rows."""
RARE = 10
"""Categories with fewer rows set no measure for the others."""


class Foundation(Record):
    """Sources and steps of another mind's recipe, kept as they are."""

    sources: tuple[str, ...]
    steps: tuple[Step, ...]


class Design(Record):
    """The choices behind a recipe."""

    sources: tuple[str, ...]
    rows: int | None
    """At most so many rows; None leaves all that another mind's steps leave."""
    others: int = 0
    """At most so many of them in another form than the benchmark's."""
    near_duplicates: bool = False
    """Drop near repetitions."""
    clean_labels: bool = False
    """Mend answers that contradict the other rows."""
    balanced: bool = False
    """Not many more rows of one category than of another."""
    preferred: tuple[str, ...] = ()
    """Categories whose rows come first."""
    longest_prompt: int | None = None
    """Characters a prompt may have."""
    longest_answer: int | None = None
    """Characters an answer may have."""
    seed: int = 0
    """Another one keeps other rows."""
    foundation: Foundation | None = None
    """What another mind wrote; then only cleaning, rows and seed can be chosen."""


def draft(survey: Survey) -> Design:
    """All sources that can be read, as many rows as are allowed."""
    return with_sources(Design(sources=(), rows=survey.max_train_rows), survey, format_steps(survey))


def with_sources(design: Design, survey: Survey, sources: Iterable[str]) -> Design:
    """The design with these sources; each that stays and is in another form keeps its number of rows.

    The first ones in another form get the usual share. A choice among categories goes with the last source that names
    them.
    """
    chosen = [name for name in format_steps(survey) if name in set(sources)]
    before, different = _in_other_forms(survey, design.sources), _in_other_forms(survey, chosen)
    rows = design.rows or survey.max_train_rows
    kept = design.others * len(different) // len(before) if before else 0
    usual = kept if 0 < design.others < rows else int(rows * OTHER_SHARE)
    others = rows if len(different) == len(chosen) else max(usual, len(different)) if different else 0
    unnamed = {} if category_fields(survey, chosen) else {"balanced": False, "preferred": ()}
    return design.model_copy(update={"sources": tuple(chosen), "others": others, **unnamed})


def with_rows(design: Design, survey: Survey, rows: int) -> Design:
    """The design with so many rows; those in another form keep their share."""
    least = len(_in_other_forms(survey, design.sources))
    others = max(least, int(design.others * rows / design.rows)) if design.rows else design.others
    return design.model_copy(update={"rows": rows, "others": others})


def _in_other_forms(survey: Survey, sources: Iterable[str]) -> list[str]:
    formats = format_steps(survey)
    return [name for name in sources if name in formats and not in_task_format(formats[name])]


def recipe_of(design: Design, survey: Survey, reason: str) -> DataRecipe:
    """The recipe of a design: read, filter, deduplicate, format, clean, choose."""
    if design.foundation:
        sampled = [] if design.rows is None else [_sample(None, design.rows, design.seed)]
        steps = (*design.foundation.steps, *_cleaning(design), *sampled)
        return DataRecipe(sources=design.foundation.sources, steps=steps, reason=reason)
    formats = {name: step for name, step in format_steps(survey).items() if name in design.sources}
    steps = (
        *(step for name in formats for step in (*html_steps(survey, name), *molecule_steps(survey, name))),
        *(_require(survey, step) for name, step in formats.items() if not molecule_steps(survey, name)),
        Step(name="deduplicate"),
        *(step for name in formats for step in choice_steps(survey, name)),
        *formats.values(),
        *_cleaning(design),
        *_choice(design, survey, formats),
        *_samples(design, _in_other_forms(survey, formats), survey),
    )
    return DataRecipe(sources=tuple(formats), steps=steps, reason=reason)


def _cleaning(design: Design) -> list[Step]:
    steps: list[Step] = []
    if design.near_duplicates:  # before the labels, because copies confirm each other's errors
        steps.append(Step(name="near_duplicates"))
    if design.clean_labels:
        steps.append(Step(name="label_clean", parameters={"action": "fix"}))
    for field, characters in (("prompt", design.longest_prompt), ("answer", design.longest_answer)):
        if characters:
            steps.append(Step(name="filter", parameters={"field": field, "max_characters": characters}))
    return steps


def _choice(design: Design, survey: Survey, sources: Iterable[str]) -> list[Step]:
    """Balance over the categories, or the preferred ones first, for each source that names them.

    Of a source, half of the rows are kept with the preferred ones first (or as many as are wanted, if that is more):
    that doubles the share of the preferred and leaves the others in place.
    """
    steps: list[Step] = []
    for source, field in category_fields(survey, sources).items():
        one: dict[str, JsonValue] = {"source": source, "seed": design.seed}
        if design.balanced:
            steps.append(Step(name="balance", parameters={**one, "by": field, "ratio": EVEN, "least": RARE}))
        if design.preferred:
            there = rows_of(survey, source)
            kept = min(there, max(there // 2, design.rows or 0))
            wish = f"{field} in {json.dumps(design.preferred, ensure_ascii=False)}"
            steps.append(Step(name="sample", parameters={**one, "rows": kept, "prefer": wish}))
    return steps


def category_fields(survey: Survey, sources: Iterable[str]) -> dict[str, str]:
    """The field that names the benchmark's category, for each of the sources that has one."""
    return {name: field for name in sources if (field := group_field(survey, name))}


def rows_of(survey: Survey, source: str) -> int:
    """Raw rows of a source."""
    return next((one.rows for one in survey.corpus.sources if one.name == source), 0)


def _samples(design: Design, others: Sequence[str], survey: Survey) -> list[Step]:
    """Samples that leave the wanted rows, and among them the wanted ones in another form than the benchmark's."""
    whole, rest = divmod(design.others, max(1, len(others)))
    sizes = [whole + (place < rest) for place in range(len(others))]
    total = design.rows or survey.max_train_rows
    return [
        *(_sample(name, size, design.seed) for name, size in zip(others, sizes, strict=True)),
        _sample(None, total, design.seed),
    ]


def _sample(source: str | None, rows: int, seed: int) -> Step:
    named: dict[str, JsonValue] = {"source": source} if source else {}
    return Step(name="sample", parameters={**named, "rows": rows, "seed": seed})


def _require(survey: Survey, step: Step) -> Step:
    """A filter for the rows of a source that lack a field which its `format` step reads."""
    parameters: dict[str, JsonValue] = {
        "source": step.parameters["source"],
        "require": [*sorted(_fields_read(survey, step))],
    }
    return Step(name="filter", parameters=parameters)


def _fields_read(survey: Survey, step: Step) -> set[str]:
    from roles.data_steps.format import TASK, Format

    wanted = Format.model_validate(step.parameters)
    computed = [part for value in wanted.fields.values() for part in ([value] if isinstance(value, str) else value)]
    read = {name for template in (wanted.answer, *computed) for name in _names_in(template)}
    read.discard(OFFERED)  # made by a step that follows
    if wanted.prompt != TASK:
        return read | set(_names_in(wanted.prompt))
    return read if computed else read | set(survey.task.prompt_fields)


@lru_cache(maxsize=512)
def _names_in(template: str) -> tuple[str, ...]:
    return tuple(fields(template))


def design_of(recipe: DataRecipe, survey: Survey) -> Design:
    """The design that a recipe comes from; another mind's recipe becomes the foundation of one."""
    own = _read(recipe)
    readable = set(recipe.sources) <= set(format_steps(survey))
    return own if readable and recipe_of(own, survey, recipe.reason) == recipe else _founded(recipe)


def _read(recipe: DataRecipe) -> Design:
    """The design, if the practitioner wrote the recipe."""
    named = {step.name for step in recipe.steps}
    samples = [step.parameters for step in recipe.steps if step.name == "sample"]
    wishes = [str(wish) for parameters in samples if (wish := parameters.get("prefer"))]
    sizes = [_whole(p, "rows") for p in samples if p.get("source") and not p.get("prefer")]
    total = samples[-1] if samples else {}
    return Design(
        sources=recipe.sources,
        rows=_whole(total, "rows"),
        others=sum(sizes),
        near_duplicates="near_duplicates" in named,
        clean_labels="label_clean" in named,
        balanced="balance" in named,
        preferred=_listed(wishes[0]) if wishes else (),
        longest_prompt=_bound(recipe.steps, "prompt"),
        longest_answer=_bound(recipe.steps, "answer"),
        seed=_whole(total, "seed"),
    )


def _founded(recipe: DataRecipe) -> Design:
    """Another mind's recipe; the steps at its end that the practitioner could have added are read as choices."""
    steps = list(recipe.steps)
    last = steps[-1].parameters if steps and steps[-1].name == "sample" else {}
    sampled = set(last) == {"rows", "seed"}
    end = steps[:-1] if sampled else steps
    added: list[Step] = []
    while end and _added([end[-1], *added]):
        added.insert(0, end.pop())
    return Design(
        sources=recipe.sources,
        rows=_whole(last, "rows") if sampled else None,
        seed=_whole(last, "seed") if sampled else 0,
        near_duplicates=any(step.name == "near_duplicates" for step in added),
        clean_labels=any(step.name == "label_clean" for step in added),
        longest_prompt=_bound(added, "prompt"),
        longest_answer=_bound(added, "answer"),
        foundation=Foundation(sources=recipe.sources, steps=tuple(end)),
    )


def _added(steps: Sequence[Step]) -> bool:
    """Whether these steps are what some design's cleaning looks like."""
    named = {step.name for step in steps}
    read = Design(
        sources=(),
        rows=None,
        near_duplicates="near_duplicates" in named,
        clean_labels="label_clean" in named,
        longest_prompt=_bound(steps, "prompt"),
        longest_answer=_bound(steps, "answer"),
    )
    return _cleaning(read) == [*steps]


def _bound(steps: Iterable[Step], field: str) -> int | None:
    """The most characters that a filter allows a field; None without such a filter."""
    bounds = [step.parameters for step in steps if step.name == "filter" and step.parameters.get("field") == field]
    return _whole(bounds[-1], "max_characters") or None if bounds else None


def _listed(wish: str) -> tuple[str, ...]:
    """The categories of a condition such as `subject in ["tax", "funds"]`; none when it is of another kind."""
    try:
        found = json.loads(wish.partition(" in ")[2])
    except ValueError:
        return ()
    return tuple(str(one) for one in found) if isinstance(found, list) else ()


def _whole(parameters: Mapping[str, JsonValue], name: str) -> int:
    value = parameters.get(name)
    return value if isinstance(value, int) else 0
