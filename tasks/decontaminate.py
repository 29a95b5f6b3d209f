"""Finding benchmark items among training rows, on content fields.

A leak is the same question *and* the same answer, options or numbers: a new question about the same fact is legal, even
with the same options. The same question is found

- exactly, after normalisation;
- by a shared run of 13 words (Brown et al. 2020, appendix C), of 50 characters in Chinese, Japanese and Korean; a
  benchmark question shorter than that counts when all of it recurs;
- lightly edited, when all but a word or two in one place is the same; or when most of its characters recur in runs of
  six (`tasks/resemblance.py`), and half of those around the longest shared piece: a row that quotes a definition and
  asks something else about it lacks the words around it;
- paraphrased, by the meaning of its words in English (`tasks/paraphrase.py`), by their characters in Chinese
  (`tasks/rewording.py`). A row that repeats a long piece is a quotation, which the rule before judges.

A question that stands in a row word for word is also a leak with the item's options and another answer, and so is a
problem with several numbers, whatever the row says it comes to.

What an item is about may have an identity (`tasks/identity.py`): a row with the same molecule, scaffold, table or
patent application is a leak whatever it asks. The text of a claim is its application's, too.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from tasks.identity import Sightings
from tasks.paraphrase import Paraphrases
from tasks.question import Question, is_cjk, numbers_agree, same_answer, same_numbers, same_options
from tasks.record import Record
from tasks.resemblance import Sketches, longest_shared, recurrence, runs
from tasks.rewording import Rewordings
from tasks.task import Sample

WORDS = 13
CHARACTERS = 50
SHORTEST = 4
"""A question of fewer words is found in a longer text only when it has a number, or with the same options."""
RECURRING = 0.75
RECURRING_CJK = 0.65
"""Share of a question's characters that an edited copy holds."""
MISSING = 10
MISSING_CJK = 4
"""Characters that an edited copy may lack in any case: a word, with blanks."""
CHANGED = 2
CHANGED_CJK = 3
"""Words in one place that an edited copy may have instead of others, but no more than a quarter: `country's` is two."""
SUSPECT = 0.15
"""Share of an item's runs in a row from which on the two are compared."""

Reason = Literal["exact", "n-gram", "paraphrase", "molecule", "scaffold", "table", "application"]


class Content(Record):
    """What is compared of a training row."""

    question: str
    answer: str
    options: tuple[str, ...] = ()
    prompt: str = ""
    """The whole prompt, where it holds more than the question: things with an identity are looked for in it."""
    identities: tuple[str, ...] = ()
    """Of what the raw row is about, where that is known (`tasks.identity.identities`)."""


