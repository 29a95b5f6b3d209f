"""Text out of HTML: what is read, what vanishes, and pages that are broken or hostile."""

import random
from typing import Any

import pytest

from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.row import Applied, DataRow, StepContext
from tasks.failure import InputError
from tasks.task import Benchmark, Task

TASK = Task(name="toy", domain="x", description="", sources=(), benchmark=Benchmark(path="x"), prompt="{{ q }}",
            answer="{{ a }}", scorer={"name": "exact"})  # fmt: skip
THREAD = """
<!DOCTYPE html><html><head><title>Bonds &mdash; forum</title><style>.x { color: red }</style></head><body>
<div class="post question"><a class="author" href="/u/7">Ann</a>
  <div class="body"><p>What is a   <b>bond</b>?</p><blockquote>old talk</blockquote><p>Thanks &amp; bye</p></div></div>
<div class="post answer"><div class="body">A share.</div></div>
<div class="post answer accepted"><div class="body">A debt <i>security</i>.<br>It pays interest.
<p class="sig">-- Bob</p></div></div><script>track("<p>never</p>")</script><!-- and never this --></body></html>
"""


def clean(given: list[DataRow], **parameters: Any) -> Applied:
    step = load_step(Step(name="html_clean", parameters={"field": "html", **parameters}))
    return step.apply(given, StepContext(TASK, 0))


def page(html: Any, number: int = 1, source: str = "forum") -> DataRow:
    return DataRow(source=source, row=number, fields={"id": number, "html": html})


def text(html: str, **parameters: Any) -> str:
    return clean([page(html)], **parameters).rows[0].fields["html"]


def part(html: str, selector: str, **parameters: Any) -> str:
    return clean([page(html)], select={"part": selector}, **parameters).rows[0].fields["part"]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>x<li>y</ul>", "x\ny"),
        ("<table><tr><td>a<td>b<tr><th>c</table>", "a b\nc"),
        ("wrapped\n   source\tlines", "wrapped source lines"),
        ("<pre>for x:\n    go()</pre>", "for x:\ngo()"),
        ("half<b>bold</b>word", "halfboldword"),
        ("R&amp;D &lt;2 %&gt; &eacute;&#8364;&#x20AC;", "R&D <2 %> é€€"),
        ("1&nbsp;000", "1 000"),
        ("<script>bad()</script><style>p{}</style><template>t</template>ok<!-- no -->", "ok"),
        ("<?php echo 1 ?><!ELEMENT x><![CDATA[no]]>ok", "ok"),
    ],
)
def test_a_field_becomes_its_text(html: str, expected: str) -> None:
    assert text(html) == expected


def test_parts_become_new_fields_and_the_page_stays() -> None:
    given = [page(THREAD)]
    select = {"q": ".question .body", "a": ".accepted .body", "author": "a.author@href", "none": ".moderator"}
    applied = clean(given, select={**select, "kind": ".answer@class"}, drop=["blockquote", ".sig"])
    assert applied.rows[0].fields == {
        "id": 1,
        "html": THREAD,
        "q": "What is a bond?\nThanks & bye",
        "a": "A debt security.\nIt pays interest.",
        "author": "/u/7",
        "none": "",
        "kind": "post answer",
    }
    assert (applied.removed, applied.changed) == ({}, {"html read": 1})


def test_what_is_dropped_cannot_be_selected() -> None:
    assert part(THREAD, ".sig") == "-- Bob"
    assert part(THREAD, ".sig", drop=[".accepted"]) == ""
    assert "never" not in text(THREAD)


def test_an_at_sign_inside_a_selector_names_no_attribute() -> None:
    html = '<a href="mailto:ann@example.org" rel="x">Ann</a>'
    assert part(html, 'a[href="mailto:ann@example.org"]') == "Ann"
    assert part(html, 'a[href*="@"]@rel') == "x"


def test_other_sources_and_rows_without_the_field_pass() -> None:
    given = [page("<b>x</b>"), page("<b>y</b>", source="other"), DataRow(source="forum", row=2, fields={"id": 2}),
             page(None, 3), page(7, 4)]  # fmt: skip
    applied = clean(given, source="forum")
    assert [row.fields.get("html") for row in applied.rows] == ["x", "<b>y</b>", None, None, 7]
    assert [(row.source, row.row) for row in applied.rows] == [(row.source, row.row) for row in given]
    assert applied.changed == {"html read": 1}
    parts = clean(given, source="forum", select={"part": "b"}).rows
    assert [row.fields.get("part") for row in parts] == ["x", None, "", "", ""]


@pytest.mark.parametrize("selector", ["", "p >", "a[href", "..", "p::before", "a{", ":nth-child(", "@href"])
def test_a_wrong_selector_is_an_error_that_shows_it(selector: str) -> None:
    for parameters in ({"select": {"part": selector}}, {"drop": [selector]}):
        with pytest.raises(InputError, match="is not a CSS selector") as refused:
            clean([page("<p>x</p>")], **parameters)
        assert f"'{selector}'" in str(refused.value)


def test_a_field_or_source_that_no_row_has_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(InputError, match="no row has the field 'body'; there are: id, html"):
        clean([page("x")], field="body")
    with pytest.raises(InputError, match="no row is of source 'blog'; there are: forum"):
        clean([page("x")], source="blog")


# ----- hostile pages

PIECES = ["<", "</", ">", "<p", "<p>", "</p>", "<!--", "-->", "<![", "<![foo", "<![CDATA[", "]]>", "<!", "<?", "?>",
          "&#", "&#x", "9999999999999999", ";", "&amp", "&#0;", "&#xD800;", "\x00", '"', "'", "=", " class", "<script>",
          "</script", "<style>", " ", "\n", "word", "<a href=", "<br/", "<svg><", "]", "\u2028"]  # fmt: skip


def test_broken_html_is_read_as_far_as_it_goes() -> None:
    rng = random.Random(0)
    for _ in range(3000):
        html = "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 14)))
        read = text(html, drop=["svg"])
        assert read == "\n".join(" ".join(line.split()) for line in read.splitlines()), html


def test_words_around_a_broken_section_stay() -> None:
    assert text("<p>before <![foo]> between <![if !IE]> after</p>") == "before between after"


@pytest.mark.parametrize(
    "html", ["<div>" * 50_000 + "deep", "<b>" * 50_000 + "deep" + "</b>" * 50_000, "</p>" * 50_000 + "deep"]
)
def test_a_page_nested_deeper_than_calls_can_be(html: str) -> None:
    assert text(html) == "deep"


def test_a_wide_page_takes_no_quadratic_time() -> None:
    """With one pass over the page this takes a second; each of the 60,000 siblings looked up in turn takes minutes."""
    assert text("<br>x" * 60_000) == "\n".join(["x"] * 60_000)


def test_a_text_that_looks_like_an_address_gives_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert text("https://example.org/page") == "https://example.org/page"
    assert list(recwarn) == []
