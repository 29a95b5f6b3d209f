"""Jinja templates over the fields of a row: prompts, answers, options, and what data steps compute.

Templates may come from an agent, so they run in Jinja's sandbox; an unknown field is an error, never an empty text.
"""

from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment

from tasks.failure import InputError

SHOTS = "shots"
"""Solved examples of a few-shot prompt; not a field of a row."""
_WRONG = (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What a template may raise over a row: the sandbox keeps it from harm, not from `1 / 0`."""
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@lru_cache(maxsize=512)
def _compiled(template: str) -> Template:
    try:
        return _ENVIRONMENT.from_string(template)
    except TemplateError as error:
        raise InputError(f"not a valid template: {template!r} ({error})") from None


def render(template: str, row: dict[str, Any]) -> str:
    """Render a template over a row, outer blanks removed.

    Raises:
        InputError: the template is malformed, or the row lacks a field (both are named).
    """
    try:
        return _compiled(template).render(row).strip()
    except _WRONG as error:
        raise InputError(f"template {template!r}: {error}; the row has: {', '.join(row)}") from None


def fields(template: str) -> list[str]:
    """Names of the row fields a template reads, sorted."""
    try:
        return sorted(meta.find_undeclared_variables(_ENVIRONMENT.parse(template)) - {SHOTS})
    except TemplateError as error:
        raise InputError(f"not a valid template: {template!r} ({error})") from None
