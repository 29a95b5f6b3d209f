"""`report.html`: one self-contained page a run, rewritten after every experiment.

It reads records only, never a benchmark row. The error text of a failure is shown where the process that failed held
no benchmark rows either.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eval.evaluator_client import TestResult
from graph.approval import APPROVAL, Approval, review_in_words
from graph.budget import CLOCK, used_before
from graph.config import RunConfig
from graph.report import charts
from graph.report.changes import changes, written
from graph.report.figures import Scale, scale_of
from graph.report.flow import lineages, words_of_steps
from graph.run_dir import TRANSCRIPT, RunDir
from graph.templates import render
from graph.timing import duration, measure
from memory.recall import Outcome, intention, outcome
from memory.records import Evidence, Experiment
from roles.backbone import GENERALIST, PERSON, read_exchanges
from roles.briefing import Survey
from roles.recipes.request import LOSSES, read_losses
from tasks.record import read_record, write_text
from tasks.task import Metric

_WITHOUT_BENCHMARK = frozenset({"prepare_data", "train"})
"""Stages whose processes never hold a benchmark row."""


class Card(NamedTuple):
    """One experiment as the page shows it."""

    experiment: Experiment
    outcome: Outcome
    colour: str
    changes: list[str]
    """Against the plan's parent; without a plan against the experiment before."""
    observed: float | None
    """Change of the selection score against the plan's parent, positive when better."""
    message: str
    """The error of a failed experiment, where it may be shown."""
    asked: int
    """Tokens that language models read for this experiment."""
    answered: int
    """Tokens that they wrote."""
    minds: dict[str, str]
    """Whose decisions it rests on, by role; decisions that were kept from the parent are not among them."""
    reviews: list[str]
    """What a person changed in its plan or said to it, where a person was asked."""

    @property
    def evidence(self) -> dict[str, Evidence]:
        """Its computed facts by name."""
        return {found.name: found for found in self.experiment.evidence}


def write_report(
    run: RunDir, config: RunConfig, survey: Survey | None, result: TestResult | None, delivered: int | None = None
) -> None:
    """Write `report.html` from what the run has recorded so far.

    Args:
        result: of the sealed test, once it has been opened.
        delivered: the experiment that is delivered, once that is decided; 0 when none is.
    """
    experiments = run.experiments()
    scale = scale_of(survey.task.metric if survey else Metric(), experiments, result)
    chance = survey.task.chance if survey else None
    best = delivered if delivered is not None else (charts.incumbents(experiments) or [0])[-1]
    rows = lineages(experiments)
    page = render(
        "report.html",
        config=config,
        survey=survey,
        scale=scale,
        chance=chance,
        result=result,
        untouched=next((e for e in experiments if e.number == 0), None),
        best=next((e for e in experiments if e.number == best and best), None),
        delivered=delivered,
        shown=best,
        cards=list(_cards(run, experiments, scale)),
        lineages=rows,
        step_words=words_of_steps(rows),
        memories=_memories(experiments),
        trajectory=charts.trajectory(experiments, scale, chance, delivered or 0),
        tree=charts.tree(experiments),
        losses=_losses(run, experiments),
        categories=_categories(experiments, best, scale),
        timing=measure(run.events(), used_before(run.file(CLOCK))),
        duration=duration,
        colour=charts.colour,
        written=written,
        intention=intention,
        generalist=any(value.startswith(f"{GENERALIST}=") for value in config.backbones),
    )
    write_text(run.file("report.html"), page)


