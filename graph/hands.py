"""The generalist's actions, carried out by the same functions as those of the roles, and kept turn by turn.

What is done again after a crash is read back where it was finished: each function here rests on idempotent ones.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from graph import actions, preparation
from graph.context import RunContext
from graph.decisions import what_is_left
from graph.experiment import may_be_repaired, seconds_of, time_limit
from graph.surveying import spread
from memory.records import Experiment
from roles.briefing import GeneralistBriefing
from roles.generalist import (
    Allowance,
    Call,
    Desk,
    Evaluate,
    Example,
    Look,
    Looked,
    Prepare,
    Prepared,
    Reply,
    Train,
    Turn,
    desk_of,
)
from roles.prompt_text import head
from tasks.failure import StageError
from tasks.record import read_jsonl

LOOK_BYTES = 12_000
"""Bytes in UTF-8 that one look shows at most."""
ROW_BYTES = 4000
"""The same of a row, when few are looked at."""


class Bench(NamedTuple):
    """Where the generalist works: its run, what it was told at the beginning, and its turns so far."""

    context: RunContext
    opening: GeneralistBriefing
    turns: Sequence[Turn]

    @property
    def desk(self) -> Desk:
        """What the turns have brought."""
        return desk_of(self.turns)

    @property
    def untouched(self) -> Experiment:
        """Experiment 0."""
        return self.opening.trials[0]

    @property
    def trials(self) -> list[Experiment]:
        """The untouched model and the experiments that count: not one whose training may be tried again."""
        return [self.untouched, *(one for one in self.desk.experiments if not self._is_open(one))]

    def _is_open(self, experiment: Experiment) -> bool:
        if experiment.failure is None or experiment.training is not None:
            return False
        failed = [turn for turn in self.turns if turn.experiment and turn.experiment.number == experiment.number]
        return may_be_repaired(experiment.failure, len(failed))

    def allowance(self) -> Allowance:
        """What is left, and whether it is enough for a training or for an evaluation."""
        trials, budget = self.trials, self.context.budget
        left = budget.seconds_left(trials)
        waiting = any(one.training and not one.feedback and not one.failure for one in trials)
        return Allowance(
            remaining=what_is_left(self.context, trials),
            turns=self.opening.turns - len(self.turns),
            train=budget.allows_another(trials),
            evaluate=waiting and (left is None or left > budget.evaluation_seconds(trials)),
        )


def carry_out(bench: Bench, reply: Reply) -> Turn:
    """Do what was decided, unless it was refused; a failure becomes part of the turn."""
    turn: dict[str, Any] = {"number": len(bench.turns) + 1, "reply": reply}
    if reply.decision and not reply.refused:
        try:
            turn |= _done(bench, reply.decision.call)
        except StageError as error:
            turn["failure"] = error.failure
            if isinstance(reply.decision.call, Train | Evaluate):
                turn["experiment"] = _failed(bench, reply.decision.call, error)
    return _with_allowance(bench, turn)


def _with_allowance(bench: Bench, turn: dict[str, Any]) -> Turn:
    """The turn with what is left after it."""
    taken = Turn(**turn, left=bench.allowance())
    return taken.model_copy(update={"left": bench._replace(turns=[*bench.turns, taken]).allowance()})


def _done(bench: Bench, call: Call) -> dict[str, Any]:
    """What an action brings, by the field of `Turn` that holds it."""
    match call:
        case Look():
            return {"looked": look(bench, call)}
        case Prepare():
            return {"prepared": prepare(bench, call)}
        case Train():
            return {"experiment": train(bench, call)}
        case Evaluate():
            return {"experiment": evaluate(bench.context, bench.desk.experiments[call.experiment - 1])}
        case _:
            return {}


def look(bench: Bench, call: Look) -> Looked:
    """Rows of the training-only corpus.

    Raises:
        StageError: CONFIG, the condition is no expression; SANDBOX or TIMEOUT, it takes too much.
    """
    if call.where is None:
        rows = read_jsonl(bench.context.corpus / f"{call.source}.jsonl")
    else:
        rows = (row["fields"] for row in read_jsonl(bench.context.pipeline.matching(call.source, call.where)))
    return _cut_rows(rows, call)


def _cut_rows(rows: Iterable[dict[str, Any]], call: Look) -> Looked:
    last = None if call.spread else call.first + call.count - 1
    found, shown = 0, list[dict[str, Any]]()
    for found, row in enumerate(rows, start=1):
        if call.first <= found and (last is None or found <= last):
            shown.append(row)
    shown = list(spread(shown, call.count)) if call.spread else shown
    most = min(ROW_BYTES, LOOK_BYTES // max(1, len(shown)))
    return Looked(rows=tuple(_cut_row(row, most) for row in shown), found=found)


def _cut_row(row: dict[str, Any], most: int) -> str:
    """A row as JSON; where it is too long its longest values are cut to one length, and in the end the row."""
    whole = json.dumps(row, ensure_ascii=False)
    if len(whole.encode()) <= most:
        return whole

    def cut(length: int) -> str:
        texts = {name: head(value, length) if isinstance(value, str) else value for name, value in row.items()}
        return json.dumps(texts, ensure_ascii=False)

    fits = bisect_left(range(most), True, key=lambda length: len(cut(length).encode()) > most)
    return head(cut(max(0, fits - 1)), most)


def prepare(bench: Bench, call: Prepare) -> Prepared:
    """Carry out a recipe; what `rejection_sample` calls the best is the experiment with the best feedback score."""
    context, number = bench.context, len(bench.desk.prepared) + 1
    folder = context.run.file(f"prepared/{number:03d}")
    best = best_by_feedback(bench.trials, bench.opening)
    models = preparation.model_access(context, call.recipe, best.training)
    limit = preparation.row_limit(context)
    data = preparation.prepare_data(context, next_number(bench), call.recipe, limit, models, folder)
    data = data.model_copy(update={"best": best.number})
    rows = preparation.gated_rows(context, call.recipe, limit, models, folder)
    shown = [rows[place] for place in sorted({len(rows) * sixth // 6 for sixth in (1, 3, 5)})]
    examples = tuple(Example(source=row["source"], prompt=row["prompt"], answer=row["answer"]) for row in shown)
    return Prepared(number=number, recipe=call.recipe, data=data, examples=examples)


def next_number(bench: Bench) -> int:
    """The number of the experiment that the next training makes, or makes again."""
    return len(bench.trials)


def best_by_feedback(trials: Iterable[Experiment], opening: GeneralistBriefing) -> Experiment:
    """The experiment with the best score on feedback; of equals the first, which may be the untouched model."""
    sign = 1 if opening.survey.task.metric.direction == "up" else -1
    scored = [(one, one.feedback.score) for one in trials if one.feedback and not one.failure]
    return max(scored, key=lambda found: (sign * found[1], -found[0].number))[0]


def train(bench: Bench, call: Train) -> Experiment:
    """Train on prepared rows, once for each replicate; the time limit is that of the roles' trainings."""
    context, number = bench.context, next_number(bench)
    limit = time_limit(context, bench.trials)
    prepared = bench.desk.prepared[call.data - 1]
    first, *_ = [
        actions.train(context, number, prepared.data, call.config, replicate, limit)
        for replicate in range(context.config.replicates)
    ]
    made = _begun(bench, call).model_copy(update={"training": first})
    return made.model_copy(update={"seconds": seconds_of(context, number)})


def _begun(bench: Bench, call: Train) -> Experiment:
    """The experiment as far as it is known before its training."""
    prepared, untouched = bench.desk.prepared[call.data - 1], bench.untouched
    return Experiment(
        run=untouched.run,
        task=untouched.task,
        domain=untouched.domain,
        model=untouched.model,
        number=next_number(bench),
        recipe=prepared.recipe,
        data=prepared.data,
        config=call.config,
    )


def evaluate(context: RunContext, experiment: Experiment) -> Experiment:
    """Score an experiment on feedback. Its items stay here: who asked writes the training data, too."""
    feedback = actions.evaluate(context, experiment.number, "feedback", experiment.training)
    seconds = seconds_of(context, experiment.number)
    return experiment.model_copy(update={"feedback": feedback, "seconds": seconds})


def _failed(bench: Bench, call: Train | Evaluate, error: StageError) -> Experiment:
    begun = _begun(bench, call) if isinstance(call, Train) else bench.desk.experiments[call.experiment - 1]
    seconds = seconds_of(bench.context, begun.number)
    return begun.model_copy(update={"failure": error.failure, "seconds": seconds})
