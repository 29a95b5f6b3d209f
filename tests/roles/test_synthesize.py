"""What `synthesize` asks for, keeps, drops and refuses; answers come from functions and from a local server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_models import ACCESS, STRONG, WEAK, Answer, gateway, reply
from faulty_server import FaultyServer, Reply, Status, serving
from gateways import HASTY, in_process

from eval.chat_records import ChatFailure, ChatRequest, Trouble
from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.models import ModelAccess, Models
from roles.data_steps.row import Applied, DataRow, StepContext
from tasks.failure import FailureKind, InputError, StageError
from tasks.task import Benchmark, Task

TASK = Task(
    name="toy", domain="colours", description="", sources=(), benchmark=Benchmark(path="x"),
    prompt="{{ question }} {{ first }} or {{ second }}?", answer="{{ answer }}",
    options=("{{ first }}", "{{ second }}"), scorer={"name": "choice"},
)  # fmt: skip
ROW = {"question": "Which?", "first": "red", "second": "blue", "answer": "red"}


def rows(n: int, source: str = "a", **more: Any) -> list[DataRow]:
    return [DataRow(source=source, row=k, fields={**ROW, "question": f"Q{k}?", **more}) for k in range(1, n + 1)]


def failure(trouble: Trouble, kind: FailureKind = FailureKind.PROVIDER) -> ChatFailure:
    return ChatFailure(stage="synthesize", kind=kind, message=f"it said {trouble}", trouble=trouble)


def run(given: list[DataRow], mind: Answer, /, seed: int = 0, **parameters: Any) -> tuple[Applied, list[ChatRequest]]:
    """Apply the step with a gateway that answers by a function; also what was asked."""
    asker, asked = gateway(mind)
    settings = {"source": "a", "prompt": "Explain: {{ question }}", **parameters}
    step = load_step(Step(name="synthesize", parameters=settings))
    return step.apply(given, StepContext(TASK, seed, Models(ACCESS, asker))), asked


def echo(request: ChatRequest) -> Any:
    return reply(request.messages[-1].content.upper())


def by_row(**answers: Any) -> Answer:
    """Answers by the question's name; those of other rows are `fine`."""
    return lambda request: next(
        (found for name, found in answers.items() if f"{name}?" in request.messages[-1].content), reply("fine")
    )


# ----- what comes out


def test_a_text_goes_into_a_field_beside_the_others() -> None:
    given = [*rows(2), *rows(1, "b")]
    applied, asked = run(given, echo, into="reason")
    assert [row.fields.get("reason") for row in applied.rows] == ["EXPLAIN: Q1?", "EXPLAIN: Q2?", None]
    assert applied.rows[0].fields == given[0].fields | {"reason": "EXPLAIN: Q1?"}
    assert (applied.removed, applied.changed) == ({}, {"written": 2})
    assert [(one.spec, one.who, one.json_schema, one.max_output_tokens) for one in asked] == [
        (STRONG, "synthesize", None, 1024)
    ] * 2


def test_thoughts_are_no_part_of_a_text() -> None:
    applied, _ = run(rows(1), lambda request: reply("<think>hm</think>\nIt is red."), into="reason")
    assert applied.rows[0].fields["reason"] == "It is red."


def test_the_tier_and_the_settings_decide_what_is_asked() -> None:
    _, asked = run(rows(1), echo, into="r", tier="weak", temperature=0.5, max_output_tokens=50, draws=2)
    assert [(one.spec, one.temperature, one.max_output_tokens, one.draw) for one in asked] == [
        (WEAK, 0.5, 50, 0), (WEAK, 0.5, 50, 1),
    ]  # fmt: skip


def test_fields_are_read_from_json_even_in_prose() -> None:
    text = 'Sure:\n```json\n{"title": "Red", "why": "so"}\n```'
    applied, asked = run(rows(1), lambda request: reply(text), fields=["title", "why"])
    assert (applied.rows[0].fields["title"], applied.rows[0].fields["why"]) == ("Red", "so")
    assert asked[0].mode == "schema"
    assert asked[0].json_schema["required"] == ["title", "why"]


