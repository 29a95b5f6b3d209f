"""What a language model writes for a row: how it is asked for, what it may take, how it is read and judged."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from eval.answer_form import ask_in_form, candidates, unanswered, without_thoughts
from eval.chat_records import ChatFailure, ChatReply, ChatRequest, Message, TokenUsage, Trouble
from eval.gateway_client import Asker
from eval.pricing import cost, parse_prices
from eval.provider_call import estimate
from roles.backbone import render as render_prompt
from roles.data_steps.models import STAGE, known_sample
from tasks import scoring
from tasks.failure import FailureKind, InputError, StageError
from tasks.task import Sample, Task

OUTAGE = 0.5
"""Share of requests that may stay without an answer; more is no fault of rows, and the step fails instead."""
WHO = "synthesize"
Fields = dict[str, str]


class Form(NamedTuple):
    """What comes out of an answer."""

    into: str | None
    """Field that takes the whole text; None when JSON is asked for."""
    fields: tuple[str, ...]
    items: bool
    """JSON with a list of objects, instead of one object."""

    def schema(self) -> dict[str, Any] | None:
        """JSON schema of an answer."""
        if self.into:
            return None
        one = _object({name: {"type": "string"} for name in self.fields})
        return _object({"items": {"type": "array", "items": one}}) if self.items else one

    def requests(self, prompt: str, spec: str, draws: int, **settings: Any) -> list[ChatRequest]:
        """The requests for one row."""
        schema = self.schema()
        text = prompt
        if schema:
            text = render_prompt(
                "synthesize.form.md", prompt=prompt, fields=self.fields, items=self.items, schema=schema
            ).strip()
        messages = (Message(role="user", content=text),)
        return [
            ChatRequest(spec=spec, messages=messages, json_schema=schema, draw=draw, who=WHO, **settings)
            for draw in range(draws)
        ]

    def read(self, reply: ChatReply) -> list[Fields] | str:
        """What an answer gives, or what is wrong with it."""
        if reply.refusal is not None or reply.finish == "refusal":
            return "answer refused"
        if reply.finish == "length":
            return "answer cut off"
        if self.into:
            text = without_thoughts(reply.text).strip()
            return [{self.into: text}] if text else "answer empty"
        if not reply.text.strip():
            return "answer empty"
        found = [one for text in candidates(reply.text) if (one := self._objects(text)) is not None]
        return found[-1] if found else "answer not readable"

    def _objects(self, text: str) -> list[Fields] | None:
        try:
            value: Any = json.loads(text)
        except ValueError:
            return None
        listed: Any = value.get("items") if self.items and isinstance(value, dict) else [value]
        if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
            return None
        if any(not isinstance(one.get(name), str) or not one[name].strip() for one in listed for name in self.fields):
            return None
        return [{name: one[name].strip() for name in self.fields} for one in listed]


def check_estimate(
    gateway: Asker, asked: Sequence[ChatRequest], prices: Sequence[str], max_tokens: int, max_cost: float | None
) -> None:
    """See what requests may take at most, before anything is asked; answers that were bought earlier take nothing.

    Raises:
        StageError: CONFIG, more than the step may take or the run has left, or the price is unknown though the step has
            a cap on cost; ENVIRONMENT, the gateway is not there.
    """
    requests = unanswered(gateway, asked)
    if not requests:
        return
    left, all_tokens = gateway.spent(), _most(requests)
    tokens = all_tokens.input + all_tokens.output
    said = (
        f"{requests[0].who}: {len(requests):,} answers may take {all_tokens.input:,} tokens of prompts and "
        f"{all_tokens.output:,} tokens of answers"
    )
    if tokens > max_tokens:
        _refuse(f"{said}, {tokens:,} in all; `max_tokens` of the step is {max_tokens:,}")
    if left.tokens_left is not None and tokens > left.tokens_left:
        _refuse(f"{said}, {tokens:,} in all; the run has {left.tokens_left:,} left")
    if max_cost is None and left.dollars_left is None:
        return
    dollars = 0.0
    for spec in dict.fromkeys(request.spec for request in requests):
        one = cost(spec, _most([each for each in requests if each.spec == spec]), parse_prices(prices))
        if one is None:
            _refuse(f"{said}, of unknown price; `max_cost` needs --price {spec}=IN,OUT")
        dollars += one
    if max_cost is not None and dollars > max_cost:
        _refuse(f"{said}, ${dollars:.4f} at most; `max_cost` of the step is ${max_cost:.4f}")
    elif left.dollars_left is not None and dollars > left.dollars_left:
        _refuse(f"{said}, ${dollars:.4f} at most; the run has ${left.dollars_left:.4f} left")


def _most(requests: Sequence[ChatRequest]) -> TokenUsage:
    """The most that requests may take."""
    return TokenUsage(
        input=sum(map(estimate, requests)), output=sum(request.max_output_tokens or 0 for request in requests)
    )


def ask(gateway: Asker, requests: Sequence[ChatRequest], form: Form) -> list[list[Fields] | str]:
    """What the answers give, in the order of the requests, or what is wrong with each.

    Raises:
        StageError: BUDGET, a cap of the run is reached; PROVIDER, too many requests stay without an answer.
        InputError: the gateway was not started for this model, or the model does not take a setting.
    """
    if not requests:
        return []
    found = ask_in_form(gateway, requests) if form.schema() else gateway.ask_many(requests)
    who = requests[0].who
    failures = [one for one in found if isinstance(one, ChatFailure)]
    if capped := next((one for one in failures if one.trouble is Trouble.CAP), None):
        raise StageError(STAGE, FailureKind.BUDGET, f"{who}: {capped.message}")
    lost = [one for one in failures if one.trouble not in (Trouble.CONTEXT, Trouble.REFUSAL)]
    if lost and len(lost) > OUTAGE * len(found):
        message = f"{who}: {len(lost)} of {len(found)} requests stay without an answer; the first: {lost[0].message}"
        raise StageError(STAGE, FailureKind.PROVIDER, message)
    return [f"no answer: {one.trouble}" if isinstance(one, ChatFailure) else form.read(one) for one in found]


def faults(task: Task, answers: Sequence[tuple[dict[str, Any], str]], known: str) -> list[str | None]:
    """What the task's scorer has against written answers; None where it gives 1.

    Args:
        answers: each with the fields that the known answer is rendered from.
        known: Jinja template of the known answer.
    """
    scorer = scoring.load(task.scorer)
    found: list[str | None] = ["answer cannot be verified"] * len(answers)
    samples: dict[int, Sample] = {}
    for number, (fields, _) in enumerate(answers):
        with suppress(InputError):
            samples[number] = known_sample(task, fields, known)
    pairs = [(answers[number][1], sample) for number, sample in samples.items()]
    for number, score in zip(samples, scoring.score_each(scorer, pairs), strict=True):
        if not isinstance(score, ValueError) and scoring.FAILED not in score.metrics:
            found[number] = None if score.score == 1 else "answer wrong" if score.parsed else "answer in another form"
    return found


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _refuse(message: str) -> NoReturn:
    raise StageError(STAGE, FailureKind.CONFIG, f"{message}: ask about fewer `rows`, or lower `max_output_tokens`")
