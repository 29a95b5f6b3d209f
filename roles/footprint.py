"""The memory that a training takes at the least: what is more than there is need not be tried."""

from memory.records import TrainingConfig
from roles.briefing import ModelShape, Survey
from roles.recipes.request import MICRO_BATCH_TOKENS

TRAINED_WEIGHT = 16
"""Bytes of a trained weight: itself, its gradient and AdamW's two moments, each in fp32."""
ACTIVATION = 34
"""Bytes that a layer keeps for the backward pass, for each token and each unit of the hidden size (Korthikanti et al.
2022, equation 2, without the attention scores)."""


def at_least_gib(survey: Survey, config: TrainingConfig, longest: int) -> float:
    """GiB that a training takes at the least: weights, adapter with its optimiser, activations of what goes through the
    model at once. Only the weights count where the model's shape is unknown.

    Args:
        longest: tokens of the longest row.
    """
    shape = survey.shape
    if shape is None:
        return survey.model_gib
    at_once = min(config.batch_size * longest, max(longest, MICRO_BATCH_TOKENS))
    activations = ACTIVATION * shape.hidden * shape.layers * at_once
    adapter = TRAINED_WEIGHT * adapter_weights(shape, config)
    return survey.model_gib + (adapter + activations) / 2**30


def adapter_weights(shape: ModelShape, config: TrainingConfig) -> int:
    """Weights of a LoRA adapter: for each layer that it stands beside, the rank times inputs and outputs."""
    attention = 2 * (shape.hidden + shape.queries) + 2 * (shape.hidden + shape.key_values)
    feed_forward = 3 * (shape.hidden + shape.intermediate)
    wide = attention + (feed_forward if config.target_modules == "all-linear" else 0)
    return config.lora_rank * shape.layers * wide
