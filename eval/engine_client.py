"""The caller's side of an engine: which one, of which model, in a process of its own."""

import importlib.util
import subprocess
from pathlib import Path

from eval.engines import names
from eval.hardware import compute_environment
from eval.service import Service
from tasks.child import child_environment, module_command
from tasks.failure import InputError

AUTO = "auto"


def choose_engine(asked: str) -> str:
    """The engine behind `--engine`; `auto` is vLLM where it is installed.

    Raises:
        InputError: there is no such engine, or its package is missing.
    """
    if asked == AUTO:
        return "vllm" if importlib.util.find_spec("vllm") else "transformers"
    if asked not in names():
        raise InputError(f"--engine {asked}: unknown; known: {AUTO}, {', '.join(names())}")
    if importlib.util.find_spec(asked) is None:
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


def engine_service(engine: str, model: Path, log: Path) -> Service:
    """An engine that starts when it is first called, or by `start`."""
    arguments = ["--engine", engine, "--model", model]
    environment = child_environment(compute_environment())
    return Service("engine", "eval.engine_server", arguments, log=log, environment=environment)
