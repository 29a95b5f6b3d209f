"""Data analysis of TableBench (Wu et al. 2024, arXiv 2408.09174): each sub-type has a measure of its own."""

import re
from typing import Literal

from tasks.final_answer import MARKER, MAX_CHARACTERS, bare_words, final_answer, same_answer
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

Measure = Literal["near", "exact", "overlap"]

TOLERANCE = 0.1
"""Largest difference of a near number, as a part of the reference."""
ZERO = 1e-6
"""What is nearer to a reference of zero counts as zero."""
MAX_WORDS, MAX_REFERENCE_WORDS = 4_000, 1_000
"""Words that ROUGE-L compares: the table of the longest common subsequence grows with both lengths."""
RECURSION = 960
"""Steps back through that table which the `rouge` package can do before Python's recursion limit stops it."""

_MEASURES: dict[str, Measure] = {
    "CorrelationAnalysis": "near",
    "TrendForecasting": "near",
    "StatisticalAnalysis": "near",
    "ImpactAnalysis": "exact",
    "CausalAnalysis": "overlap",
    "DescriptiveAnalysis": "overlap",
    "AnomalyDetection": "overlap",
    "correlation": "near",
    "trend": "near",
    "statistical": "near",
    "impact": "exact",
    "causal": "overlap",
    "descriptive": "overlap",
    "anomaly": "overlap",
    "other": "overlap",
}
_BY_GROUP: dict[str, Measure] = {name.lower(): measure for name, measure in _MEASURES.items()}
_NUMBER = re.compile(r"-?\d+\.?\d*")


class TableAnalysis(Record):
    """The text after `Final Answer:` against the reference, by the sub-type that `sample.group` names (any case).

    Correlation, trend and statistical: 1 when the first number is within 10 % of the first number of the reference.
    Impact: equality as in the scorer `table_exact`. Every other: the F measure of ROUGE-L, between 0 and 1, also in
    `metrics` as `rouge_l`; it compares sets of words sentence by sentence, as the package `rouge` 1.0.1 does. `paper`
    keeps the 1e-8 that the package adds (a perfect match is 0.999999995) and its failure on a sentence that is too long
    for its recursion, reads the first marker, leaves the reference whole and takes no answer for the word "empty".
    In a task file: `scorer: {name: table_analysis}`.
    """

    name: Literal["table_analysis"] = "table_analysis"
    protocol: Protocol = "honest"

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the group is unknown or the reference holds no word."""
        answer = final_answer(prediction, self.protocol)
        parsed = self.parses(prediction)
        if not parsed and self.protocol == "honest":
            return ItemScore(score=0, parsed=False)
        measure = _BY_GROUP.get(sample.group.lower())
        if measure is None:
            known = ", ".join(_MEASURES)
            raise ValueError(f"sample {sample.id} has the unknown group {sample.group!r}; known groups: {known}")
        if not bare_words(sample.answer):
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} holds no word")
        value = self._compare(measure, answer, sample.answer)
        return ItemScore(
            score=value,
            parsed=parsed,
            extracted=answer if parsed else None,
            metrics={"rouge_l": value} if measure == "overlap" else {},
        )

    def parses(self, text: str) -> bool:
        """Whether an answer holds a word: each sub-type can read it then."""
        return bool(bare_words(final_answer(text, self.protocol)))

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description=f"A last line {MARKER!r} followed by the answer: one line, of the form the question asks for.",
            example=f"Sales and rainfall rise together.\n{MARKER} Strong positive correlation, 0.81",
        )

    def _compare(self, measure: Measure, answer: str, reference: str) -> float:
        if measure == "overlap":
            if self.protocol == "honest":
                return overlap_honest(answer, final_answer(reference, self.protocol))
            return overlap_paper(answer or "empty", reference.strip())
        reference = final_answer(reference, self.protocol)
        if measure == "exact":
            return float(same_answer(answer, reference, self.protocol))
        return float(near(answer, reference))


def near(answer: str, reference: str) -> bool:
    """Whether the first numbers (commas and percent signs deleted) are near, or the texts equal without numbers."""
    value, wanted = _number(answer), _number(reference)
    if value is None or wanted is None:
        return answer.strip().lower() == reference.strip().lower()
    return abs(value - wanted) / abs(wanted) <= TOLERANCE if wanted else abs(value) < ZERO


def _number(text: str) -> float | None:
    found = _NUMBER.search(text.replace(",", "").replace("%", ""))
    return float(found.group()) if found else None


def overlap_honest(answer: str, reference: str) -> float:
    """ROUGE-L F of two texts; 0 when one has no words."""
    common, words, wanted, _ = _overlap(answer, reference)
    return 2 * common / (words + wanted) if common else 0.0


def overlap_paper(answer: str, reference: str) -> float:
    """ROUGE-L F as the `rouge` package 1.0.1 prints it; 0 where it raises an error."""
    common, words, wanted, depth = _overlap(answer, reference)
    if not words or not wanted or depth > RECURSION:
        return 0.0
    precision, recall = common / words, common / wanted
    return 2 * (precision * recall / (precision + recall + 1e-8))


def _overlap(answer: str, reference: str) -> tuple[int, int, int, int]:
    """How many different words are common, in the answer and in the reference, and the longest way through a table.

    Common are the words in the longest common subsequence of any sentence with any sentence (Lin 2004, section 3.2,
    without counting a word twice).
    """
    sentences, wanted = _sentences(answer, MAX_WORDS), _sentences(reference, MAX_REFERENCE_WORDS)
    common: set[str] = set()
    depth = 0
    for sentence in sentences:
        for other in wanted:
            shared, steps = _common_words(other, sentence)
            common |= shared
            depth = max(depth, steps)
    return len(common), len(set().union(*sentences)), len(set().union(*wanted)), depth


def _sentences(text: str, most: int) -> set[tuple[str, ...]]:
    """The words of each piece between full stops, in lower case; a piece of blanks is one empty word."""
    kept = " ".join(text[:MAX_CHARACTERS].lower().split()[:most])
    return {tuple(" ".join(piece.split()).split(" ")) for piece in kept.split(".") if piece}


def _common_words(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[set[str], int]:
    """The different words of one longest common subsequence, and the steps to walk it back from the end.

    Where several are longest, the walk takes the one that the package takes: it leaves `second` first.
    """
    if set(first).isdisjoint(second):
        return set(), len(second) + 1
    rows = [[0] * (len(second) + 1)]
    for word in first:
        above, left, row = rows[-1], 0, [0]
        for other, corner, up in zip(second, above, above[1:], strict=False):
            left = corner + 1 if word == other else max(left, up)
            row.append(left)
        rows.append(row)
    i, j, steps = len(first), len(second), 1
    shared: set[str] = set()
    while i and j:
        steps += 1
        if first[i - 1] == second[j - 1]:
            shared.add(first[i - 1])
            i, j = i - 1, j - 1
        elif rows[i - 1][j] > rows[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return shared, steps


SCORER = TableAnalysis
