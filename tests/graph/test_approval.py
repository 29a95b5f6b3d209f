"""What becomes of a person's word on a plan: the graph from the plan to the experiment, and nothing else of it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import situations as s
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from graph import approval, decisions, nodes
from graph.approval import Approval, Proposal
from graph.budget import CLOCK, Budget
from graph.config import RunConfig
from graph.context import RunContext
from graph.edges import start_experiments
from graph.plan_file import plan_as_yaml
from graph.progress import Terminal
from graph.report import _minds as minds_in_report
from graph.report import _reviews as reviews_in_report
from graph.run_dir import RunDir
from graph.state import State
from memory.records import Plan, Review
from roles.backbone import PERSON, Exchange, Question, Usage, read_exchanges
from roles.backbones.recorded import Recorded
from tasks.failure import FailureKind, StageError
from tasks.record import read_record

LATER = {"configurable": {"thread_id": "run"}}
NO_FORUM = "no forum posts, please"


class Planner:
    """Has one idea after another, and remembers what it was told."""

    name = "openai:planner"

    def __init__(self, ideas: int = 99) -> None:
        self.told: list[str] = []
        self.ideas = ideas

    def decide(self, question: Question[Any]) -> tuple[Any, Usage]:
        self.told.append(question.user)
        if len(self.told) > self.ideas:
            raise StageError("planner", FailureKind.PROVIDER, "no answer came")
        return idea(len(self.told)), Usage(mind=self.name)


def idea(number: int, **changes: Any) -> Plan:
    """The planner's plan of this number."""
    return s.plan(data="all sources", training="short").model_copy(
        update={"hypothesis": f"idea {number}", "budget_share": 0.25, **changes}
    )


class Desk:
    """A run between plan and experiments, as a person sees it."""

    def __init__(self, folder: Path, mind: Any, *, approve: bool = True, rounds: int = 1) -> None:
        config = RunConfig(
            run="r", task="t", profile="embedded", profile_reason="", model="m", memory_dir="", max_train_rows=100,
            engine="transformers", cache_dir="", tokens_per_second=100.0, max_experiments=3, approve=approve,
            budget_seconds=1000.0,
        )  # fmt: skip
        self.run = RunDir(folder / "run")
        self.run.create()
        self.mind = mind
        self.started: list[Plan] = []
        self._rounds = rounds
        self.context: Any = SimpleNamespace(
            config=config, run=self.run, minds={"planner": mind}, memory=None, gateway=None, terminal=Terminal(),
            budget=Budget(config, self.run.file(CLOCK), test_answers=40, other_answers=40),
        )  # fmt: skip
        graph = StateGraph(State, context_schema=RunContext)
        graph.add_node("plan", nodes.plan)
        graph.add_node("approve", approval.approve)
        graph.add_node("experiment", self._experiment)
        graph.add_node("test", lambda state: {})
        graph.add_edge(START, "plan")
        graph.add_edge("plan", "approve")
        graph.add_conditional_edges("approve", start_experiments, ["experiment", "approve", "plan", "test"])
        graph.add_conditional_edges("experiment", self._next, ["plan", "test"])
        graph.add_edge("test", END)
        self._graph = graph.compile(checkpointer=InMemorySaver())

    def _experiment(self, state: Any) -> Any:
        self.started.append(state["plan"])
        trial = s.trial(state["number"]).model_copy(update={"plan": state["plan"]})
        return {"candidates": [], "experiments": [trial]}

    def _next(self, state: State) -> str:
        return "plan" if len(self.started) < self._rounds else "test"

    def begin(self) -> Proposal | None:
        """Run until the first question; None when there was none."""
        return self._go({"survey": s.survey(), "experiments": [s.untouched()], "incumbent": 0})

    def answer(self, decision: str, **rest: Any) -> Proposal | None:
        """Answer, and run until the next question."""
        return self._go(Command(resume={"decision": decision, **rest}))

    def _go(self, given: Any) -> Proposal | None:
        for _ in self._graph.stream(given, LATER, context=self.context):
            pass
        return self.question

    def resume(self) -> Proposal | None:
        """Go on after a crash."""
        return self._go(None)

    @property
    def question(self) -> Proposal | None:
        """The one that is open."""
        questions = self._graph.get_state(LATER).interrupts
        return Proposal.model_validate(questions[0].value) if questions else None

    @property
    def state(self) -> Any:
        """The state of the graph."""
        return self._graph.get_state(LATER).values

    def reviews(self, number: int = 1) -> tuple[Review, ...]:
        """What is written down of an experiment's plans."""
        return read_record(self.run.experiment(number) / "approval.json", Approval).reviews

    def transcript(self) -> list[Exchange]:
        """The lines of the transcript."""
        return list(read_exchanges(self.run.file("transcript.jsonl")))

    def plan_on_disk(self, name: str = "plan.json") -> Plan:
        """A plan of the first experiment."""
        return read_record(self.run.experiment(1) / name, Plan)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """With a planner that reads."""
    return Desk(tmp_path, Planner())


