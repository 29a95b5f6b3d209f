"""The letter of one of four options, as FinanceIQ asks for it (https://huggingface.co/datasets/Duxiaoman-DI/FinanceIQ)."""

import re
import unicodedata
from typing import Literal

from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

MAX_CHARACTERS = 20_000
"""Under the protocol `honest` a longer answer is read at its end."""

_LETTER = r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9][.&'/-])[A-D](?![A-Za-z0-9_股]|[&'/-][A-Za-z0-9])"
"""Alone: not in a word, in `R&D` or `U.S.A`, nor the A of A-shares (`A股`)."""
_GLUE = (
    r"(?:[\s:=*_`\"'(\[{<>$\\|\u3010\u300c\u300e\u300a\u201c\u2018]|[是为應应该該当選选擇择項项]"
    r"|(?i:is|was|be|should|must|option|choice|text|boxed))*+"
)
"""Blanks, colons, opening brackets and quotes, and words such as `is` and `应选`."""
_ALONE = re.compile(_LETTER)
_MARKED = re.compile(rf"(?:答案|(?i:answers?)){_GLUE}({_LETTER})")


class Letter(Record):
    """1 when the answer names the letter A to D of the reference, else 0.

    The letter is the last one that follows "答案" or "answer" (`答案是: B`, `The answer is (B), because of the ROE`);
    where none does, the last capital A to D that stands alone. Under `paper` it is the last upper-case character of the
    output, so the second example is the answer E (a quirk). In a task file: `scorer: {name: letter, protocol: honest}`.
    """

    name: Literal["letter"] = "letter"
    protocol: Protocol = "honest"

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference names no letter A to D."""
        letter = _last_capital(prediction) if self.protocol == "paper" else _named(prediction)
        if letter is None:
            return ItemScore(score=0, parsed=False)
        reference = _named(sample.answer)
        if reference is None:
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} names no letter A to D")
        return ItemScore(score=float(letter == reference), parsed=True, extracted=letter)

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(description="The letter of one option, A to D, after 答案 or alone.", example="答案是: B")


def _last_capital(text: str) -> str | None:
    """Upper case in the sense of Unicode: `É` and `Ⅳ` count too."""
    return next((character for character in reversed(text) if character.isupper()), None)


def _named(text: str) -> str | None:
    text = unicodedata.normalize("NFKC", text[-MAX_CHARACTERS:])  # full-width letters, colons and brackets
    found: list[str] = _MARKED.findall(text) or _ALONE.findall(text)
    return found[-1] if found else None


SCORER = Letter
