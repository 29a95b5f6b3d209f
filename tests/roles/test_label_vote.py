"""Whom `label_vote` asks, when a label is contradicted, and what becomes of the row; models answer by functions."""

from collections.abc import Callable
from typing import Any

import pytest
from fake_models import ACCESS, STRONG, WEAK, Answer, gateway, reply

from eval.chat_records import ChatFailure, ChatRequest, Trouble
from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.models import ModelAccess, Models
from roles.data_steps.row import Applied, DataRow, StepContext
from tasks.failure import FailureKind, InputError, StageError
from tasks.task import Benchmark, Task

CHOICE = Task(
    name="toy", domain="colours", description="", sources=(), benchmark=Benchmark(path="x"),
    prompt="{{ question }}", answer="{{ answer }}", options=("{{ A }}", "{{ B }}", "{{ C }}"),
    scorer={"name": "choice"},
)  # fmt: skip
NUMBER = CHOICE.model_copy(update={"options": (), "scorer": {"name": "number"}})
COLOURS = ["red", "blue", "green"]


def rows(n: int, answer: str = "red", source: str = "a", **more: Any) -> list[DataRow]:
    return [
        DataRow(
            source=source, row=k, fields={"prompt": f"Q{k}?", "answer": answer, "options": COLOURS, **more}
        )
        for k in range(1, n + 1)
    ]  # fmt: skip


def run(
    given: list[DataRow], mind: Answer, task: Task = CHOICE, **parameters: Any
) -> tuple[Applied, list[ChatRequest]]:
    asker, asked = gateway(mind)
    step = load_step(Step(name="label_vote", parameters=parameters))
    return step.apply(given, StepContext(task, 0, Models(ACCESS, asker))), asked


