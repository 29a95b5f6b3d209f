"""Flags become a `RunConfig`: frozen, saved in `config.json`, read again by `--resume`."""

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from eval.base_model import SMOLLM2, TINY
from eval.hardware import Hardware
from roles.backbone import GENERALIST, choose_specs
from roles.data_steps.models import Tier
from tasks.failure import InputError
from tasks.record import Record
from tasks.task import Protocol

ProfileName = Literal["embedded", "gpu"]


class Profile(Record):
    """Named defaults."""

    name: ProfileName
    model: str
    budget_seconds: float
    max_experiments: int
    max_train_rows: int
    tokens_per_second: float
    """Training speed assumed until this machine has measured its own."""


PROFILES = {
    "embedded": Profile(
        name="embedded", model=SMOLLM2, budget_seconds=20 * 60, max_experiments=3, max_train_rows=2000,
        tokens_per_second=400,
    ),
    "gpu": Profile(
        name="gpu", model="Qwen/Qwen2.5-7B-Instruct", budget_seconds=12 * 3600, max_experiments=20,
        max_train_rows=2000, tokens_per_second=3000,
    ),
}  # fmt: skip


class RunConfig(Record):
    """Everything that decides a run."""

    version: Literal[1] = 1
    run: str
    """The run's id: the name of its directory."""
    task: str
    """Task name, or absolute path of a task file."""
    protocol: Protocol = "honest"
    profile: ProfileName
    profile_reason: str
    model: str
    backbones: tuple[str, ...] = ("expert",)
    """Values of `--backbone` in the order given."""
    temperatures: tuple[str, ...] = ()
    """Values of `--temperature`."""
    efforts: tuple[str, ...] = ()
    """Values of `--effort`."""
    tiers: dict[Tier, str] = Field(default_factory=dict)
    """Language models that data steps may ask, by tier."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Tokens that language models may take, in and out, all calls of the run together."""
    max_cost: float | None = Field(default=None, gt=0)
    """The same in dollars."""
    prices: tuple[str, ...] = ()
    """`SPEC=IN,OUT` in dollars per million tokens, where the known prices are wrong or none are known."""
    answer_seconds: float = Field(default=600.0, gt=0)
    """Seconds that one answer of a language model may take."""
    memory: Literal["on", "off", "run"] = "on"
    memory_dir: str
    data_root: str | None = None
    budget_seconds: float | None = None
    """None: no time limit, because `--max-experiments` alone was given."""
    max_experiments: int = Field(gt=0)
    max_train_rows: int = Field(gt=0)
    seed: int = 0
    max_regression: float | None = Field(default=None, ge=0)
    """Loss on the general probe beyond which an experiment cannot become the best; None measures only."""
    replicates: int = Field(default=1, gt=0)
    """Trainings an experiment, each with its own seed."""
    engine: str
    cache_dir: str
    unsafe_scripts: bool = False
    approve: bool = False
    """Ask a person about each plan before anything is spent on it."""
    merge: bool = False
    """Deliver the merged model beside the adapter."""
    dry_run: bool = False
    tokens_per_second: float
    """Training speed that plans are sized with: measured once on this machine, rounded, fixed for the run."""


def choose_profile(asked: str, hardware: Hardware) -> tuple[Profile, str]:
    """The profile to use, and why."""
    if asked != "auto":
        return PROFILES[asked], "asked for by --profile"
    if hardware.gpus:
        return PROFILES["gpu"], f"a CUDA device is there ({hardware.gpus[0].name})"
    return PROFILES["embedded"], "no CUDA device is there"


def dry_run_model(dry_run: bool, asked: str | None, profile: Profile) -> str:
    """The base model: the one asked for, a tiny random one in a dry run, or the profile's."""
    return asked or (TINY if dry_run else profile.model)


def scripted_minds(backbones: Sequence[str]) -> tuple[str, ...]:
    """The minds of a dry run: scripted ones in the roles, or in the place of the generalist that was asked for."""
    return ("generalist=scripted",) if GENERALIST in choose_specs(backbones) else ("scripted",)


def parse_duration(text: str, flag: str = "--budget") -> float:
    """Seconds of `90s`, `30m`, `12h` or `1h30m`.

    Raises:
        InputError: anything else.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not match or not any(match.groups()):
        raise InputError(f"{flag} {text}: expected a duration such as 90s, 30m, 12h or 1h30m")
    hours, minutes, seconds = (float(group or 0) for group in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise InputError(f"{flag} {text}: must be more than nothing")
    return total
