"""Finance.

`finance_starter` ships with the project, so that a fresh laptop has something real to do: questions in English about
ten subjects of finance, four options each, answered with the text of the right option.

    Question: Which term describes wages earned by staff but not yet paid at the end of the period?
    A. accrued expense
    B. prepaid expense
    C. deferred revenue
    D. contingent asset

The answer is `accrued expense`. A model of 135M parameters binds no letters to options, so the text is asked for.
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
        "The raw sources teach the same facts in other words: an exam bank, a glossary and worked solutions."
    ),
    sources=(
        Source(
            name="exam_bank",
            path="exam_bank.csv",
            licence=_LICENCE,
            description="exam questions with four options and the letter of the right one; some duplicates and gaps",
        ),
        Source(
            name="glossary",
            path="glossary.jsonl",
            licence=_LICENCE,
            description="terms of finance with their definitions",
        ),
        Source(
            name="worked_solutions",
            path="worked_solutions.jsonl",
            licence=_LICENCE,
            description="questions with a short worked solution and the answer, without options",
        ),
    ),
    benchmark=Benchmark(path="benchmark.jsonl", id="id", group="subject"),
    prompt=_PROMPT,
    answer="{{ answer }}",
    options="{{ options | tojson }}",
    scorer={"name": "choice"},
    metric=Metric(name="accuracy"),
    max_new_tokens=32,
    base_dir=str(_DATA),
)

TASKS = (finance_starter,)