def test_without_the_flag_nobody_is_asked(tmp_path: Path) -> None:
    """The plan goes straight on and nothing is written about it."""
    desk = Desk(tmp_path, Planner(), approve=False)
    assert desk.begin() is None
    assert desk.started == [idea(1)]
    assert not (desk.run.experiment(1) / "approval.json").exists()


def test_nothing_starts_before_the_answer(desk: Desk) -> None:
    """The question holds the plan and what it takes, as plain data."""
    question = desk.begin()
    assert question
    assert (question.experiment, question.attempt, question.planner) == (1, 1, "openai:planner")
    assert question.plan == plan_as_yaml(idea(1))
    left = question.estimate.minutes_left
    assert left
    assert question.estimate.minutes == pytest.approx(0.25 * left, abs=0.1)  # the share that the plan asks for
    assert desk.started == []
    again = desk.resume()
    assert again, "a resumed run asks again"
    assert (again.plan, again.attempt, again.note) == (question.plan, 1, "")
    assert desk.started == []


def test_an_accepted_plan_is_carried_out(desk: Desk) -> None:
    """As it is; the record says so."""
    desk.begin()
    assert desk.answer("accept") is None
    assert desk.started == [idea(1)] == [desk.plan_on_disk()]
    assert desk.reviews() == (Review(experiment=1, decision="accept", proposed=idea(1)),)
    assert [(line.usage.mind, line.decision["hypothesis"]) for line in desk.transcript()] == [
        ("openai:planner", "idea 1"),
        (PERSON, "idea 1"),
    ]


def test_an_edited_plan_is_carried_out_and_both_are_kept(desk: Desk) -> None:
    """On disk, in the transcript under a person's name, in the events and in the report."""
    desk.begin()
    edited = idea(1, hypothesis="mine: a better one", budget_share=0.5)
    assert desk.answer("edit", plan=plan_as_yaml(edited, explained=True)) is None
    assert desk.started == [edited] == [desk.plan_on_disk()]
    assert desk.reviews() == (Review(experiment=1, decision="edit", proposed=idea(1), edited=edited),)
    last = desk.transcript()[-1]
    assert (last.usage.mind, last.refused) == (PERSON, None)
    assert Plan.model_validate(last.decision) == edited
    found = [(event.stage, event.what, event.record) for event in desk.run.events()]
    assert ("approve", "end", "experiments/001/approval.json") in found
    assert reviews_in_report(desk.run, 1) == ["accepted with changes of hypothesis, budget_share"]
    assert minds_in_report(desk.run) == {1: {"planner": "openai:planner"}}
    assert reviews_in_report(desk.run, 0) == []


