"""How fast are answers scored?

    python -m benchmarks.scoring [--items 10000] [--charts 24]

Text scorers are given `--items` answers in this process; scorers with a time limit an item (mathematics, molecules) a
tenth of that, in this process and in processes of their own as an evaluation does it; chart programs run in the
sandbox, one after the other and several at a time. Prints a table; all answers are written here.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tasks import scoring
from tasks.scoring.chart import Chart
from tasks.task import ItemScore, Sample


class Plan(NamedTuple):
    """What is scored."""

    scorer: str | dict[str, Any]
    samples: tuple[Sample, ...]
    """The first is answered rightly."""
    answers: tuple[str, ...]
    """Repeated in turn; `@` is a carbon chain, longer or shorter, so that molecules differ."""


def item(answer: str, *options: str, group: str = "all", **context: Any) -> Sample:
    """A benchmark item."""
    return Sample(id="1", prompt="", answer=answer, options=options, group=group, context=context)


THINKING = "The table lists each year once, so the two rows can be compared directly. " * 8
TEXT = {
    "choice": Plan("choice", (item("duration", "yield", "duration", "par"),), ("B", f"{THINKING}\nSo it is duration.")),
    "contains": Plan("contains", (item("duration"),), ("It is called modified duration.", "a coupon")),
    "exact": Plan(
        {"name": "exact", "marker": "Final Answer:"},
        (item("net present value"),),
        (f"{THINKING}\nFinal Answer: Net present value.", "yield"),
    ),
    "f1": Plan("f1", (item("the net present value"),), ("net present value", THINKING)),
    "json_field": Plan(
        {"name": "json_field", "field": "answer"}, (item("42"),), (f'{THINKING} {{"answer": 42}}', "no object")
    ),
    "letter": Plan("letter", (item("B"),), ("B", f"{THINKING} Answer: C")),
    "number": Plan("number", (item("#### 1,234"),), (f"{THINKING}\n#### 1234", "none")),
    "rouge_l": Plan("rouge_l", (item("prices rose faster than wages"),), ("Wages rose more slowly than prices.", "no")),
    "par4pc": Plan("par4pc", (item('{"gold": ["C"], "silver": ["E"]}'),), ('{"answer": ["C", "E"]}', THINKING)),
    "pi4pc": Plan("pi4pc", (item("[17]"),), ('{"answer": 17}', THINKING)),
    "noc4pc": Plan("noc4pc", (item("103"),), (f'{THINKING} {{"code": "103"}}', "ALLOW")),
    "table_exact": Plan("table_exact", (item("-12.5"),), (f"{THINKING}\nFinal Answer: -12.5%", "none")),
    "table_analysis": Plan(
        "table_analysis", (item("Weak positive correlation, 0.5", group="CorrelationAnalysis"),),
        (f"{THINKING}\nFinal Answer: Weak positive correlation, 0.52", "none"),
    ),
}  # fmt: skip
HEAVY = {
    "math": Plan(
        "math",
        (item("\\frac{1}{2}"), item("3\\sqrt{2}")),
        (f"{THINKING} \\boxed{{0.5}}", "\\boxed{\\frac{\\sqrt{72}}{2}}", "$x^2 - 1$", "no box"),
    ),
    "mol_und": Plan(
        "mol_und",
        (item("c1ccccc1", group="Murcko_scaffold"),),
        ('{"Output Scaffold": "c1ccccc1"}', '{"Output Scaffold": "@c1ccc2ccccc2c1"}', "benzene"),
    ),
    "mol_edit": Plan(
        "mol_edit",
        (item("x", group="add", source_smiles="CC(C)Cc1ccc(cc1)C(C)C", group_a="hydroxyl", group_b=""),),
        ('{"output": "CC(C)Cc1ccc(cc1)C(C)CO"}', '{"output": "@CC(C)Cc1ccc(cc1)C(C)CCl"}', "ethanol"),
    ),
    "mol_opt": Plan(
        "mol_opt",
        (item("better", group="logp", source_smiles="CC(C)Cc1ccc(cc1)C(C)C(=O)O"),),
        ('{"Final Target Molecule": "@CC(C)Cc1ccc(cc1)C(C)C(N)=O"}', '{"Final Target Molecule": "C("}'),
    ),
    "reaction": Plan(
        "reaction", (item("CCOC(C)=O", group="fs"),), ('{"Major Product": "CC(=O)OCC"}', '{"Major Product": "@CCO"}')
    ),
}
CHART = item(
    "y_references = [[12, 9]]",
    table={"columns": ["month", "sales"], "data": [["Jan", 12], ["Feb", 9]]},
    chart_type="bar",
)
PROGRAM = "```python\ndf = pd.read_csv('table.csv')\nplt.bar(df['month'], df['sales'])\nplt.show()\n```"


def pairs(plan: Plan, number: int) -> list[tuple[str, Sample]]:
    """So many answers with their items; a number makes each one a text of its own."""
    answers, samples = plan.answers, plan.samples
    texts = (answers[n % len(answers)].replace("@", "C" * (n % 97)) for n in range(number))
    return [(f"{n}. {text}", samples[n % len(samples)]) for n, text in enumerate(texts)]


def timed(call: Callable[[], Sequence[ItemScore]]) -> tuple[float, float]:
    """Seconds, and the mean score, which shows that something was compared."""
    began = time.perf_counter()
    scores = call()
    return time.perf_counter() - began, sum(score.score for score in scores) / len(scores)


def measured(items: int, charts: int) -> Iterator[dict[str, Any]]:
    """The rows of the table, one when it is known."""
    for name, plan in TEXT.items():
        scorer, todo = scoring.load(plan.scorer), pairs(plan, items)
        seconds, mean = timed(lambda s=scorer, t=todo: [s.score(*pair) for pair in t])
        yield {"scorer": name, "where": "here", "items": items, "seconds": seconds, "mean": mean}
    for name, plan in HEAVY.items():
        scorer, todo = scoring.load(plan.scorer), pairs(plan, items // 10)
        scorer.score(*todo[0])  # loads the library
        seconds, mean = timed(lambda s=scorer, t=todo: [s.score(*pair) for pair in t])
        yield {"scorer": name, "where": "here", "items": len(todo), "seconds": seconds, "mean": mean}
        seconds, mean = timed(lambda s=scorer, t=todo: scoring.score_all(s, t))
        yield {"scorer": name, "where": "in time", "items": len(todo), "seconds": seconds, "mean": mean}
    texts, samples = [PROGRAM] * charts, [CHART] * charts
    for workers in sorted({1, os.cpu_count() or 1}):
        seconds, mean = timed(lambda w=workers: Chart().score_all(texts, samples, w))
        yield {"scorer": "chart", "where": f"{workers} at once", "items": charts, "seconds": seconds, "mean": mean}


def shown(row: dict[str, Any]) -> str:
    """A row for people."""
    rate = f"{row['seconds']:8.2f} s {row['items'] / row['seconds']:9.0f}/s"
    return f"{row['scorer']:16}{row['where']:12}{row['items']:7} items {rate}  mean {row['mean']:.2f}"


def main() -> None:
    """See the docstring of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000, help="answers of a text scorer (default: 10000)")
    parser.add_argument("--charts", type=int, default=24, help="chart programs (default: 24)")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    arguments = parser.parse_args()
    for row in measured(arguments.items, arguments.charts):
        print(json.dumps(row) if arguments.json else shown(row), flush=True)


if __name__ == "__main__":
    main()
