"""The generalist's prompt: what it knows at the beginning, then its turns, old ones shortened to a line each.

It is a pure function of records that lie on disk. So a run that was killed asks the very same again, and has the
answer out of the gateway's cache if it was given before.
"""

import json
from collections.abc import Sequence

from eval.chat_records import Message
from memory.records import Experiment
from roles.backbone import GENERALIST, Question, render
from roles.briefing import GeneralistBriefing
from roles.generalist import Allowance, Decision, Turn, desk_of
from roles.prompt_text import head

MOST_TOKENS = 24_000
"""Tokens of the prompt at most."""
BYTES_A_TOKEN = 2.8
"""UTF-8 bytes a token are taken to have: tables of numbers have 3, English more."""
REFILLED = 0.7
"""Of the prompt, to which it is shortened, so that it does not change at its beginning in every turn: providers cache
that."""
CODE = 8000
"""Characters of a text in an action, such as a script, that are shown again."""


class Conversation(Question[Decision]):
    """What the generalist asks a mind in one turn."""

    def __init__(self, opening: GeneralistBriefing, turns: Sequence[Turn], experiment: int = 1) -> None:
        """
        Args:
            turns: all turns so far.
            experiment: the one that this turn is accounted to.
        """
        super().__init__(GENERALIST, opening, Decision, experiment=experiment)
        self.opening, self.turns = opening, tuple(turns)
        self.turn = len(self.turns) + 1

    @property
    def left(self) -> Allowance:
        """What this turn may use."""
        if self.turns:
            return self.turns[-1].left
        return Allowance(remaining=self.opening.remaining, turns=self.opening.turns, train=True, evaluate=False)

    @property
    def user(self) -> str:
        """What is new: the result of the last turn, or the beginning."""
        return self._result(len(self.turns) - 1) if self.turns else super().user

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation: decisions are the assistant's, their results the user's."""
        first = super().user
        fixed = _size(self.system) + _size(_with_lines(first, len(self.turns), []))
        decisions = [_decision_text(turn) for turn in self.turns]
        results = [self._result(place) for place in range(len(self.turns))]
        lines = [line(turn) for turn in self.turns]
        whole = [_size(decision + result) for decision, result in zip(decisions, results, strict=True)]
        shortened, left_out = _cut(fixed, whole, [_size(text) + 1 for text in lines])
        if shortened:
            first = _with_lines(first, left_out, lines[left_out:shortened])
        said = [Message(role="system", content=self.system), Message(role="user", content=first)]
        for decision, result in zip(decisions[shortened:], results[shortened:], strict=True):
            if decision:
                said += [Message(role="assistant", content=decision), Message(role="user", content=result)]
            else:  # turns are to alternate, and there is no answer to show
                said[-1] = Message(role="user", content=f"{said[-1].content.rstrip()}\n\n{result}")
        return tuple(said)

    def _result(self, place: int) -> str:
        turn = self.turns[place]
        return render("generalist.result.md", turn=turn, others=self._others(place))

    def _others(self, place: int) -> list[Experiment]:
        """The experiments that were evaluated before a turn, the untouched model first."""
        turn = self.turns[place]
        tried = [*self.opening.trials, *desk_of(self.turns[:place]).experiments]
        return [one for one in tried if one.feedback and not (turn.experiment and turn.experiment.number == one.number)]


def _with_lines(first: str, left_out: int, lines: Sequence[str]) -> str:
    """The first message with what became of old turns."""
    return render("generalist.earlier.md", opening=first, left_out=left_out, lines=lines)


def line(turn: Turn, *, brief: bool = False) -> str:
    """A turn on one line.

    Args:
        brief: without recipe, configuration and thought.
    """
    text = render("generalist.line.md", turn=turn, whole=not brief)
    return " ".join(text.split())


def _cut(fixed: int, whole: Sequence[int], lines: Sequence[int]) -> tuple[int, int]:
    """How many turns are shortened to lines, and how many of these are left out, oldest first.

    Found as if the conversation grew turn by turn, so that what is shortened once stays so. The last turn stays whole.

    Args:
        fixed: size of what is always there.
        whole, lines: size of each turn as it is, and on a line.
    """
    most = MOST_TOKENS * BYTES_A_TOKEN
    shortened = left_out = 0

    def size(turns: int) -> int:
        return fixed + sum(lines[left_out:shortened]) + sum(whole[shortened:turns])

    for turns in range(1, len(whole) + 1):
        if size(turns) > most:
            while shortened < turns - 1 and size(turns) > REFILLED * most:
                shortened += 1
            while left_out < shortened and size(turns) > most:
                left_out += 1
    return shortened, left_out


def _size(text: str) -> int:
    return len(text.encode())


def _decision_text(turn: Turn) -> str:
    """A decision as JSON, long texts in it cut; empty when there was none."""
    if turn.reply.decision is None:
        return ""
    decision = turn.reply.decision.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(_shortened(decision), ensure_ascii=False)


def _shortened(value: object) -> object:
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return head(value, CODE) if isinstance(value, str) else value
