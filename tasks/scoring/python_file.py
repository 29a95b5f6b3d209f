"""A scorer of one's own: a Python file beside the task file, run in the sandbox."""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from tasks.failure import InputError
from tasks.record import Record, explain
from tasks.sandbox import Mounts, run
from tasks.scoring import FAILED
from tasks.supervise import Limits
from tasks.task import AnswerContract, ItemScore, Sample

PORTION = 500
"""Answers that one process scores."""
SHOWN = 200
"""Characters of an answer that is shown as it is."""
START_SECONDS = 60.0
"""Seconds that loading the file and its libraries may take."""
_RUNNER = Path(__file__).parents[1] / "scorer_runner.py"
_STAGE = "evaluate"


class Returned(Record):
    """What `score` may return besides a number."""

    score: float = Field(ge=0, le=1, allow_inf_nan=False)
    extracted: str | None = None
    """The answer as it was read; else the prediction is shown."""
    metrics: dict[str, float] = Field(default_factory=dict)


class PythonFile(Record):
    """What the function `score(prediction, reference, item)` of a Python file returns.

    The file lies beside the task file. `item` is a dict with `id`, `group`, `options` and `context`, the fields that
    the task names there. `score` returns a number from 0 to 1, or a dict with `score` and, if wanted, `extracted` (the
    answer as it was read) and `metrics` (numbers by name). A function `parses(prediction)` may say whether an answer
    can be read at all; such an answer scores 0 and training rows with it are refused. Without it, all text that is not
    blank can be read. The file must not use chance, the clock, or other files: it runs in the sandbox, where there are
    none. An answer on which it fails or takes too long scores 0 and has `failed` among its metrics.
    In a task file: `scorer: {name: python_file, path: scorer.py, description: A date such as 2024-05-01., example:
    2024-05-01}`.
    """

    name: Literal["python_file"] = "python_file"
    path: str = "scorer.py"
    """As the task file names it."""
    code: str = Field(min_length=1)
    """What the file holds; read with the task file, so that a result says what it was scored by."""
    description: str
    """Of an answer's form, for the roles."""
    example: str
    """An answer that can be read."""
    seconds: float = Field(default=5, gt=0, le=600)
    """Wall clock of one answer."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises InputError when the file cannot be loaded, StageError without a sandbox."""
        return self.score_all([prediction], [sample])[0]

    def score_all(self, predictions: Sequence[str], samples: Sequence[Sample]) -> list[ItemScore]:
        """As `score` for each pair, in order, many in one process.

        Raises ValueError for an answer that can be read where there is no reference.
        """
        pairs = list(zip(predictions, samples, strict=True))
        results = self._results([_case(*pair, self.seconds) for pair in pairs])
        scores = [_item(result, text) for result, text in zip(results, predictions, strict=True)]
        bare = [sample.id for score, sample in zip(scores, samples, strict=True) if score.parsed and not sample.answer]
        if bare:
            raise ValueError(f"the reference of sample {bare[0]} is empty")
        return scores

    def parses(self, text: str) -> bool:
        """Whether an answer can be read."""
        return self.parses_all([text])[0]

    def parses_all(self, texts: Sequence[str]) -> list[bool]:
        """As `parses` for each text, many in one process."""
        nothing = Sample(id="", prompt="", answer="")
        cases = [{**_case(text, nothing, self.seconds), "score": False} for text in texts]
        return [result.get("parsed") is True for result in self._results(cases)]

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(description=self.description, example=self.example)

    def _results(self, cases: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """What the runner wrote of each case; `error` for one that ended it."""
        done = 0
        while done < len(cases):
            results = self._run(cases[done : done + PORTION])
            yield from results
            done += len(results)

    def _run(self, cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The results of the first cases: of all, or up to one that ended the process, which is an error.

        What comes back is untrusted.
        """
        with tempfile.TemporaryDirectory(prefix="scorer-") as name:
            folder = Path(name)
            out = folder / "out"
            out.mkdir()
            (folder / "scorer.py").write_text(self.code, encoding="utf-8")
            lines = "".join(json.dumps(case) + "\n" for case in cases)
            (folder / "cases.jsonl").write_text(lines, encoding="utf-8")
            inside = {Path(f"/{path.name}"): path for path in (_RUNNER, folder / "scorer.py", folder / "cases.jsonl")}
            seconds = START_SECONDS + self.seconds * len(cases)
            finished = run(
                [sys.executable, "-I", "-B", "/scorer_runner.py", "/scorer.py", "/cases.jsonl", "/out/scores.jsonl"],
                Mounts(readonly=inside, writable={Path("/out"): out}),
                Limits(wall_seconds=seconds, cpu_seconds=int(seconds) + 1, memory_bytes=4 << 30, file_bytes=256 << 20),
                env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                stage=_STAGE,
            )
            path = out / "scores.jsonl"
            if not path.is_file() or path.is_symlink():
                said = finished.stderr.rstrip()[-800:] or f"exit code {finished.returncode}"
                raise InputError(f"scorer {self.path} cannot be loaded: {said}")
            *written, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")[: len(cases) + 1]
        results = [_read(line) for line in written]  # what stands after the last end of a line is none
        ended = [] if len(results) == len(cases) else [{"error": "it took too long, or ended the process"}]
        return [*results, *ended]


def _case(prediction: str, sample: Sample, seconds: float) -> dict[str, Any]:
    item = sample.model_dump(mode="json", include={"id", "group", "options", "context"})
    return {"prediction": prediction, "reference": sample.answer, "item": item, "seconds": seconds, "score": True}


def _read(line: str) -> dict[str, Any]:
    try:
        result = json.loads(line)
    except (ValueError, RecursionError):
        result = None
    return result if isinstance(result, dict) else {"error": "it wrote no result"}


def _item(result: dict[str, Any], prediction: str) -> ItemScore:
    if "returned" not in result:
        failed = {} if result.get("parsed") is False else {FAILED: 1.0}
        return ItemScore(score=0, parsed=False, extracted=_text(result.get("error")), metrics=failed)
    value = result["returned"]
    try:
        found = Returned.model_validate(value if isinstance(value, dict) else {"score": value})
    except ValidationError as error:
        return ItemScore(score=0, parsed=False, extracted=f"score returned {explain(error)}", metrics={FAILED: 1.0})
    extracted = prediction.strip()[:SHOWN] if found.extracted is None else found.extracted
    return ItemScore(score=found.score, parsed=True, extracted=extracted, metrics=found.metrics)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


SCORER = PythonFile
