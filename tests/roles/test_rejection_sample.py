"""What `rejection_sample` draws and keeps, with an engine that answers by a function."""

from pathlib import Path
from typing import Any

import pytest
from fake_models import ACCESS, BEST, UNTOUCHED, FakeEngine

from eval.completion_cache import CompletionCache
from eval.engine import Sampling
from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.models import ModelAccess, Models
from roles.data_steps.row import Applied, DataRow, StepContext
from tasks.failure import FailureKind, InputError, StageError
from tasks.task import Benchmark, Task

TASK = Task(
    name="toy", domain="colours", description="", sources=(), benchmark=Benchmark(path="x"),
    prompt="{{ question }} {{ first }} or {{ second }}?", answer="{{ answer }}",
    options=("{{ first }}", "{{ second }}"), scorer={"name": "choice"}, max_new_tokens=9,
)  # fmt: skip
ROW = {"first": "red", "second": "blue", "answer": "red"}


def rows(n: int, source: str = "a") -> list[DataRow]:
    return [DataRow(source=source, row=k, fields={"question": f"Q{k}?", **ROW}) for k in range(1, n + 1)]


def run(given: list[DataRow], engine: FakeEngine, seed: int = 0, **parameters: Any) -> Applied:
    step = load_step(Step(name="rejection_sample", parameters={"source": "a", **parameters}))
    return step.apply(given, StepContext(TASK, seed, Models(ACCESS, None, engine)))


def test_accepted_answers_become_formatted_rows() -> None:
    given = [*rows(2), *rows(1, "b")]
    engine = FakeEngine(lambda prompt, draw, checkpoint: "red" if "Q1" in prompt and draw == 2 else "blue")
    applied = run(given, engine)
    assert [(row.source, row.row) for row in applied.rows] == [("a", 1), ("b", 1)]
    assert applied.rows[0].fields == {
        "question": "Q1?", **ROW,
        "prompt": "Q1? red or blue?", "answer": "red", "options": ["red", "blue"], "content": "Q1?",
        "task_format": True,
    }  # fmt: skip
    assert (applied.removed, applied.changed) == ({"no answer accepted": 1}, {"written": 1})
    assert applied.rows[1] == given[2]


@pytest.mark.parametrize("keep", [1, 2, 9])
def test_different_answers_are_kept_in_order_up_to_a_number(keep: int) -> None:
    said = ["blue", "Red", " Red\n", "red.", "red...", "red"]
    applied = run(rows(1), FakeEngine(lambda prompt, draw, checkpoint: said[draw]), draws=6, keep=keep)
    found = [row.fields["answer"] for row in applied.rows]
    assert found == ["Red", "red.", "red"][:keep]


def test_an_answer_that_was_cut_off_is_not_learned() -> None:
    assert run(rows(1), FakeEngine(lambda *asked: "red...")).removed == {"no answer accepted": 1}


def test_formatted_rows_keep_their_prompt_and_options() -> None:
    fields = {"prompt": "Say red.", "answer": "red", "options": ["red", "blue"], "task_format": True}
    engine = FakeEngine(lambda *asked: "red")
    applied = run([DataRow(source="a", row=1, fields=fields)], engine)
    assert engine.calls[0][0] == ["Say red."]
    assert applied.rows[0].fields == fields


def test_parameters_and_seed_decide_what_is_drawn() -> None:
    engine = FakeEngine(lambda *asked: "red")
    run(rows(1), engine)
    run(rows(1), engine, checkpoint="untouched", temperature=0, draws=8, max_new_tokens=5)
    run(rows(1), engine, seed=1)
    (_, first, best), (_, greedy, untouched), (_, other, _) = engine.calls
    assert first == Sampling(max_new_tokens=9, temperature=0.8, top_p=0.95, samples=4, seed=0)
    assert greedy == Sampling(max_new_tokens=5)
    assert (best, untouched, other.seed != first.seed) == (BEST, UNTOUCHED, True)


def test_without_a_best_experiment_the_untouched_model_is_drawn_from() -> None:
    engine = FakeEngine(lambda *asked: "red")
    access = ACCESS.model_copy(update={"checkpoints": {"untouched": UNTOUCHED}})
    step = load_step(Step(name="rejection_sample", parameters={"source": "a"}))
    step.apply(rows(1), StepContext(TASK, 0, Models(access, None, engine)))
    assert engine.calls[0][2] == UNTOUCHED
    assert step.depends_on(access) == ["base", ""]
    assert step.depends_on(ACCESS) == ["base", "abc"]


def test_calls_carry_as_many_prompts_as_the_engine_likes_and_are_not_repeated(tmp_path: Path) -> None:
    engine = FakeEngine(lambda *asked: "red", chunk=4)
    step = load_step(Step(name="rejection_sample", parameters={"source": "a"}))
    context = StepContext(TASK, 0, Models(ACCESS, None, engine, CompletionCache(tmp_path / "drawn.sqlite")))
    first = step.apply(rows(10), context)
    assert [len(prompts) for prompts, _, _ in engine.calls] == [4, 4, 2]
    assert step.apply(rows(10), context) == first
    assert len(engine.calls) == 3


def test_rows_that_the_tasks_prompt_cannot_show_are_dropped_or_all_an_error() -> None:
    lacking = DataRow(source="a", row=9, fields={"question": "?", "answer": "red"})
    applied = run([*rows(1), lacking], FakeEngine(lambda *asked: "red"))
    assert applied.removed == {"a template does not render": 1}
    with pytest.raises(InputError, match="first"):
        run([lacking], FakeEngine(lambda *asked: "red"))


def test_without_an_engine_the_step_is_refused() -> None:
    step = load_step(Step(name="rejection_sample", parameters={"source": "a"}))
    for models in (Models(ModelAccess()), None):
        with pytest.raises(StageError, match="no engine") as refused:
            step.apply(rows(1), StepContext(TASK, 0, models))
        assert refused.value.failure.kind == FailureKind.CONFIG
