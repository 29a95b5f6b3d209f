"""Questions about tables: TableBench (886 items over four tasks, tables from Wikipedia).

    {'columns': ['year', 'visitors'], 'data': [['2019', 410], ['2020', 95], ['2021', 230]]}
    By how much did the number of visitors change from 2019 to 2021?

    Final Answer: -180

`table_fact_checking`, `table_numerical_reasoning` and `table_data_analysis` end in such a line; `table_visualization`
asks for Python code that draws a chart, which runs in the sandbox, and compares the drawn values.
"""

import ast
import json
from typing import Any

from tasks.rows import Row
from tasks.task import Source, Task

_TEXT_PROMPT = """\
You are a table analyst. Answer the question with the table's content.

Think step by step. The last line must be `Final Answer: ` and the answer: a number, names from the table, or \
{% if analysis %}a few words{% else %}a word{% endif %}, as short as possible, without explanation.

The table as JSON:
{{ table | tojson }}

Question: {{ question }}"""

_CHART_PROMPT = """\
You write Python that answers a question about a table with a chart.

The table lies in `table.csv`. Write one ```python block that begins with these lines and ends with `plt.show()`:
```python
import pandas as pd
import matplotlib.pyplot as plt
df = pd.read_csv('table.csv')
```

The table as JSON:
{{ table | tojson }}

Question: {{ question }}"""

_LEAKAGE = (
    "TableBench took tables of WikiTableQuestions and of other collections of Wikipedia tables: training rows over a "
    "table of the benchmark are removed, whatever is asked about it."
)
_ANALYSIS_SETS = {"CorrelationAnalysis", "TrendForecasting", "StatisticalAnalysis", "ImpactAnalysis"}
_OTHER = "other"


def item(row: Row) -> list[Row]:
    """A benchmark row: `question`, `table`, `table_id`, `answer`, `kind`, `set`, and the authors' `instruction`."""
    table = _table(row["table"])
    return [
        {
            "qtype": row["qtype"],
            "kind": row["qsubtype"],
            "set": row["qtype"],
            "question": row["question"],
            "table": table,
            "table_id": table_id(table),
            "answer": str(row["answer"]),
            "chart_type": row.get("chart_type") or "",
            "instruction": row["instruction"],
            "analysis": row["qtype"] == "DataAnalysis",
        }
    ]


def analysis(row: Row) -> list[Row]:
    """A row of data analysis; the reference has a sub-dataset for each of four kinds and one that holds all items."""
    return [{**shaped, "set": [*_analysis_set(shaped), _OTHER]} for shaped in item(row)]


def paper_analysis(row: Row) -> list[Row]:
    """The same under `paper`: an item stands in each of its sub-datasets, and is scored as that one is."""
    return [{**shaped, "kind": name, "set": name} for shaped in item(row) for name in (*_analysis_set(shaped), _OTHER)]


def _analysis_set(row: Row) -> list[str]:
    return [row["kind"]] if row["kind"] in _ANALYSIS_SETS else []


def question(row: Row) -> list[Row]:
    """A training row of WikiTableQuestions: `question`, `table`, `answer` (several joined by commas)."""
    if "answers" not in row:
        return [row]
    answer = ", ".join(str(part) for part in row["answers"])
    return [{"question": row["question"], "table": _table(row["table"]), "answer": answer, "analysis": False}]


def table_id(table: dict[str, Any]) -> str:
    """The table's cells as one text: equal for equal tables."""
    return json.dumps([table["columns"], table["data"]], ensure_ascii=False)


def _table(value: Any) -> dict[str, Any]:
    """A table as an object, from an object, from JSON, or from Python's notation of it."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = ast.literal_eval(value)
    if not isinstance(value, dict) or not {"columns", "data"} <= set(value):
        raise ValueError("`table` must be an object with `columns` and `data`")
    return {"columns": value["columns"], "data": value["data"]}


_WIKI = Source(
    name="wikitablequestions",
    path="wikitablequestions/train_2500.jsonl",
    hub="stanfordnlp/wikitablequestions",
    split="train",
    shape="tasks.table:question",
    licence="CC BY-SA 4.0",
    description="questions about Wikipedia tables with short answers and no reasoning",
)


_TABLEBENCH: dict[str, Any] = {
    "path": "tablebench/TableBench_TCoT.jsonl",
    "hub": "Multilingual-Multimodal-NLP/TableBench",
    "split": "test",
    "group": "kind",
    "cluster": "table_id",
    "reference": "shuffled",
    "sets": "set",
    "licence": "CC BY-SA 4.0",
}


def _task(name: str, qtype: str, description: str, scorer: str, metric: str, **changes: Any) -> Task:
    """A task over the items of one `qtype`; `changes` replace its fields, `origin` those of its benchmark."""
    origin = {"shape": "tasks.table:item", "where": {"qtype": qtype}, **_TABLEBENCH, **changes.pop("origin", {})}
    fields: dict[str, Any] = {
        "name": f"table_{name}",
        "domain": "table",
        "description": description,
        "sources": (_WIKI,),
        "benchmark": origin,
        "prompt": _TEXT_PROMPT,
        "answer": "{{ answer }}",
        "content": "{{ question }}",
        "scorer": {"name": scorer},
        "metric": {"name": metric},
        "identities": {"table": ("table",)},
        "leakage": _LEAKAGE,
        "max_new_tokens": 1024,
        "paper": {"prompt": "{{ instruction }}", **changes.pop("paper", {})},
    }
    return Task.model_validate({**fields, **changes})


TASKS = (
    _task(
        "fact_checking",
        "FactChecking",
        "Facts that a table holds or that follow from several of its cells, asked in a sentence. The answer is a word, "
        "a name or a number after `Final Answer:`.",
        "table_exact",
        "exact match",
    ),
    _task(
        "numerical_reasoning",
        "NumericalReasoning",
        "Calculations over a table: counts, sums, differences, rankings, times. The answer is mostly a number after "
        "`Final Answer:`.",
        "table_exact",
        "exact match",
    ),
    _task(
        "data_analysis",
        "DataAnalysis",
        "Statistics, correlations, trends, causes, anomalies and descriptions of a table. The answer is a number, a "
        "word or a short text after `Final Answer:`.",
        "table_analysis",
        "accuracy",
        origin={"shape": "tasks.table:analysis"},
        paper={
            "benchmark": {
                **_TABLEBENCH, "shape": "tasks.table:paper_analysis", "where": {"qtype": "DataAnalysis"},
            },
            "metric": {"name": "accuracy", "aggregate": "group_mean"},
        },
    ),
    _task(
        "visualization",
        "Visualization",
        "Charts from a table: Python code with pandas and matplotlib, whose drawn values are compared.",
        "chart",
        "pass@1",
        origin={"path": "tablebench/TableBench_PoT.jsonl"},
        prompt=_CHART_PROMPT,
        context=("table", "chart_type"),
    ),
)  # fmt: skip
