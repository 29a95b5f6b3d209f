"""A server that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama, a provider. `--engine endpoint=URL`.

The server renders the prompt with its own copy of the model's chat template. Adapters need a server that loads them
while it runs, as vLLM does with `--enable-lora` and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`, and that sees the
run directory. A key is taken from `OPENAI_API_KEY` where there is one.
"""

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import transformers
from openai import APIConnectionError, APIStatusError, NotFoundError, OpenAI, OpenAIError, omit

from eval.engine import CANARY, Checkpoint, Completion, EngineInfo, Progress, Sampling, prompt_too_long, stream_seed
from eval.render import prompt_ids
from tasks.failure import FailureKind, InputError, StageError

CANARY_TOKENS = 16
CHUNK = 256
CONCURRENT = 64
"""Requests at a time; a server batches those that it holds."""
HEARTBEAT = 60.0
"""Seconds after which the last progress is told again."""
RETRIES = 6
"""Of a request that met a busy or failing server; the client waits longer each time."""
START_RETRIES = 2
"""Of the first request, which finds out whether there is a server."""
TIMEOUT = 600.0
"""Seconds that one request may take."""


class EndpointEngine:
    """A model behind a URL; any thread may call it."""

    def __init__(self, model: str, url: str) -> None:
        """
        Args:
            model: local folder of the served model, for its tokenizer.
            url: up to and with the version, such as `http://localhost:8000/v1`.

        Raises:
            InputError: there is no server at the URL, or it is not clear which of its models is meant. One that serves
                a single model is taken to serve this one, whatever it calls it.
        """
        key = os.environ.get("OPENAI_API_KEY") or "none"
        self._client = OpenAI(base_url=url, api_key=key, max_retries=RETRIES, timeout=TIMEOUT)
        self._url = url
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
        self._served, length = self._find(model)
        config = transformers.AutoConfig.from_pretrained(model).get_text_config()
        context = min(config.max_position_embeddings, length or config.max_position_embeddings)
        self._info = EngineInfo(
            name="endpoint",
            model=model,
            numerics=f"endpoint-{url}/{self._served}/context-{context}",
            context=context,
            chunk=CHUNK,
        )
        self._adapters: set[str] = set()

    def info(self) -> EngineInfo:
        """Name, model, address and context length."""
        return self._info

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        """Complete each user message; see `EvalEngine.generate`."""
        served = self._serve(checkpoint)
        ids = [prompt_ids(self._tokenizer, prompt) for prompt in prompts]
        with ThreadPoolExecutor(CONCURRENT) as pool:
            requests = [
                pool.submit(self._complete, prompt, tokens, sampling, served)
                for prompt, tokens in zip(prompts, ids, strict=True)
            ]
            missing = set(requests)
            try:
                while missing:
                    done, missing = wait(missing, HEARTBEAT, FIRST_COMPLETED)
                    for request in done:
                        request.result()
                    progress(len(prompts) - len(missing), len(prompts))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            return [request.result() for request in requests]

    def rest(self) -> float:
        """The server's devices are not ours; see `EvalEngine.rest`."""
        return 0.0

    def close(self) -> None:
        """Close the connections; the server is somebody else's."""
        self._client.close()

    def _find(self, model: str) -> tuple[str, int | None]:
        """The name under which the server knows the model, and its longest context where it says so."""
        try:
            listed: list[Any] = list(self._client.with_options(max_retries=START_RETRIES).models.list())
        except OpenAIError as error:
            raise InputError(f"--engine endpoint={self._url}: {_reason(error)}") from None
        bases = [entry for entry in listed if not getattr(entry, "parent", None)]
        name = model.rstrip("/").rsplit("/", 1)[-1].lower()
        named = [entry for entry in bases if entry.id.lower().rsplit("/", 1)[-1] == name]
        if len(bases) != 1 and len(named) != 1:
            known = ", ".join(entry.id for entry in listed) or "nothing"
            raise InputError(f"--engine endpoint={self._url}: it serves {known}, and none of it is clearly {name}")
        chosen = (named or bases)[0]
        return chosen.id, getattr(chosen, "max_model_len", None)

    def _complete(self, prompt: str, ids: list[int], sampling: Sampling, served: str) -> list[Completion]:
        if len(ids) + sampling.max_new_tokens > self._info.context:
            return prompt_too_long(sampling)
        drawn = sampling.samples if sampling.temperature else 1
        reply = self._ask(
            model=served,
            messages=[{"role": "user", "content": prompt}],
            max_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            n=drawn,
            stop=list(sampling.stop) or None,
            response_format=_json_format(sampling.json_schema) if sampling.json_schema else omit,
            seed=stream_seed(sampling.seed, ids),
        )
        if len(reply.choices) != drawn:
            message = f"{self._url} answered with {len(reply.choices)} completions instead of {drawn}"
            raise StageError("evaluate", FailureKind.ENVIRONMENT, message)
        tokens = reply.usage.completion_tokens if drawn == 1 and reply.usage else None
        found = [self._completion(choice, tokens, sampling.max_new_tokens) for choice in reply.choices]
        return found * (sampling.samples // drawn)

    def _completion(self, choice: Any, tokens: int | None, most: int) -> Completion:
        """What a choice says; its tokens are counted here where the server gives their sum only."""
        text: str = choice.message.content or ""
        if choice.finish_reason == "length":
            return Completion(text=text.strip(), tokens=most, finish="length")
        if tokens is None:
            tokens = min(most, len(self._tokenizer(text, add_special_tokens=False)["input_ids"]) + 1)
        return Completion(text=text.strip(), tokens=tokens, finish="stop")

    def _serve(self, checkpoint: Checkpoint) -> str:
        """The name to ask for; loads an adapter that the server does not know yet."""
        if checkpoint.adapter is None:
            return self._served
        name = checkpoint.adapter_hash
        if name not in self._adapters:
            self._load(name, checkpoint.adapter)
            if self._canary(name) == self._canary(self._served):
                message = f"adapter {checkpoint.adapter} does not change the model's output"
                raise StageError("evaluate", FailureKind.FORMAT, message)
            self._adapters.add(name)
        return name

    def _load(self, name: str, folder: str) -> None:
        try:
            self._client.post("/load_lora_adapter", cast_to=object, body={"lora_name": name, "lora_path": folder})
        except OpenAIError as error:
            if "already been loaded" in _reason(error):
                return
            how = "it must be vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
            message = f"{self._url} cannot load adapter {folder}: {_reason(error)} ({how})"
            raise StageError("evaluate", FailureKind.ENVIRONMENT, message) from None

    def _canary(self, served: str) -> object:
        """What a model says to the canary, with log-probabilities where the server gives them."""
        reply = self._ask(
            model=served,
            messages=[{"role": "user", "content": CANARY}],
            max_tokens=CANARY_TOKENS,
            temperature=0,
            logprobs=True,
        )
        choice = reply.choices[0]
        logprobs = [token.logprob for token in (choice.logprobs.content or [])] if choice.logprobs else []
        return choice.message.content, logprobs

    def _ask(self, **request: Any) -> Any:
        try:
            return self._client.chat.completions.create(**request)
        except OpenAIError as error:
            if isinstance(error, NotFoundError):  # a server that was started again has forgotten its adapters
                self._adapters.clear()
            raise StageError("evaluate", FailureKind.ENVIRONMENT, f"{self._url}: {_reason(error)}") from None


def _json_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def _reason(error: OpenAIError) -> str:
    """What went wrong, in the server's words where it had some."""
    if isinstance(error, APIConnectionError):
        return f"no answer ({error.__cause__ or error})"
    if isinstance(error, APIStatusError):
        return f"status {error.status_code}: {error.message[:500]}"
    return str(error)[:500]


ENGINE = EndpointEngine
