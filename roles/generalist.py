"""One mind in the place of the four roles: the actions it may take, one a turn, and the record of a turn.

It has the same hands as the roles and no plan, evidence, diagnosis or memory: what this structure is worth can be
measured against it. Because it writes the training data, none of its actions shows it benchmark text.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from memory.records import LONGEST, DataRecipe, Experiment, TrainingConfig, TrainingData
from roles.briefing import Remaining
from tasks.failure import Failure
from tasks.record import Record

LOOKED_AT = 20
"""Rows that one look shows at most."""


class Look(Record):
    """Look at rows of a raw source."""

    action: Literal["look"]
    source: str = Field(description="name of the raw source")
    first: int = Field(default=1, ge=1, description="number of the first row shown, among those that are looked for")
    count: int = Field(default=5, ge=1, le=LOOKED_AT, description="rows shown; long values are cut the more")
    spread: bool = Field(
        default=False,
        description="rows from all over those from `first` on, which may be sorted, not the next ones",
    )
    where: str | None = Field(
        default=None,
        description="Jinja expression over the fields, true of the rows looked for, such as `answer | length > 200`",
    )


class Prepare(Record):
    """Turn raw rows into training rows."""

    action: Literal["prepare"]
    recipe: DataRecipe


class Train(Record):
    """Train an adapter: an experiment."""

    action: Literal["train"]
    data: int = Field(ge=1, description="number of the prepared data")
    config: TrainingConfig


class Evaluate(Record):
    """Score an experiment on the feedback items."""

    action: Literal["evaluate"]
    experiment: int = Field(ge=1, description="number of the experiment")


class Submit(Record):
    """Hand in an experiment and end the work."""

    action: Literal["submit"]
    experiment: int = Field(ge=0, description="0 hands in the untouched model")


class _AnyOf:
    """Writes a tagged union in the plainer words of JSON Schema that all providers take."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        schema.pop("discriminator", None)
        return {"anyOf" if name == "oneOf" else name: value for name, value in schema.items()}


Call = Look | Prepare | Train | Evaluate | Submit


class Decision(Record):
    """One turn's decision: one action."""

    thought: str = Field(
        default="", max_length=LONGEST, description="what you conclude from what you know, and why this action"
    )
    call: Annotated[Call, Field(discriminator="action"), _AnyOf()]

    @model_validator(mode="before")
    @classmethod
    def _bare_call(cls, given: Any) -> Any:
        """Take an action without its wrapping, which small models leave out."""
        if isinstance(given, dict) and "action" in given and "call" not in given:
            call = {name: value for name, value in given.items() if name != "thought"}
            return {"call": call} | ({"thought": given["thought"]} if "thought" in given else {})
        return given


class Reply(Record):
    """What a mind gave in one turn."""

    decision: Decision | None
    why: str = ""
    """Why there is no decision."""
    refused: str = ""
    """Why the decision cannot be carried out."""


class Looked(Record):
    """Rows of a raw source."""

    rows: tuple[str, ...]
    """As JSON, cut."""
    found: int
    """Rows that satisfy the condition, or all of the source without one."""


class Example(Record):
    """A training row as it is learned."""

    source: str
    prompt: str
    answer: str


class Prepared(Record):
    """Rows that are ready to train on."""

    number: int
    recipe: DataRecipe
    data: TrainingData
    examples: tuple[Example, ...]
    """Of before decontamination, so that they do not tell which rows it takes."""


class Allowance(Record):
    """What is left after a turn, and what it is enough for."""

    remaining: Remaining
    turns: int
    train: bool
    """Another training fits."""
    evaluate: bool
    """There is an experiment to evaluate, and time for that."""

    @property
    def closing(self) -> bool:
        """Nothing but `submit` is left."""
        return not (self.train or self.evaluate)


class Turn(Record):
    """One turn: what was decided, and what came of it."""

    number: int
    reply: Reply
    failure: Failure | None = None
    """Why it did not succeed."""
    looked: Looked | None = None
    prepared: Prepared | None = None
    experiment: Experiment | None = None
    """As it is after `train` or `evaluate`."""
    left: Allowance

    @property
    def call(self) -> Call | None:
        """The action; None when the mind gave none."""
        return self.reply.decision.call if self.reply.decision else None


class Desk(NamedTuple):
    """What some turns have brought."""

    prepared: tuple[Prepared, ...]
    """In the order of their numbers, from 1."""
    experiments: tuple[Experiment, ...]
    """In the order of their numbers, from 1; the last one may have failed and be open to another try."""


def desk_of(turns: Sequence[Turn]) -> Desk:
    """What lies on the desk after some turns."""
    prepared = tuple(turn.prepared for turn in turns if turn.prepared)
    experiments = {turn.experiment.number: turn.experiment for turn in turns if turn.experiment}
    return Desk(prepared, tuple(experiments[number] for number in sorted(experiments)))
