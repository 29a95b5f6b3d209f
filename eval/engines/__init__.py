"""Evaluation engines: one a file, each with `ENGINE`."""

import pkgutil


def names() -> list[str]:
    """Names of the engines in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
