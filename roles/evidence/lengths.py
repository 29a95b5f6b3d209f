"""Whether training rows in the benchmark's form are as long as the benchmark's items."""

from statistics import median

from memory.records import Evidence
from roles.evidence.case import Case
from tasks.text import words


def find(case: Case) -> Evidence | None:
    """Median words of prompts and answers on both sides; None when one side is missing."""
    rows = [row for row in case.rows if row.task_format]
    if not rows or not case.items:
        return None
    figures = {
        "prompt_words_training": median(count_words(row.prompt) for row in rows),
        "prompt_words_benchmark": median(count_words(item.prompt) for item in case.items),
        "answer_words_training": median(count_words(row.answer) for row in rows),
        "answer_words_benchmark": median(count_words(item.answer) for item in case.items),
    }
    claim = (
        f"Prompts have a median of {figures['prompt_words_training']:g} words in the {len(rows)} training rows in the "
        f"task's form and of {figures['prompt_words_benchmark']:g} in the benchmark, answers of "
        f"{figures['answer_words_training']:g} and {figures['answer_words_benchmark']:g}."
    )
    return Evidence(
        name="lengths",
        claim=claim,
        count=len(rows),
        of=len(case.rows),
        figures={name: float(value) for name, value in figures.items()},
    )


def count_words(text: str) -> int:
    """Words of a text; characters in languages that put no blanks between words."""
    return len(words(text).split())
