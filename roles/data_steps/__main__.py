"""The process that applies typed steps: `python -P -m roles.data_steps REQUEST`.

REQUEST is a JSON file of `SegmentRequest`; rows are read and written as JSON Lines. It runs inside the sandbox, where
neither the benchmark nor any other experiment can be read.
"""

import sys
from pathlib import Path

from roles.data_steps import load_step
from roles.data_steps.gate import pass_gate
from roles.data_steps.models import connect
from roles.data_steps.pipeline import GateReport, SegmentReport, SegmentRequest, read_rows
from roles.data_steps.row import DataRow, StepContext
from tasks.corpus import read_corpus
from tasks.failure import Failure, FailureKind, InputError, StageError
from tasks.record import read_jsonl, read_record, write_jsonl, write_record


def main(request: SegmentRequest, corpus: Path) -> None:
    """Apply the steps of a segment, then the gate when one is asked for; write a report beside the rows."""
    rows = read_rows(Path(request.rows)) if request.rows else _raw_rows(request.sources, corpus)
    context = StepContext(request.task, request.seed, connect(request.models, Path(request.completions)))
    for number, (step, output) in enumerate(zip(request.steps, request.outputs, strict=True)):
        try:
            applied = load_step(step).apply(rows, context)
        except InputError as error:
            message = f"step {number + 1} ({step.name}): {error}"
            raise StageError("prepare_data", FailureKind.CONFIG, message) from None
        rows = applied.rows
        write_jsonl(Path(output).with_suffix(".jsonl"), rows)
        report = SegmentReport(rows=len(rows), removed=dict(applied.removed), changed=dict(applied.changed))
        write_record(Path(output).with_suffix(".json"), report)
    if request.gate:
        from transformers import AutoTokenizer

        gate = request.gate
        passed, removed = pass_gate(rows, request.task, AutoTokenizer.from_pretrained(gate.tokenizer), gate.max_length)
        write_jsonl(Path(gate.output).with_suffix(".jsonl"), passed)
        write_record(Path(gate.output).with_suffix(".json"), GateReport(rows=len(passed), removed=dict(removed)))


def _raw_rows(sources: tuple[str, ...], corpus: Path) -> list[DataRow]:
    known = [source.name for source in read_corpus(corpus).sources]
    for name in sources:
        if name not in known:
            message = f"unknown source '{name}'; known: {', '.join(known)}"
            raise StageError("prepare_data", FailureKind.CONFIG, message)
    return [
        DataRow(source=name, row=number, fields=fields)
        for name in sources
        for number, fields in enumerate(read_jsonl(corpus / f"{name}.jsonl"), start=1)
    ]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    asked = read_record(path, SegmentRequest)
    try:
        main(asked, Path(asked.corpus))
    except StageError as error:
        write_record(path.with_suffix(".failure.json"), error.failure)
        sys.exit(3)
    except InputError as error:
        failure = Failure(stage="prepare_data", kind=FailureKind.DATA, message=str(error))
        write_record(path.with_suffix(".failure.json"), failure)
        sys.exit(3)
