"""Finance.

`finance_starter` ships with the project, so that a fresh laptop has something real to do: questions in English about
ten subjects of finance, four options each, answered with the text of the right option.

    Question: Which concept is described here: "a cost incurred but not yet invoiced or paid"?
    A. provision
    B. accrued expense
    C. deferred revenue
    D. contra account

The answer is `accrued expense`. A model of 135M parameters binds no letters to options, so the text is asked for.

The benchmark asks 500 facts and 30 kinds of computation, 1,500 items in all; a fact lies on one side of the split. Six
raw sources teach them in other words, and are as raw as collected files are: `tasks/starter/generate.py` says how they
come about, `tasks/starter/planted.py` what is wrong with them.
"""

from pathlib import Path
from typing import Any

from tasks.task import Benchmark, Metric, Shots, Source, Task

_DATA = Path(__file__).parent / "starter" / "data"
_LICENCE = "Apache-2.0"

_PROMPT = """\
Question: {{ question }}
A. {{ options[0] }}
B. {{ options[1] }}
C. {{ options[2] }}
D. {{ options[3] }}
Answer with the text of the right option."""

finance_starter = Task(
    name="finance_starter",
    domain="finance",
    description=(
        "Finance in English: accounting, banking, securities, funds, insurance, economics, tax, futures, financial "
        "planning and actuarial mathematics. Each question has four options; the answer is the text of the right one. "
        "About a third of the questions give a definition and ask for the term, most others ask what else is true of a "
        "term, and one in ten is a small computation. The raw sources were collected in several places and nobody has "
        "checked them."
    ),
    sources=(
        Source(
            name="exam_bank",
            path="exam_bank.csv",
            licence=_LICENCE,
            description=(
                "exam questions of many years with four options and the letter of the right one, typed in by several "
                "hands: questions come up more than once, cells are missing, not every letter is right, and some "
                "subjects are thin"
            ),
        ),
        Source(
            name="glossary",
            path="glossary.jsonl",
            licence=_LICENCE,
            description="terms of finance from A to Z with their definitions; a few entries are empty or double",
        ),
        Source(
            name="worked_solutions",
            path="worked_solutions.jsonl",
            licence=_LICENCE,
            description="questions with a short worked solution and the answer, without options; carefully edited",
        ),
        Source(
            name="forum_dump",
            path="forum_dump.jsonl",
            licence=_LICENCE,
            description=(
                "threads of a students' message board as HTML, with small talk, quotes and advertisements; not every "
                "board is about finance, and not every answer that was accepted is right"
            ),
        ),
        Source(
            name="headlines",
            path="headlines.csv",
            licence=_LICENCE,
            description="headlines of company news labelled positive, negative or neutral, two thirds of them positive",
        ),
        Source(
            name="mock_exams",
            path="mock_exams.jsonl",
            licence=_LICENCE,
            description=(
                "practice papers collected from students, four choices and the text of the right one; where their "
                "questions were taken from is not known"
            ),
        ),
    ),
    benchmark=Benchmark(path="benchmark.jsonl", id="id", group="subject", cluster="fact", licence=_LICENCE),
    prompt=_PROMPT,
    answer="{{ answer }}",
    options="{{ options | tojson }}",
    scorer={"name": "choice"},
    metric=Metric(name="accuracy"),
    max_new_tokens=20,
    base_dir=str(_DATA),
)

_QUESTION = """\
题目：{{ row.Question }}
A. {{ row.A }}
B. {{ row.B }}
C. {{ row.C }}
D. {{ row.D }}
答案："""
_FIVE_SHOT = (
    "以下是单项选择题，每题只有一个正确选项，请直接给出答案的字母。\n\n{% for shot in shots %}"
    + _QUESTION.replace("row.", "shot.")
    + "{{ shot.Answer }}\n\n{% endfor %}"
    + _QUESTION.replace("row.", "")
)
_FINANCEIQ: dict[str, Any] = {
    "path": "financeiq/test/*.csv",
    "hub": "Duxiaoman-DI/FinanceIQ",
    "config": "*",
    "split": "test",
}
_BENCHMARK_ROWS = 100
"""Of each examination at most so many of its last questions are the benchmark; the rest is for training."""

finance = Task(
    name="finance",
    domain="finance",
    description=(
        "FinanceIQ, in Chinese: questions of ten professional examinations (accounting, banking, securities, funds, "
        "insurance, taxes, futures, economics, financial planning, actuarial mathematics), four options each. The "
        "answer is the letter of the right one."
    ),
    sources=(
        Source(
            name="financeiq_rest",
            before_tail=_BENCHMARK_ROWS,
            licence="CC BY-NC-SA 4.0",
            description="the questions of the ten examinations that are not in the benchmark: four options, a letter",
            **_FINANCEIQ,
        ),
    ),
    benchmark=Benchmark(
        tail=_BENCHMARK_ROWS, group="file", reference="in_order", licence="CC BY-NC-SA 4.0", **_FINANCEIQ
    ),
    shots=Shots(path="financeiq/dev/*.csv", hub="Duxiaoman-DI/FinanceIQ", config="*", split="validation", match="file"),
    prompt=_FIVE_SHOT,
    answer="{{ Answer }}",
    options=("{{ A }}", "{{ B }}", "{{ C }}", "{{ D }}"),
    content="{{ Question }}",
    scorer={"name": "letter"},
    metric=Metric(name="accuracy", aggregate="group_mean"),
    leakage="The examinations repeat their questions: rows with the question and the options of a benchmark item go.",
    max_new_tokens=16,
)

TASKS = (finance, finance_starter)
