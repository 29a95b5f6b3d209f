"""Training recipes: one method a file, run as `python -P -m roles.recipes.METHOD REQUEST`.

A recipe reads a `TrainingRequest`, streams `losses.jsonl`, writes `adapter/` and last of all `outcome.json`. When it
cannot, it writes `failure.json` and exits with 3.
"""

import pkgutil

_INFRASTRUCTURE = frozenset({"request"})


def names() -> list[str]:
    """Names of the methods in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _INFRASTRUCTURE)
