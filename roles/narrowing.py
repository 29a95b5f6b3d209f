"""What a decision can name in a situation, written into its JSON schema.

A server that decodes by the schema then cannot name a source, a step or an experiment that does not exist, which is
the commonest fault of small models; larger ones are reminded of what there is. The schema in the prompt stays the
general one, because the beginning of a prompt is cached.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from roles.briefing import DataBriefing, DiagnosticianBriefing, GeneralistBriefing, Situation, TrainerBriefing

MOST_NAMES = 200
"""Longer lists are left out: servers bound the size of a schema."""


def narrowed(schema: dict[str, Any], situation: Situation) -> dict[str, Any]:
    """The JSON schema of a decision with the names and numbers that `roles/checks.py` would accept.

    Args:
        schema: as Pydantic writes it; it is not changed.
    """
    made = deepcopy(schema)
    records = {record.get("title"): record for record in (made, *made.get("$defs", {}).values())}
    for title, field, names in _names(situation):
        if title in records and len(names) <= MOST_NAMES:
            _list(records[title]["properties"][field], names)
    if "Plan" in records:
        records["Plan"]["properties"]["parent"]["maximum"] = len(situation.trials) - 1
    if "TrainingConfig" in records and isinstance(situation, TrainerBriefing):
        records["TrainingConfig"]["properties"]["max_length"]["minimum"] = situation.data.tokens_max
    return made


def _names(situation: Situation) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Record, field, and the names it can have."""
    sources = [source.name for source in situation.survey.corpus.sources]
    yield "Plan", "memory_ids", [one.id for one in situation.recalled]
    if not any(trial.training for trial in situation.trials):
        yield "Plan", "factor", ["both"]
    yield "DataRecipe", "sources", sources
    yield "Look", "source", sources
    if isinstance(situation, DataBriefing | GeneralistBriefing):
        yield "Step", "name", [step["name"] for step in situation.steps]
    if isinstance(situation, TrainerBriefing | GeneralistBriefing):
        yield "TrainingConfig", "method", situation.methods
    if isinstance(situation, DiagnosticianBriefing):
        yield "Diagnosis", "weak_groups", list(situation.survey.task.groups)


def _list(field: dict[str, Any], names: Sequence[str]) -> None:
    """Allow a text, or the texts of a list, nothing but some names."""
    if field.get("type") != "array":
        field["enum"] = list(names)
    elif names:
        field["items"] = field["items"] | {"enum": list(names)}
        field["maxItems"] = min(field["maxItems"], len(names))
    else:
        field["maxItems"] = 0
