"""The survey: what is known of task, sources, model and machine before the first experiment."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eval.evaluator_client import Description
from graph.context import RunContext
from roles.briefing import ModelShape, Survey, TaskCard
from tasks import scoring
from tasks.corpus import Corpus, read_corpus
from tasks.record import read_jsonl
from tasks.template import fields

SHOWN = 3
"""Rows of each source that are shown."""
FEW_VALUES = 15
"""Values that a field may have for its rows to be counted by value."""
LONG_VALUE = 60
"""Characters of a value that is longer than a category's name."""
COUNTED = 200
"""Rows of each source whose tokens are counted."""
HIGH = 0.95
"""Share of these rows that are no longer than what is told as long."""
CountTokens = Callable[[list[str]], list[int]]


def make_survey(context: RunContext) -> Survey:
    """The survey of a run."""

    def count(texts: list[str]) -> list[int]:
        return context.engine.call("count_tokens", texts=texts)

    return survey_of(
        context.description,
        context.model,
        count,
        hardware=context.hardware,
        model=context.config.model,
        detectable_effect=round(context.detectable_effect, 3),
        max_train_rows=context.config.max_train_rows,
        remembered=context.memory.count() if context.memory else 0,
    )


def survey_of(description: Description, folder: Path, count: CountTokens, **told: Any) -> Survey:
    """The survey of a task.

    Args:
        folder: of the model.
        told: the fields of `Survey` that neither the task nor that folder tells.
    """
    sources = Path(description.corpus)
    corpus = read_corpus(sources)
    tokens = row_tokens(sources, corpus, count)
    rows = {source.name: list(read_jsonl(sources / f"{source.name}.jsonl")) for source in corpus.sources}
    return Survey(
        task=task_card(description),
        corpus=corpus,
        row_tokens={name: counts[len(counts) // 2] for name, counts in tokens.items()},
        row_tokens_high={name: counts[int(HIGH * (len(counts) - 1))] for name, counts in tokens.items()},
        rows_shown={name: spread(found) for name, found in rows.items()},
        field_values={name: field_values(found) for name, found in rows.items()},
        model_gib=model_gib(folder),
        shape=model_shape(folder),
        **told,
    )


def task_card(description: Description) -> TaskCard:
    """The task as agents may know it."""
    task = description.task
    return TaskCard(
        name=task.name,
        domain=task.domain,
        description=task.description,
        prompt=task.prompt,
        prompt_fields=tuple(fields(task.prompt)),
        answer=scoring.load(task.scorer).contract(),
        answer_template=task.answer,
        scorer=str(task.scorer["name"]),
        metric=task.metric,
        max_new_tokens=description.new_tokens,
        groups=description.groups,
        feedback=description.feedback,
        selection=description.selection,
        test=description.test,
        shared=description.shared,
        options=description.options,
    )


def row_tokens(folder: Path, corpus: Corpus, count: CountTokens) -> dict[str, list[int]]:
    """Tokens of the values of the first raw rows of each source, in ascending order."""
    found: dict[str, list[int]] = {}
    for source in corpus.sources:
        rows = itertools.islice(read_jsonl(folder / f"{source.name}.jsonl"), COUNTED)
        found[source.name] = sorted(count([" ".join(str(value) for value in row.values()) for row in rows]))
    return found


def spread(rows: Sequence[dict[str, Any]], count: int = SHOWN) -> tuple[dict[str, Any], ...]:
    """At most `count` rows, from all over a source, which may be sorted."""
    places = dict.fromkeys(round(part * (len(rows) - 1) / max(1, count - 1)) for part in range(count if rows else 0))
    return tuple(rows[place] for place in places)


def field_values(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Rows by value, the most frequent first, of fields that look like categories: few values, short, repeated."""
    found: dict[str, dict[str, int]] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        if not all(isinstance(value, str | int | bool) and len(str(value)) <= LONG_VALUE for value in values):
            continue
        counts = Counter(map(str, values))
        if 1 < len(counts) <= FEW_VALUES and len(counts) < len(values):
            found[name] = dict(counts.most_common())
    return found


def model_gib(model: Path) -> float:
    """Size of the weights in a model's folder."""
    return round(sum(file.stat().st_size for file in model.glob("*.safetensors")) / 2**30, 2)


def model_shape(model: Path) -> ModelShape | None:
    """The shape that the configuration in a model's folder tells; None when it does not."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)
    try:
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        head = config.get("head_dim") or hidden // heads
        return ModelShape(
            layers=config["num_hidden_layers"],
            hidden=hidden,
            queries=heads * head,
            key_values=(config.get("num_key_value_heads") or heads) * head,
            intermediate=config["intermediate_size"],
            context=config["max_position_embeddings"],
        )
    except KeyError:
        return None
