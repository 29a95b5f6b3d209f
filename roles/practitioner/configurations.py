"""The trainer's decision: defaults for a first draft, else the parent's configuration with the plan's move."""

import math
from collections.abc import Sequence

from memory.records import TrainingConfig
from roles.briefing import Recollection, TrainerBriefing
from roles.practitioner.moves import TRAINING_MOVES, TrainingMove, changed_config, move_in
from roles.practitioner.recipes import TOLERANCE, asked_of, remembered_experiment
from tasks.failure import FailureKind

LEARNING_RATES = ((1.0, 1e-3), (5.0, 5e-4))
"""LoRA learning rates by GiB of weights, up to which they hold; above, the default of `TrainingConfig`."""
SMALL_GIB, SMALL_BATCH = 1.0, 4
"""Models with so many GiB of weights learn more from the same rows in small batches, that is, in more steps."""
MOST_EPOCHS = 3.0
"""Passes of a first draft: more rows are worth more than more passes."""
FEWEST_EPOCHS = 0.5
SHORTEST = 64
"""Tokens a row that are allowed in any case."""


def configuration(briefing: TrainerBriefing, complaints: Sequence[str] = ()) -> TrainingConfig:
    """The configuration that the plan asks for, with as many passes as it may spend, changed after complaints."""
    strategy = briefing.plan.training_strategy
    move = move_in(asked_of(strategy))
    remembered = remembered_experiment(briefing, strategy)
    if briefing.parent_config:
        before, why = briefing.parent_config, f"that of experiment {briefing.plan.parent}"
    elif remembered and remembered.config:
        before, why = remembered.config, f"that of {remembered.id}"
    else:
        before, why = _draft(briefing)
    config = changed_config(before, move) if isinstance(move, TrainingMove) else before
    why = f"{why}, {move.name}" if isinstance(move, TrainingMove) else why
    length = max(SHORTEST, briefing.data.tokens_max, briefing.parent_config.max_length if briefing.parent_config else 0)
    config = _affordable(config, briefing).model_copy(update={"max_length": length, "reason": why})
    return repaired(config, complaints)


def _draft(briefing: TrainerBriefing) -> tuple[TrainingConfig, str]:
    """Defaults by the size of the model, or what worked on this model elsewhere; passes by what can be spent."""
    gib, tokens = briefing.survey.model_gib, briefing.data.tokens
    rate = next((rate for size, rate in LEARNING_RATES if gib <= size), TrainingConfig().learning_rate)
    why = "defaults for the size of the model"
    known = worked_elsewhere(briefing)
    if known and known.experiment.config:
        rate, why = known.experiment.config.learning_rate, f"the learning rate that worked in {known.id}"
    batch = SMALL_BATCH if gib <= SMALL_GIB else TrainingConfig().batch_size
    config = TrainingConfig(learning_rate=rate, batch_size=batch)
    there = briefing.remaining.training_tokens
    if there is None:
        return config, why
    halves = math.floor(2 * there / tokens)
    return config.model_copy(update={"epochs": min(MOST_EPOCHS, max(1.0, halves / 2))}), why


def worked_elsewhere(briefing: TrainerBriefing) -> Recollection | None:
    """The last experiment that was better in the remembered run with this model that resembles the situation most."""
    worked = [
        one for one in briefing.recalled
        if one.experiment.model == briefing.survey.model and one.experiment.config
        and one.experiment.verdict and one.experiment.verdict.outcome == "better"
    ]  # fmt: skip
    nearest = max(worked, key=lambda one: (one.similarity, one.id), default=None)
    run = nearest.experiment.run if nearest else None
    return max((one for one in worked if one.experiment.run == run), key=lambda one: one.id, default=None)


def _affordable(config: TrainingConfig, briefing: TrainerBriefing) -> TrainingConfig:
    """With no more passes than the plan may spend; a change of a parent is cut only where it costs far more."""
    tokens, there = briefing.data.tokens, briefing.remaining.training_tokens
    slack = TOLERANCE if briefing.parent_config else 1.0
    if there is None or tokens * config.epochs <= there * slack:
        return config
    return config.model_copy(update={"epochs": max(FEWEST_EPOCHS, round(there / tokens, 1))})


def repaired(config: TrainingConfig, complaints: Sequence[str]) -> TrainingConfig:
    """The configuration after what went wrong with it: half the batch for memory, else half the rate."""
    for complaint in complaints:
        kind = complaint.partition(":")[0]
        move = TRAINING_MOVES["smaller batches" if kind == FailureKind.OOM else "lower learning rate"]
        reason = f"{move.name}, because: {complaint[:200]}"
        config = changed_config(config, move).model_copy(update={"reason": reason})
    return config
