"""Evidence: computed facts about an experiment, one a file, for rules and language models alike.

A module here is a finding when it has `find(case)`, which returns an `Evidence` record, or None where nothing can be
said (no training, no feedback). Claims hold counts, names of groups, sources and kinds; never text of the benchmark,
because the data engineer reads them.
"""

import importlib
import pkgutil
from collections.abc import Sequence

from memory.records import Evidence
from roles.evidence.case import Case

_INFRASTRUCTURE = frozenset({"case", "shares"})


def names() -> list[str]:
    """Names of the findings in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _INFRASTRUCTURE)


OF_ANSWERS = ("categories", "parse_failures", "readable")
"""Findings about answers alone, which can be said of the untouched model."""


def gather(case: Case, only: Sequence[str] | None = None) -> tuple[Evidence, ...]:
    """Everything that can be said about an experiment, in the order of `names()`.

    Args:
        only: these findings; None for all.
    """
    found = (importlib.import_module(f"roles.evidence.{name}").find(case) for name in only or names())
    return tuple(evidence for evidence in found if evidence is not None)