def test_what_is_asked_for_is_said_in_the_prompt_too() -> None:
    _, asked = run(rows(1), lambda request: reply("{}"), fields=["title"], items=True)
    assert asked[0].messages[-1].content == (
        'Explain: Q1?\n\nAnswer with one JSON object and nothing else: {"items": [...]}. Each item is an object with '
        'these texts: title.\nIts schema:\n\n{"type": "object", "properties": {"items": {"type": "array", "items": '
        '{"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], '
        '"additionalProperties": false}}}, "required": ["items"], "additionalProperties": false}'
    )


def test_items_are_rows_that_keep_their_origin() -> None:
    text = json.dumps({"items": [{"question": "A?"}, {"question": "B?"}, {"question": "A?"}]})
    applied, _ = run(rows(2), lambda request: reply(text), fields=["question"], items=True)
    assert [(row.source, row.row, row.fields["question"], row.fields["answer"]) for row in applied.rows] == [
        ("a", 1, "A?", "red"), ("a", 1, "B?", "red"), ("a", 2, "A?", "red"), ("a", 2, "B?", "red"),
    ]  # fmt: skip
    beside, _ = run(rows(1), lambda request: reply(text), fields=["question"], items=True, keep_original=True)
    assert [row.fields["question"] for row in beside.rows] == ["Q1?", "A?", "B?"]


def test_different_draws_of_a_row_are_rows() -> None:
    texts = iter(["one", "two", "one"])
    applied, _ = run(rows(1), lambda request: reply(next(texts)), into="reason", draws=3)
    assert [row.fields["reason"] for row in applied.rows] == ["one", "two"]


# ----- what is dropped, and what is refused

BAD = {
    "Q1": reply("", finish="refusal", refusal="I cannot"),
    "Q2": reply("half", finish="length"),
    "Q3": reply("  "),
    "Q4": failure(Trouble.CONTEXT),
    "Q5": failure(Trouble.TIMEOUT),
}
REASONS = ["answer refused", "answer cut off", "answer empty", "no answer: context", "no answer: timeout"]


def test_answers_of_no_use_are_counted_by_reason() -> None:
    applied, _ = run(rows(6), by_row(**BAD), into="reason")
    assert [row.row for row in applied.rows] == [6]
    assert applied.removed == dict.fromkeys(REASONS, 1)


def test_rows_may_stay_as_they_were() -> None:
    given = rows(6)
    applied, _ = run(given, by_row(**BAD), into="reason", keep_original=True)
    assert applied.rows[:5] == given[:5]
    assert applied.removed == {}
    assert applied.changed == {"written": 1} | {f"left as it was: {reason}": 1 for reason in REASONS}


@pytest.mark.parametrize(
    "text",
    ["no json", '{"title": 3}', '{"title": " "}', '{"other": "x"}', "[1]", '{"items": [{"title": "x"}]}'],
)
def test_json_of_another_form_is_not_readable(text: str) -> None:
    applied, _ = run(rows(1), lambda request: reply(text), fields=["title"])
    assert applied.removed == {"answer not readable": 1}


def test_only_what_the_scorer_accepts_is_kept() -> None:
    said = {"Q1": "red", "Q2": "blue", "Q3": "pink"}
    applied, _ = run(
        rows(3), by_row(**{name: reply(text) for name, text in said.items()}),
        into="written", answer="{{ answer }}", verify="written",
    )  # fmt: skip
    assert [row.row for row in applied.rows] == [1]
    assert applied.removed == {"answer wrong": 1, "answer in another form": 1}


def test_a_known_answer_that_does_not_render_is_found_before_it_is_paid_for() -> None:
    given = rows(2)
    given[0] = DataRow(source="a", row=1, fields={"question": "Q1?", "answer": "red"})
    applied, asked = run(given, lambda request: reply("red"), into="w", answer="{{ answer }}", verify="w")
    assert (len(asked), applied.removed) == (1, {"a template does not render": 1})


