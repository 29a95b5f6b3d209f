"""The whole loop once with the vLLM engine: baseline, trained adapters, verdicts, probe, sealed test, delivery."""

from pathlib import Path

import pytest
from laboratory import LESSONS, Laboratory, write_signs

pytestmark = pytest.mark.vllm


def test_the_whole_loop(laboratory: Laboratory, tmp_path: Path) -> None:
    task = write_signs(tmp_path, lessons=LESSONS)
    run = laboratory.run("vllm", "--task", task, "--model", "tiny-random", "--max-experiments", "2", "--engine", "auto")
    assert run.json("config.json")["engine"] == "vllm"
    assert "better than 000" in run.out
    assert run.json("test.json")["verdict"]["low"] > 0.2
    assert (run.path / "deliver" / "adapter" / "adapter_model.safetensors").exists()
    assert run.err == ""
