"""Benchmarks with training rows that do not leak them, for `benchmarks/decontamination.py`; and the handwritten
paraphrases."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.benchmark import load_benchmark, related_samples
from tasks.catalogue import tasks
from tasks.decontaminate import Content
from tasks.failure import InputError
from tasks.finance import finance_starter
from tasks.identity import identities
from tasks.rows import Row, at_hand, load_rows
from tasks.starter.planted import read_planted
from tasks.task import Origin, Sample, Source, Task

PARAPHRASES = Path(__file__).parents[1] / "tests" / "tasks" / "paraphrases.jsonl"
LETTERS = "ABCD"
ITEMS = 1000
"""Rows of a collection without a benchmark of its own that serve as one."""
ROWS = 8000
"""Rows of a source that are looked at."""
GLOSSARY = "Which term of finance means: {definition}?"


class Corpus(NamedTuple):
    """A benchmark and rows that do not leak it."""

    name: str
    benchmark: str
    items: list[Sample]
    rows: list[Content]


class Solved(NamedTuple):
    """A row of a collection: an item, or something to learn from."""

    question: str
    answer: str
    options: tuple[str, ...] = ()
    solution: str = ""
    """What a training row says; otherwise the answer."""

    def shown(self) -> Content:
        """As a training row."""
        return Content(question=self.question, answer=self.solution or self.answer, options=self.options)


class Paraphrase(NamedTuple):
    """A benchmark item, and a row that asks it in other words."""

    item: Sample
    row: Content
    legal: tuple[Content, ...]
    """Rows that ask something else about the same fact."""
    chinese: bool


def half(text: str) -> int:
    """Thresholds were chosen on half 0."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2


def sample(id_: str, question: str, answer: str, options: Iterable[str] = ()) -> Sample:
    """An item of a collection that is no task."""
    return Sample(id=id_, prompt=question, answer=answer, options=tuple(options), content=question)


def paraphrases() -> list[Paraphrase]:
    """The handwritten ones. Rows have the options of their item."""
    known = load_benchmark(finance_starter, None).samples
    found: list[Paraphrase] = []
    for line in PARAPHRASES.read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        own = "question" in fields
        item = sample(*(fields[name] for name in ("item", "question", "answer", "options"))) if own else None
        item = item or known[fields["item"]]
        row = Content(question=fields["paraphrase"], answer=item.answer, options=item.options)
        legal = tuple(
            Content(question=one["question"], answer=one["answer"], options=item.options) for one in fields["legal"]
        )
        found.append(Paraphrase(item, row, legal, fields["item"].startswith("zh")))
    return found


def starter() -> Iterator[Corpus]:
    """The sources of `finance_starter` that leak nothing."""
    items = list(load_benchmark(finance_starter, None).samples.values())
    rows = {source.name: load_rows(source, finance_starter.base_dir, None) for source in finance_starter.sources}
    bank = [row for row in rows["exam_bank"] if row["answer"] in set(LETTERS)]
    yield Corpus(
        "exam bank", "starter", items, [_chosen(row, [row[f"option_{letter}"] for letter in "abcd"]) for row in bank]
    )
    legal = [rows["mock_exams"][number - 1] for number in read_planted()["mock_exams"].legal]
    yield Corpus(
        "practice papers",
        "starter",
        items,
        [Content(question=row["question"], answer=row["correct"], options=tuple(row["choices"])) for row in legal],
    )
    yield Corpus(
        "worked solutions",
        "starter",
        items,
        [Content(question=row["question"], answer=row["solution"]) for row in rows["worked_solutions"]],
    )
    glossary = [row for row in rows["glossary"] if row["definition"].strip()]
    yield Corpus(
        "glossary",
        "starter",
        items,
        [Content(question=GLOSSARY.format_map(row), answer=row["term"]) for row in glossary],
    )


