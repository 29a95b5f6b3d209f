"""The gateway of a run: where its minds and data steps ask language models, under one account."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.chat_records import Limits
from eval.gateway_client import GatewayClient
from eval.pricing import check_prices, parse_prices
from eval.providers import check_spec
from graph.config import RunConfig, parse_duration
from graph.run_dir import TRANSCRIPT, RunDir
from roles.backbone import Agent, Minds, is_chat_model
from roles.backbones.chat import chat_specs, connect
from roles.data_steps.models import TIERS, Tier
from tasks.failure import InputError

SPENDING = "spending.jsonl"
"""The account's name in the run directory."""
PATIENCE = 1.5
"""Of the time of an answer, how long a request may be tried again."""


def answer_seconds(flag: str | None) -> float:
    """What `--answer-timeout` says."""
    return parse_duration(flag, "--answer-timeout") if flag else Limits().timeout


def choose_tiers(flag: str | None, minds: Mapping[Agent, str]) -> dict[Tier, str]:
    """The language models that data steps may ask: what `--tiers` says, else the mind of an agent that is one.

    Args:
        flag: `strong=SPEC,weak=SPEC`; one may be left out.
        minds: the spec of each mind; the data engineer's is preferred.

    Raises:
        InputError: the flag is malformed, a spec is wrong, a package or a key is missing.
    """
    chosen: dict[Tier, str] = {}
    for part in re.split(r",(?=[a-z]+=)", flag) if flag else ():
        name, equals, spec = part.partition("=")
        tier: Tier | None = next((one for one in TIERS if one == name), None)
        if tier is None or not equals:
            raise InputError(f"--tiers {flag}: expected strong=SPEC,weak=SPEC, or one of the two")
        check_spec(spec)
        chosen[tier] = spec
    chat = [spec for spec in (minds.get("data_engineer", ""), *minds.values()) if is_chat_model(spec)]
    default = next(iter([*chat, *chosen.values()]), None)
    return {tier: chosen.get(tier, default) for tier in TIERS} if default else {}


def open_gateway(config: RunConfig, minds: Minds, run: RunDir) -> GatewayClient | None:
    """Connect the minds that are language models to a gateway of the run's; None when nobody may ask one.

    Raises:
        InputError: a package or a key is missing, a price is malformed, or unknown though `--max-cost` needs it.
    """
    specs: Sequence[str] = list(dict.fromkeys([*chat_specs(minds.values()), *config.tiers.values()]))
    if not specs:
        return None
    prices = parse_prices(config.prices)
    if config.max_cost is not None:
        check_prices(specs, prices)
    limits = Limits(
        max_tokens=config.max_tokens,
        max_cost=config.max_cost,
        timeout=config.answer_seconds,
        patience=PATIENCE * config.answer_seconds,
    )
    cache = Path(config.cache_dir) / "answers"
    account, log, transcript = (run.file(name) for name in (SPENDING, "gateway.log", TRANSCRIPT))
    gateway = GatewayClient(specs, cache, account, log, limits, config.prices, transcript)
    connect(minds.values(), gateway)
    return gateway
