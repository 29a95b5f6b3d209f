"""The nodes of the run: each reads the state, acts through `actions` and `decisions`, and returns what changed."""

from langgraph.runtime import Runtime

from eval.result import EvalResult
from eval.verdict import Verdict
from graph import actions, decisions
from graph.context import RunContext
from graph.delivery import deliver as write_delivery
from graph.report import write_report
from graph.state import State, by_number
from graph.surveying import make_survey
from memory.records import Experiment
from roles.briefing import Survey
from tasks.failure import FailureKind, StageError


def survey(state: State, runtime: Runtime[RunContext]) -> State:
    """Gather what is known before the first experiment."""
    context = runtime.context
    inputs = [context.description, context.config.model]
    found = context.run.once(
        "survey", None, context.run.file("survey.json"), inputs, Survey, lambda: make_survey(context)
    )
    return {"survey": found}


def baseline(state: State, runtime: Runtime[RunContext]) -> State:
    """Score the untouched model: experiment 0."""
    context = runtime.context
    context.terminal.say("baseline: the untouched model")
    experiment = Experiment(
        run=context.run.name,
        task=context.description.task.name,
        domain=context.description.task.domain,
        model=context.config.model,
        number=0,
        feedback=actions.evaluate(context, 0, "feedback", None),
        selection=actions.evaluate(context, 0, "selection", None),
    )
    gathered = actions.gather_evidence(context, state["survey"], experiment, experiment)
    experiment = experiment.model_copy(update={"evidence": gathered.evidence})
    keep(context, experiment)
    context.terminal.say(f"baseline: {scores(experiment)}")
    context.terminal.show([experiment], 0, context.budget.remaining([experiment]))
    write_report(context.run, context.config, state["survey"], None)
    return {"experiments": [experiment], "incumbent": 0}


def plan(state: State, runtime: Runtime[RunContext]) -> State:
    """Ask the planner for the next experiment; a planner that fails ends the loop.

    One that has no other plan after a person sent its plan back does not: the person is asked about that plan again.
    """
    context, number = runtime.context, len(state["experiments"])
    declined = [review for review in state.get("reviews", []) if review.decision == "back"]
    try:
        found = decisions.decide_plan(context, state["survey"], state["experiments"], state["incumbent"], declined)
    except StageError as error:
        done = error.failure.kind == FailureKind.BUDGET
        why = f"the planner has nothing left: {error.failure.message}" if done else f"the planner failed: {error}"
        context.terminal.say(why)
        if declined and declined[-1].experiment == number:
            return {"plans": [declined[-1].proposed], "note": f"there is no other plan: {error.failure.message}"}
        return {"plans": [], "ended": why[:200]}
    context.terminal.say(f"plan {number:03d} (from {found.parent:03d}, {found.factor}): {found.hypothesis}")
    same = any(found == review.proposed for review in declined)
    return {"plans": [found], "note": "the planner makes the plan again that was sent back" if same else ""}


def judge(state: State, runtime: Runtime[RunContext]) -> State:
    """Compare each candidate with the incumbent; statistics decide."""
    context, incumbent = runtime.context, state["incumbent"]
    judged: list[Experiment] = []
    for candidate in waiting(state):
        if candidate.failure:
            context.terminal.say(f"experiment {candidate.number:03d} failed: {candidate.failure.kind}")
        if candidate.selection is None:
            judged.append(candidate)
            continue
        verdict = _verdict(context, candidate, incumbent)
        context.terminal.say(f"verdict {candidate.number:03d}: {in_words(verdict)}")
        effect = observed_effect(context, candidate, state["experiments"], verdict)
        candidate = candidate.model_copy(update={"verdict": verdict, "effect": effect})
        if verdict.outcome == "better":
            candidate = probed(context, candidate)
        incumbent = candidate.number if candidate.advances else incumbent
        judged.append(candidate)
    return {"candidates": judged, "incumbent": incumbent}


