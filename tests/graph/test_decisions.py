"""What the roles are shown, and what is decided without them, where the graph chooses it."""

from typing import Any

import pytest
from made_up import survey

from eval.result import ItemResult
from graph.decisions import WRONG_SHOWN, decide_config, spread
from memory.records import DataRecipe, Experiment, Plan, TrainingConfig, TrainingData
from tasks.failure import FailureKind, StageError


def item(number: int, group: str) -> ItemResult:
    """A wrong answer."""
    return ItemResult(
        id=f"{group}{number}", group=group, prompt="p", answer="a", completions=("b",), scores=(0.0,), parsed=(True,),
        truncated=False,
    )  # fmt: skip


def test_wrong_items_come_from_as_many_groups_as_there_are() -> None:
    """One group with many errors does not hide the others."""
    items = [item(k, "a") for k in range(20)] + [item(0, "b"), item(0, "c"), item(1, "c")]
    shown = spread(items)
    assert len(shown) == WRONG_SHOWN
    assert [one.id for one in shown[:5]] == ["a0", "b0", "c0", "a1", "c1"]
    assert spread(items[:2]) == (items[0], items[1])
    assert spread([]) == ()


def test_a_changed_recipe_that_leaves_the_same_rows_is_not_trained_again() -> None:
    """Keeping the configuration would repeat the parent; the trainer is asked instead, by way of a complaint."""
    plan = Plan(
        hypothesis="h", parent=1, factor="data", data_strategy="clean labels", training_strategy="keep",
        predicted_effect=0.1,
    )  # fmt: skip
    rows = TrainingData(
        path="data.jsonl", content_hash="d1", rows=9, rows_by_source={"a": 9}, tokens=90, tokens_median=10,
        tokens_max=12, removed={},
    )  # fmt: skip
    recipe = DataRecipe(sources=("a",), steps=())
    base: dict[str, Any] = {"run": "r", "task": "t", "domain": "d", "model": "m"}
    config = TrainingConfig(max_length=64)
    tried = [Experiment(**base, number=0), Experiment(**base, number=1, recipe=recipe, data=rows, config=config)]

    def decide(data: TrainingData) -> TrainingConfig:
        nothing: Any = None  # neither a mind nor a disk is needed to keep a configuration
        return decide_config(nothing, survey(), tried, 0, plan, data, [])

    with pytest.raises(StageError, match="experiment 1 trained the same rows") as refused:
        decide(rows)
    assert refused.value.failure.kind == FailureKind.CONFIG
    kept = decide(rows.model_copy(update={"content_hash": "d2", "tokens_max": 99}))
    assert kept == config.model_copy(update={"max_length": 99})
