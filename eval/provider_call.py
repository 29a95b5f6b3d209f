"""One call to a chat model through LangChain: a request in, an answer or a `CallError` out. No retries here."""

import asyncio
import functools
import json
import math
import operator
import re
from typing import Any

from pydantic import ValidationError

from eval.chat_records import ChatRequest, Finish, TokenUsage, Trouble
from eval.provider_errors import CallError, classify
from eval.providers import NO_KEY, ModelSpec, check_spec, provider_key
from tasks.failure import InputError
from tasks.record import Record, explain

MODELS_KEPT = 64
"""Clients that are ready, one for each model and its settings."""
BYTES_A_TOKEN = 4
A_MESSAGE = 4
"""Tokens around each message."""
_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_FINISH: dict[str, Finish] = {
    **dict.fromkeys(
        ("stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call", "complete"), "stop"
    ),
    **dict.fromkeys(("completed", "eos", "eos_token"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("model_context_window_exceeded",), "length"),
    **dict.fromkeys(("content_filter", "refusal", "safety", "prohibited_content", "blocklist", "spii"), "refusal"),
    **dict.fromkeys(("recitation", "error_toxic", "content_filtered", "guardrail_intervened"), "refusal"),
}


class Answer(Record):
    """What a call brought."""

    text: str
    finish: Finish
    refusal: str | None
    usage: TokenUsage


class Models:
    """Chat models by request; each is made once for its settings."""

    def __init__(self, timeout: float) -> None:
        """
        Args:
            timeout: seconds that one call may take.
        """
        self._timeout = timeout
        self._model = functools.lru_cache(MODELS_KEPT)(self._make)

    def check(self, spec: str) -> None:
        """Make a model, to see that it can be had.

        Raises:
            InputError: it cannot; the message says what to install or to set.
        """
        self._model(spec, None, None, None, None, False)

    async def call(self, request: ChatRequest) -> Answer:
        """Send a request once.

        Raises:
            CallError: no answer came.
            InputError: the request has a setting that the model's provider does not know.
        """
        model = self._model(
            request.spec,
            request.temperature,
            request.max_output_tokens,
            request.seed,
            request.effort,
            request.stream,
        )
        runnable = _formatted(model, request)
        messages = [(message.role, message.content) for message in request.messages]
        try:
            found = await asyncio.wait_for(_receive(runnable, messages, stream=request.stream), self._timeout)
        except TimeoutError:
            said = f"nothing came in {self._timeout:g} s"
            raise CallError(Trouble.TIMEOUT, said, passing=True, lost=True) from None
        except Exception as error:  # noqa: BLE001  provider clients raise many types; all mean that no answer came
            raise classify(error, formatted=request.mode != "text") from None
        return read_answer(found, request)

    def _make(
        self,
        spec: str,
        temperature: float | None,
        max_tokens: int | None,
        seed: int | None,
        effort: str | None,
        stream: bool,
    ) -> Any:
        from langchain.chat_models import init_chat_model

        parsed = check_spec(spec)
        address = _address(parsed)
        try:
            kind = type(init_chat_model(parsed.model, model_provider=parsed.provider, **address))
            settings = _settings(kind, spec, temperature=temperature, max_tokens=max_tokens, seed=seed, effort=effort)
            quiet = {"timeout": self._timeout, "max_retries": 0, "streaming": stream, "stream_usage": True}
            settings |= {name: value for name, value in quiet.items() if _takes(kind, name)}
            return init_chat_model(parsed.model, model_provider=parsed.provider, **address, **settings)
        except ValidationError as error:  # in its own words it would show what it was given, a key included
            raise InputError(f"{spec}: {explain(error)}") from None
        except (ImportError, ValueError) as error:
            raise InputError(f"{spec}: {' '.join(str(error).split())}") from None


def estimate(request: ChatRequest) -> int:
    """Tokens of a request's prompt, by its length in bytes."""
    schema = json.dumps(request.json_schema) if request.json_schema and request.mode != "text" else ""
    texts = [message.content for message in request.messages]
    return sum(map(tokens_of, [*texts, schema])) + A_MESSAGE * len(texts)


def tokens_of(text: str) -> int:
    """About how many tokens a text has."""
    return math.ceil(len(text.encode()) / BYTES_A_TOKEN)


def read_answer(message: Any, request: ChatRequest) -> Answer:
    """The parts of LangChain's message that matter here."""
    text = _arguments(message) if request.mode == "function" else None
    text = _sound(str(message.text) if text is None else text)
    refusal = _sound(str(message.additional_kwargs.get("refusal") or ""))
    finish = _finish(message.response_metadata)
    usage = _counted(message.usage_metadata or {})
    if not usage.total:
        usage = TokenUsage(input=estimate(request), output=tokens_of(text or refusal), estimated=True)
    return Answer(text=text, finish="refusal" if refusal else finish, refusal=refusal or None, usage=usage)


def _counted(used: dict[str, Any]) -> TokenUsage:
    cached = (used.get("input_token_details") or {}).get("cache_read")
    counts = {"input": used.get("input_tokens"), "output": used.get("output_tokens"), "cached_input": cached}
    return TokenUsage.model_validate({name: max(0, count or 0) for name, count in counts.items()})


def _sound(text: str) -> str:
    """The text without halves of characters, which models make and no file takes."""
    return text.encode(errors="replace").decode()


def _formatted(model: Any, request: ChatRequest) -> Any:
    """The model with the form of its answer asked for in the request's mode."""
    if request.mode == "text" or request.json_schema is None:
        return model
    name = _NAME.sub("_", str(request.json_schema.get("title") or "answer"))[:64]
    if request.mode == "schema" and _speaks_openai(model):
        # Through `response_format` the client would parse the answer, and lose the usage of one that is cut.
        schema = {"name": name, "schema": request.json_schema, "strict": False}
        return model.bind(extra_body={"response_format": {"type": "json_schema", "json_schema": schema}})
    try:
        if request.mode == "function":
            tool = {"name": name, "description": "Give the answer.", "parameters": request.json_schema}
            return model.bind_tools([{"type": "function", "function": tool}], tool_choice=name)
        return model.with_structured_output(
            request.json_schema | {"title": name}, method="json_schema", include_raw=True
        )
    except (NotImplementedError, TypeError, ValueError) as error:
        raise CallError(Trouble.FORMAT, f"{type(error).__name__}: {error}") from None


async def _receive(runnable: Any, messages: list[tuple[str, str]], *, stream: bool) -> Any:
    """The message that comes back, put together from its pieces where it is streamed."""
    if stream and not hasattr(runnable, "steps"):  # a chain, which parses, would hide the pieces
        return functools.reduce(operator.add, [piece async for piece in runnable.astream(messages)])
    found = await runnable.ainvoke(messages)
    return found["raw"] if isinstance(found, dict) else found


def _speaks_openai(model: Any) -> bool:
    """Whether a model is called by OpenAI's chat completions."""
    from langchain_openai.chat_models.base import BaseChatOpenAI

    return isinstance(model, BaseChatOpenAI) and not model.use_responses_api


def _arguments(message: Any) -> str | None:
    """The arguments of the forced call as JSON text; None when the model answered without it.

    Of a streamed call the pieces are taken: LangChain completes JSON that is cut.
    """
    if pieces := getattr(message, "tool_call_chunks", None):
        return str(pieces[0]["args"] or "")
    if message.tool_calls:
        return json.dumps(message.tool_calls[0]["args"], ensure_ascii=False)
    if message.invalid_tool_calls:
        return str(message.invalid_tool_calls[0]["args"] or "")
    return None


def _finish(metadata: dict[str, Any]) -> Finish:
    """Why an answer ends, whatever the provider calls it."""
    incomplete = (metadata.get("incomplete_details") or {}).get("reason")
    names = ("finish_reason", "stop_reason", "stopReason", "done_reason", "status")
    reason = incomplete or next((metadata[name] for name in names if metadata.get(name)), "stop")
    return _FINISH.get(str(reason).lower(), "other")


def _settings(kind: Any, spec: str, **asked: Any) -> dict[str, Any]:
    """The settings of a request by the names of the model's class; a seed only where there is one."""
    names = {"effort": ("reasoning_effort",), "max_tokens": ("max_tokens", "num_predict")}
    settings: dict[str, Any] = {}
    for setting, value in asked.items():
        if value is None:
            continue
        name = next((name for name in names.get(setting, (setting,)) if _takes(kind, name)), None)
        if name is not None:
            settings[name] = value
        elif setting != "seed":
            raise InputError(f"{spec}: this provider takes no {setting}")
    return settings


def _takes(kind: Any, name: str) -> bool:
    """Whether a model's class has a field of this name."""
    return name in kind.model_fields or any(field.alias == name for field in kind.model_fields.values())


def _address(parsed: ModelSpec) -> dict[str, Any]:
    """Where the model is, and with which key."""
    key = provider_key(parsed.provider)
    settings: dict[str, Any] = {}
    if parsed.base_url:
        settings["azure_endpoint" if parsed.provider == "azure_openai" else "base_url"] = parsed.base_url
        key = key or NO_KEY
    return settings | ({"api_key": key} if key else {})
