"""The minds behind the roles, or behind the generalist: `Backbone.decide` turns a question into a typed decision.

A backbone is named by a spec: `expert` (rules, no language model), `scripted` (for `--dry-run` and tests),
`recorded:FILE` (the decisions of another run, out of its transcript), or
`PROVIDER:MODEL[@BASE_URL]` (a chat model; `openai` for every server with OpenAI's interface).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import Field, ValidationError

from eval.chat_records import Effort, Message
from eval.providers import PROVIDERS
from roles.briefing import Situation
from roles.narrowing import narrowed
from roles.prompt_text import FILTERS, head
from tasks.failure import Failure, FailureKind, InputError, StageError
from tasks.record import Record, explain, read_jsonl

Role = Literal["planner", "data_engineer", "trainer", "diagnostician"]
ROLES: tuple[Role, ...] = get_args(Role)
Agent = Literal[Role, "generalist"]
"""Who asks a mind: one of the roles, or the generalist, who does the work of all of them."""
GENERALIST: Literal["generalist"] = "generalist"
REPAIRS = 2
"""Times that an invalid decision goes back to the mind with the reason."""
PERSON = "person"
"""In the place of a mind's spec in the transcript: a person decided."""
SHOWN = 1000
"""Characters of a refused decision that are shown to the mind again."""

D = TypeVar("D", bound=Record)
T = TypeVar("T")


class Usage(Record):
    """What a decision cost."""

    mind: str
    """The backbone's spec."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Input tokens that the provider had in its own cache, of `input_tokens`."""
    cost: float | None = 0.0
    """Dollars; None when the price is unknown."""
    retries: int = 0
    """Calls that failed and were repeated."""
    seconds: float = 0.0
    likeness: float | None = None
    """Of a recorded decision: share of the prompt's lines that the recorded prompt had, too."""


