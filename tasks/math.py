"""Competition mathematics: AIME 2025 and 2024, 30 problems each, whose answers are whole numbers from 0 to 999.

    A number is called steady if it is divisible by each of its nonzero digits. How many two-digit numbers are steady?

The answer is read from the last `\\boxed{}` and compared symbolically. Each problem is answered several times, because
15 test problems tell little.
"""

import re

from tasks.rows import Row
from tasks.task import Benchmark, Metric, Source, Task

_CALCULATION = re.compile(r"<<[^<>]*>>")

_PROMPT = """\
{{ problem }}

Reason step by step, and put the final answer in \\boxed{}."""

_LEAKAGE = (
    "AIME problems circulate in many collections: the corpora are searched for the problems of both years. Problems of "
    "1983 to 2023 are other problems and stay."
)


def problem(row: Row) -> list[Row]:
    """A benchmark row of either year: `problem`, `answer`."""
    text = row["question"] if "question" in row else row["problem"]
    return [{"problem": str(text), "answer": str(row["answer"]).strip()}]


def solved(row: Row) -> list[Row]:
    """A training row: `problem`, `solution` (empty where there is none), `answer`."""
    return [{"problem": row["problem"], "solution": row.get("solution") or "", "answer": str(row["answer"])}]


def worded(row: Row) -> list[Row]:
    """A row of GSM8K, whose solution ends in `#### 72` and has calculator notes such as `<<48/2=24>>`."""
    solution, marker, answer = row["answer"].rpartition("####")
    if not marker:
        raise ValueError(f"the answer has no '####': {row['answer'][:80]!r}")
    plain = _CALCULATION.sub("", solution).strip()
    return [{"problem": row["question"], "solution": plain, "answer": answer.strip().replace(",", "")}]


_SOURCES = (
    Source(
        name="deepscaler",
        path="deepscaler_parts/*.jsonl",
        hub="agentica-org/DeepScaleR-Preview-Dataset",
        shape="tasks.math:solved",
        licence="MIT",
        description=(
            "competition problems with their answers, some with a worked solution (AIME 1983 to 2023, MATH and "
            "others); most have no solution"
        ),
    ),
    Source(
        name="gsm8k",
        path="gsm8k/train.jsonl",
        hub="openai/gsm8k",
        config="main",
        split="train",
        shape="tasks.math:worded",
        licence="MIT",
        description="word problems of primary school with short worked solutions; far easier than the benchmark",
    ),
)


def _aime(year: int, path: str, hub: str, config: str | None, split: str) -> Task:
    return Task(
        name=f"math_aime{year % 100}",
        domain="math",
        description=(
            f"The 30 problems of the American Invitational Mathematics Examination {year}. Each answer is a whole "
            r"number from 0 to 999 at the end of a chain of reasoning, in \boxed{}."
        ),
        sources=_SOURCES,
        benchmark=Benchmark(
            path=path,
            hub=hub,
            config=config,
            split=split,
            shape="tasks.math:problem",
            reference="in_order",
            licence="MIT",
        ),
        prompt=_PROMPT,
        answer="{{ answer }}",
        scorer={"name": "math"},
        metric=Metric(name="accuracy"),
        leakage=_LEAKAGE,
        max_new_tokens=8192,
        samples=8,
        temperature=0.6,
    )


TASKS = (
    _aime(2025, "aime25/test.jsonl", "opencompass/AIME2025", "*", "test"),
    _aime(2024, "aime24/test.jsonl", "HuggingFaceH4/aime_2024", None, "train"),
)
