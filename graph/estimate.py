"""What the next experiment is expected to take, before anything is spent on it: minutes and money."""

from collections.abc import Sequence

from eval.chat_records import Spent, Tally
from graph.budget import OVERHEAD_SECONDS
from graph.context import RunContext
from memory.records import Experiment, Plan
from tasks.record import Record


class ModelCosts(Record):
    """What asking language models is expected to take."""

    tokens: int | None
    """None before the first experiment has shown what one takes."""
    dollars: float | None
    """None where `tokens` is, and where the price is unknown."""
    planned_tokens: int
    """What all plans so far took; of the next experiment, this is spent already."""
    planned_dollars: float | None
    tokens_left: int | None
    """None without a cap."""
    dollars_left: float | None
    """None without a cap."""


class Estimate(Record):
    """What one experiment takes."""

    training_minutes: float | None
    """None where nothing tells: there is no time limit, and nothing has been trained."""
    evaluation_minutes: float
    other_minutes: float
    """Start of processes, data steps, decisions."""
    minutes_left: float | None
    """For experiments; None without a time limit."""
    models: ModelCosts | None
    """None when no language model is asked."""

    @property
    def minutes(self) -> float | None:
        """All together."""
        if self.training_minutes is None:
            return None
        return self.training_minutes + self.evaluation_minutes + self.other_minutes


def estimate(context: RunContext, experiments: list[Experiment], plan: Plan) -> Estimate:
    """What a plan is expected to take.

    A training takes the share of the time that the plan gives it; without a time limit, as long as the latest one.
    """
    budget, replicates = context.budget, context.config.replicates
    training, left = budget.training_seconds(experiments, plan.budget_share), budget.seconds_left(experiments)
    if training is None:
        training = next((e.training.seconds for e in reversed(experiments) if e.training), None)
    return Estimate(
        training_minutes=None if training is None else _minutes(training * replicates),
        evaluation_minutes=_minutes(budget.evaluation_seconds(experiments) * replicates),
        other_minutes=_minutes(OVERHEAD_SECONDS),
        minutes_left=None if left is None else _minutes(left),
        models=model_costs(context.gateway.spent(), experiments) if context.gateway else None,
    )


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 1)


def model_costs(spent: Spent, experiments: Sequence[Experiment]) -> ModelCosts:
    """What language models took in an experiment so far, on average, without its plan: that is there already."""
    planner = spent.by_who.get("planner", Tally())
    others = [tally for who, tally in spent.by_who.items() if who != "planner"]
    finished = sum(experiment.number > 0 for experiment in experiments)
    tokens = dollars = None
    if finished:
        tokens = round(sum(tally.usage.total for tally in others) / finished)
        dollars = _price(others, finished)
    return ModelCosts(
        tokens=tokens,
        dollars=dollars,
        planned_tokens=planner.usage.total,
        planned_dollars=_price([planner], 1),
        tokens_left=spent.tokens_left,
        dollars_left=spent.dollars_left,
    )


def _price(tallies: Sequence[Tally], experiments: int) -> float | None:
    unknown = any(tally.unpriced for tally in tallies)
    return None if unknown else round(sum(tally.cost for tally in tallies) / experiments, 4)


def in_words(found: Estimate) -> list[str]:
    """A line about minutes and one about money."""
    return [f"time: {_time(found)}", f"money: {_money(found.models)}"]


def _time(found: Estimate) -> str:
    parts = f"evaluation {found.evaluation_minutes:g}; processes, data steps and decisions {found.other_minutes:g}"
    if found.minutes is None:
        return f"the training may take any time: there is no limit, and none has been seen; {parts} minutes"
    limited = found.minutes_left is not None
    of, basis = (f" of the {found.minutes_left:g} left", "its share") if limited else ("", "as the latest; no limit")
    return f"about {found.minutes:.1f} minutes{of} (training {found.training_minutes:g}, {basis}; {parts})"


def _money(models: ModelCosts | None) -> str:
    if models is None:
        return "no language model is asked"
    if models.tokens is None:
        planned = _amount(models.planned_tokens, models.planned_dollars)
        said = f"not known before the first experiment; planning it took {planned}"
    else:
        said = f"about {_amount(models.tokens, models.dollars)}, as the experiments so far"
    left = [
        *([f"{models.tokens_left:,} tokens"] if models.tokens_left is not None else []),
        *([f"${models.dollars_left:.2f}"] if models.dollars_left is not None else []),
    ]
    return f"{said}; left: {' and '.join(left) or 'no limit is set'}"


def _amount(tokens: int, dollars: float | None) -> str:
    return f"{tokens:,} tokens at an unknown price" if dollars is None else f"${dollars:.4g} ({tokens:,} tokens)"
