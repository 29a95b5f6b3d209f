"""A chat model as a mind, through `langchain-openai`: OpenAI, or any server with its interface.

The decision's JSON schema goes along as the response format. What comes back is validated here, so a server that
ignores the format still works if its answer holds the JSON; one repair turn follows an answer that does not.
"""

import json
import os
import re
import time
from typing import Any

from pydantic import ValidationError

from roles.backbone import D, Question, Usage
from tasks.failure import FailureKind, InputError, StageError
from tasks.record import explain

TIMEOUT = 600.0
"""Seconds that one answer may take."""
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)
"""The closing fence begins a line: inside JSON, the line breaks of a string are escaped."""


class Chat:
    """`openai:MODEL[@BASE_URL]`; the key comes from OPENAI_API_KEY."""

    def __init__(self, spec: str) -> None:
        from langchain_openai import ChatOpenAI

        self.name = spec
        model, _, base_url = spec.partition(":")[2].partition("@")
        key = os.environ.get("OPENAI_API_KEY") or ("none" if base_url else "")
        if not key:
            raise InputError(f"--backbone {spec}: set OPENAI_API_KEY, or name a server: {spec}@http://host:port/v1")
        self._key = key
        self._model = ChatOpenAI(
            model=model, base_url=base_url or None, api_key=lambda: key, timeout=TIMEOUT, max_retries=2
        )

    def decide(self, question: Question[D]) -> tuple[D, Usage]:
        """Ask; on an answer that does not validate, show the error and ask once more."""
        started = time.monotonic()
        messages: list[tuple[str, str]] = [("system", question.system), ("human", question.user)]
        tokens = [0, 0]
        for attempt in (1, 2):
            text = self._answer(messages, question.schema.model_json_schema(), question.schema.__name__, tokens)
            try:
                decision = question.schema.model_validate_json(_json_in(text))
            except ValidationError as error:
                if attempt == 2:
                    message = f"{self.name} answered {self._without_key(text)[:300]!r}: {explain(error)}"
                    raise StageError(question.role, FailureKind.PROVIDER, message) from None
                messages += [
                    ("ai", text),
                    ("human", f"That does not validate: {explain(error)}. Answer with JSON only."),
                ]
                continue
            seconds = round(time.monotonic() - started, 1)
            return decision, Usage(mind=self.name, input_tokens=tokens[0], output_tokens=tokens[1], seconds=seconds)
        raise AssertionError("unreachable")

    def _answer(self, messages: list[tuple[str, str]], schema: dict[str, Any], name: str, tokens: list[int]) -> str:
        response_format = {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": False}}
        try:
            reply = self._model.invoke(messages, response_format=response_format)
        except Exception as error:  # noqa: BLE001  provider clients raise many types; all mean that no answer came
            message = f"{self.name}: {type(error).__name__}: {self._without_key(str(error))}"
            raise StageError("decide", FailureKind.PROVIDER, message) from None
        used = reply.usage_metadata
        if used:
            tokens[0] += used["input_tokens"]
            tokens[1] += used["output_tokens"]
        return str(reply.text)

    def _without_key(self, text: str) -> str:
        """What a server says, fit for records and screens: some repeat the key that they refuse."""
        return text.replace(self._key, "[key]")


def _json_in(text: str) -> str:
    """The JSON object in an answer: fenced, bare, or between the outermost braces."""
    fenced = _FENCE.findall(text)
    candidate = fenced[-1] if fenced else text
    start, end = candidate.find("{"), candidate.rfind("}")
    inner = candidate[start : end + 1] if 0 <= start < end else candidate
    try:
        return json.dumps(json.loads(inner))
    except ValueError:
        return inner