class Decontaminator:
    """An index over the benchmark that tells which training rows leak it."""

    def __init__(self, samples: Iterable[Sample], folder: Path | None = None) -> None:
        """Index the items.

        Args:
            folder: where the sentence vectors of rows are kept for the next call; None keeps them in memory.
        """
        samples = list(samples)
        self._items = [Question(sample.content, sample.answer, sample.options) for sample in samples]
        self._claims = {
            item
            for item, sample in zip(self._items, samples, strict=True)
            if any(name.startswith("application:") for name in sample.identities)
        }
        self._exact: dict[str, list[Question]] = defaultdict(list)
        self._grams: dict[tuple[str, ...], list[Question]] = defaultdict(list)
        self._lengths: dict[tuple[str, ...], set[int]] = defaultdict(set)  # by the first words of the run
        for item in self._items:
            self._exact[item.text].append(item)
            for gram in _grams(item.text.split()):
                self._grams[gram].append(item)
                self._lengths[gram[:SHORTEST]].add(len(gram))
        self._heads = {len(head) for head in self._lengths}
        self._sketches = Sketches([item.text if len(item.text.split()) >= SHORTEST else "" for item in self._items])
        self._sightings = Sightings(name for sample in samples for name in sample.identities)
        self._paraphrases = Paraphrases(self._items, folder)
        self._rewordings = Rewordings(self._items)

    def leaks(self, contents: Iterable[Content]) -> list[Reason | None]:
        """How each row repeats a benchmark item; None when it repeats none.

        Raises:
            InputError: the sentence embedder, or RDKit where items are about molecules, is needed and not installed.
        """
        rows: list[Question] = []
        reasons: list[Reason | None] = []
        for content in contents:
            row = Question(content.question, content.answer, content.options)
            texts = (content.prompt or content.question, content.answer)
            rows.append(row)
            reasons.append(self._copied(row) or self._sightings.seen(texts, content.identities))
        for find in (self._rewordings.among, self._paraphrases.among):
            left = [number for number, reason in enumerate(reasons) if reason is None]
            for number, found in zip(left, find([rows[number] for number in left]), strict=True):
                if found:
                    reasons[number] = "paraphrase"
        return reasons

    def copied(self, content: Content) -> Reason | None:
        """Whether a row repeats an item word for word or nearly so: the exact and the n-gram rules alone.

        Returns:
            Also `application` for the text of a claim.
        """
        return self._copied(Question(content.question, content.answer, content.options))

    def _copied(self, row: Question) -> Reason | None:
        if any(_gives_away(row, item) for item in self._exact.get(row.text, ())):
            return "exact"
        found: set[str] | None = None
        for item in self._sharing_a_run(row):
            if _gives_away(row, item):
                return "n-gram"
            if item in self._claims:
                found = found or runs(row.text)
                if recurrence(item.text, found) >= RECURRING:
                    return "application"
        found = found or runs(row.text)
        near = (self._items[position] for position in self._sketches.candidates(found, SUSPECT))
        return "n-gram" if any(_is_edited(row, item, found) for item in near) else None

    def _sharing_a_run(self, row: Question) -> set[Question]:
        tokens = row.text.split()
        found: set[Question] = set()
        for head in self._heads:
            for start, first in enumerate(zip(*(tokens[offset:] for offset in range(head)), strict=False)):
                for length in self._lengths.get(first, ()):
                    found.update(self._grams.get(tuple(tokens[start : start + length]), ()))
        return found


def _gives_away(row: Question, item: Question) -> bool:
    """Of a row with a run of the item: by its answer; or, where the whole question stands, by its options or numbers. A
    short question in a longer text takes both."""
    if not numbers_agree(row, item):
        return False
    answered, whole = same_answer(row, item), item.text in row.text
    if row.text != item.text and len(item.text.split()) < SHORTEST:
        return answered and whole and (bool(item.numbers) or same_options(row, item))
    return answered or (whole and (same_options(row, item) or same_numbers(row, item)))


def _is_edited(row: Question, item: Question, found: set[str]) -> bool:
    """Most of the item recurs, and of what surrounds the longest shared piece at least half, or nearly all."""
    if not (numbers_agree(row, item) and same_answer(row, item)):
        return False
    if _is_reworded_once(row, item):
        return True
    least, word = (RECURRING_CJK, MISSING_CJK) if is_cjk(item.text) else (RECURRING, MISSING)
    share = recurrence(item.text, found)
    if share < least:
        return False
    missing = (1 - share) * len(item.text)
    outside = len(item.text) - longest_shared(item.text, row.text)
    return missing <= max(outside / 2, word)


def _is_reworded_once(row: Question, item: Question) -> bool:
    """All but a word or two in one place is the same."""
    ours, theirs = row.text.split(), item.text.split()
    before = _agreeing(ours, theirs)
    shorter = min(len(ours), len(theirs)) - before
    after = _agreeing(ours[::-1][:shorter], theirs[::-1][:shorter])
    most = CHANGED_CJK if is_cjk(item.text) else CHANGED
    return max(len(ours), len(theirs)) - before - after <= min(most, len(theirs) // SHORTEST)


def _agreeing(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """How many words the two begin with in common."""
    differing = (place for place, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other)
    return next(differing, min(len(ours), len(theirs)))


def _grams(tokens: Sequence[str]) -> set[tuple[str, ...]]:
    size = CHARACTERS if is_cjk(" ".join(tokens)) else WORDS
    if len(tokens) < size:
        return {tuple(tokens)} if tokens else set()
    return {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}
