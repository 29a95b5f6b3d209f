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

from tasks.task import Benchmark, Metric, Source, Task

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
    benchmark=Benchmark(path="benchmark.jsonl", id="id", group="subject", cluster="fact"),
    prompt=_PROMPT,
    answer="{{ answer }}",
    options="{{ options | tojson }}",
    scorer={"name": "choice"},
    metric=Metric(name="accuracy"),
    max_new_tokens=20,
    base_dir=str(_DATA),
)

TASKS = (finance_starter,)
