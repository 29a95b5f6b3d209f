"""Both sides of a recall: the text an experiment is remembered by, and the question each role asks.

Experiments and questions are written in the same labelled lines, so that their vectors can meet. The embedder reads
256 tokens, so what decides comes first and long fields are cut.
"""

from collections.abc import Iterable
from typing import Literal

from memory.records import DataRecipe, Experiment, Step, TrainingConfig

FIELD_LIMIT = 160
"""Characters of a field that are embedded."""
CAUSE_LIMIT = 120
"""Characters of an error message that are embedded: its end, where the cause stands."""
PARAMETER_LIMIT = 40
"""Characters of a step's parameters; the text of a script would drown the rest."""

Outcome = Literal["baseline", "better", "worse", "undecided", "failed", "unscored"]


def outcome(experiment: Experiment) -> Outcome:
    """How an experiment ended: its failure, else its verdict, else whether it is the untouched model."""
    if experiment.failure:
        return "failed"
    if experiment.verdict:
        return experiment.verdict.outcome
    return "baseline" if experiment.number == 0 else "unscored"


def intention(experiment: Experiment) -> str:
    """What an experiment is about, in its author's words: the hypothesis of the plan, else the reasons given."""
    if experiment.plan:
        return experiment.plan.hypothesis
    reasons = [part.reason.rstrip(" .") for part in (experiment.recipe, experiment.config) if part and part.reason]
    return "; ".join(dict.fromkeys(reasons)) or (
        "without a stated reason" if experiment.number else "the untouched model"
    )


def describe(experiment: Experiment) -> str:
    """The text an experiment is embedded by: labelled lines, unknown ones left out, no measured times."""
    plan, diagnosis, failure = experiment.plan, experiment.diagnosis, experiment.failure
    return _lines(
        ("task", experiment.task),
        ("domain", experiment.domain),
        ("model", experiment.model),
        ("outcome", _result(experiment)),
        ("failure", f"{failure.kind} in {failure.stage}: {_flat(failure.message)[-CAUSE_LIMIT:]}" if failure else ""),
        ("cause", diagnosis.suspected_cause if diagnosis else ""),
        ("symptoms", ", ".join(finding.claim for finding in diagnosis.findings) if diagnosis else ""),
        ("hypothesis", plan.hypothesis if plan else ""),
        ("data", plan.data_strategy if plan else ""),
        ("recipe", _recipe(experiment.recipe) if experiment.recipe else ""),
        ("training", plan.training_strategy if plan else ""),
        ("configuration", _configuration(experiment.config) if experiment.config else ""),
    )


def planner_question(*, task: str, domain: str, model: str, description: str = "") -> str:
    """What moved similar tasks?

    Args:
        description: of the task, in a sentence or two.
    """
    return _lines(("task", task), ("domain", domain), ("model", model), ("hypothesis", description))


def data_question(*, task: str, domain: str, sources: Iterable[str], strategy: str = "") -> str:
    """Which recipes were written for similar raw data, and how did they end?

    Args:
        sources: the raw sources, by name or by description.
        strategy: what the plan asks of the data, if there is a plan.
    """
    return _lines(("task", task), ("domain", domain), ("data", strategy), ("recipe", "from " + ", ".join(sources)))


def trainer_question(*, task: str, model: str, method: str, strategy: str = "") -> str:
    """Which configurations fitted, or diverged, on this model with this method?

    Args:
        method: a training recipe, such as `sft`.
        strategy: what the plan asks of the training, if there is a plan.
    """
    return _lines(("task", task), ("model", model), ("training", strategy), ("configuration", method))


def diagnostician_question(*, task: str, domain: str, symptoms: str) -> str:
    """Which causes were found behind similar symptoms?

    Args:
        symptoms: what was observed, such as "half of the answers do not parse; the loss fell".
    """
    return _lines(("task", task), ("domain", domain), ("symptoms", symptoms))


def _lines(*fields: tuple[str, str]) -> str:
    return "\n".join(f"{label}: {_flat(text)[:FIELD_LIMIT]}" for label, text in fields if text.strip())


def _flat(text: str) -> str:
    return " ".join(text.split())


def _result(experiment: Experiment) -> str:
    verdict, selection = experiment.verdict, experiment.selection
    effect = f", effect {verdict.effect:+.3f} against experiment {verdict.incumbent}" if verdict else ""
    score = f", score {selection.score:.3f}" if selection else ""
    return outcome(experiment) + effect + score


def _recipe(recipe: DataRecipe) -> str:
    return f"from {', '.join(recipe.sources)}: {' > '.join(_step(step) for step in recipe.steps)}"


def _step(step: Step) -> str:
    parameters = ", ".join(f"{name}={_flat(str(value))}" for name, value in sorted(step.parameters.items()))
    return f"{step.name}({parameters[:PARAMETER_LIMIT]})" if parameters else step.name


def _configuration(config: TrainingConfig) -> str:
    return (
        f"{config.method}, learning rate {config.learning_rate:g}, {config.epochs:g} epochs, "
        f"batch {config.batch_size}, LoRA rank {config.lora_rank} on {config.target_modules}, "
        f"{config.max_length} tokens a row"
    )
