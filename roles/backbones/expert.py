"""The built-in practitioner: rules over the survey, the diagnosis and the trials; no language model, no network.

It proposes a first draft from all usable sources, then changes one factor at a time. The diagnostician's rules name a
cause; each cause has moves in order of promise, and the planner takes the first one not tried from the same parent.
Every rule says its reason in the decision.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

from memory.records import DataRecipe, Diagnosis, Experiment, Finding, Plan, Step, TrainingConfig
from roles.backbone import D, Question, Usage
from roles.backbones.formats import format_steps, in_task_format
from roles.briefing import DataBriefing, DiagnosticianBriefing, PlannerBriefing, TrainerBriefing
from roles.data_steps.format import TASK, Format
from tasks.failure import FailureKind
from tasks.template import fields

DATA_MOVES = ("task format only", "all sources", "half the rows", "other rows")
"""What the data engineer can be asked for; a strategy is understood by the move it contains."""
TRAINING_MOVES: dict[str, dict[str, float]] = {
    "more epochs": {"epochs": 2.0},
    "fewer epochs": {"epochs": 0.5},
    "higher learning rate": {"learning_rate": 2.0},
    "lower learning rate": {"learning_rate": 0.5},
    "larger adapter": {"lora_rank": 2.0, "lora_alpha": 2.0},
    "smaller batches": {"batch_size": 0.5},
}
"""Factors by which a move multiplies the parent's configuration."""

INVERSE = {
    "more epochs": "fewer epochs",
    "fewer epochs": "more epochs",
    "higher learning rate": "lower learning rate",
    "lower learning rate": "higher learning rate",
}

CAUSES: dict[str, tuple[str, ...]] = {
    "wrong form": ("task format only", "more epochs", "higher learning rate"),
    "underfitting": ("more epochs", "higher learning rate", "larger adapter"),
    "overfitting": ("fewer epochs", "lower learning rate", "all sources"),
    "divergence": ("lower learning rate", "fewer epochs"),
    "out of memory": ("smaller batches", "half the rows"),
    "data refused": ("task format only", "all sources"),
    "weak knowledge": ("higher learning rate", "more epochs", "all sources", "other rows", "larger adapter"),
}
_FAILURES = {
    FailureKind.OOM: "out of memory",
    FailureKind.DIVERGED: "divergence",
    FailureKind.DATA: "data refused",
    FailureKind.FORMAT: "data refused",
}
UNPARSED = 0.1
"""Share of unreadable answers above which the form is at fault."""
MEMORISED = 0.05
"""Final loss below which the rows are known by heart."""
LEARNING_RATES = ((1.0, 1e-3), (5.0, 5e-4))
"""LoRA learning rates by GiB of weights, up to which they hold; above, the default of `TrainingConfig`."""
TEMPLATE_TOKENS = 30
"""What a chat template adds to a row, about."""
TOLERANCE = 1.2
"""Factor by which a training may exceed what can be afforded: the estimate is no better than that."""
STILL_FALLING = 0.25
"""Final loss above which more training can help."""


class Expert:
    """The rules behind all four roles."""

    name = "expert"

    def decide(self, question: Question[D]) -> tuple[D, Usage]:
        """The decision that the rules reach."""
        rules: dict[str, Any] = {
            "planner": plan,
            "data_engineer": recipe,
            "trainer": configuration,
            "diagnostician": diagnosis,
        }
        decision = rules[question.role](question.briefing)
        if isinstance(decision, TrainingConfig):
            decision = repaired(decision, question.complaints)
        return question.schema.model_validate(decision.model_dump()), Usage(mind=self.name)


def plan(briefing: PlannerBriefing) -> Plan:
    """First draft, then the most promising untried move from the best experiment so far."""
    tried = [trial for trial in briefing.trials if trial.number > 0]
    if not any(trial.training for trial in tried):
        return _first_draft(briefing, tried)
    parent = _parent(briefing)
    causes = [*_causes(briefing, parent), "weak knowledge"]
    used = {_move_of(trial) for trial in tried if trial.plan and trial.plan.parent == parent.number}
    for cause in causes:
        for move in CAUSES[cause]:
            if move not in used and _possible(move, parent, briefing):
                return _intervention(move, cause, parent)
    return _intervention("other rows", "weak knowledge", parent, round_=len(tried))


def _first_draft(briefing: PlannerBriefing, tried: list[Experiment]) -> Plan:
    failed = tried[-1].failure if tried else None
    moves = CAUSES[_FAILURES.get(failed.kind, "data refused")] if failed else ("all sources",)
    asked = [f"{trial.plan.data_strategy} {trial.plan.training_strategy}" for trial in tried if trial.plan]
    move = next((move for move in moves if not any(move in text for text in asked)), moves[0])
    rule = f"the last draft failed ({failed.kind}), so: {move}" if failed else "nothing is trained yet"
    return Plan(
        hypothesis=f"The sources teach what {briefing.survey.task.name} asks; rule: {rule}.",
        parent=0,
        factor="both",
        data_strategy=move if move in DATA_MOVES else "all sources",
        training_strategy=move if move in TRAINING_MOVES else "defaults",
        predicted_effect=0.1,
    )


