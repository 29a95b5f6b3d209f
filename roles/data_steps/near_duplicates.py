"""Drop rows that nearly repeat an earlier one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, check_field, of_source
from tasks.text import number_key, words

PERMUTATIONS = 128
"""Length of a MinHash signature."""
MISSED = 0.001
"""Share of the copies right at the threshold that signatures may miss."""
SAME_ANSWER = 0.8
"""Jaccard index of two answers that say the same: in a long one a word may differ, in a short one none."""
NEAR, CONFLICT = "near duplicate", "same text, another answer"
_NO_TEXT = frozenset({"id", "answer"})


class Copy(NamedTuple):
    """What a row repeats."""

    position: int
    """Of the earlier row."""
    reason: str
    """`NEAR` or `CONFLICT`."""


class NearDuplicates(DataStep):
    """Drop rows that repeat an earlier row but for small edits: a typing error, a synonym, a word more or less.

    Pays where sources were merged or typed in twice; `deduplicate` finds only what is equal. Two rows are near
    duplicates when each compared field has at least `threshold` of its words in common (Jaccard index: found by
    MinHash, then checked exactly), the numbers are the same and the answers say the same. The first is kept. Case,
    punctuation, blanks and the order of options do not count. Other wordings of a question stay, and so does a question
    in which an exchanged word leads to another answer; only rows that are equal but for the answer contradict each
    other, see `conflicts`.
    """

    source: str | None = Field(default=None, description="only rows of this source are compared; others pass")
    fields: tuple[str, ...] = Field(
        default=(),
        description="fields that are compared, beside `answer`; rows without them pass. Empty means `content` and "
        "`options` of formatted rows, and of raw rows all texts but `id`, each source for itself",
    )
    threshold: float = Field(
        default=0.6, gt=0, le=1, description="least share of common words in each field; a lower one drops more"
    )
    words: int = Field(
        default=1, ge=1, le=10, description="length of the runs of words that are compared; from 2 on order counts"
    )
    same_numbers: bool = Field(default=True, description="rows with different numbers are no duplicates")
    conflicts: Literal["keep_first", "drop_all"] = Field(
        default="keep_first",
        description="of rows that are equal but for the answer keep the first, or none, because one of them is wrong",
    )

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Keep the rows that repeat no earlier one, in order."""
        for name in self.fields:
            check_field([rows[position] for position in of_source(rows, self.source)], name)
        copies = self.copies(rows)
        reasons = {position: copy.reason for position, copy in copies.items()}
        if self.conflicts == "drop_all":
            reasons |= {copy.position: CONFLICT for copy in copies.values() if copy.reason == CONFLICT}
        kept = [row for position, row in enumerate(rows) if position not in reasons]
        return Applied(kept, Counter(reasons.values()))

    def copies(self, rows: Sequence[DataRow]) -> dict[int, Copy]:
        """The rows that repeat an earlier one, by position."""
        texts = {position: self._text(rows[position]) for position in of_source(rows, self.source)}
        return _copies({position: text for position, text in texts.items() if text}, self.threshold)

    def _text(self, row: DataRow) -> "_Text | None":
        """What is compared of a row; None where there is nothing to compare."""
        names, scope = self.fields, ""
        if not names and {"content", "options"} <= row.fields.keys():
            names = ("content", "options")
        elif not names:
            texts = (name for name, value in row.fields.items() if isinstance(value, str))
            names, scope = tuple(sorted(set(texts) - _NO_TEXT)), row.source
        if not all(name in row.fields for name in names):
            return None
        texts = {name: _texts(row.fields[name]) for name in names}
        answer = _texts(row.fields.get("answer"))
        text = _Text(
            scope=(scope, *names),
            same=[sorted(map(words, part)) for part in texts.values()],
            shingles=[_shingles(part, self.words) for part in texts.values()],
            numbers=[sorted(map(number_key, part)) for part in texts.values()] if self.same_numbers else [],
            answer=_shingles(answer, 1),
            answer_numbers=[number_key(part) for part in answer],
        )
        return text if any(text.shingles) else None


class _Text(NamedTuple):
    """A row in the forms that are compared; lists have an entry a field."""

    scope: tuple[str, ...]
    """Only texts of one scope are compared."""
    same: list[list[str]]
    shingles: list[frozenset[str]]
    numbers: list[list[tuple[str, ...]]]
    answer: frozenset[str]
    answer_numbers: list[tuple[str, ...]]


def _texts(value: Any) -> list[str]:
    """The texts of a field: several of a list, none of a missing value."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _shingles(texts: Sequence[str], size: int) -> frozenset[str]:
    """Every run of `size` words; a shorter text is one run."""
    found: set[str] = set()
    for text in texts:
        tokens = words(text).split()
        found.update(" ".join(tokens[at : at + size]) for at in range(max(1, len(tokens) - size + 1)) if tokens)
    return frozenset(found)


def _copies(texts: Mapping[int, _Text], threshold: float) -> dict[int, Copy]:
    """Each text against the earlier ones that were kept.

    The signatures are over the shingles of all fields at once: fields that each have the threshold in common have it in
    common together, so no copy is missed but by chance.
    """
    from datasketch import MinHash, MinHashLSH

    pooled = [
        [f"{field} {shingle}".encode() for field, shingles in enumerate(text.shingles) for shingle in shingles]
        for text in texts.values()
    ]
    index = MinHashLSH(num_perm=PERMUTATIONS, params=_bands(threshold))
    copies: dict[int, Copy] = {}
    for (position, text), signature in zip(texts.items(), MinHash.bulk(pooled, num_perm=PERMUTATIONS), strict=True):
        earlier = sorted(found for found in index.query(signature) if isinstance(found, int))
        copy = _copy(text, {found: texts[found] for found in earlier}, threshold)
        if copy:
            copies[position] = copy
        else:
            index.insert(position, signature)
    return copies


def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows of the index: as selective as can be while it misses few copies at the threshold.

    A pair of Jaccard index s becomes a candidate with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman, Ullman,
    Mining of Massive Datasets, 3.4).
    """
    rows = max(
        (r for r in range(1, PERMUTATIONS + 1) if (1 - threshold**r) ** (PERMUTATIONS // r) <= MISSED), default=1
    )
    return PERMUTATIONS // rows, rows


def _copy(text: _Text, earlier: Mapping[int, _Text], threshold: float) -> Copy | None:
    """The first earlier text that this one nearly repeats, or else contradicts."""
    alike = {position: other for position, other in earlier.items() if _alike(text, other, threshold)}
    for position, other in alike.items():
        if _same_answer(text, other):
            return Copy(position, NEAR)
    return next((Copy(position, CONFLICT) for position, other in alike.items() if text.same == other.same), None)


def _alike(one: _Text, other: _Text, threshold: float) -> bool:
    if one.scope != other.scope or one.numbers != other.numbers:
        return False
    return all(_jaccard(a, b) >= threshold for a, b in zip(one.shingles, other.shingles, strict=True))


def _same_answer(one: _Text, other: _Text) -> bool:
    return one.answer_numbers == other.answer_numbers and _jaccard(one.answer, other.answer) >= SAME_ANSWER


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0


STEP = NearDuplicates
