"""The node that shows a plan to a person before anything is spent on it (`--approve`), and takes the answer.

It runs again from its beginning when the answer comes, so nothing before `interrupt` may leave a trace. An answer is
kept with the interrupted node and given again after a crash: whatever a person says must lead on, never to an error.
"""

from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import interrupt
from pydantic import ValidationError

from graph import decisions
from graph.context import RunContext
from graph.estimate import Estimate, estimate
from graph.plan_file import plan_as_yaml, plan_from_yaml
from graph.run_dir import TRANSCRIPT
from graph.state import State
from memory.records import Plan, Review
from roles.backbone import PERSON, Exchange, Usage
from roles.checks import check_plan
from tasks.failure import Failure, FailureKind, InputError
from tasks.record import Record, explain, write_record

APPROVAL = "approval.json"
"""What was said to the plans of an experiment, in its folder."""
STOPPED = "a person stopped the loop"


class Proposal(Record):
    """The question to a person: what `interrupt` carries, as plain JSON."""

    experiment: int
    attempt: int
    """1 for the planner's first plan of this experiment."""
    planner: str
    """The mind that made the plan."""
    plan: str
    """YAML."""
    estimate: Estimate
    note: str
    """Why the person is asked again; empty at first."""
    draft: str
    """YAML of the person's, where it was refused."""


class Answer(Record):
    """What a person says: the value with which the graph is resumed."""

    decision: Literal["accept", "edit", "back", "stop"]
    plan: str = ""
    """YAML, of an edit."""
    comment: str = ""
    """For the planner, of a plan that is sent back."""


class Approval(Record):
    """What `approval.json` holds."""

    version: Literal[1] = 1
    reviews: tuple[Review, ...]
    """In the order in which they were given."""


def approve(state: State, runtime: Runtime[RunContext]) -> State:
    """Ask a person about the plan and do as they say; nothing without `--approve`."""
    context = runtime.context
    if not context.config.approve or not state["plans"]:
        return {}
    (plan,) = state["plans"]
    given = interrupt(propose(context, state, plan).model_dump(mode="json"))
    try:
        answer = Answer.model_validate(given)
    except ValidationError as error:
        return {"note": f"that is no answer: {explain(error)}"}
    review = _review(context, state, plan, answer)
    _keep(context, [*_current(state), review])
    return {"reviews": [*state.get("reviews", []), review], **_consequence(context, review)}


def propose(context: RunContext, state: State, plan: Plan) -> Proposal:
    """The question about a plan."""
    reviews = _current(state)
    return Proposal(
        experiment=len(state["experiments"]),
        attempt=1 + sum(review.decision == "back" for review in reviews),
        planner=context.minds["planner"].name,
        plan=plan_as_yaml(plan),
        estimate=estimate(context, state["experiments"], plan),
        note=state.get("note", ""),
        draft=reviews[-1].text if reviews else "",
    )


def is_accepted(state: State) -> bool:
    """Whether the latest word of a person allows what `plans` holds."""
    reviews = _current(state)
    return bool(reviews) and [reviews[-1].accepted] == state["plans"]


def _current(state: State) -> list[Review]:
    """What was said to the plans of the experiment that is planned."""
    number = len(state["experiments"])
    return [review for review in state.get("reviews", []) if review.experiment == number]


def _review(context: RunContext, state: State, plan: Plan, answer: Answer) -> Review:
    """The answer, with an edited plan looked at as the planner's own are."""
    said: dict[str, Any] = {"experiment": len(state["experiments"]), "decision": answer.decision, "proposed": plan}
    if answer.decision == "edit":
        try:
            edited = plan_from_yaml(answer.plan)
        except InputError as error:
            return Review(**said, text=answer.plan, refused=str(error))
        briefing = decisions.planner_briefing(context, state["survey"], state["experiments"], state["incumbent"])
        if refused := check_plan(edited, briefing):
            return Review(**said, text=answer.plan, refused=refused)
        return Review(**said, edited=edited)
    return Review(**said, comment=answer.comment)


def _keep(context: RunContext, reviews: list[Review]) -> None:
    """Write down what was said to one experiment's plans, the latest last: `approval.json`, the transcript, and
    `plan.json` as it will be carried out."""
    review = reviews[-1]
    folder = context.run.experiment(review.experiment)
    with context.run.stage("approve", review.experiment, folder / APPROVAL):
        write_record(folder / APPROVAL, Approval(reviews=tuple(reviews)))
        if not review.refused:
            context.run.append(TRANSCRIPT, _line(review))
        if review.accepted:
            write_record(folder / "plan.json", review.accepted)


def _line(review: Review) -> Exchange:
    """What a person decided on a plan, as a line of the transcript."""
    back, stop = review.decision == "back", review.decision == "stop"
    carried = review.accepted or review.proposed
    return Exchange(
        role="planner",
        experiment=review.experiment,
        system="",
        user=review.comment,
        decision={} if stop else carried.model_dump(mode="json"),
        refused=f"sent back by a person: {review.comment}" if back else None,
        usage=Usage(mind=PERSON),
        failure=Failure(stage="plan", kind=FailureKind.BUDGET, message=STOPPED) if stop else None,
    )


def _consequence(context: RunContext, review: Review) -> State:
    """What becomes of the plan."""
    context.terminal.say(f"plan {review.experiment:03d}: {review_in_words(review)}")
    if review.refused:
        return {"note": f"your plan cannot be carried out: {review.refused}"}
    if review.accepted:
        return {"plans": [review.accepted], "note": ""}
    if review.decision == "back":
        return {"plans": [], "note": ""}
    return {"plans": [], "note": "", "ended": STOPPED}


def review_in_words(review: Review) -> str:
    """What a person did with a plan."""
    if review.edited:
        before, after = review.proposed.model_dump(), review.edited.model_dump()
        changed = [name for name in after if after[name] != before[name]]
        return f"accepted with changes of {', '.join(changed)}" if changed else "accepted"
    if review.decision == "back":
        return f"sent back: {review.comment}"
    if review.decision == "stop":
        return STOPPED
    return "accepted" if review.accepted else f"the edit cannot be carried out: {review.refused}"
