"""Exact match of the final answer: fact checking and numerical reasoning of TableBench.

Source: Wu et al. 2024, TableBench, arXiv 2408.09174; `paper` follows the OpenCompass fork of the reference system.
"""

from typing import Literal

from tasks.final_answer import MARKER, bare_words, final_answer, same_answer
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample


class TableExact(Record):
    """1 when the text after `Final Answer:` equals the reference, case and punctuation ignored, else 0.

    Without the marker the whole text is compared. `paper` reads the first marker and lets `-12.5` equal `12 5`;
    `honest` reads the last one and keeps sign and decimal point where both sides are numbers. It accepts nothing else
    that `paper` refuses: `1,234` is not `1234`. In a task file: `scorer: {name: table_exact}`.
    """

    name: Literal["table_exact"] = "table_exact"
    protocol: Protocol = "honest"

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference holds no word."""
        answer = final_answer(prediction, self.protocol)
        if not bare_words(answer):
            return ItemScore(score=0, parsed=False)
        reference = final_answer(sample.answer, self.protocol)
        if not bare_words(reference):
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} holds no word")
        return ItemScore(
            score=float(same_answer(answer, reference, self.protocol)),
            parsed=True,
            extracted=answer,
        )

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description=f"A last line {MARKER!r} followed by the answer alone; several values are joined by commas.",
            example=f"The east wing sold 41 of 60 seats.\n{MARKER} 41, 68.33%",
        )


SCORER = TableExact