def real(data_root: Path) -> Iterator[Corpus]:
    """What is there of the real ones: tasks with their sources, and collections divided into items and rows."""
    for name, task, shown in _TASKS:
        yield from _of_task(name, tasks()[task], shown, data_root)
    for name, path, read in _COLLECTIONS:
        if (data_root / path).is_file():
            rows = sorted(map(read, load_rows(Origin(path=path), "", data_root)), key=lambda row: _order(row.question))
            count = min(ITEMS, len(rows) // 3)
            items = [
                sample(str(number), row.question, row.answer, row.options) for number, row in enumerate(rows[:count])
            ]
            yield Corpus(name, name, items, [row.shown() for row in rows[count:]])


def _of_task(name: str, task: Task, shown: Callable[[Row], Content], data_root: Path) -> Iterator[Corpus]:
    """One with the rows of each source; one without rows where no source is at hand."""
    if not at_hand(task.benchmark, task.base_dir, data_root):
        return
    items = list(load_benchmark(task, data_root).samples.values())
    items += [item for others in related_samples(task, data_root).values() for item in others]
    sources = [(source, rows) for source in task.sources if (rows := _rows(source, task, data_root))]
    for source, rows in sources:
        yield Corpus(f"{name}: {source.name}", name, items, [_named(shown(row), row, task) for row in rows])
    if not sources:
        yield Corpus(name, name, items, [])


def _named(content: Content, row: Row, task: Task) -> Content:
    """With the identities that the gate would find; a molecule stands in the first of the task's fields."""
    fields = {**row, "molecule": row["smiles"]} if "smiles" in row else row
    return content.model_copy(update={"identities": identities(fields, task.identities)})


def _rows(source: Source, task: Task, data_root: Path) -> list[Row]:
    """None when they would have to be fetched."""
    try:
        if not at_hand(source, task.base_dir, data_root):
            return []
        rows = load_rows(source, task.base_dir, data_root)
    except InputError:
        return []
    return sorted(rows, key=lambda row: _order(json.dumps(row, default=str)))[:ROWS]


def _chosen(row: Row, options: list[str]) -> Content:
    """A multiple-choice row whose answer is a letter, as the recipes show it: the answer is a text."""
    return Content(question=row["question"], answer=options[LETTERS.index(row["answer"])], options=tuple(options))


def _examination(row: Row) -> Content:
    return Content(question=row["Question"], answer=row["Answer"], options=tuple(row[letter] for letter in LETTERS))


def _problem(row: Row) -> Content:
    return Content(question=row["problem"], answer=f"{row['solution']} {row['answer']}")


def _over_table(row: Row) -> Content:
    prompt = f"{json.dumps(row['table'], ensure_ascii=False)}\n{row['question']}"
    return Content(question=row["question"], answer=row["answer"], prompt=prompt)


def _molecule(row: Row) -> Content:
    return Content(question="How many rings does the molecule have?", answer="3", prompt=f"Molecule: {row['smiles']}")


def _claim(row: Row) -> Content:
    return Content(question=row["claim"], answer=json.dumps(row["reference"]))


def _word_problem(row: Row) -> Solved:
    return Solved(row["question"], row["answer"].rpartition("####")[2].strip(), (), row["answer"])


def _competition(row: Row) -> Solved:
    return Solved(row["problem"], str(row["answer"]))


def _general(row: Row) -> Solved:
    options = tuple(str(row[letter]) for letter in LETTERS)
    return Solved(row["question"], options[LETTERS.index(row["answer"])], options)


def _order(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_TASKS: tuple[tuple[str, str, Callable[[Row], Content]], ...] = (
    ("FinanceIQ", "finance", _examination),
    ("AIME", "math_aime25", _problem),
    ("TableBench", "table_fact_checking", _over_table),
    ("ChemCoTBench", "chemistry_mol_und", _molecule),
    ("PANORAMA", "patent_par4pc", _claim),
)
_COLLECTIONS: tuple[tuple[str, str, Callable[[Row], Solved]], ...] = (
    ("GSM8K", "gsm8k/train.jsonl", _word_problem),
    ("MATH", "deepscaler_parts/math_train.jsonl", _competition),
    ("MMLU finance", "mmlu_finance/mmlu_finance.jsonl", _general),
)