class Question(Generic[D]):
    """What an agent asks: the briefing, the same as rendered text, and the schema of the decision."""

    turn: int | None = None
    """Of the generalist: the number of its turn."""

    def __init__(
        self, role: Agent, briefing: Situation, schema: type[D], complaints: Sequence[str] = (), experiment: int = 0
    ) -> None:
        """
        Args:
            experiment: the number of the experiment that is decided on.
            complaints: why earlier decisions on the same question were refused or failed, oldest first.
        """
        self.role: Agent = role
        self.briefing = briefing
        self.schema = schema
        self.complaints = tuple(complaints)
        self.experiment = experiment
        self.brief = False
        """For a model that can read little: fewer rows, trials and memories, and of data steps no more than their
        parameters."""

    @property
    def system(self) -> str:
        """The stable part of the prompt: who you are, what a decision means, its schema."""
        return render(f"{self.role}.system.md", schema=self.schema.model_json_schema())

    @property
    def user(self) -> str:
        """The changing part: survey, trials, what is left."""
        return render(f"{self.role}.user.md", b=self.briefing, complaints=self.complaints, brief=self.brief)

    @property
    def json_schema(self) -> dict[str, Any]:
        """The schema of the decision with what can be named in this situation."""
        return narrowed(self.schema.model_json_schema(), self.briefing)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The prompt as a conversation."""
        return (Message(role="system", content=self.system), Message(role="user", content=self.user))


class Exchange(Record):
    """A line of the transcript: one decision of a mind, or that none came."""

    kind: Literal["decision"] = "decision"
    role: Agent
    experiment: int
    complaints: int = 0
    """How many earlier answers to the question had been refused, or had failed."""
    turn: int | None = None
    """Of the generalist: the number of its turn."""
    system: str
    user: str
    """Of a conversation, what was new."""
    decision: dict[str, Any]
    refused: str | None
    """Why the decision was sent back; None when it was taken."""
    usage: Usage
    """Of `PERSON` where a person decided on what the mind had said: `user` is the comment then, and what the mind said
    before to the same question does not count any more."""
    failure: Failure | None = None
    """Why no decision came; `decision` is empty then."""


class Backbone(Protocol):
    """A mind. `name` is its spec."""

    name: str

    def decide(self, question: Question[D]) -> tuple[D, Usage]:
        """Decide.

        Raises:
            StageError: PROVIDER, when no usable decision comes.
        """
        ...


Minds = dict[Agent, Backbone]
"""A mind for each role, or one for the generalist."""
Check = Callable[[Any], str | None]
"""Looks at a decision; returns why it cannot be carried out, or None."""


def consult(
    mind: Backbone, question: Question[D], check: Check, note: Callable[[Exchange], None], experiment: int
) -> D:
    """Ask a mind until its decision can be carried out, at most `REPAIRS` more times.

    Raises:
        StageError: CONFIG with the last reason, or PROVIDER.
    """
    complaints = list(question.complaints)
    for _ in range(REPAIRS + 1):
        asked = Question(question.role, question.briefing, question.schema, complaints, experiment)
        try:
            decision, usage = mind.decide(asked)
        except StageError as error:
            note(exchange(asked, {}, Usage(mind=mind.name), failure=error.failure))
            raise
        refused = check(decision)
        note(exchange(asked, decision.model_dump(mode="json"), usage, refused=refused))
        if refused is None:
            return decision
        answer = head(json.dumps(decision.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False), SHOWN)
        complaints.append(f"{refused} (your answer: {answer})")
    raise StageError(question.role, FailureKind.CONFIG, f"{mind.name} gave no usable decision: {complaints[-1]}")


def exchange(
    asked: Question[Any], decision: dict[str, Any], usage: Usage, refused: str | None = None,
    failure: Failure | None = None,
) -> Exchange:  # fmt: skip
    """The line of the transcript about a question and what became of it.

    Args:
        decision: empty when none came; then `failure` says why.
    """
    return Exchange(
        role=asked.role,
        experiment=asked.experiment,
        complaints=len(asked.complaints),
        turn=asked.turn,
        system=asked.system,
        user=asked.user,
        decision=decision,
        refused=refused,
        usage=usage,
        failure=failure,
    )


def read_exchanges(transcript: Path) -> Iterator[Exchange]:
    """The decisions in a transcript, which holds other lines, too.

    Raises:
        InputError: the file is missing, or a line is no decision though it says so (it names the line).
    """
    for number, line in enumerate(read_jsonl(transcript), start=1):
        if line.get("kind") != "decision":
            continue
        try:
            yield Exchange.model_validate(line)
        except ValidationError as error:
            raise InputError(f"{transcript}, line {number}: no decision of a run: {explain(error)}") from None


class MindSettings(Record):
    """How language models that are minds are asked; None leaves a setting to the model."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    effort: Effort | None = None
    """How much a reasoning model thinks."""


def load_minds(specs: Sequence[str], temperatures: Sequence[str] = (), efforts: Sequence[str] = ()) -> Minds:
    """The mind of each role, or the generalist's, from `--backbone`, `--temperature` and `--effort` values as
    `choose_specs` and `by_role` read them.

    Raises:
        InputError: unknown role, spec or setting; the message lists the known ones.
    """
    chosen = choose_specs(specs)
    if chosen.get(GENERALIST) == "expert":
        raise InputError(
            "--backbone generalist=expert: the built-in practitioner plays the four roles only; expected "
            "generalist=PROVIDER:MODEL[@BASE_URL] or generalist=recorded:FILE"
        )
    warmth = by_role("--temperature", temperatures, None, tuple(chosen))
    thought = by_role("--effort", efforts, None, tuple(chosen))
    made: dict[tuple[str, MindSettings], Backbone] = {}
    minds: Minds = {}
    for role, spec in chosen.items():
        settings = _settings(warmth[role], thought[role])
        if (spec, settings) not in made:
            made[spec, settings] = load_backbone(spec, settings)
        minds[role] = made[spec, settings]
    return minds


