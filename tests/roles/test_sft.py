"""The SFT recipe, for real, on the tiny model: what it leaves, what it survives, and how it refuses."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from eval.adapter import adapter_hash
from memory.records import TrainingConfig, TrainingOutcome
from roles.recipes.request import ADAPTER, FAILURE, LOSSES, RESULT, LossPoint, TrainingRequest
from tasks.child import child_environment, start_child
from tasks.failure import Failure, FailureKind, StageError
from tasks.record import read_jsonl, read_record, write_jsonl, write_record

CONFIG = TrainingConfig(learning_rate=2e-3, epochs=1, batch_size=4, lora_rank=4, lora_alpha=8)
ROWS = [{"prompt": f"Code {n % 4}?", "answer": ["red", "blue", "green", "white"][n % 4]} for n in range(120)]
"""With a batch of 4, 30 steps: one checkpoint at step 25."""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Threads of a tiny model mostly wait for each other, minutes long on a busy machine."""


def request(folder: Path, model: Path, rows: list[dict[str, str]], **config: Any) -> TrainingRequest:
    folder.mkdir(parents=True)
    write_jsonl(folder / "data.jsonl", rows)
    asked = TrainingRequest(
        model=str(model), data=str(folder / "data.jsonl"), config=CONFIG.model_copy(update=config), seed=1,
        output=str(folder),
    )  # fmt: skip
    write_record(folder / "request.json", asked)
    return asked


def losses(folder: Path) -> list[LossPoint]:
    return [LossPoint.model_validate(row) for row in read_jsonl(folder / LOSSES)]


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The recipe as a process, as the laboratory starts it."""
    with (folder / "train.log").open("ab") as log:
        return start_child(
            "roles.recipes.sft",
            [folder / "request.json"],
            log=log,
            cwd=folder,
            environment=child_environment(ONE_THREAD),
        )


def train(folder: Path, model: Path, rows: list[dict[str, str]], **config: Any) -> TrainingOutcome:
    """The recipe in this process."""
    from roles.recipes import sft

    return sft.train(request(folder, model, rows, **config))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Generator[None]:
    """The same number of threads in this process as in its children."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingOutcome]:
    """One training of 30 steps."""
    folder = tmp_path_factory.mktemp("sft") / "undisturbed"
    return folder, train(folder, tiny_model, ROWS)


