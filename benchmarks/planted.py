"""What does the pipeline find of the planted faults of `finance_starter`?

    python -m benchmarks.planted RUN

RUN is the directory of any run of that task: its survey is what the practitioner writes recipes from. Its recipe with
all of its cleaning and without a sample is applied to all raw rows, what it formats is decontaminated, and what each
removed or changed is compared with `tasks/starter/planted.json`. Takes a minute and trains nothing.
"""

import argparse
from collections.abc import Collection, Iterable
from pathlib import Path

from roles.briefing import Survey
from roles.data_steps import load_step
from roles.data_steps.row import DataRow, StepContext
from roles.practitioner.design import draft, recipe_of
from tasks.benchmark import load_benchmark
from tasks.decontaminate import Content, Decontaminator
from tasks.finance import finance_starter
from tasks.record import read_record
from tasks.rows import load_rows
from tasks.starter.planted import read_planted

Stages = dict[str, list[DataRow]]
"""The rows that each step left; of steps of one name, the last."""


def prepared(survey: Survey) -> Stages:
    """All raw rows through the practitioner's recipe with near-duplicate removal and label cleaning."""
    rows = [
        DataRow(source=source.name, row=number, fields=fields)
        for source in finance_starter.sources
        for number, fields in enumerate(load_rows(source, finance_starter.base_dir, None), start=1)
    ]
    design = draft(survey).model_copy(update={"near_duplicates": True, "clean_labels": True})
    stages: Stages = {}
    for step in recipe_of(design, survey, "").steps:
        if step.name != "sample":
            rows = load_step(step).apply(rows, StepContext(finance_starter, seed=0)).rows
            stages[step.name] = rows
    return stages


def numbers(rows: Iterable[DataRow], source: str) -> set[int]:
    """Row numbers of a source."""
    return {row.row for row in rows if row.source == source}


def leaking(rows: Iterable[DataRow]) -> set[int]:
    """Numbers of the practice papers' rows that decontamination finds."""
    papers = [row for row in rows if row.source == "mock_exams"]
    guard = Decontaminator(load_benchmark(finance_starter, None).samples.values())
    contents = [
        Content(question=row.fields["content"], answer=row.fields["answer"], options=tuple(row.fields["options"]))
        for row in papers
    ]
    return {row.row for row, reason in zip(papers, guard.leaks(contents), strict=True) if reason}


def share(found: Collection[int], of: Collection[int]) -> str:
    """`60 of 60 (100 %)`."""
    return f"{len(found)} of {len(of)} ({100 * len(found) / len(of):.0f} %)"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="directory of a run of finance_starter")
    survey = read_record(parser.parse_args().run / "survey.json", Survey)
    stages, planted = prepared(survey), read_planted()
    papers, bank = planted["mock_exams"], planted["exam_bank"]

    formatted = stages["format"]
    leaks, shown = leaking(formatted), numbers(formatted, "mock_exams")
    print(f"leaks, exact: found {share(leaks & papers.leaks_exact.keys(), papers.leaks_exact.keys() & shown)}")
    print(f"leaks, edited: found {share(leaks & papers.leaks_edited.keys(), papers.leaks_edited.keys() & shown)}")
    legal = set(papers.legal) & shown
    print(f"other questions about the same facts: kept {share(legal - leaks, legal)}")

    read, left = numbers(stages["filter"], "exam_bank"), numbers(stages["near_duplicates"], "exam_bank")
    for name, groups in (("exact", bank.duplicates_exact), ("near", bank.duplicates_near)):
        copies = {row for group in groups for row in sorted(set(group) & read)[1:]}
        print(f"duplicates, {name}: removed {share(copies - left, copies)}")

    before = {row.row: row.fields["answer"] for row in stages["near_duplicates"] if row.source == "exam_bank"}
    after = {row.row: row.fields["answer"] for row in stages["label_clean"] if row.source == "exam_bank"}
    mended, wrong = {row for row in before if after.get(row) != before[row]}, bank.wrong_labels.keys() & before.keys()
    print(f"wrong labels: precision {share(mended & wrong, mended)}, recall {share(mended & wrong, wrong)}")


if __name__ == "__main__":
    main()
