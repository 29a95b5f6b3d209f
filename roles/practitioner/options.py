"""The moves that can be made from an experiment, with what they promise and what they cost."""

from collections.abc import Iterable
from typing import NamedTuple

from memory.records import Experiment
from roles.briefing import Recollection, Survey
from roles.practitioner.costs import affordable, tokens_of
from roles.practitioner.design import design_of, recipe_of
from roles.practitioner.expectations import Expectation, all_known, expect
from roles.practitioner.moves import DataMove, Move, changed_config, changes_something, move_of
from roles.practitioner.rules import suspicions
from roles.practitioner.rules.view import Suspicion, View
from roles.practitioner.spending import fair_share, share_of
from tasks.record import digest
from tasks.task import Metric


class Option(NamedTuple):
    """A move that could be made now."""

    move: Move
    suspicion: Suspicion
    expected: Expectation
    share: float
    """Part of the time left that it takes."""
    fair: float
    """Part that one experiment may take without taking it from others."""

    @property
    def worth(self) -> float:
        """The expected effect; divided by the number of fair shares that the move takes, if that is more than one."""
        effect = self.expected.effect
        return effect / max(1.0, self.share / self.fair) if effect > 0 else effect

    def reason(self, metric: Metric) -> str:
        """The rule with its numbers, and what the expectation rests on."""
        return f"Rule {self.suspicion.cause}: {self.suspicion.reason} {self.expected.basis(metric)}"


def rank(view: View, recalled: Iterable[Recollection]) -> list[Option]:
    """The moves that can be made from the view's parent, the most promising first; of two that lead to the same, one.

    A move is passed over when it was made from this parent before, changes nothing, cannot be afforded, or leads to a
    recipe and configuration that was tried on this task and model, in this run or in a remembered one.
    """
    parent, known = view.parent, all_known(view.trials, recalled)
    made = {move_of(one) for one in known if one.plan and (one.run, one.plan.parent) == (parent.run, parent.number)}
    tried = {signature for one in known if _alike(one, parent) for signature in signatures_of(one)}
    options: dict[frozenset[str], Option] = {}
    for suspicion in suspicions(view):
        for move, prior in suspicion.moves:
            if move.name in made or not changes_something(move, parent, view.survey):
                continue
            if not affordable(move, parent, view.survey, view.remaining):
                continue
            place = frozenset(signatures_of(_after(move, parent, view.survey)))
            expected = expect(move, prior, parent.task, parent.model, known)
            if place.isdisjoint(tried) and (place not in options or expected.effect > options[place].expected.effect):
                share = share_of(tokens_of(move, parent, view.survey), view.remaining)
                options[place] = Option(move, suspicion, expected, share, fair_share(view.remaining))
    return sorted(options.values(), key=lambda option: -option.worth)


def _alike(one: Experiment, other: Experiment) -> bool:
    return (one.task, one.model) == (other.task, other.model)


def signatures_of(trial: Experiment) -> set[str]:
    """What tells two experiments apart, without reasons: configuration and recipe, and configuration and rows.

    Two recipes can leave the same rows. An experiment that has no configuration, or no data, has no such signature.
    """
    recipe, config, data = trial.recipe, trial.config, trial.data
    if config is None:
        return set()
    setting = config.model_dump(exclude={"reason", "max_length"})
    made = {digest([setting, recipe.sources, recipe.steps])} if recipe else set[str]()
    return made | ({digest([setting, data.content_hash])} if data else set())


def _after(move: Move, parent: Experiment, survey: Survey) -> Experiment:
    """The experiment that a move leads to, as far as it is known before; its parent has recipe and configuration."""
    if parent.recipe is None or parent.config is None:
        return parent
    if isinstance(move, DataMove):
        changed = move.change(design_of(parent.recipe, survey), survey, parent.data)
        return parent.model_copy(update={"recipe": recipe_of(changed, survey, ""), "data": None})
    return parent.model_copy(update={"config": changed_config(parent.config, move)})
