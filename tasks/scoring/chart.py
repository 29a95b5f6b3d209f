"""Charts of TableBench (Wu et al. 2024, arXiv 2408.09174): Pass@1 of the values that the answer's program draws."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from pydantic import Field

from tasks.chart_code import Drawing, draw, extract_code
from tasks.chart_values import literal_reference, read_reference, same_calls, same_chart
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample


class Chart(Record):
    """1 when the last ```python block runs to its end in time and draws the values of the reference, else 0.

    `sample.context` holds `table` (`{"columns": [...], "data": [...]}`, the program's `table.csv`) and `chart_type`;
    the reference is text, `y_references = [[...], ...]`. `pd`, `np` and `plt` are imported already. `honest` reads the
    axes of the figures afterwards, so that `df.plot` and `ax.bar` count, and asks for the same values in whatever order
    (`tasks/chart_values.py`). `paper` sees the second positional arguments of plt.bar, plt.plot and plt.scatter only.
    `metrics` has `executed`: whether the code ran to its end.

    This scorer is not pure: each answer with code runs as a process in the sandbox, about a second of start included,
    and a program that draws by chance or by the clock has no fixed score. Its effects end with the sandbox.
    In a task file: `scorer: {name: chart}`.
    """

    name: Literal["chart"] = "chart"
    protocol: Protocol = "honest"
    seconds: float = Field(default=10, gt=0, le=600)
    """Wall clock of the code; starting Python and its libraries does not count."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference cannot be read, InputError without matplotlib or pandas, StageError
        without a sandbox."""
        code = extract_code(prediction, self.protocol)
        if code is None:
            return ItemScore(score=0, parsed=False)
        self.check_reference(sample)
        drawing = draw(code, sample.context.get("table"), self.protocol, self.seconds)
        if not drawing.executed:
            equal = False
        elif self.protocol == "paper":
            equal = same_calls(drawing.calls or [], literal_reference(sample.answer) or [])
        else:
            chart_type = str(sample.context.get("chart_type") or "")
            equal = same_chart(drawing, chart_type, read_reference(sample.answer) or [])
        return _item(equal, drawing)

    def parses(self, text: str) -> bool:
        """Whether an answer holds code; nothing runs."""
        return extract_code(text, self.protocol) is not None

    def check_reference(self, sample: Sample) -> None:
        """Raises ValueError when the reference cannot be read; runs nothing.

        Under `paper` a reference that is no literal, such as one with `np.nan`, can be read and never be reached.
        """
        literal = literal_reference(sample.answer) if self.protocol == "paper" else None
        if literal is None and read_reference(sample.answer) is None:
            raise ValueError(f"reference {sample.answer[:200]!r} of sample {sample.id} is not `y_references = [[...]]`")

    def score_all(
        self, predictions: Sequence[str], samples: Sequence[Sample], workers: int | None = None
    ) -> list[ItemScore]:
        """As `score` for each pair, in order, several programs at a time (default: one per core)."""
        if len(predictions) != len(samples):
            raise ValueError(f"{len(predictions)} predictions for {len(samples)} samples")
        with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
            return list(pool.map(self.score, predictions, samples))

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description="A program in a ```python block that reads table.csv and draws the chart with matplotlib.",
            example=(
                "```python\nimport pandas as pd\nimport matplotlib.pyplot as plt\ndf = pd.read_csv('table.csv')\n"
                "plt.bar(df['month'], df['sales'])\nplt.show()\n```"
            ),
        )


def _item(equal: bool, drawing: Drawing) -> ItemScore:
    executed = float(drawing.executed)
    return ItemScore(score=float(equal), parsed=True, extracted=drawing.text(), metrics={"executed": executed})


SCORER = Chart
