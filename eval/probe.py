"""What fine-tuning cost elsewhere: a small general probe of our own items.

108 prompts in `probe_items.jsonl`, a third each on following instructions, short knowledge and arithmetic. An answer is
right when the item's pattern is found in it, whatever its case. Few and easy on purpose: the probe takes seconds, and
what it is for is to notice a model that has forgotten how to talk, not to rank models. It has nothing to do with the
task's own benchmark, decides nothing unless asked to (`--max-regression`), and no role sees its items.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from eval.engine import Completion, Sampling
from eval.result import ItemResult
from eval.verdict import compare
from tasks.record import Record, read_jsonl
from tasks.task import Metric

ITEMS = Path(__file__).with_name("probe_items.jsonl")
SAMPLING = Sampling(max_new_tokens=32)
METRIC = Metric(aggregate="group_mean")
ALPHA = 0.05

Skill = Literal["instructions", "knowledge", "arithmetic"]


class ProbeItem(Record):
    """One line of `probe_items.jsonl`."""

    id: str
    skill: Skill
    prompt: str
    pattern: str
    """Regular expression, searched in the answer without regard to case."""
    example: str
    """A right answer."""


class SkillScore(Record):
    """One skill before and after fine-tuning."""

    skill: Skill
    n: int
    before: float
    after: float


class Regression(Record):
    """The general probe of a fine-tuned model against the untouched one's."""

    before: float
    """Mean over the skills, from 0 to 1."""
    after: float
    change: float
    """Negative where something was lost."""
    low: float
    """Of the 95 % interval of the change (paired bootstrap over items)."""
    high: float
    n: int
    skills: tuple[SkillScore, ...]


@cache
def probe_items() -> tuple[ProbeItem, ...]:
    """All items, in the order of the file."""
    return tuple(ProbeItem.model_validate(row) for row in read_jsonl(ITEMS))


def grade(completions: Sequence[Sequence[Completion]]) -> list[ItemResult]:
    """Score the first completion of each item of `probe_items`, in that order; a skill is a group."""
    return [
        ItemResult(
            id=item.id,
            group=item.skill,
            prompt=item.prompt,
            answer=item.example,
            completions=(drawn[0].text,),
            scores=(float(bool(re.search(item.pattern, drawn[0].text, re.IGNORECASE))),),
            parsed=(True,),
            truncated=drawn[0].finish != "stop",
        )
        for item, drawn in zip(probe_items(), completions, strict=True)
    ]


def regression(before: Sequence[ItemResult], after: Sequence[ItemResult]) -> Regression:
    """What changed between the untouched and the fine-tuned model's answers."""
    verdict = compare(after, before, METRIC, incumbent_number=0, alpha=ALPHA, seed=0)
    skills = [_skill(skill, before, after) for skill in get_args(Skill)]
    return Regression(
        before=round(sum(skill.before for skill in skills) / len(skills), 3),
        after=round(sum(skill.after for skill in skills) / len(skills), 3),
        change=round(verdict.effect, 3),
        low=round(verdict.low, 3),
        high=round(verdict.high, 3),
        n=verdict.n,
        skills=tuple(skills),
    )


def _skill(skill: Skill, before: Sequence[ItemResult], after: Sequence[ItemResult]) -> SkillScore:
    old, new = ([item.score for item in items if item.group == skill] for items in (before, after))
    return SkillScore(
        skill=skill, n=len(old), before=round(sum(old) / len(old), 3), after=round(sum(new) / len(new), 3)
    )
