"""Keep rows that differ from one another."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, check_field, of_source
from tasks.embedding import SentenceEmbedder, Vectors


class SelectDiverse(DataStep):
    """Keep a number of rows that differ in meaning, instead of a random `sample`.

    Pays where a large source says the same things often. Rows are drawn one after the other, each with a probability
    that grows with the square of its distance to the nearest row drawn so far (the seeding of k-means++, Arthur and
    Vassilvitskii 2007), so that rare things get in and one odd row is no more likely than it is odd. Distances are
    between sentence vectors of an English embedder; of other languages it tells little. Rows without text pass.
    """

    rows: int = Field(gt=0, description="rows to keep of those that are compared")
    source: str | None = Field(default=None, description="only rows of this source are compared; others pass")
    field: str | None = Field(
        default=None,
        description="field whose text is compared; else `content` of formatted rows, and all texts of raw ones",
    )
    seed: int = Field(default=0, description="another seed draws other rows")

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Keep the rows that are drawn, in order."""
        positions = of_source(rows, self.source)
        if self.field:
            check_field([rows[position] for position in positions], self.field)
        texts = {position: text for position in positions if (text := self._text(rows[position]))}
        if len(texts) <= self.rows:
            return Applied(rows, Counter())
        compared = list(texts)
        vectors = SentenceEmbedder().embed(list(texts.values()))
        drawn = {compared[place] for place in spread(vectors, self.rows, [self.seed, context.seed])}
        kept = [row for position, row in enumerate(rows) if position not in texts or position in drawn]
        return Applied(kept, Counter({"like others": len(rows) - len(kept)}))

    def _text(self, row: DataRow) -> str:
        if self.field:
            return str(row.fields.get(self.field) or "").strip()
        if row.fields.get("content"):
            return str(row.fields["content"])
        return " ".join(value for name, value in row.fields.items() if isinstance(value, str) and name != "id").strip()


def spread(vectors: Vectors, number: int, seed: Sequence[int]) -> list[int]:
    """Positions of so many vectors that lie far apart.

    Args:
        vectors: shape (n, dimension), each of length 1.
    """
    rng = np.random.default_rng(list(seed))
    drawn = [int(rng.integers(len(vectors)))]
    nearest = _squared(vectors, drawn[0])
    while len(drawn) < number:
        total = nearest.sum()
        left = np.setdiff1d(np.arange(len(vectors)), drawn)  # of rows that are all equal to a drawn one any will do
        new = int(rng.choice(len(vectors), p=nearest / total)) if total > 0 else int(rng.choice(left))
        drawn.append(new)
        nearest = np.minimum(nearest, _squared(vectors, new))
    return drawn


def _squared(vectors: Vectors, one: int) -> np.ndarray:
    """Squared distances to one of them, in double precision; rounding never leaves it a distance to itself."""
    distances = np.maximum(0.0, 2 - 2 * (vectors @ vectors[one]).astype(np.float64))
    distances[distances < 1e-6] = 0.0
    distances[one] = 0.0
    return distances


STEP = SelectDiverse