REFUSED = {
    "no YAML": ("hypothesis: [unclosed", "not valid YAML"),
    "no mapping": ("just some words", "must be a mapping"),
    "an unknown field": (plan_as_yaml(idea(1)) + "colour: red\n", "colour: Extra inputs are not permitted"),
    "an impossible number": (plan_as_yaml(idea(1, budget_share=7.0)), "budget_share: Input should be less than"),
    "a date that is none": ("hypothesis: 2020-13-45", "not valid YAML"),
    "an impossible parent": (plan_as_yaml(idea(1, parent=4)), "parent 4 does not exist"),
    "a memory that was not told": (plan_as_yaml(idea(1, memory_ids=("x/001",))), "memory_ids names x/001"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_edit_that_cannot_be_carried_out_goes_back_to_the_person(case: str, desk: Desk) -> None:
    """With the reason and with what was written; nothing starts until an answer can be carried out."""
    text, reason = REFUSED[case]
    desk.begin()
    question = desk.answer("edit", plan=text)
    assert question
    assert reason in question.note
    assert question.draft == text
    assert question.plan == plan_as_yaml(idea(1))
    assert (desk.started, len(desk.mind.told)) == ([], 1)
    assert (desk.reviews()[0].text, desk.reviews()[0].edited) == (text, None)
    better = idea(1, hypothesis="now it is one")
    assert desk.answer("edit", plan=plan_as_yaml(better)) is None
    assert desk.started == [better]
    assert [bool(review.refused) for review in desk.reviews()] == [True, False]


def test_a_comment_reaches_the_planner_now_and_later(tmp_path: Path) -> None:
    """With the plan that it is about. The next plan is asked about as the first one was."""
    desk = Desk(tmp_path, Planner(), rounds=2)
    desk.begin()
    question = desk.answer("back", comment=NO_FORUM)
    assert question
    assert (question.plan, question.attempt, question.note) == (plan_as_yaml(idea(2)), 2, "")
    desk.answer("accept")
    first, second, third = desk.mind.told
    assert NO_FORUM not in first
    assert all(f"Of experiment 1: {NO_FORUM}" in prompt and "idea 1" in prompt for prompt in (second, third))
    assert desk.started == [idea(2)] == [desk.plan_on_disk()]
    assert desk.plan_on_disk("plan.2.json") == idea(2)
    assert [review.proposed for review in desk.reviews()] == [idea(1), idea(2)]
    assert reviews_in_report(desk.run, 1) == [f"sent back: {NO_FORUM}", "accepted"]
    assert desk.question
    assert (desk.question.experiment, desk.question.attempt) == (2, 1)


def test_another_comment_is_another_question(desk: Desk) -> None:
    """Also where the graph has forgotten what was asked, and only the run directory knows."""

    def planned(comment: str) -> Plan:
        declined = [Review(experiment=1, decision="back", proposed=idea(1), comment=comment)]
        return decisions.decide_plan(desk.context, s.survey(), [s.untouched()], 0, declined)

    found = [planned(comment) for comment in (NO_FORUM, NO_FORUM, "fewer rows")]
    assert found == [idea(1), idea(1), idea(2)]


def test_a_planner_without_another_plan_says_so(tmp_path: Path) -> None:
    """The person is asked about the same plan again, and may still accept or change it."""
    desk = Desk(tmp_path, Planner(ideas=1))
    desk.begin()
    question = desk.answer("back", comment=NO_FORUM)
    assert question
    assert question.plan == plan_as_yaml(idea(1))
    assert "there is no other plan" in question.note
    assert "no answer came" in question.note
    desk.mind.ideas = 99
    question = desk.answer("back", comment="try again")
    assert question
    assert (question.plan, question.note) == (plan_as_yaml(idea(3)), "")
    desk.answer("accept")
    assert desk.started == [idea(3)]


def test_a_plan_that_comes_again_is_marked(tmp_path: Path) -> None:
    """A planner that does not listen is found out."""

    class Stubborn(Planner):
        def decide(self, question: Question[Any]) -> tuple[Any, Usage]:
            return idea(1), Usage(mind=self.name)

    desk = Desk(tmp_path, Stubborn())
    desk.begin()
    question = desk.answer("back", comment=NO_FORUM)
    assert question
    assert "makes the plan again" in question.note


def test_stop_ends_the_loop_with_what_there_is(desk: Desk) -> None:
    """Without another question, and the state says why."""
    desk.begin()
    assert desk.answer("stop") is None
    assert desk.started == []
    assert desk.state["ended"] == "a person stopped the loop"


@pytest.mark.parametrize("given", [{"decision": "perhaps"}, {}, {"decision": "accept", "colour": "red"}])
def test_what_is_no_answer_starts_nothing(given: dict[str, str], desk: Desk) -> None:
    """Another front end may send anything: the person is asked again."""
    desk.begin()
    question = desk.answer(**{"decision": "", **given})
    assert question
    assert "that is no answer" in question.note
    assert desk.started == []
    desk.answer("accept")
    assert desk.started == [idea(1)]


def test_an_answer_survives_a_crash(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was given, so it is not asked for again; what was half written is written anew."""
    real = approval.write_record

    def crash(*given: Any) -> None:
        raise OSError("disk full")

    desk.begin()
    edited = idea(1, hypothesis="mine")
    monkeypatch.setattr(approval, "write_record", crash)
    with pytest.raises(OSError, match="disk full"):
        desk.answer("edit", plan=plan_as_yaml(edited))
    assert desk.started == []
    monkeypatch.setattr(approval, "write_record", real)
    assert desk.resume() is None
    assert desk.started == [edited]
    assert len(desk.reviews()) == 1


def _edit(desk: Desk) -> None:
    desk.answer("edit", plan=plan_as_yaml(idea(1, hypothesis="mine")))


def _back_and_accept(desk: Desk) -> None:
    desk.answer("back", comment=NO_FORUM)
    desk.answer("accept")


def _back_and_accept_after_all(desk: Desk) -> None:
    desk.mind.ideas = 1
    _back_and_accept(desk)


def _stop(desk: Desk) -> None:
    desk.answer("stop")


@pytest.mark.parametrize("person", [_edit, _back_and_accept, _back_and_accept_after_all, _stop])
def test_a_recording_says_what_a_person_made_of_it(person: Callable[[Desk], None], desk: Desk, tmp_path: Path) -> None:
    """The transcript of an approved run replays the plans that were carried out, with nobody there."""
    desk.begin()
    person(desk)
    last = desk
    for name in ("again", "and again"):
        mind = Recorded(f"recorded:{last.run.file('transcript.jsonl')}")
        last = Desk(tmp_path / name, mind, approve=False)
        last.begin()
        assert last.started == desk.started
        assert ("ended" in last.state) == ("ended" in desk.state)
        assert {line.usage.mind for line in last.transcript()} <= {"openai:planner", mind.name}


def test_a_recording_has_no_other_plan(desk: Desk, tmp_path: Path) -> None:
    """It cannot think again, and says so instead of repeating itself."""
    desk.begin()
    desk.answer("accept")
    again = Desk(tmp_path / "again", Recorded(f"recorded:{desk.run.file('transcript.jsonl')}"))
    again.begin()
    question = again.answer("back", comment=NO_FORUM)
    assert question
    assert "has no other plan than the one that was sent back" in question.note
