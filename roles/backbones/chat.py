"""A chat model as a mind: any provider that LangChain knows, or any server with OpenAI's interface.

Models are asked through the gateway, which holds the keys, caches, counts and tries again. What is done here is the
conversation: the form of the answer is asked for by the strongest means that the server supports, the decision is
found in what comes back, and an answer that is of no use gets one more try.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Generic, Literal

from pydantic import ValidationError

from eval.answer_form import MODES, candidates, terse, weaker
from eval.chat_records import ChatError, ChatReply, ChatRequest, Message, Mode, TokenUsage, Trouble
from eval.gateway_client import Asker
from eval.providers import check_spec
from roles.backbone import Backbone, D, MindSettings, Question, Usage, render
from tasks.failure import FailureKind, StageError
from tasks.record import explain

SHOWN = 300
"""Characters of a useless answer that a failure tells."""
Fault = Literal["invalid", "empty", "refusal", "truncated"]


class Chat:
    """`provider:model[@base_url]`; to be connected to a gateway before it decides."""

    def __init__(
        self,
        spec: str,
        settings: MindSettings = MindSettings(),  # noqa: B008  frozen
        *,
        max_output_tokens: int | None = None,
        draw: int = 0,
    ) -> None:
        """
        Args:
            draw: tells apart minds that are to answer the same questions anew, instead of out of the cache.

        Raises:
            InputError: the spec is wrong, a package or a key is missing.
        """
        check_spec(spec)
        self.name = spec
        self._settings: dict[str, Any] = {
            **settings.model_dump(),
            "max_output_tokens": max_output_tokens,
            "draw": draw,
        }
        self._mode: Mode = MODES[0]
        self._gateway: Asker | None = None

    def connect(self, gateway: Asker) -> None:
        """Ask through this gateway from now on."""
        self._gateway = gateway

    def decide(self, question: Question[D]) -> tuple[D, Usage]:
        """Ask; after an answer that is invalid, empty, cut off or a refusal, once more for each of these, and where the
        prompt is too long for the model, with a shorter one.

        Raises:
            StageError: PROVIDER when no usable answer comes, BUDGET when a cap is reached.
        """
        talk = _Talk(self, question)
        while True:
            try:
                reply = talk.ask()
            except ChatError as error:
                if error.trouble is not Trouble.CONTEXT or question.brief:
                    raise
                question.brief = True  # what the next prompts to this role need, is asked for once more
                talk = _Talk(self, question)
                continue
            fault, error = talk.read(reply)
            if talk.decision is not None:
                return talk.decision, talk.usage()
            talk.repair(fault, error, reply)

    def ask(self, messages: Sequence[Message], schema: dict[str, Any], who: str) -> tuple[ChatRequest, ChatReply]:
        """Ask in the mode that worked before; on a server that does not support it, in the next weaker one.

        Raises:
            ChatError: no answer came.
        """
        if self._gateway is None:
            raise RuntimeError(f"{self.name} is not connected to a gateway")
        while True:
            request = ChatRequest(
                spec=self.name,
                messages=tuple(messages),
                json_schema=schema,
                mode=self._mode,
                who=who,
                **self._settings,
            )
            try:
                return request, self._gateway.ask(request)
            except ChatError as error:
                mode = weaker(self._mode)
                if error.trouble is not Trouble.FORMAT or mode is None:
                    raise
                self._mode = mode

    def forget(self, requests: Sequence[ChatRequest]) -> None:
        """Have the answers to these requests bought anew when they are asked again."""
        if self._gateway is not None:
            self._gateway.forget(requests)


class _Talk(Generic[D]):
    """The conversation that leads to one decision."""

    def __init__(self, mind: Chat, question: Question[D]) -> None:
        self.decision: D | None = None
        self._mind, self._question = mind, question
        self._messages = list(question.messages)
        self._requests: list[ChatRequest] = []
        self._replies: list[ChatReply] = []
        self._faults: set[Fault] = set()

    def ask(self) -> ChatReply:
        schema = self._question.json_schema
        if "truncated" in self._faults:
            schema = terse(schema)
        request, reply = self._mind.ask(self._messages, schema, self._question.role)
        self._requests.append(request)
        self._replies.append(reply)
        return reply

    def read(self, reply: ChatReply) -> tuple[Fault, str]:
        """Look for the decision in an answer; if it is not there, what is wrong, and in which words."""
        if reply.refusal is not None or reply.finish == "refusal":
            return "refusal", " ".join((reply.refusal or "").split())
        if not reply.text.strip():
            return ("truncated" if reply.finish == "length" else "empty"), ""
        cut = reply.finish == "length"
        error, longest = "it holds no JSON object", 0
        for candidate in [reply.text] if cut else candidates(reply.text):
            try:
                self.decision = self._question.schema.model_validate_json(candidate)
            except ValidationError as wrong:
                if len(candidate) >= longest:
                    error, longest = explain(wrong), len(candidate)
        return ("truncated" if cut else "invalid"), error

    def repair(self, fault: Fault, error: str, reply: ChatReply) -> None:
        """Prepare the next turn.

        Raises:
            StageError: PROVIDER, when there was one for this fault already.
        """
        if fault in self._faults:
            self._mind.forget(self._requests)
            said = f" ({error})" if error else ""
            message = f"{self._mind.name} gave no usable answer: {fault}{said}; it said {reply.text[:SHOWN]!r}"
            raise StageError(self._question.role, FailureKind.PROVIDER, message)
        self._faults.add(fault)
        note = render("repair.md", fault=fault, error=error, tokens=reply.usage.output).strip()
        if fault == "invalid":
            self._messages += [Message(role="assistant", content=reply.text), Message(role="user", content=note)]
        else:  # many chat templates want turns to alternate, and there is no answer to show
            last = self._messages[-1]
            self._messages[-1] = Message(role="user", content=f"{last.content.rstrip()}\n\n{note}")

    def usage(self) -> Usage:
        """What the conversation has taken; answers that were there already took nothing."""
        bought = [reply for reply in self._replies if not reply.cached]
        tokens = sum((reply.usage for reply in bought), TokenUsage())
        costs = [reply.cost for reply in bought]
        return Usage(
            mind=self._mind.name,
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cached_tokens=tokens.cached_input,
            cost=None if None in costs else sum(filter(None, costs)),
            retries=sum(reply.retries for reply in bought),
            seconds=round(sum(reply.seconds for reply in bought), 1),
        )


def connect(minds: Iterable[Backbone], gateway: Asker) -> None:
    """Connect those minds that are chat models."""
    for mind in minds:
        if isinstance(mind, Chat):
            mind.connect(gateway)


def chat_specs(minds: Iterable[Backbone]) -> list[str]:
    """The models behind minds that are chat models, each once."""
    return list(dict.fromkeys(mind.name for mind in minds if isinstance(mind, Chat)))