def test_a_written_answer_may_take_the_place_of_the_known_one_but_does_not_judge_itself() -> None:
    applied, _ = run(
        rows(2), by_row(Q1=reply("It is red"), Q2=reply("blue")),
        into="answer", answer="{{ answer }}", verify="answer",
    )  # fmt: skip
    assert [row.row for row in applied.rows] == [1]
    assert applied.removed == {"answer wrong": 1}
    with pytest.raises(StageError, match="judge itself"):
        run(rows(1), echo, fields=["answer"], items=True, answer="{{ answer }}", verify="answer")


def test_items_are_verified_one_by_one() -> None:
    text = json.dumps({"items": [{"question": "A?", "said": "red"}, {"question": "B?", "said": "blue"}]})
    applied, _ = run(
        rows(1), lambda request: reply(text),
        fields=["question", "said"], items=True, answer="{{ answer }}", verify="said",
    )  # fmt: skip
    assert [row.fields["question"] for row in applied.rows] == ["A?"]
    assert applied.changed == {"written": 1, "further answer: answer wrong": 1}


def test_at_most_so_many_rows_are_asked_about_by_seed() -> None:
    applied, asked = run(rows(20), echo, into="reason", rows=5)
    assert (len(asked), len(applied.rows), applied.removed) == (5, 5, {"not asked about": 15})
    again, _ = run(rows(20), echo, into="reason", rows=5)
    other, _ = run(rows(20), echo, into="reason", rows=5, seed=1)
    assert again == applied
    assert other.rows != applied.rows


