"""A mind that says again what was said in another run: `recorded:FILE`, FILE being the `transcript.jsonl` of that run.

A decision is found by its role, its experiment and how many complaints went before it, or by the number of the
generalist's turn, so a resumed run finds its place. What a person changed in that run is said as it was changed, and
what was sent back is left out. Nothing is asked of anybody and nothing is spent.
"""

import re
from collections import Counter
from pathlib import Path

from pydantic import ValidationError

from roles.backbone import PERSON, D, Exchange, Question, Usage, read_exchanges
from roles.briefing import PlannerBriefing
from tasks.failure import FailureKind, InputError, StageError
from tasks.record import explain

LIKE = 0.5
"""Share of the lines of a prompt that the recorded one must have in common with it."""


class Recorded:
    """The decisions of a transcript."""

    def __init__(self, spec: str) -> None:
        """
        Raises:
            InputError: the file is missing, or is no transcript (it names the line).
        """
        self.name = spec
        path = Path(spec.partition(":")[2])
        self._exchanges: dict[tuple[str, int, int], Exchange] = {}
        for exchange in read_exchanges(path):
            self._add(exchange)
        if not self._exchanges:
            raise InputError(f"{path} holds no decisions")

    def _add(self, exchange: Exchange) -> None:
        """Take a line of the transcript: of a person, who overrules what came before it, or of a mind.

        A run that was killed while it kept a decision asked again: the later one counts.
        """
        role, place = exchange.role, exchange.turn or exchange.experiment
        if exchange.usage.mind != PERSON:
            self._exchanges[role, place, exchange.complaints] = exchange
            return
        overruled = [self._exchanges.pop(key) for key in list(self._exchanges) if key[:2] == (role, place)]
        if exchange.refused is None and overruled:
            said = {"decision": exchange.decision, "refused": None, "failure": exchange.failure}
            self._exchanges[role, place, 0] = overruled[-1].model_copy(update=said)

    def decide(self, question: Question[D]) -> tuple[D, Usage]:
        """The recorded decision.

        Raises:
            StageError: as it was recorded; PROVIDER when the recording ends earlier, was made of another question, or
                its decision does not fit the schema of today.
        """
        if _sent_back(question):
            raise self._drifted(question, "has no other plan than the one that was sent back")
        place = (question.role, question.turn or question.experiment, len(question.complaints))
        exchange = self._exchanges.get(place)
        if exchange is None:
            refused = f" after {len(question.complaints)} refusals" if question.complaints else ""
            raise self._drifted(question, f"has no decision{refused}")
        # The result of a turn is short, and the measured figures in it, such as seconds, are others each time.
        common = likeness(*(_masked(text) if question.turn else text for text in (exchange.user, question.user)))
        if common < LIKE:
            raise self._drifted(question, f"was made of another question: {common:.0%} of its lines are the same")
        if exchange.failure:
            raise StageError(exchange.failure.stage, exchange.failure.kind, exchange.failure.message)
        try:
            decision = question.schema.model_validate(exchange.decision)
        except ValidationError as error:
            raise self._drifted(question, f"holds a decision that is none any more: {explain(error)}") from None
        return decision, Usage(mind=exchange.usage.mind, likeness=round(common, 3))

    def _drifted(self, question: Question[D], why: str) -> StageError:
        place = f"turn {question.turn}" if question.turn else f"experiment {question.experiment}"
        message = f"{self.name}: the recording of {question.role} in {place} {why}"
        return StageError(question.role, FailureKind.PROVIDER, message)


def _masked(text: str) -> str:
    """A text without its figures."""
    return re.sub(r"\d+(?:\.\d+)?", "#", text)


def _sent_back(question: Question[D]) -> bool:
    """Whether a person sent back the recorded plan in this run."""
    briefing = question.briefing
    declined = briefing.declined if isinstance(briefing, PlannerBriefing) else ()
    return any(review.experiment == question.experiment for review in declined)


def likeness(one: str, other: str) -> float:
    """Share of the lines of the longer text that the other one has, too; 1 for two empty texts."""
    ours, theirs = (Counter(line.strip() for line in text.splitlines() if line.strip()) for text in (one, other))
    return (ours & theirs).total() / max(ours.total(), theirs.total(), 1) if ours or theirs else 1.0
