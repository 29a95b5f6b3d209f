"""Multiple choice: the answer names one of the options, by its letter or by its text."""

import re
import unicodedata
from typing import Literal

from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample
from tasks.text import words

_WINDOW = 60
"""Characters before and after a letter that tell whether it stands where an answer stands; keeps the search linear."""

_LATIN = "A-Za-z0-9_\u00c0-\u024f"
_LETTER = re.compile(rf"(?<![{_LATIN}])(?<![{_LATIN}]['\u2019.&-])[A-Z](?!['\u2019.&-]?[{_LATIN}])")
_OPENS_LINE = re.compile(r"(?:^|\n)[\s*_`\"'(\[#>$\u200b\ufeff-]*$")
_CUE = re.compile(
    r"""(?:
        \b(?:answer|option|choice|choose|chose|select|pick|go(?:ing)?[ ]with|it[ ]is|it's|(?:must|should|would)[ ]be)
      | \b(?:answer|option|choice|one)\b[^.:\n]{0,30}[ ](?:is|be|was)
      | 答案|选项?|选择
    )(?:[ ]+(?:is|be|was|would|should|must|the|option|choice|letter))*
    [\s:=*_`"'(\[{$>\\为是应选-]*$""",
    re.VERBOSE | re.IGNORECASE,
)
_JOINS = re.compile(r"[\s.):\]*_]*(?:,|/|&|;|\+|and|or|\u3001|和|或|\s)[\s(\[*_]*")
_ENDS = re.compile(r"[*_`\"'$}]*(?:$|\s*\n|[).,;:!?<\]}]|\s+[-\u2013\u2014=<]|[^\x00-\u024f])")
_JUDGED = re.compile(r"[*_]*\s+(?:is|because|since|as|and|or|for|due|given)\b")
_BRACKETED = (("(", ")"), ("[", "]"), ("{", "}"))


class Choice(Record):
    """1 when the answer names the right option and no other, else 0. Letters go by position: A, B, ...

    The reference is the text or the letter of the right option. `B`, `(B)`, `B) text`, `The answer is B` and the text
    itself, alone or in a sentence, name an option; an answer that names none, or more than one, is unparsed. A letter
    counts in upper case and only where an answer stands: the article of "A bond is ..." names nothing.
    In a task file: `scorer: {name: choice, accept: letter}`.
    """

    name: Literal["choice"] = "choice"
    accept: Literal["both", "text", "letter"] = "both"
    """What may name an option."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the sample has no options, or its reference names none of them."""
        if not sample.options:
            raise ValueError(f"sample {sample.id} has no options; the scorer choice needs them")
        chosen = self._read(prediction, sample.options)
        if chosen is None:
            return ItemScore(score=0, parsed=False)
        return ItemScore(score=float(chosen in self._right(sample)), parsed=True, extracted=sample.options[chosen])

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        what = {"both": "the letter or the text", "text": "the text", "letter": "the letter"}[self.accept]
        example = "the full text of the option" if self.accept == "text" else "Answer: A"
        return AnswerContract(description=f"Names exactly one option, by {what} of it, and no other.", example=example)

    def _read(self, prediction: str, options: tuple[str, ...]) -> int | None:
        """The position of the one option that the prediction names."""
        by_text, by_letter = self.accept != "letter", self.accept != "text"
        if by_text and len(whole := _positions(prediction, options)) == 1:
            return whole[0]
        keys = [words(option) for option in options]
        if by_letter and (lettered := _lettered(prediction, keys)) is not None:
            return lettered
        texts = _named_texts(prediction, keys) if by_text else set[str]()
        letters = _named_letters(prediction, options) if by_letter else set[int]()
        if texts and letters:  # options that differ in symbols only share a key; then the letter decides
            letters = letters if texts == {keys[letter] for letter in letters} else set()
        elif texts:
            letters = {position for position, key in enumerate(keys) if key in texts}
        return letters.pop() if len(letters) == 1 else None

    def _right(self, sample: Sample) -> list[int]:
        """The right positions: several when options share the text of the reference."""
        if positions := _positions(sample.answer, sample.options):
            return positions
        letter = sample.answer.strip(" ().").upper()
        if len(letter) == 1 and 0 <= ord(letter) - ord("A") < len(sample.options):
            return [ord(letter) - ord("A")]
        if (named := self._read(sample.answer, sample.options)) is not None:
            return [named]
        raise ValueError(f"reference {sample.answer!r} of sample {sample.id} names no option by text or letter")


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).removesuffix(".")


def _positions(text: str, options: tuple[str, ...]) -> list[int]:
    """Where the options are that equal the text, symbols included."""
    folded = _fold(text)
    return [position for position, option in enumerate(options) if _fold(option) == folded]


def _lettered(prediction: str, keys: list[str]) -> int | None:
    """The option that the whole prediction consists of, letter and text: `B. C corporations`."""
    whole = words(prediction)
    found = [i for i, key in enumerate(keys) if key and whole == f" {chr(ord('a') + i)}{key}"]
    return found[0] if len(found) == 1 else None


def _named_texts(prediction: str, keys: list[str]) -> set[str]:
    """The option texts that occur as whole words, less those that lie inside a longer one of them."""
    text = words(prediction)
    named = {key for key in keys if key and key in text}
    return {key for key in named if not any(key in other for other in named - {key})}


def _named_letters(prediction: str, options: tuple[str, ...]) -> set[int]:
    """The positions of the letters that stand where an answer stands; a list such as `A, B` names each."""
    prediction = unicodedata.normalize("NFKC", prediction)  # full-width letters, brackets and colons
    named: set[int] = set()
    end = 0  # of the last letter that counted
    for match in _LETTER.finditer(prediction):
        position = ord(match.group()) - ord("A")
        before = prediction[max(0, match.start() - _WINDOW) : match.start()]
        rest = prediction[match.end() : match.end() + _WINDOW]
        near = end > 0 and match.start() - end < _WINDOW
        listed = near and _JOINS.fullmatch(prediction, end, match.start()) is not None
        opens_text = any(_fold(match.group() + rest).startswith(_fold(o)) for o in options if _begins(o, match.group()))
        if position < len(options) and not opens_text and _counts(match.group(), before, rest, listed):
            named.add(position)
            end = match.end()
    return named


def _begins(option: str, letter: str) -> bool:
    return len(option) > 2 and option.upper().startswith(f"{letter} ")


def _counts(letter: str, before: str, rest: str, listed: bool) -> bool:
    if any(before.endswith(opening) and rest.startswith(closing) for opening, closing in _BRACKETED):
        return True
    if not _ENDS.match(rest) and not _JUDGED.match(rest) and (listed or letter in "AI"):
        return False  # "A bond ..." and "I think ..." are words
    return listed or bool(_OPENS_LINE.search(before) or _CUE.search(before))


SCORER = Choice
