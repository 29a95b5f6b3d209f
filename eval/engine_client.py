"""The caller's side of an engine: which one, of which model, in a process of its own."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from eval.devices import Devices
from eval.engines import names
from eval.evaluator_client import ENGINE_LOST
from eval.hardware import compute_environment, heavy_work
from eval.service import Service
from tasks.child import child_environment, log_tail, module_command
from tasks.failure import FailureKind, InputError, StageError

AUTO = "auto"
ENGINE_RESTARTS = 2
START_TIMEOUT = 1800.0
"""Seconds that an engine may take to start: a large model is read, compiled and measured."""
T = TypeVar("T")
ENDPOINT = "endpoint"
ARGUMENTS = {"vllm": ("", "lora", "merge")}
KEY = "OPENAI_API_KEY"
"""Handed to an engine that asks a server, and to no other."""


def choose_engine(asked: str) -> str:
    """The engine behind `--engine`; `auto` is vLLM where it is installed.

    Raises:
        InputError: there is no such engine, or its package is missing.
    """
    if asked == AUTO:
        return "vllm" if importlib.util.find_spec("vllm") else "transformers"
    name, _, argument = asked.partition("=")
    if name not in names():
        raise InputError(f"--engine {asked}: unknown; known: {AUTO}, {', '.join(names())}")
    if name == ENDPOINT and not argument.startswith(("http://", "https://")):
        raise InputError(f"--engine {asked}: the server's address is missing, as in {ENDPOINT}=http://host:8000/v1")
    if name == ENDPOINT and "@" in urlsplit(argument).netloc:
        raise InputError(f"--engine {ENDPOINT}: no key in the address, which is kept in records; it belongs in {KEY}")
    if name != ENDPOINT and argument not in ARGUMENTS.get(name, ("",)):
        takes = ", ".join(f"{name}={one}" for one in ARGUMENTS.get(name, ()) if one) or f"{name} and nothing behind it"
        raise InputError(f"--engine {asked}: it takes {takes}")
    if name == "vllm" and importlib.util.find_spec(name) is None:
        raise InputError(f"--engine {asked}: the package is not installed: make install-vllm")
    return asked


def model_folder(model: str, cache: Path) -> Path:
    """The model's folder, found or prepared in a process of its own: the caller's never loads torch.

    Raises:
        InputError: the model is not to be had; the message says what to do.
    """
    command = module_command("eval.base_model", [model, cache])
    done = subprocess.run(
        command, capture_output=True, text=True, env=child_environment(hub=True), stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise InputError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"--model {model}: no folder")
    return Path(done.stdout.strip().splitlines()[-1])


def engine_service(engine: str, model: Path, log: Path, devices: Devices = Devices()) -> Service:  # noqa: B008
    """An engine that starts when it is first called, or by `start`."""
    name = engine.partition("=")[0]
    environment = child_environment(compute_environment())
    if devices.engine:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices.engine)
    if name == "vllm" and not devices.engine:
        _speed_up_vllm(environment)
    if name == ENDPOINT and KEY in os.environ:
        environment[KEY] = os.environ[KEY]
    arguments = ["--engine", engine, "--model", model]
    return Service(
        "engine", "eval.engine_server", arguments, log=log, environment=environment, start_timeout=START_TIMEOUT
    )


def with_engine(engine: Service, cache: Path, tell: Callable[[str], None], work: Callable[[], T]) -> T:
    """Do work that uses the engine; when the engine dies in the middle or falls silent, start it again and repeat.

    What it had answered is in the evaluator's cache, so only interrupted requests are sent again.

    Args:
        cache: folder whose lock keeps heavy work apart.
        tell: is told of waits and restarts.

    Raises:
        StageError: as the work raises it; ENVIRONMENT when the engine was lost again and again.
    """
    for attempt in range(ENGINE_RESTARTS + 1):
        engine.call("info")
        with heavy_work(cache, tell):
            try:
                return work()
            except StageError as error:
                if error.failure.stage != ENGINE_LOST:
                    raise
                engine.stop()
                if attempt == ENGINE_RESTARTS:
                    end = log_tail(engine.log)
                    kind = FailureKind.OOM if "out of memory" in end.lower() else error.failure.kind
                    raise StageError("evaluate", kind, f"{error.failure.message}:\n{end}") from error
                tell(f"  {error.failure.message}; it is started again")
    raise AssertionError("unreachable")


def _speed_up_vllm(environment: dict[str, str]) -> None:
    """On a CPU: all cores are its own, and Intel's OpenMP, which vLLM's package brings, is loaded first."""
    environment["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    openmp = Path(sys.prefix, "lib", "libiomp5.so")
    if openmp.exists():
        environment["LD_PRELOAD"] = ":".join(filter(None, [environment.get("LD_PRELOAD"), str(openmp)]))
