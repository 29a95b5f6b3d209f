"""Read text out of HTML."""

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, check_field, of_source
from tasks.failure import InputError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_ATTRIBUTE = re.compile(r"(?P<css>.+)@(?P<attribute>[\w:.-]+)", re.DOTALL)
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "html", "legend", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "section",
    "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul",
}  # fmt: skip
_CELLS = {"td", "th"}
_BLANKS = re.compile(r"\s+")
_MARKED_SECTION = re.compile(r"<!\[[^<>]*>?")


class HtmlClean(DataStep):
    """Turn HTML into text: a field itself, or parts of it that CSS selectors name, as new fields.

    Pays for sources of web pages, before `format`: tags, scripts and signatures would be learned as if they were text.
    Scripts, styles and comments vanish, entities are decoded, white space is squeezed, and the end of a block (a
    paragraph, an item of a list, a row of a table) becomes a line break. Broken HTML is read as far as it goes. No row
    is dropped: a part that a page lacks is an empty text, which `filter` can require.
    """

    field: str = Field(description="the field that holds HTML")
    source: str | None = Field(default=None, description="only rows of this source are read; others pass")
    select: dict[str, str] = Field(
        default_factory=dict,
        description="new fields: name to CSS selector, such as `.question .body`, or `a.next@href` for an attribute; "
        "the first match counts. Empty: the field itself becomes its text",
    )
    drop: tuple[str, ...] = Field(
        default=(), description="CSS selectors of what is removed before reading, such as quotations and signatures"
    )

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Read the field of each row; a row without it gets empty parts."""
        parts = {name: _part(selector) for name, selector in self.select.items()}
        for css in (*self.drop, *(part.css for part in parts.values())):
            _check_selector(css)
        chosen = of_source(rows, self.source)
        check_field([rows[position] for position in chosen], self.field)
        read = list(rows)
        for position in chosen:
            fields = self._read(rows[position].fields, parts)
            read[position] = rows[position].model_copy(update={"fields": fields})
        changed = sum(new != old for new, old in zip(read, rows, strict=True))
        return Applied(read, Counter(), {f"{self.field} read": changed} if changed else {})

    def _read(self, fields: Mapping[str, Any], parts: Mapping[str, "_Part"]) -> dict[str, Any]:
        html = fields.get(self.field)
        if not isinstance(html, str):
            return {**fields, **dict.fromkeys(parts, "")}
        page = _parsed(html)
        for css in self.drop:
            for element in page.select(css):
                element.extract()
        if not parts:
            return {**fields, self.field: _text(page)}
        return {**fields, **{name: part.read(page) for name, part in parts.items()}}


class _Part(NamedTuple):
    """What a selector reads: the text of the first match, or one of its attributes."""

    css: str
    attribute: str | None

    def read(self, page: "BeautifulSoup") -> str:
        found = page.select_one(self.css)
        if found is None:
            return ""
        if self.attribute is None:
            return _text(found)
        value = found.get(self.attribute) or ""
        return value if isinstance(value, str) else " ".join(value)


def _part(selector: str) -> _Part:
    match = _ATTRIBUTE.fullmatch(selector)
    return _Part(match["css"], match["attribute"]) if match else _Part(selector, None)


def _check_selector(css: str) -> None:
    import soupsieve

    try:
        soupsieve.compile(css)
    except (soupsieve.SelectorSyntaxError, NotImplementedError) as error:  # the latter for pseudo-elements
        reason = str(error).partition("\n")[0]
        raise InputError(f"'{css}' is not a CSS selector: {reason}") from None


def _parsed(html: str) -> "BeautifulSoup":
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of texts that look like an address or a file name
        try:
            return BeautifulSoup(html, "html.parser")
        except ParserRejectedMarkup:  # `<![` that opens no section it knows
            return BeautifulSoup(_MARKED_SECTION.sub("", html), "html.parser")


def _text(element: "Tag") -> str:
    """The text below an element, a line a block. Goes through a list, because pages can nest deeper than calls."""
    from bs4.element import NavigableString, PageElement, Tag

    pieces: list[str] = []
    waiting: list[tuple[PageElement | str, bool]] = [
        (element, False)
    ]  # what comes next last; whether line breaks count
    while waiting:
        node, kept = waiting.pop()
        if isinstance(node, Tag):
            kept = kept or node.name == "pre"
            edge = "\n" if node.name in _BLOCKS else " " if node.name in _CELLS else ""
            waiting += [(edge, True), *((child, kept) for child in reversed(node.contents)), (edge, True)]
        elif isinstance(node, str) and type(node) in (str, NavigableString):  # no comment, script or declaration
            pieces.append(node if kept else _BLANKS.sub(" ", node))
    lines = (" ".join(line.split()) for line in "".join(pieces).splitlines())
    return "\n".join(line for line in lines if line)


STEP = HtmlClean