def probed(context: RunContext, experiment: Experiment) -> Experiment:
    """The experiment with what it costs elsewhere, barred where that is more than `--max-regression`."""
    if experiment.training is None:
        return experiment
    cost, most = actions.probe(context, experiment.number, experiment.training), context.config.max_regression
    context.terminal.say(
        f"general probe {experiment.number:03d}: {cost.before:.3f} -> {cost.after:.3f}, {cost.change:+.3f} "
        f"(95 % {cost.low:+.3f} to {cost.high:+.3f}, n={cost.n})"
    )
    barred = ""
    if most is not None and -cost.change > most and cost.high < 0:  # and not by chance
        barred = f"it loses {-cost.change:.3f} on the general probe, more than {most:g}"
        context.terminal.say(f"experiment {experiment.number:03d} does not become the best: {barred}")
    return experiment.model_copy(update={"regression": cost, "barred": barred})


def observed_effect(
    context: RunContext, candidate: Experiment, experiments: list[Experiment], verdict: Verdict | None
) -> float | None:
    """Change of the metric against the plan's parent, on the selection items that both have answered; positive when
    better, None when one of them was not evaluated."""
    parent = experiments[candidate.plan.parent] if candidate.plan else None
    if parent is None or parent.selection is None or candidate.selection is None:
        return None
    if verdict is None or verdict.incumbent != parent.number:
        verdict = actions.judge(context, candidate.number, parent.number)
    return round(verdict.effect, 3)


def _verdict(context: RunContext, candidate: Experiment, incumbent: int) -> Verdict:
    path = context.run.experiment(candidate.number) / "verdict.json"
    inputs = [candidate.training, candidate.selection, incumbent]
    return context.run.once(
        "judge", candidate.number, path, inputs, Verdict, lambda: actions.judge(context, candidate.number, incumbent)
    )


def diagnose(state: State, runtime: Runtime[RunContext]) -> State:
    """Ask the diagnostician about each candidate; without an answer the run goes on."""
    context = runtime.context
    explained: list[Experiment] = []
    for unexplained in waiting(state):
        parent = state["experiments"][unexplained.plan.parent if unexplained.plan else 0]
        gathered = actions.gather_evidence(context, state["survey"], unexplained, parent)
        candidate = unexplained.model_copy(update={"evidence": gathered.evidence})
        try:
            found = decisions.decide_diagnosis(
                context, state["survey"], state["experiments"], state["incumbent"], candidate
            )
        except StageError as error:
            context.terminal.say(f"no diagnosis: {error}")
            explained.append(candidate)
            continue
        context.terminal.say(
            f"diagnosis {candidate.number:03d}: {found.suspected_cause}; next: {found.next_intervention}"
        )
        explained.append(candidate.model_copy(update={"diagnosis": found}))
    return {"candidates": explained}


def record(state: State, runtime: Runtime[RunContext]) -> State:
    """Write the candidates down: run directory, memory, report. One that met a cap of language models ends the loop."""
    context, finished = runtime.context, waiting(state)
    for experiment in finished:
        keep(context, experiment)
    known = by_number(state["experiments"], finished)
    context.terminal.show(known, state["incumbent"], context.budget.remaining(known))
    write_report(context.run, context.config, state["survey"], None)
    recorded: State = {"experiments": finished, "plans": []}
    capped = [one.failure.message for one in finished if one.failure and one.failure.kind is FailureKind.BUDGET]
    return {**recorded, "ended": capped[0][:200]} if capped else recorded


def test(state: State, runtime: Runtime[RunContext]) -> State:
    """Choose what is delivered and open the sealed split once."""
    context = runtime.context
    experiments = state["experiments"]
    while (chosen := choose(context, experiments, state["incumbent"])) and experiments[chosen].regression is None:
        experiment = probed(context, experiments[chosen])
        keep(context, experiment)
        experiments = by_number(experiments, [experiment])
    context.terminal.say(
        f"sealed test: the untouched model and {f'experiment {chosen:03d}' if chosen else 'nothing else'}"
    )
    return {"test": actions.test(context, experiments[chosen]), "delivered": chosen, "experiments": experiments}