def test_a_template_that_renders_for_no_row_is_an_error() -> None:
    with pytest.raises(InputError, match="topic"):
        run(rows(2), echo, into="reason", prompt="{{ topic }}")
    lacking = [*rows(1, topic="x"), DataRow(source="a", row=2, fields=ROW)]
    applied, _ = run(lacking, echo, into="reason", prompt="{{ topic }}")
    assert applied.removed == {"a template does not render": 1}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "either `into` or `fields`"),
        ({"into": "x", "fields": ["y"]}, "either `into` or `fields`"),
        ({"into": "x", "items": True}, "`items` needs `fields`"),
        ({"into": "x", "answer": "{{ a }}"}, "belong together"),
        ({"into": "x", "answer": "{{ a }}", "verify": "y"}, "none of the written fields: x"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(StageError, match=said) as refused:
        run(rows(1), echo, **parameters)
    assert refused.value.failure.kind == FailureKind.CONFIG


def refusal(given: list[DataRow], mind: Answer = echo, /, **parameters: Any) -> tuple[FailureKind, str]:
    with pytest.raises(StageError) as refused:
        run(given, mind, into="reason", **parameters)
    return refused.value.failure.kind, refused.value.failure.message


def test_an_estimate_over_a_cap_is_refused_before_anything_is_asked() -> None:
    def never(request: ChatRequest) -> Any:
        raise AssertionError("asked")

    kind, said = refusal(rows(10), never, max_output_tokens=100, max_tokens=1000)
    assert kind == FailureKind.CONFIG
    assert "10 answers may take 71 tokens of prompts and 1,000 tokens of answers, 1,071 in all" in said
    assert "`max_tokens` of the step is 1,000" in said
    kind, said = refusal(rows(10), never, max_cost=0.1)
    assert (kind, "of unknown price" in said, f"--price {STRONG}=IN,OUT" in said) == (FailureKind.CONFIG, True, True)


def test_a_condition_says_about_which_rows_is_asked() -> None:
    applied, asked = run(rows(6), echo, into="reason", where="question in ['Q1?', 'Q3?']", keep_original=True)
    assert sorted(request.messages[0].content for request in asked) == ["Explain: Q1?", "Explain: Q3?"]
    written = {row.fields["question"] for row in applied.rows if row.fields.get("reason")}
    assert written == {"Q1?", "Q3?"}
    assert len(applied.rows) == 6


def test_a_price_decides_whether_the_cost_is_too_high() -> None:
    access = ACCESS.model_copy(update={"prices": (f"{STRONG}=1000,10000",)})
    step = load_step(
        Step(name="synthesize", parameters={"source": "a", "prompt": "x", "into": "r", "max_cost": 10, "rows": 1})
    )
    with pytest.raises(StageError, match=r"\$10\.2[0-9]+ at most; `max_cost` of the step is \$10") as refused:
        step.apply(rows(1), StepContext(TASK, 0, Models(access, gateway(echo)[0])))
    assert refused.value.failure.kind == FailureKind.CONFIG


def test_what_the_run_has_left_decides_too_and_bought_answers_take_nothing() -> None:
    step = load_step(Step(name="synthesize", parameters={"source": "a", "prompt": "x", "into": "r"}))
    with pytest.raises(StageError, match=r"1,029 in all; the run has 1,000 left") as refused:
        step.apply(rows(1), StepContext(TASK, 0, Models(ACCESS, gateway(echo, tokens_left=1000)[0])))
    assert refused.value.failure.kind == FailureKind.CONFIG
    asker, asked = gateway(echo, tokens_left=1000, known=lambda request: request.mode == "text")
    assert len(step.apply(rows(1), StepContext(TASK, 0, Models(ACCESS, asker))).rows) == 1
    assert len(asked) == 1


def test_a_cap_of_the_run_ends_the_step() -> None:
    assert refusal(rows(9), by_row(Q3=failure(Trouble.CAP, FailureKind.BUDGET)))[0] == FailureKind.BUDGET


def test_an_outage_is_no_fault_of_the_rows() -> None:
    kind, said = refusal(rows(3), by_row(Q1=failure(Trouble.SERVER), Q2=failure(Trouble.SERVER)))
    assert (kind, "2 of 3 requests stay without an answer; the first: it said server" in said) == (
        FailureKind.PROVIDER, True,
    )  # fmt: skip


@pytest.mark.parametrize("access", [ModelAccess(), ModelAccess(gateway="there")])
def test_without_a_model_the_error_says_what_gives_one(access: ModelAccess) -> None:
    step = load_step(Step(name="synthesize", parameters={"source": "a", "prompt": "x", "into": "r"}))
    for models in (Models(access), None):
        with pytest.raises(StageError, match="--tiers strong=SPEC,weak=SPEC") as refused:
            step.apply(rows(1), StepContext(TASK, 0, models))
        assert refused.value.failure.kind == FailureKind.CONFIG
    with pytest.raises(StageError, match="--tiers"):
        step.depends_on(access)


# ----- through a gateway


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serving() as running:
        yield running


@pytest.mark.parametrize("modes", [{"schema", "function", "text"}, {"function", "text"}, {"text"}])
def test_the_form_is_asked_for_as_the_server_supports_it(server: FaultyServer, tmp_path: Path, modes: set[str]) -> None:
    server.modes = modes
    server.answer = lambda body: Reply('{"title": "Red"}')
    access = ModelAccess(gateway="none", tiers={"strong": server.spec()})
    step = load_step(
        Step(name="synthesize", parameters={"source": "a", "prompt": "{{ question }}", "fields": ["title"]})
    )
    applied = step.apply(rows(5), StepContext(TASK, 0, Models(access, in_process([server.spec()], tmp_path))))
    assert [row.fields["title"] for row in applied.rows] == ["Red"] * 5
    assert len(server.requests) == 5 + 3 - len(modes)


def test_what_was_answered_is_not_bought_again(server: FaultyServer, tmp_path: Path) -> None:
    server.answer = lambda body: Status(400, "no") if "Q2?" in body["messages"][-1]["content"] else Reply("fine")
    access = ModelAccess(gateway="none", tiers={"strong": server.spec()})
    step = load_step(Step(name="synthesize", parameters={"source": "a", "prompt": "{{ question }}", "into": "r"}))
    context = StepContext(TASK, 0, Models(access, in_process([server.spec()], tmp_path, HASTY)))
    assert len(step.apply(rows(3), context).rows) == 2
    server.reset()
    assert [row.fields["r"] for row in step.apply(rows(3), context).rows] == ["fine", "You said: Q2?", "fine"]
    assert len(server.requests) == 1