def _cards(run: RunDir, experiments: Sequence[Experiment], scale: Scale) -> Iterator[Card]:
    by_number = {experiment.number: experiment for experiment in experiments}
    spent, minds = _tokens(run), _minds(run)
    for experiment in experiments:
        failure = experiment.failure
        plan = experiment.plan
        parent = by_number.get(plan.parent) if plan else None
        before = parent if plan else by_number.get(experiment.number - 1)
        asked, answered = spent.get(experiment.number, (0, 0))
        yield Card(
            experiment=experiment,
            outcome=outcome(experiment),
            colour=charts.colour(experiment.number),
            changes=changes(experiment, before) if experiment.number else [],
            observed=_observed(experiment, parent, scale),
            message=failure.message if failure and failure.stage in _WITHOUT_BENCHMARK else "",
            asked=asked,
            answered=answered,
            minds=minds.get(experiment.number, {}),
            reviews=_reviews(run, experiment.number),
        )


def _observed(experiment: Experiment, parent: Experiment | None, scale: Scale) -> float | None:
    """As recorded; a record from before effects were kept has the two scores."""
    if experiment.effect is not None or parent is None or parent.selection is None or experiment.selection is None:
        return experiment.effect
    return (1 if scale.up else -1) * (experiment.selection.score - parent.selection.score)


def _tokens(run: RunDir) -> dict[int, tuple[int, int]]:
    """Tokens that language models read and wrote, by experiment; nothing for rules."""
    path, found = run.file(TRANSCRIPT), dict[int, tuple[int, int]]()
    if path.exists():
        for exchange in read_exchanges(path):
            asked, answered = found.get(exchange.experiment, (0, 0))
            usage = exchange.usage
            found[exchange.experiment] = (asked + usage.input_tokens, answered + usage.output_tokens)
    return found


def _minds(run: RunDir) -> dict[int, dict[str, str]]:
    """The mind of each decision that was taken, by experiment and role; what a person said to it stands elsewhere."""
    path, found = run.file(TRANSCRIPT), dict[int, dict[str, str]]()
    for exchange in read_exchanges(path) if path.exists() else ():
        if exchange.refused is None and exchange.failure is None and exchange.usage.mind != PERSON:
            found.setdefault(exchange.experiment, {})[exchange.role.replace("_", " ")] = exchange.usage.mind
    return found


def _reviews(run: RunDir, number: int) -> list[str]:
    """What a person did with the plans of an experiment, without edits that were refused."""
    path = run.experiment(number) / APPROVAL
    reviews = read_record(path, Approval).reviews if path.exists() else ()
    return [review_in_words(review) for review in reviews if not review.refused]


def _memories(experiments: Sequence[Experiment]) -> dict[str, list[int]]:
    """Remembered experiments that plans rely on, with the experiments that do."""
    found: dict[str, list[int]] = {}
    for experiment in experiments:
        for id_ in experiment.plan.memory_ids if experiment.plan else ():
            found.setdefault(id_, []).append(experiment.number)
    return found


def _losses(run: RunDir, experiments: Sequence[Experiment]) -> str:
    """The loss curves; empty before the first training."""
    curves: list[charts.Curve] = []
    for experiment in experiments:
        if found := read_losses(run.experiment(experiment.number) / LOSSES):
            curves.append(charts.Curve(experiment.number, found))
    return charts.losses(curves) if any(curve.losses for curve in curves) else ""


class Categories(NamedTuple):
    """The chart of groups, and whose they are."""

    chart: str
    number: int
    """The best experiment; without one the trained experiment with the highest score."""


def _categories(experiments: Sequence[Experiment], best: int, scale: Scale) -> Categories | None:
    """Groups of the experiment that is best, if the feedback split has more than one."""
    scored = [e for e in experiments if e.feedback and e.selection and (e.number == best or not best)]
    if not scored:
        return None
    sign = 1 if scale.up else -1
    shown = max(scored, key=lambda e: (sign * e.selection.score if e.selection else 0.0, e.number))
    before = next((e.feedback.groups for e in experiments if e.number == 0 and e.feedback), ())
    after = shown.feedback.groups if shown.feedback else ()
    if len(after) < 2:
        return None
    return Categories(charts.categories(before if shown.number else (), after, shown.number, scale), shown.number)
