"""The minds behind the roles: `Backbone.decide` turns a question into a typed decision.

A backbone is named by a spec: `expert` (rules, no language model), `scripted` (for `--dry-run` and tests), or
`openai:MODEL[@BASE_URL]` (any chat model with an OpenAI-compatible interface).
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined

from roles.briefing import Situation
from tasks.failure import FailureKind, InputError, StageError
from tasks.record import Record

Role = Literal["planner", "data_engineer", "trainer", "diagnostician"]
ROLES: tuple[Role, ...] = get_args(Role)
REPAIRS = 2
"""Times that an invalid decision goes back to the mind with the reason."""

D = TypeVar("D", bound=Record)


class Usage(Record):
    """What a decision cost."""

    mind: str
    """The backbone's spec."""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


class Question(Generic[D]):
    """A role's question: the briefing, the same as rendered text, and the schema of the decision."""

    def __init__(self, role: Role, briefing: Situation, schema: type[D], complaints: Sequence[str] = ()) -> None:
        """
        Args:
            complaints: why earlier decisions on the same question were refused or failed, oldest first.
        """
        self.role: Role = role
        self.briefing = briefing
        self.schema = schema
        self.complaints = tuple(complaints)

    @property
    def system(self) -> str:
        """The stable part of the prompt: who you are, what a decision means, its schema."""
        return _render(f"{self.role}.system.md", schema=self.schema.model_json_schema())

    @property
    def user(self) -> str:
        """The changing part: survey, trials, what is left."""
        return _render(f"{self.role}.user.md", b=self.briefing, complaints=self.complaints)


class Exchange(Record):
    """One line of the transcript."""

    role: Role
    experiment: int
    system: str
    user: str
    decision: dict[str, Any]
    refused: str | None
    """Why the decision was sent back; None when it was taken."""
    usage: Usage


class Backbone(Protocol):
    """A mind. `name` is its spec."""

    name: str

    def decide(self, question: Question[D]) -> tuple[D, Usage]:
        """Decide.

        Raises:
            StageError: PROVIDER, when no usable decision comes.
        """
        ...


Minds = dict[Role, Backbone]
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
        asked = Question(question.role, question.briefing, question.schema, complaints)
        decision, usage = mind.decide(asked)
        refused = check(decision)
        note(
            Exchange(
                role=question.role,
                experiment=experiment,
                system=asked.system,
                user=asked.user,
                decision=decision.model_dump(mode="json"),
                refused=refused,
                usage=usage,
            )
        )
        if refused is None:
            return decision
        complaints.append(refused)
    raise StageError(question.role, FailureKind.CONFIG, f"{mind.name} gave no usable decision: {complaints[-1]}")


def load_minds(specs: Sequence[str]) -> Minds:
    """Minds from `--backbone` values: `SPEC` for all roles, `ROLE=SPEC` for one; later ones win.

    Raises:
        InputError: unknown role or spec; the message lists the known ones.
    """
    chosen: dict[Role, str] = dict.fromkeys(ROLES, "expert")
    for value in specs:
        role, equals, spec = value.partition("=")
        if not equals or ":" in role:
            chosen = dict.fromkeys(ROLES, value)
        elif role in ROLES:
            chosen[role] = spec
        else:
            raise InputError(f"--backbone {value}: unknown role '{role}'; known: {', '.join(ROLES)}")
    made = {spec: load_backbone(spec) for spec in dict.fromkeys(chosen.values())}
    return {role: made[spec] for role, spec in chosen.items()}


def load_backbone(spec: str) -> Backbone:
    """The backbone that a spec names.

    Raises:
        InputError: unknown spec, or its key is missing.
    """
    if spec == "expert":
        from roles.backbones.expert import Expert

        return Expert()
    if spec == "scripted":
        from roles.backbones.scripted import Scripted

        return Scripted()
    provider, colon, model = spec.partition(":")
    if provider == "openai" and colon and model:
        from roles.backbones.chat import Chat

        return Chat(spec)
    raise InputError(f"unknown backbone '{spec}'; known: expert, scripted, openai:MODEL[@BASE_URL]")


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


def _render(template: str, **variables: Any) -> str:
    return _PROMPTS.get_template(template).render(**variables)