def said(**votes: list[str]) -> Answer:
    """Votes on each question: those of the strong model by its draws, then those of the weak one; else `red`."""

    def answer(request: ChatRequest) -> Any:
        mine = votes.get(request.messages[-1].content.rstrip("?"), ["red"] * 6)
        return reply(mine[request.draw + (len(mine) // 2 if request.spec == WEAK else 0)])

    return answer


def test_each_model_votes_on_each_row_without_its_answer() -> None:
    applied, asked = run(rows(2), said(), draws=2, temperature=0.7, max_output_tokens=9)
    assert applied == Applied(rows(2), {}, {})
    assert [(one.spec, one.messages[-1].content, one.draw) for one in asked] == [
        (spec, f"Q{k}?", draw) for spec in (STRONG, WEAK) for k in (1, 2) for draw in (0, 1)
    ]
    assert {(one.who, one.temperature, one.max_output_tokens, one.json_schema) for one in asked} == {
        ("label_vote", 0.7, 9, None)
    }


def test_a_model_behind_both_tiers_votes_once() -> None:
    asker, asked = gateway(said())
    access = ACCESS.model_copy(update={"tiers": {"strong": STRONG, "weak": STRONG}})
    step = load_step(Step(name="label_vote"))
    step.apply(rows(1), StepContext(CHOICE, 0, Models(access, asker)))
    assert [one.spec for one in asked] == [STRONG] * 3
    assert step.depends_on(access) == [STRONG]
    assert step.depends_on(ACCESS) == [STRONG, WEAK]


@pytest.mark.parametrize(
    ("votes", "contradicted"),
    [
        (["blue"] * 6, True),
        (["B", "(B)", "Answer: B", "blue", "Blue.", "The answer is blue"], True),
        (["blue"] * 5 + ["red"], True),
        (["blue"] * 4 + ["red"] * 2, False),
        (["blue"] * 5 + ["who knows?"], True),
        (["blue"] * 4 + ["who knows?"] * 2, False),
        (["blue"] * 3 + ["green"] * 3, False),
        (["red"] * 6, False),
        (["who knows?"] * 6, False),
    ],
)
def test_enough_votes_must_agree_on_one_other_answer(votes: list[str], contradicted: bool) -> None:
    applied, _ = run(rows(2), said(Q1=votes))
    assert [row.row for row in applied.rows] == ([2] if contradicted else [1, 2])
    assert applied.removed == ({"contradicted by models": 1} if contradicted else {})


def test_the_share_that_must_agree_can_be_set() -> None:
    votes = ["blue"] * 4 + ["red"] * 2
    assert run(rows(1), said(Q1=votes), agreement=0.66)[0].rows == []
    assert run(rows(1), said(Q1=["blue"] * 5 + ["red"]), agreement=1)[0].rows == rows(1)
    with pytest.raises(StageError, match="agreement"):
        load_step(Step(name="label_vote", parameters={"agreement": 0.5}))


@pytest.mark.parametrize(
    ("label", "mended"), [("red", "blue"), ("A", "B"), ("(a)", "(b)"), ("It is red, because ...", "Blue")]
)
def test_fix_exchanges_the_answer_in_the_form_it_had(label: str, mended: str) -> None:
    votes = ["The answer is blue.", "Blue", "Answer: B"] * 2
    applied, _ = run([*rows(1, label), *rows(1, "green", "b")], said(Q1=votes), action="fix", source="a")
    assert [row.fields["answer"] for row in applied.rows] == [mended, "green"]
    assert applied.rows[0].fields["prompt"] == "Q1?"
    assert (applied.removed, applied.changed) == ({}, {"answer exchanged": 1})


def test_free_answers_are_compared_as_the_scorer_reads_them() -> None:
    given = [DataRow(source="a", row=1, fields={"prompt": "Q1?", "answer": "7"})]
    votes = ["It is 8.", "8", "Answer: 8"] * 2
    assert run(given, said(Q1=votes), NUMBER)[0].removed == {"contradicted by models": 1}
    assert run(given, said(Q1=votes), NUMBER, action="fix")[0].rows[0].fields["answer"] == "8"
    assert run(given, said(Q1=["7.0"] * 6), NUMBER)[0].rows == given
    assert run(given, said(Q1=["8", "9", "10"] * 2), NUMBER)[0].rows == given


def test_the_known_answer_can_stand_in_another_field() -> None:
    given = rows(1, answer="Because of this and that it is red.", label="red")
    assert run(given, said(Q1=["blue"] * 6), answer="{{ label }}")[0].rows == []
    assert run(given, said(), answer="{{ label }}")[0].rows == given
    with pytest.raises(StageError, match="fix"):
        load_step(Step(name="label_vote", parameters={"action": "fix", "answer": "{{ label }}"}))


def test_only_some_rows_of_a_source_are_asked_about() -> None:
    given = [*rows(9), *rows(2, source="b"), DataRow(source="a", row=10, fields={"question": "raw"})]
    applied, asked = run(given, said(), source="a", rows=4, draws=1)
    assert len(asked) == 8
    assert applied == Applied(given, {}, {"left as it was: not asked about": 5})
    other, asked_then = run(given, said(), source="a", rows=4, draws=1, seed=1)
    assert other.rows == given
    assert {one.messages[-1].content for one in asked} != {one.messages[-1].content for one in asked_then}


def test_rows_without_any_answer_stay_and_are_counted() -> None:
    def answer(request: ChatRequest) -> Any:
        return reply("b", finish="length") if request.messages[-1].content == "Q1?" else reply("blue")

    applied, _ = run(rows(3), answer)
    assert [row.row for row in applied.rows] == [1]
    assert applied.changed == {"left as it was: answer cut off": 1}
    half, _ = run([*rows(1), *rows(1, source="b", label="red")], said(), answer="{{ label }}")
    assert half.changed == {"left as it was: a template does not render": 1}


def test_what_cannot_be_judged_is_an_error() -> None:
    raw = [DataRow(source="a", row=1, fields={"question": "raw"})]
    with pytest.raises(InputError, match="after the `format` steps"):
        run(raw, said())
    with pytest.raises(InputError, match="'b'"):
        run(rows(1), said(), source="b")
    with pytest.raises(InputError, match="label"):
        run(rows(1), said(), answer="{{ label }}")
    judged = CHOICE.model_copy(update={"scorer": {"name": "mol_opt"}})
    with pytest.raises(InputError, match="mol_opt compares with no known answer"):
        run(rows(1), said(), judged)
    assert run([], said())[0] == Applied([], {})


def test_it_costs_no_more_than_it_may() -> None:
    asked: list[ChatRequest] = []
    refused: list[Callable[[], Any]] = [
        lambda: run(rows(3), said(), max_tokens=100),
        lambda: run(rows(3), said(), max_cost=1.0),
    ]
    for one, why in zip(refused, ["18 answers may take .* `max_tokens`", "unknown price"], strict=True):
        with pytest.raises(StageError, match=f"label_vote: .*{why}") as failed:
            one()
        assert failed.value.failure.kind is FailureKind.CONFIG
    assert not asked
    asker, asked = gateway(said(), tokens_left=100)
    with pytest.raises(StageError, match="the run has 100 left"):
        load_step(Step(name="label_vote")).apply(rows(3), StepContext(CHOICE, 0, Models(ACCESS, asker)))
    assert not asked


def test_the_prices_of_both_models_are_added() -> None:
    prices = (f"{STRONG}=1000,1000", f"{WEAK}=500,500")
    step = load_step(Step(name="label_vote", parameters={"max_cost": 1.7, "draws": 1, "max_output_tokens": 600}))
    for tiers, fits in (({"strong": STRONG, "weak": WEAK}, False), ({"strong": WEAK, "weak": WEAK}, True)):
        asker, asked = gateway(said())
        access = ACCESS.model_copy(update={"tiers": tiers, "prices": prices})
        if fits:
            step.apply(rows(2), StepContext(CHOICE, 0, Models(access, asker)))
        else:  # 1,200 tokens of each: $1.20 and $0.60, and the prompts
            with pytest.raises(StageError, match=r"label_vote: .*\$1\.8.* at most; `max_cost` of the step is \$1\.7"):
                step.apply(rows(2), StepContext(CHOICE, 0, Models(access, asker)))
        assert bool(asked) is fits


def test_without_a_model_the_message_says_how_to_get_one() -> None:
    with pytest.raises(StageError, match="--tiers strong=SPEC,weak=SPEC"):
        load_step(Step(name="label_vote")).depends_on(ModelAccess())


def test_an_outage_fails_and_drops_nothing() -> None:
    lost = ChatFailure(stage="x", kind=FailureKind.PROVIDER, message="gone", trouble=Trouble.SERVER)
    with pytest.raises(StageError, match="label_vote: 6 of 6 requests stay without an answer; the first: gone"):
        run(rows(2), lambda request: lost)