def _parent(briefing: PlannerBriefing) -> Experiment:
    """The incumbent when it is trained, else the trained experiment with the best selection score."""
    trained = [trial for trial in briefing.trials if trial.training and trial.selection]
    incumbent = next((trial for trial in trained if trial.number == briefing.incumbent), None)
    sign = 1 if briefing.survey.task.metric.direction == "up" else -1
    return incumbent or max(
        trained, key=lambda trial: (sign * _score(trial), -trial.number), default=briefing.trials[0]
    )


def _score(trial: Experiment) -> float:
    return trial.selection.score if trial.selection else float("-inf")


def _causes(briefing: PlannerBriefing, parent: Experiment) -> list[str]:
    """Suspected causes, the parent's first, as far as they are among those with moves."""
    found = [parent.diagnosis.suspected_cause] if parent.diagnosis else []
    latest = briefing.trials[-1]
    if latest.failure and latest.failure.kind in _FAILURES:
        found.append(_FAILURES[latest.failure.kind])
    return [cause for cause in found if cause in CAUSES]


def _possible(move: str, parent: Experiment, briefing: PlannerBriefing) -> bool:
    if INVERSE.get(move) is not None and INVERSE[move] == _move_of(parent):
        return False  # it would undo what made the parent
    if move in TRAINING_MOVES:
        return parent.config is not None and _affordable(move, parent, briefing)
    if move in ("task format only", "all sources"):
        formats = format_steps(briefing.survey)
        wanted = {name for name, step in formats.items() if move == "all sources" or in_task_format(step)}
        return bool(wanted) and (parent.recipe is None or wanted != set(parent.recipe.sources))
    if move == "half the rows":
        return parent.data is not None and parent.data.rows > 100
    return parent.data is not None and _affordable(move, parent, briefing)


def _affordable(move: str, parent: Experiment, briefing: PlannerBriefing) -> bool:
    """Whether the time that is left is enough for the parent's rows and the epochs of the move."""
    affordable = briefing.remaining.training_tokens
    if affordable is None or parent.data is None or parent.config is None:
        return True
    epochs = parent.config.epochs * TRAINING_MOVES.get(move, {}).get("epochs", 1.0)
    return parent.data.tokens * epochs <= affordable * TOLERANCE


def _intervention(move: str, cause: str, parent: Experiment, round_: int = 0) -> Plan:
    data = move in DATA_MOVES
    strategy = f"{move} {round_}".strip() if round_ else move
    return Plan(
        hypothesis=f"{strategy[0].upper()}{strategy[1:]} improves on experiment {parent.number}; rule: {cause}.",
        parent=parent.number,
        factor="data" if data else "training",
        data_strategy=strategy if data else "keep",
        training_strategy="keep" if data else strategy,
        predicted_effect=0.03,
    )


def _move_of(trial: Experiment) -> str | None:
    if trial.plan is None:
        return None
    text = f"{trial.plan.data_strategy} {trial.plan.training_strategy}"
    return next((move for move in (*DATA_MOVES, *TRAINING_MOVES) if move in text), None)


