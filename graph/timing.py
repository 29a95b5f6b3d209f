"""Where the wall clock of a run went, from `events.jsonl`; no moment is counted twice.

Stages may lie inside each other (a call waits for the engine in the middle of an evaluation) or run side by side, so
each moment belongs to the stage that began last. What no stage accounts for is overhead.
"""

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from graph.run_dir import Event

DECISIONS = ("planner", "data_engineer", "trainer", "diagnostician", "generalist")
_PARTS = (
    ("data", "data steps, gate, decontamination", ("prepare_data",)),
    ("training", "of all experiments and replicates", ("train",)),
    ("evaluation", "answering and scoring items, verdicts, the sealed test", ("evaluate", "judge", "test")),
    ("start-up", "reading task and model, waiting for evaluator and engine to start", ("start",)),
)


class Part(NamedTuple):
    """A part of the wall clock."""

    name: str
    what: str
    """What is counted here, in words."""
    seconds: float
    share: float
    """Of the wall clock; 0 when none has passed."""


class Timing(NamedTuple):
    """The wall clock of a run: `parts` add up to `wall`, and so do `activities`."""

    wall: float
    """Seconds, all sessions of a resumed run together."""
    parts: tuple[Part, ...]
    """Data, training, evaluation, start-up, overhead."""
    stages: dict[str, float]
    """Seconds by stage, the longest first."""
    activities: dict[str, float]
    """Seconds of the untouched model, of each experiment, of the sealed test, and of everything else, in this order."""


class _Span(NamedTuple):
    began: float
    ended: float
    stage: str
    experiment: int | None

    @property
    def activity(self) -> str:
        """What it was done for; empty for what serves the whole run."""
        if self.experiment is None:
            return "sealed test" if self.stage == "test" else ""
        return f"experiment {self.experiment}" if self.experiment else "untouched model"


def measure(events: Iterable[Event], used: float) -> Timing:
    """Divide the wall clock.

    Args:
        used: seconds that the run's ledger knows of. A session that was killed may have ended stages after it last
            wrote the ledger; then their sum counts.
    """
    spans = [_span(event) for event in events if event.seconds > 0]
    stages = _totals((span.stage, seconds) for span, seconds in _owned(spans))
    wall = max(used, sum(stages.values()))
    spent = [(name, what, sum(stages.get(stage, 0.0) for stage in members)) for name, what, members in _PARTS]
    decided = sum(stages.get(agent, 0.0) for agent in DECISIONS)
    whose = "the generalist's" if "generalist" in stages else "the roles'"
    overhead = max(0.0, wall - sum(seconds for _, _, seconds in spent))
    spent.append(("overhead", f"everything else; {duration(decided)} of it {whose} decisions", overhead))
    parts = tuple(Part(name, what, seconds, seconds / wall if wall else 0.0) for name, what, seconds in spent)
    return Timing(wall, parts, dict(sorted(stages.items(), key=lambda item: -item[1])), _activities(spans, wall))


def _activities(spans: Sequence[_Span], wall: float) -> dict[str, float]:
    named = _totals((span.activity, seconds) for span, seconds in _owned(spans) if span.activity)
    ordered = sorted(named, key=lambda name: (name == "sealed test", name != "untouched model", len(name), name))
    return {name: named[name] for name in ordered} | {"everything else": max(0.0, wall - sum(named.values()))}


def _totals(pieces: Iterable[tuple[str, float]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for name, seconds in pieces:
        totals[name] = totals.get(name, 0.0) + seconds
    return totals


def _span(event: Event) -> _Span:
    ended = datetime.fromisoformat(event.time).timestamp()
    return _Span(ended - event.seconds, ended, event.stage, event.experiment)


def _owned(spans: Sequence[_Span]) -> Iterable[tuple[_Span, float]]:
    """Cut time at every beginning and end; each piece goes to the stage that began last among those that run.

    Failed attempts count; those that a kill cut off have no end and are not among the spans.
    """
    cuts = sorted({moment for span in spans for moment in (span.began, span.ended)})
    waiting = sorted(spans, key=lambda span: (span.began, span.ended), reverse=True)
    running: list[_Span] = []
    for left, right in itertools.pairwise(cuts):
        running = [span for span in running if span.ended > left]
        while waiting and waiting[-1].began <= left:
            running.append(waiting.pop())
        if running:
            yield max(running, key=lambda span: (span.began, span.ended)), right - left


def table(timing: Timing) -> list[str]:
    """The parts as lines of a terminal."""
    lines = [f"time: {duration(timing.wall)}"]
    for part in timing.parts:
        lines.append(f"  {part.name:<10} {duration(part.seconds):>12} {part.share:>5.0%}  {part.what}")
    return lines


def duration(seconds: float) -> str:
    """`7.5 s`, `8 min 19 s` or `2 h 05 min`."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"
