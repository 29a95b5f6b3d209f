"""Which of many terms stand in a text. Terms and texts are in the form of `tasks.question.compared`."""

from collections import Counter, defaultdict
from collections.abc import Iterable


class Terms:
    """Terms that may stand in texts."""

    def __init__(self, terms: Iterable[str]) -> None:
        terms = {term for term in terms if term}
        frequency = Counter(word for term in terms for word in set(term.split()))
        self._terms: dict[str, list[str]] = defaultdict(list)  # by their rarest word
        for term in sorted(terms):
            self._terms[min(term.split(), key=lambda word: (frequency[word], word))].append(term)

    def named(self, text: str) -> set[str]:
        """The terms that a text names."""
        return {term for word in set(text.split()) for term in self._terms.get(word, ()) if term in text}


class Owners:
    """Whose terms stand in a text."""

    def __init__(self, pairs: Iterable[tuple[str, int]]) -> None:
        """Index terms with the number of an owner."""
        self._owners: dict[str, list[int]] = defaultdict(list)
        for term, owner in pairs:
            self._owners[term].append(owner)
        self._terms = Terms(self._owners)

    def of(self, text: str) -> set[int]:
        """The owners of the terms that a text names."""
        return {owner for term in self._terms.named(text) for owner in self._owners[term]}
