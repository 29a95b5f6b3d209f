"""Evidence: computed facts about an experiment, one a file, for rules and language models alike.

A module here is a finding when it has `find(case)`, which returns an `Evidence` record, or None where nothing can be
said (no training, no feedback). Claims hold counts, names of groups, sources and kinds; never text of the benchmark,
because the data engineer reads them.
"""

import importlib
import pkgutil

from memory.records import Evidence
from roles.evidence.case import Case

_INFRASTRUCTURE = frozenset({"case", "shares"})


def names() -> list[str]:
    """Names of the findings in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _INFRASTRUCTURE)


def gather(case: Case) -> tuple[Evidence, ...]:
    """Everything that can be said about an experiment, in the order of `names()`."""
    found = (importlib.import_module(f"roles.evidence.{name}").find(case) for name in names())
    return tuple(evidence for evidence in found if evidence is not None)
