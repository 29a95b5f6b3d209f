"""The texts a run writes for people: Jinja files in `graph/report/`."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from graph.markdown import fenced, inline

_ENVIRONMENT = Environment(
    loader=PackageLoader("graph", "report"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=lambda name: name is not None and name.endswith(".html.jinja"),
)
_ENVIRONMENT.filters |= {"inline": inline, "fenced": fenced}


def render(name: str, **variables: Any) -> str:
    """Render `graph/report/NAME.jinja`; values are escaped in HTML only."""
    return _ENVIRONMENT.get_template(f"{name}.jinja").render(**variables)