def choose(context: RunContext, experiments: list[Experiment], incumbent: int) -> int:
    """The experiment to deliver: the incumbent, or without one the undecided candidate with the best shrunken effect.

    Effects against the untouched model are shrunk towards zero by their own spread (empirical Bayes after Efron and
    Morris 1973, positive part), so that the luckiest of many draws is not taken at face value. Evaluations that were
    stopped are not candidates.
    """
    if incumbent:
        return incumbent
    trained = [e for e in experiments if e.training and e.selection and not e.barred]
    found = {e.number: actions.judge(context, e.number, 0) for e in trained}
    whole = {number for number, verdict in found.items() if verdict.n == (verdict.split_n or verdict.n)}
    shrunken = {number: effect for number, effect in shrink(found).items() if number in whole}
    best = max(shrunken, key=lambda number: (shrunken[number], -number), default=0)
    return best if shrunken.get(best, 0.0) > 0 else 0


def shrink(verdicts: dict[int, Verdict]) -> dict[int, float]:
    """Effects times the share of their variance that is not sampling error.

    What true effects vary by is estimated with the weights 1 / error^4: an evaluation that stopped early, because it
    looked bad, then adds nothing on average where there is no effect.
    """
    errors = {number: v.standard_error or (v.high - v.low) / 3.92 for number, v in verdicts.items()}
    weights = {number: error**-4 if error else 1.0 for number, error in errors.items()}
    between = sum(weights[n] * (v.effect**2 - errors[n] ** 2) for n, v in verdicts.items())
    kept = max(0.0, between / sum(weights.values())) if weights else 0.0
    return {n: v.effect * kept / (kept + errors[n] ** 2) if kept else 0.0 for n, v in verdicts.items()}


def deliver(state: State, runtime: Runtime[RunContext]) -> State:
    """Leave the adapter, its card, its lineage and the report."""
    context = runtime.context
    with context.run.stage("deliver", None, context.run.file("deliver")):
        write_delivery(context, state["survey"], state["experiments"], state["delivered"], state["test"])
    context.budget.save()
    write_report(context.run, context.config, state["survey"], state["test"], state["delivered"])
    return {}


def waiting(state: State) -> list[Experiment]:
    """Candidates that are not recorded yet."""
    recorded = {experiment.number for experiment in state["experiments"]}
    return [candidate for candidate in state.get("candidates", []) if candidate.number not in recorded]


def keep(context: RunContext, experiment: Experiment) -> None:
    """Write an experiment to the run directory, then to the memory."""
    with context.run.stage("record", experiment.number, context.run.experiment(experiment.number) / "experiment.json"):
        context.run.write_experiment(experiment)
        if context.memory:
            context.memory.add(experiment)
        context.budget.save()


def scores(experiment: Experiment) -> str:
    """The scores of an experiment in words."""
    parts: list[str] = []
    for result in (experiment.feedback, experiment.selection):
        if result:
            margin = 1.96 * result.standard_error
            parts.append(
                f"{result.split} {result.score:.3f} ± {margin:.3f} (n={_answered(result)}, "
                f"unparsed {result.unparsed:.0%})"
            )
    return ", ".join(parts)


def _answered(measured: EvalResult | Verdict) -> str:
    """`682`, or `228 of 682` where the evaluation was stopped as hopeless."""
    whole = measured.split_n is None or measured.n == measured.split_n
    return str(measured.n) if whole else f"{measured.n} of {measured.split_n}"


def in_words(verdict: Verdict) -> str:
    """A verdict in words."""
    recipe = verdict.recipe
    seeds = ""
    if recipe:
        seeds = f"; over {recipe.seeds} seeds {recipe.effect:+.3f} (95 % {recipe.low:+.3f} to {recipe.high:+.3f})"
    return (
        f"{verdict.outcome} than {verdict.incumbent:03d}: {verdict.effect:+.3f} "
        f"(95 % {verdict.low:+.3f} to {verdict.high:+.3f}, p={verdict.p_better:.4f}, alpha {verdict.alpha:.3f}, "
        f"n={_answered(verdict)}){seeds}"
    ).replace("undecided than", "undecided against")
