"""Which answers to multiple-choice questions the rest of a corpus contradicts.

The witnesses of a row (`roles/data_steps/witnesses.py`) are taken as independent, each right with a probability that
falls with the similarity of the questions and depends on the trust in its source. That is estimated from how often the
source agrees with others (Dawid and Skene 1979, Maximum likelihood estimation of observer error-rates using the EM
algorithm). What the witnesses say, the row's own answer and the affinity of question and option add up as log-odds; the
affinity decides where one row stands against another. The idea is that of edited nearest neighbours (Wilson 1972,
Asymptotic properties of nearest neighbor rules using edited data), with the row's own options for classes.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roles.data_steps.witnesses import Answered, Court, Testimony
from tasks.embedding import Embedder, SentenceEmbedder, Vectors

NEIGHBOURS = 10
SIMILARITY = 0.5
CERTAIN = 0.3
"""So far above the least similarity two questions are sure to ask the same."""
TRUST = 0.8
"""Probability that an answer is right, before anything is known of its source."""
SUREST = 0.98
"""Most that a source is trusted, and a formula."""
ROUNDS = 2
"""Times that the trust is estimated anew."""
PRIOR = 10
"""Answers that the first guess of the trust counts for."""
OWN = 0.9
"""What a row's own answer weighs, where that of a witness which is sure to be asked the same weighs 1."""
AFFINITY = 8.0
"""Log-odds of an option for each unit of its cosine with the question."""
BLOCK = 256
"""Rows that are compared with all others at a time."""

_NONE = np.zeros(0, dtype=np.intp)

Weights = NDArray[np.float64]
"""A value for each option of a row."""


class Suspicion(NamedTuple):
    """A row whose answer is less likely right than another of its options."""

    row: int
    better: int
    """Number of the option that is more likely right, from 0."""
    margin: float
    """By how much it is more likely, from 0 to 1."""


def suspicious(
    rows: Sequence[Answered],
    *,
    neighbours: int = NEIGHBOURS,
    similarity: float = SIMILARITY,
    margin: float = 0.0,
    trust: Mapping[str, float] | None = None,
    embedder: Embedder | None = None,
) -> list[Suspicion]:
    """The rows whose answers the other rows contradict, in order. Pure; takes about 3 s for 1,000 questions.

    Args:
        rows: the whole corpus, in English, which is what the embedder reads. Rows without options, or whose answer
            names none of them, are witnesses only.
        neighbours: most rows that are asked about a row.
        similarity: least cosine of the sentence vectors of two questions that may ask the same.
        margin: by how much another option must be more likely, from 0 to 1.
        trust: how often the answers of a source are right, below 1; estimated for other sources.

    Raises:
        InputError: the sentence embedder is not installed.
    """
    embedder = embedder or SentenceEmbedder()
    court = Court(rows)
    questions = embedder.embed([witness.question for witness in court.witnesses])
    said = {
        row: court.testimonies(row, {n: min(1.0, (cosine - similarity) / CERTAIN) for n, cosine in near.items()})
        for row, near in _neighbours(court, questions, neighbours, similarity)
    }
    rates = _trust(court, rows, said, trust or {})
    contested = [row for row, heard in said.items() if any(one.option != court.named[row] for one in heard)]
    texts = sorted({option for row in contested for option in rows[row].options})
    options = dict(zip(texts, embedder.embed(texts), strict=True))
    suspicions: list[Suspicion] = []
    for row in contested:
        affinity = [AFFINITY * (questions[court.place[row]] @ options[text]) for text in rows[row].options]
        likely = _likely(_own(court, rows, row), said[row], rates, np.array(affinity))
        better, lead = _best_other(likely, court.named[row])
        if lead > margin:
            suspicions.append(Suspicion(row, better, lead))
    return suspicions


def _own(court: Court, rows: Sequence[Answered], row: int) -> Testimony:
    """A row's answer as what it says of itself."""
    return Testimony(court.named[row], OWN, rows[row].source)


def _likely(own: Testimony, said: Sequence[Testimony], trust: Mapping[str | None, float], prior: Weights) -> Weights:
    """How likely each option is the right one.

    A witness that is right with probability p, and else states any of the m options, is p + (1 - p) / m to (1 - p) / m
    for the option it states.

    Args:
        prior: log-odds of the options before anything is said.
    """
    total = prior.copy()
    for one in (own, *said):
        right = trust[one.source] * one.sure
        total[one.option] += math.log(1 + len(prior) * right / (1 - right))
    likely = np.exp(total - total.max())
    return likely / likely.sum()


def _best_other(likely: Weights, named: int) -> tuple[int, float]:
    """The likeliest option beside the named one, and by how much it is more likely; negative when it is less."""
    better = max((number for number in range(len(likely)) if number != named), key=lambda number: float(likely[number]))
    return better, float(likely[better] - likely[named])


def _trust(
    court: Court, rows: Sequence[Answered], said: Mapping[int, Sequence[Testimony]], known: Mapping[str, float]
) -> dict[str | None, float]:
    """How often the answers of each source are right: as often as what they say is likely, given all that is said."""
    sources = sorted({row.source for row in rows})
    rates: dict[str | None, float] = {None: SUREST, **{source: known.get(source, TRUST) for source in sources}}
    for _ in range(ROUNDS):
        right = defaultdict[str | None, float](float)
        heard = defaultdict[str | None, float](float)
        for row, others in said.items():
            own = _own(court, rows, row)
            likely = _likely(own, others, rates, np.zeros(len(rows[row].options)))
            for one in (own, *others) if others else ():
                right[one.source] += one.sure * float(likely[one.option])
                heard[one.source] += one.sure
        for source in set(sources) - known.keys():
            rates[source] = min(SUREST, (right[source] + PRIOR * TRUST) / (heard[source] + PRIOR))
    return rates


def _neighbours(
    court: Court, questions: Vectors, most: int, similarity: float
) -> Iterator[tuple[int, dict[int, float]]]:
    """Each row whose answer names an option, with the witnesses that may be asked the same and their cosines."""
    numbers: dict[tuple[object, ...], int] = {}
    sense = np.array([numbers.setdefault(witness.sense, len(numbers)) for witness in court.witnesses])
    rows = list(court.named)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        own = [court.place[row] for row in block]
        cosines = np.where(sense[own][:, None] == sense, questions[own] @ questions.T, 0)
        cosines[range(len(own)), own] = 0
        for row, witness, near in zip(block, own, cosines, strict=True):
            similar = np.flatnonzero(near > similarity) if _is_latin(court.witnesses[witness].question) else _NONE
            nearest = similar[np.argsort(-near[similar], kind="stable")][: 4 * most].tolist()
            same = [number for number in nearest if court.may_ask_the_same(witness, number)]
            yield row, {number: float(near[number]) for number in same[:most]}


def _is_latin(text: str) -> bool:
    """Whether the embedder can tell this text from another."""
    return sum(map(str.isascii, text)) >= 0.9 * len(text)
