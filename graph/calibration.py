"""The training speed of this machine: measured by runs, kept beside the other caches, fixed for the length of a run.

Plans are sized with it, so it is rounded to one significant digit: the noise of a clock changes no decision.
"""

import json
from pathlib import Path

from eval.hardware import Hardware
from graph.config import Profile
from graph.context import RunContext
from tasks.record import write_text

FILE = "calibration.json"


def assumed_speed(cache: Path, model: str, hardware: Hardware, profile: Profile) -> float:
    """Training tokens a second: what an earlier run measured here with this model, else the profile's guess."""
    return _read(cache).get(_key(model, hardware), profile.tokens_per_second)


def remember_speed(context: RunContext) -> None:
    """Keep the median speed of this run's trainings, if none is kept yet."""
    speeds = sorted(e.training.tokens_per_second for e in context.run.experiments() if e.training)
    known, key = _read(context.cache), _key(context.config.model, context.hardware)
    if speeds and key not in known:
        known[key] = float(f"{speeds[len(speeds) // 2]:.1g}")
        write_text(context.cache / FILE, json.dumps(known, indent=1) + "\n")


def _key(model: str, hardware: Hardware) -> str:
    device = hardware.gpus[0].name if hardware.gpus else f"{hardware.processor}, {hardware.cores} cores"
    return f"{model} on {device}"


def _read(cache: Path) -> dict[str, float]:
    path = cache / FILE
    return json.loads(path.read_text()) if path.exists() else {}