def recipe(briefing: DataBriefing) -> DataRecipe:
    """All usable sources, or those in the task's format; cleaned, without repetitions, sized to what is left."""
    strategy = briefing.plan.data_strategy
    formats = format_steps(briefing.survey)
    if "task format only" in strategy:
        formats = {name: step for name, step in formats.items() if in_task_format(step)} or formats
    cleaning = [_require(briefing, step) for step in formats.values()]
    steps = [*cleaning, Step(name="deduplicate"), *formats.values()]
    rows = max(20, _affordable_rows(briefing) // (2 if "half the rows" in strategy else 1))
    seed = len(briefing.trials) if "other rows" in strategy else 0
    return DataRecipe(
        sources=tuple(formats),
        steps=(*steps, *_samples(formats, rows, seed)),
        reason=(
            f"{strategy}: every source whose fields can be rendered, rows with gaps and repetitions removed; rows in "
            "the benchmark's own form come first"
        ),
    )


def _samples(formats: dict[str, Step], rows: int, seed: int) -> list[Step]:
    """Samples that leave `rows` rows: at most a third of them in another form than the benchmark's."""
    others = [name for name, step in formats.items() if not in_task_format(step)]
    share = rows if len(others) == len(formats) else rows // 3
    sizes: list[tuple[str | None, int]] = [(name, max(1, share // len(others))) for name in others]
    settings: list[dict[str, JsonValue]] = [{"source": name, "rows": size} for name, size in [*sizes, (None, rows)]]
    return [Step(name="sample", parameters={**setting, "seed": seed}) for setting in settings]


def _require(briefing: DataBriefing, step: Step) -> Step:
    """A filter for the rows of a source that lack a field which its `format` step reads."""
    wanted = Format.model_validate(step.parameters)
    computed = [part for value in wanted.fields.values() for part in ([value] if isinstance(value, str) else value)]
    read = {name for template in (wanted.answer, *computed) for name in fields(template)}
    if wanted.prompt != TASK:
        read |= set(fields(wanted.prompt))
    elif not computed:
        read |= set(briefing.survey.task.prompt_fields)
    parameters: dict[str, JsonValue] = {"source": wanted.source, "require": [*sorted(read)]}
    return Step(name="filter", parameters=parameters)


def _affordable_rows(briefing: DataBriefing) -> int:
    """Rows for two epochs within the time that is left, by the token lengths seen so far."""
    limit = briefing.survey.max_train_rows
    if briefing.remaining.training_tokens is None:
        return limit
    lengths = [trial.data.tokens / trial.data.rows for trial in briefing.trials if trial.data]
    length = lengths[-1] if lengths else _guessed_length(briefing)
    return min(limit, max(20, int(briefing.remaining.training_tokens / (length * TrainingConfig().epochs))))


def _guessed_length(briefing: DataBriefing) -> float:
    """Tokens of a row before any was rendered: a raw row of the longest source, prompt and chat template."""
    prompt = len(briefing.survey.task.prompt) / 4
    return max(briefing.survey.row_tokens.values()) + prompt + TEMPLATE_TOKENS


def configuration(briefing: TrainerBriefing) -> TrainingConfig:
    """The defaults for a first draft; later the parent's configuration with the factors of the move."""
    parent = briefing.parent_config or TrainingConfig(
        max_length=_length(briefing), learning_rate=_learning_rate(briefing.survey.model_gib)
    )
    strategy = briefing.plan.training_strategy
    move = next((name for name in TRAINING_MOVES if name in strategy), None)
    changed = {field: _scaled(getattr(parent, field), by) for field, by in TRAINING_MOVES.get(move or "", {}).items()}
    tokens, affordable = briefing.data.tokens, briefing.remaining.training_tokens
    epochs = changed.get("epochs", parent.epochs)
    if affordable is not None and tokens * epochs > affordable * TOLERANCE:
        changed["epochs"] = max(0.5, round(affordable / tokens, 1))
    reason = f"{move} than experiment {briefing.plan.parent}" if move else "defaults, sized to the rows"
    return parent.model_copy(update={**changed, "reason": reason})


def _learning_rate(model_gib: float) -> float:
    """Small models bear larger steps."""
    return next((rate for size, rate in LEARNING_RATES if model_gib <= size), TrainingConfig().learning_rate)


def repaired(config: TrainingConfig, complaints: Sequence[str]) -> TrainingConfig:
    """The configuration after what went wrong with it: half the batch for memory, half the rate for divergence."""
    for complaint in complaints:
        kind = complaint.partition(":")[0]
        move = "smaller batches" if kind == FailureKind.OOM else "lower learning rate"
        changed = {name: _scaled(getattr(config, name), by) for name, by in TRAINING_MOVES[move].items()}
        config = config.model_copy(update={**changed, "reason": f"{move}, because: {complaint[:200]}"})
    return config


def _length(briefing: TrainerBriefing) -> int:
    return max(64, briefing.data.tokens_max)


def _scaled(value: float, by: float) -> float:
    return max(1, round(value * by)) if isinstance(value, int) else value * by


def diagnosis(briefing: DiagnosticianBriefing) -> Diagnosis:
    """Name one cause: failure first, then form, then how the loss ran, then knowledge."""
    experiment = briefing.experiment
    cause, findings = _cause(experiment, briefing)
    moves = CAUSES.get(cause, CAUSES["weak knowledge"])
    return Diagnosis(
        findings=tuple(findings),
        suspected_cause=cause,
        next_intervention=moves[0],
        next_factor="data" if moves[0] in DATA_MOVES else "training",
        weak_groups=_weak_groups(experiment),
    )


def _cause(experiment: Experiment, briefing: DiagnosticianBriefing) -> tuple[str, list[Finding]]:
    if experiment.failure:
        cause = _FAILURES.get(experiment.failure.kind, "weak knowledge")
        return cause, [Finding(claim=f"{experiment.failure.stage} failed: {experiment.failure.kind}", count=1, of=1)]
    feedback, training = experiment.feedback, experiment.training
    if feedback is None or training is None:
        return "weak knowledge", []
    answers = feedback.n * feedback.samples
    findings = [
        Finding(claim="answers that do not parse", count=round(feedback.unparsed * answers), of=answers),
        Finding(claim="items fixed against the parent", count=briefing.fixed, of=feedback.n),
        Finding(claim="items broken against the parent", count=briefing.broken, of=feedback.n),
        Finding(claim="items wrong", count=round((1 - feedback.score) * feedback.n), of=feedback.n),
    ]
    if feedback.unparsed > UNPARSED:
        return "wrong form", findings
    if training.final_loss < MEMORISED and briefing.broken > briefing.fixed:
        return "overfitting", findings
    if training.final_loss > STILL_FALLING:
        return "underfitting", findings
    return "weak knowledge", findings


def _weak_groups(experiment: Experiment) -> tuple[str, ...]:
    """Groups whose interval lies below the overall score; the three lowest."""
    if experiment.feedback is None:
        return ()
    score = experiment.feedback.score
    weak = sorted((group for group in experiment.feedback.groups if group.high < score), key=lambda g: g.score)
    return tuple(group.group for group in weak[:3])
