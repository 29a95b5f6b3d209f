"""The rules every fact of the starter task has to keep, checked before anything is generated from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tasks.starter.fact_files import Aspect, Fact

NGRAM = 13
MAX_JACCARD = 0.6
DEFINITION_WORDS = (4, NGRAM - 1)  # shorter than an n-gram, so that a definition alone is never a shared one
ANSWER_WORDS = (1, 8)
FACTS = 50  # a subject
ASPECTS = 1
PHRASINGS = 2
DISTRACTORS = 3


def normalise(text: str) -> str:
    """Lower case, punctuation turned into spaces, white space squeezed."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def ngrams(text: str, size: int = NGRAM) -> set[str]:
    """All runs of `size` words of the normalised text."""
    words = normalise(text).split()
    return {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}


def jaccard(left: str, right: str) -> float:
    """Shared words over all words of two texts, 1.0 for two texts of the same words."""
    a, b = set(normalise(left).split()), set(normalise(right).split())
    return len(a & b) / len(a | b) if a | b else 1.0


def options_clash(options: Sequence[str]) -> bool:
    """True if two options are equal or one contains another, whatever the case."""
    lowered = [option.lower().strip() for option in options]
    return any(a in b for i, a in enumerate(lowered) for j, b in enumerate(lowered) if i != j)


def check_facts(facts: dict[str, list[Fact]]) -> None:
    """Raise ValueError naming file and term at the first fact that breaks a rule."""
    asked: dict[str, str] = {}
    for subject, entries in facts.items():
        terms = [fact.term for fact in entries]
        if len(entries) != FACTS:
            raise ValueError(f"{subject}.yaml: exactly {FACTS} facts are needed, not {len(entries)}")
        for fact in entries:
            where = f"{subject}.yaml: {fact.term}"
            if terms.count(fact.term) > 1:
                raise ValueError(f"{where}: the term occurs more than once")
            _check_fact(where, fact, terms)
            _check_asked_once(where, fact, asked)


def _check_fact(where: str, fact: Fact, terms: Sequence[str]) -> None:
    _check_length(where, "definition", fact.definition, DEFINITION_WORDS)
    if f" {normalise(fact.term)} " in f" {normalise(fact.definition)} ":
        raise ValueError(f"{where}: the definition contains the term")
    unknown = [name for name in fact.near if name not in terms or name == fact.term]
    if unknown:
        raise ValueError(f"{where}: near names {unknown}, not another term of the subject")
    if len(fact.aspects) != ASPECTS:
        raise ValueError(f"{where}: exactly {ASPECTS} aspect is needed, not {len(fact.aspects)}")
    for aspect in fact.aspects:
        _check_aspect(where, aspect)
    _check_rewording(where, fact)


def _check_aspect(where: str, aspect: Aspect) -> None:
    for key, phrasings in (("ask_train", aspect.ask_train), ("ask_bench", aspect.ask_bench)):
        if len(phrasings) != PHRASINGS:
            raise ValueError(f"{where}: {key} needs {PHRASINGS} phrasings, not {len(phrasings)}")
    _check_length(where, "answer", aspect.answer, ANSWER_WORDS)
    if len(aspect.distractors) != DISTRACTORS:
        raise ValueError(f"{where}: exactly {DISTRACTORS} distractors are needed, not {len(aspect.distractors)}")
    if options_clash((aspect.answer, *aspect.distractors)):
        raise ValueError(f"{where}: one option of '{aspect.answer}' equals or contains another")


def _check_rewording(where: str, fact: Fact) -> None:
    trained = [text for aspect in fact.aspects for text in aspect.ask_train]
    for bench in (text for aspect in fact.aspects for text in aspect.ask_bench):
        for train in trained:
            if ngrams(bench) & ngrams(train):
                raise ValueError(f"{where}: '{bench}' shares {NGRAM} words in a row with '{train}'")
            if jaccard(bench, train) > MAX_JACCARD:
                raise ValueError(f"{where}: '{bench}' is too close to '{train}'")


def _check_asked_once(where: str, fact: Fact, asked: dict[str, str]) -> None:
    for text in _phrasings(fact.aspects):
        other = asked.setdefault(normalise(text), where)
        if other != where or sum(text == same for same in _phrasings(fact.aspects)) > 1:
            raise ValueError(f"{where}: '{text}' is also asked by {other}")


def _phrasings(aspects: Iterable[Aspect]) -> list[str]:
    return [text for aspect in aspects for text in (*aspect.ask_train, *aspect.ask_bench)]


def _check_length(where: str, key: str, text: str, bounds: tuple[int, int]) -> None:
    count = len(normalise(text).split())
    if not bounds[0] <= count <= bounds[1]:
        raise ValueError(f"{where}: {key} has {count} words, {bounds[0]} to {bounds[1]} are allowed")