def in_words(minds: Minds) -> str:
    """Who decides what; one mind is named once."""
    roles: dict[str, list[str]] = {}
    for role, mind in minds.items():
        roles.setdefault(mind.name, []).append(role.replace("_", " "))
    return "; ".join(f"{name} ({', '.join(names)})" for name, names in roles.items())


def choose_specs(values: Sequence[str]) -> dict[Agent, str]:
    """The spec of each role's mind, from `--backbone` values; or of the generalist's, from `generalist=SPEC` alone.

    Raises:
        InputError: unknown role (the message lists the known ones), or something beside a generalist.
    """
    own = next((value for value in values if value.startswith(f"{GENERALIST}=")), None)
    if own is None:
        return by_role("--backbone", values, "expert")
    if len(values) > 1:
        raise InputError(
            f"--backbone {own}: a generalist does the work of all roles, so it is given once and alone; given: "
            f"{', '.join(values)}"
        )
    return {GENERALIST: own.partition("=")[2]}


def by_role(flag: str, values: Sequence[str], default: T, agents: Sequence[Agent] = ROLES) -> dict[Agent, str | T]:
    """What each role gets from the values of a flag: `VALUE` is for all roles, `ROLE=VALUE` for one; later ones win.

    Args:
        agents: who there is: the roles, or the generalist.

    Raises:
        InputError: unknown role; the message lists the known ones.
    """
    chosen: dict[Agent, str | T] = dict.fromkeys(agents, default)
    known: dict[str, Agent] = {agent: agent for agent in agents}
    for value in values:
        name, equals, own = value.partition("=")
        if not equals or ":" in name:
            chosen = dict.fromkeys(agents, value)
        elif name in known:
            chosen[known[name]] = own
        else:
            raise InputError(f"{flag} {value}: unknown role '{name}'; known: {', '.join(known)}")
    return chosen


def _settings(temperature: str | None, effort: str | None) -> MindSettings:
    given = {"temperature": temperature, "effort": effort}
    try:
        return MindSettings.model_validate_strings({name: text for name, text in given.items() if text is not None})
    except ValidationError as error:
        raise InputError(f"--temperature or --effort: {explain(error)}") from None


def is_chat_model(spec: str) -> bool:
    """Whether a spec names a language model, and not one of our own minds."""
    provider, _, model = spec.partition(":")
    return provider in PROVIDERS and bool(model)


def load_backbone(spec: str, settings: MindSettings = MindSettings()) -> Backbone:  # noqa: B008  frozen
    """The backbone that a spec names.

    Args:
        settings: for a language model; other minds have none.

    Raises:
        InputError: unknown spec, or its package or key is missing.
    """
    if spec == "expert":
        from roles.backbones.expert import Expert

        return Expert()
    if spec == "scripted":
        from roles.backbones.scripted import Scripted

        return Scripted()
    provider, _, model = spec.partition(":")
    if provider == "recorded" and model:
        from roles.backbones.recorded import Recorded

        return Recorded(spec)
    if is_chat_model(spec):
        from roles.backbones.chat import Chat

        return Chat(spec, settings)
    raise InputError(
        f"unknown backbone '{spec}'; known: expert, scripted, recorded:FILE, openai:MODEL[@BASE_URL], and the same "
        f"with another provider: {', '.join(PROVIDERS)}"
    )


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False)


_PROMPTS = Environment(
    loader=PackageLoader("roles", "prompts"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
    keep_trailing_newline=True,
)
_PROMPTS.filters["json"] = _json  # Jinja's own escapes quotes for HTML, which reads like broken data
_PROMPTS.filters.update(FILTERS)


def render(template: str, **variables: Any) -> str:
    """A file of `roles/prompts/`, rendered; an unknown name is an error."""
    return _PROMPTS.get_template(template).render(**variables)
