"""What the machine offers, and the lock that keeps heavy work apart."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eval.hardware import ROOMS, Gpu, compute_environment, heavy_work, survey_hardware, versions
from tasks.child import CHECKOUT, child_environment

Install = Callable[[str], None]


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts an `nvidia-smi` of one's own first on the path."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def install(script: str) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)

    return install


def test_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = survey_hardware()
    assert found.processor
    assert found.cores == len(os.sched_getaffinity(0))
    assert 0.5 < found.memory_gib < 1e5
    assert (found.gpus, found.device) == ((), "cpu")


def test_cuda_devices_are_listed(nvidia_smi: Install) -> None:
    nvidia_smi("echo '0, GPU-a, 143771, NVIDIA H200'; echo '1, GPU-b, 8192, Odd, name with comma'")
    found = survey_hardware()
    assert found.gpus == (
        Gpu(name="NVIDIA H200", memory_gib=140.4, index="0"),
        Gpu(name="Odd, name with comma", memory_gib=8.0, index="1"),
    )
    assert found.device == "cuda"


@pytest.mark.parametrize("script", ["exit 9", "echo 'No devices were found'", "true"])
def test_a_driver_without_devices_is_a_cpu(nvidia_smi: Install, script: str) -> None:
    nvidia_smi(script)
    assert survey_hardware().device == "cpu"


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1", {"1": 8.0}),
        ("2,0", {"2": 16.0, "0": 140.4}),  # the order is the user's
        ("GPU-b", {"GPU-b": 8.0}),
        ("MIG-7c", {"MIG-7c": 140.4}),  # a part of a device: taken as it is, its memory is not known
    ],
)
def test_only_visible_devices_are_listed(
    visible: str, expected: dict[str, float], nvidia_smi: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi("echo '0, GPU-a, 143771, A'; echo '1, GPU-b, 8192, B'; echo '2, GPU-c, 16384, C'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert {gpu.index: gpu.memory_gib for gpu in survey_hardware().gpus} == expected


def test_hidden_devices_are_not_there(nvidia_smi: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi("echo '0, GPU-a, 143771, NVIDIA H200'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert survey_hardware().gpus == ()


def test_the_environment_of_a_computing_child() -> None:
    found = compute_environment()
    assert found["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))
    assert Path(found.get("LD_PRELOAD", __file__)).exists()
    environment = child_environment(found)
    done = subprocess.run(
        [sys.executable, "-c", "print('ran')"], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("ran\n", "")  # the linker would complain of a library that it cannot load


def test_versions_are_found_without_loading_the_libraries() -> None:
    code = (
        "import sys\n"
        "from eval.hardware import survey_hardware, versions\n"
        "survey_hardware()\n"
        "found = versions()\n"
        "print(found['python'], found['torch'], found['transformers'])\n"
        "print(sorted({'torch', 'transformers', 'vllm'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first == f"{sys.version.split()[0]} {versions()['torch']} {versions()['transformers']}"
    assert second == "[]"


def test_our_own_version_follows_the_code(tmp_path: Path) -> None:
    """The same for the same files wherever they lie, another one when a line is another; other folders do not count."""
    for room in ROOMS:
        shutil.copytree(CHECKOUT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "data", "facts"))
    code = "from eval.hardware import versions; print(versions()['ft-dojo'])"

    def found() -> str:
        environment = child_environment({"PYTHONPATH": str(tmp_path)})
        line = [sys.executable, "-c", code]
        done = subprocess.run(line, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    first = found()
    assert first == versions()["ft-dojo"].split()[-1]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/script.py").write_text("print(1)")
    assert found() == first
    with (tmp_path / "graph/state.py").open("a") as file:
        file.write("# changed")
    assert found() != first


HOLD = (
    "import sys\n"
    "from pathlib import Path\n"
    "from eval.hardware import heavy_work\n"
    "with heavy_work(Path(sys.argv[1]), print):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the machine until its input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment()
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_heavy_work_waits_for_another_process(holder: subprocess.Popen[str], tmp_path: Path, how: str) -> None:
    told: list[str] = []

    def waiting(message: str) -> None:
        told.append(message)
        assert holder.stdin
        if how == "ends":
            holder.stdin.close()
        else:
            holder.send_signal(signal.SIGKILL)

    with heavy_work(tmp_path, waiting):
        assert holder.wait(timeout=5) == (0 if how == "ends" else -signal.SIGKILL)
    assert told == ["another run is computing on this machine; waiting for it"]


def test_other_caches_do_not_wait(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    told: list[str] = []
    with heavy_work(tmp_path / "other", told.append):
        assert holder.poll() is None
    assert told == []


def test_threads_take_turns(tmp_path: Path) -> None:
    inside, most = 0, 0
    told: list[str] = []

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with heavy_work(tmp_path, told.append):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert told == []


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), heavy_work(tmp_path, print):
        raise RuntimeError("stop")
    with heavy_work(tmp_path, pytest.fail):
        pass
