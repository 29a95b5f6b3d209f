"""vLLM's own OpenAI-compatible server, as somebody else may run it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.child import child_environment

START_SECONDS = 180


@contextmanager
def vllm_serves(model: str, folder: Path, *flags: str, context: int) -> Iterator[str]:
    """The address of a server that runs as long as the context.

    Args:
        folder: for its log.
        context: tokens of prompt and answer at most.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    fixed = ["--model", model, "--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16", "--enforce-eager",
             "--max-model-len", str(context), "--no-enable-chunked-prefill"]  # fmt: skip
    environment = child_environment(
        {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1"}
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *fixed, *flags],
            stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False