@pytest.fixture(scope="module")
def loud_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a last norm of 20: its logits, and so its losses, can become large and small."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("loud") / "model"
    shutil.copytree(tiny_model, folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.model.norm.weight.data.fill_(20.0)
    model.save_pretrained(folder)
    return folder


def test_a_training_leaves_losses_an_adapter_and_no_checkpoints(undisturbed: tuple[Path, TrainingOutcome]) -> None:
    folder, outcome = undisturbed
    points = losses(folder)
    assert [(point.step, point.steps) for point in points] == [(n, 30) for n in range(1, 31)]
    assert outcome.steps == 30
    assert outcome.first_loss == pytest.approx(sum(point.loss for point in points[:3]) / 3, abs=1e-3)
    assert outcome.final_loss == pytest.approx(sum(point.loss for point in points[-3:]) / 3, abs=1e-3)
    assert outcome.final_loss < outcome.first_loss - 0.5
    assert points[-1].learning_rate < max(point.learning_rate for point in points) / 10
    assert not (folder / "checkpoints").exists()
    assert len(adapter_hash(folder / ADAPTER)) == 16


def test_a_killed_training_goes_on_and_ends_with_the_same_adapter(
    undisturbed: tuple[Path, TrainingOutcome], tiny_model: Path, tmp_path: Path
) -> None:
    """Killed after its checkpoint at step 25, in another process: also the proof that two trainings are the same."""
    folder, outcome = undisturbed
    again = tmp_path / "killed"
    request(again, tiny_model, ROWS)
    process = start(again)
    state = again / "checkpoints" / "checkpoint-25" / "trainer_state.json"
    deadline = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists(), (again / "train.log").read_text()
    assert not (again / RESULT).exists(), "it ended before it was killed"
    slower = [point.model_copy(update={"seconds": point.seconds + 1000}) for point in losses(again)]
    write_jsonl(again / LOSSES, slower)
    before = {point.step: point for point in slower if point.step <= 25}
    process = start(again)
    assert process.wait(timeout=120) == 0, (again / "train.log").read_text()
    assert adapter_hash(again / ADAPTER) == adapter_hash(folder / ADAPTER)
    assert {point.step: point for point in losses(again) if point.step <= 25} == before, "it began anew"
    assert [point.loss for point in losses(again)] == [point.loss for point in losses(folder)]
    resumed = read_record(again / RESULT, TrainingOutcome)
    assert (resumed.steps, resumed.final_loss) == (outcome.steps, outcome.final_loss)
    # What the killed process took counts: plans are sized by this speed.
    assert losses(again)[-1].seconds > before[25].seconds > 1000
    assert resumed.seconds > 1000
    assert resumed.tokens_per_second < outcome.tokens_per_second / 10


@pytest.mark.parametrize("text", [None, "", '{"global_step": 25, "log_his'], ids=["missing", "empty", "cut"])
def test_a_checkpoint_that_a_kill_cut_is_passed_over(text: str | None, tmp_path: Path) -> None:
    from roles.recipes import sft

    older, newer = (tmp_path / "checkpoints" / f"checkpoint-{step}" for step in (25, 50))
    for folder in (older, newer):
        folder.mkdir(parents=True)
    (older / "trainer_state.json").write_text('{"global_step": 25}')
    if text is not None:
        (newer / "trainer_state.json").write_text(text)
    assert sft._last_checkpoint(tmp_path) == str(older)  # pyright: ignore[reportPrivateUsage]


def test_another_seed_makes_another_adapter(
    undisturbed: tuple[Path, TrainingOutcome], tiny_model: Path, tmp_path: Path
) -> None:
    from roles.recipes import sft

    other = request(tmp_path / "other", tiny_model, ROWS[:8]).model_copy(update={"seed": 2})
    same = request(tmp_path / "same", tiny_model, ROWS[:8])
    for asked in (other, same):
        sft.train(asked)
    assert adapter_hash(tmp_path / "other" / ADAPTER) != adapter_hash(tmp_path / "same" / ADAPTER)


def test_the_loss_is_on_the_answer_only(loud_model: Path, tmp_path: Path) -> None:
    """A constant prompt is soon known by heart, random answers never: only a loss on the prompt could fall to zero."""
    rng = random.Random(0)
    rows = [{"prompt": "aaaa " * 10, "answer": "".join(rng.choices("0123456789", k=6))} for _ in range(160)]
    outcome = train(tmp_path / "t", loud_model, rows, learning_rate=1e-2)
    assert 1.5 < outcome.final_loss < outcome.first_loss / 2


def test_only_answers_are_projected_onto_the_vocabulary(tiny_model: Path, tmp_path: Path) -> None:
    """Prompts and padding have no loss; projecting them would be a third of the time on a CPU."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from transformers import AutoTokenizer

    from eval.render import training_ids
    from roles.recipes import sft

    asked = request(tmp_path / "t", tiny_model, [{"prompt": "a long question " * 20, "answer": "red"}] * 8)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    row = training_ids(tokenizer, "a long question " * 20, "red")
    widths: list[int] = []

    class Products(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.overloadpacket is torch.ops.aten.mm and args[1].shape[1] == len(tokenizer):
                widths.append(args[0].shape[0])
            return func(*args, **(kwargs or {}))

    with Products():
        sft.train(asked)
    probe, steps = max(widths), sorted(set(widths))[:-1]
    assert probe == 4 * (len(row.input_ids) - 1), "what is tried first is the worst that can come"
    assert steps == [4 * sum(row.completion_mask)]


def test_a_training_that_diverges_ends_early_with_its_kind(loud_model: Path, tmp_path: Path) -> None:
    """Embeddings are tied, so the model repeats letters from the beginning, until steps far too large break it."""
    folder = tmp_path / "t"
    rows = [{"prompt": f"Row {n}", "answer": chr(ord("a") + n % 26) * 40} for n in range(480)]
    with pytest.raises(StageError, match="the loss") as failed:
        train(folder, loud_model, rows, learning_rate=1.0, warmup_ratio=0.5)
    assert failed.value.failure.kind == FailureKind.DIVERGED
    assert 10 <= losses(folder)[-1].step < 40
    assert not (folder / ADAPTER).exists()


def test_no_rows_are_a_fault_of_the_data(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="has no rows") as failed:
        train(tmp_path / "t", tiny_model, [])
    assert failed.value.failure.kind == FailureKind.DATA


LIMITED = """
import json, resource, sys
from pathlib import Path
from roles.recipes import sft
from roles.recipes.request import TrainingRequest
from tasks.failure import StageError
from tasks.record import read_record, write_record

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20),) * 2)
try:
    sft.train(read_record(Path(sys.argv[1]), TrainingRequest))
except StageError as error:
    write_record(Path(sys.argv[1]).with_name("failure.json"), error.failure)
"""


def test_memory_runs_out_before_the_first_step_or_not_at_all(tiny_model: Path, tmp_path: Path) -> None:
    """One very long row among short ones: its batch is tried first, so no step is wasted before memory ends."""
    folder = tmp_path / "t"
    request(folder, tiny_model, [*ROWS[:60], {"prompt": "long " * 30_000, "answer": "red"}], batch_size=1)
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIMITED, str(folder / "request.json")],
        env=child_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (folder / FAILURE).exists(), done.stderr[-3000:]
    failure = read_record(folder / FAILURE, Failure)
    assert failure.kind == FailureKind.OOM
    assert "1 rows of 150" in failure.message
    assert not (folder / LOSSES).exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimiser": "sgd"}, "optimiser: Extra inputs are not permitted"),
        ({"config": CONFIG.model_dump() | {"lr": 1}}, "config.lr: Extra inputs are not permitted"),
        ({"config": CONFIG.model_dump() | {"epochs": -1}}, "config.epochs: Input should be greater than 0"),
    ],
)
def test_a_request_with_unknown_or_impossible_fields_is_refused_by_name(tmp_path: Path, change, said) -> None:
    from tasks.failure import InputError

    request(tmp_path / "t", Path("model"), ROWS[:1])
    path = tmp_path / "t" / "request.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError) as refused:
        read_record(path, TrainingRequest)
    assert said in str(refused.value)


def test_a_refused_request_ends_the_process_and_trains_nothing(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    request(folder, tiny_model, ROWS[:4])
    path = folder / "request.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"optimiser": "sgd"}))
    assert start(folder).wait(timeout=120) > 0
    assert "optimiser: Extra inputs are not permitted" in (folder / "train.log").read_text()
    assert not (folder / LOSSES).exists()
    assert not (folder / ADAPTER).exists()


def test_a_failure_is_left_as_a_record_with_exit_code_3(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    request(folder, tiny_model, [])
    assert start(folder).wait(timeout=120) == 3
    assert read_record(folder / FAILURE, Failure).kind == FailureKind.DATA
    assert not (folder / RESULT).exists()
