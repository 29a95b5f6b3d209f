"""Templates render over a row, in a sandbox; whatever goes wrong names the template and the fields there are."""

from typing import Any

import pytest

from tasks.failure import InputError
from tasks.template import fields, render

ROW: dict[str, Any] = {"question": " Why? ", "options": ["x", "y"], "zero": 0, "none": None, "text": "abc", "n": 7}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ question }}", "Why?"),
        ("  a\n{{ options[1] }}\n", "a\ny"),
        ("{{ options | tojson }}", '["x", "y"]'),
        ("{% for o in options %}\n{{ loop.index }}. {{ o }}\n{% endfor %}", "1. x\n2. y"),
        ("{{ {'A': 'x', 'B': question}['A'] }}", "x"),
        ("{{ '<b> & \"c\"' }}", '<b> & "c"'),
        ("no field", "no field"),
    ],
)
def test_renders(template: str, expected: str) -> None:
    assert render(template, ROW) == expected


WRONG = {
    "unknown field": ("{{ anwser }}", "'anwser' is undefined"),
    "unknown field in a condition": ("{% if anwser %}a{% endif %}", "'anwser' is undefined"),
    "position beyond the end": ("{{ options[2] }}", "no element 2"),
    "key of a mapping": ("{{ {'A': 1}[text] }}", "'abc'"),
    "part of nothing": ("{{ none.strip() }}", "strip"),
    "division": ("{{ n / zero }}", "division by zero"),
    "overflow": ("{{ 10.0 ** 400 }}", "out of range"),
    "types": ("{{ n + text }}", "unsupported operand"),
    "filter of another type": ("{{ text | dictsort }}", "items"),
    "no number": ("{{ text | round }}", "str"),
    "endless": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
    "syntax": ("{{ question", "not a valid template"),
    "unknown filter": ("{{ question | shout }}", "shout"),
    "unknown file": ("{% include 'a.txt' %}", "no loader"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_names_the_template_and_the_cause(case: str) -> None:
    template, expected = WRONG[case]
    with pytest.raises(InputError) as error:
        render(template, ROW)
    assert repr(template) in str(error.value)
    assert expected in str(error.value)


def test_an_error_over_a_row_lists_its_fields() -> None:
    with pytest.raises(InputError, match="the row has: question, options, zero, none, text, n"):
        render("{{ anwser }}", ROW)


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ text.__class__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.getcwd() }}",
        "{{ '{0.__class__}'.format(text) }}",
        "{% for i in range(10 ** 9) %}a{% endfor %}",
    ],
)
def test_the_sandbox_holds(attack: str) -> None:
    """A template of an agent reaches no attribute that leads out, and no endless range."""
    with pytest.raises(InputError):
        render(attack, ROW)


def test_fields_are_those_the_template_reads() -> None:
    assert fields("{{ b }} {% if a.x %}{{ c[d] }}{% endif %}{% set e = 1 %}{{ e }}{{ 'f' }}") == ["a", "b", "c", "d"]
    with pytest.raises(InputError, match=r"not a valid template: '\{\{ b'"):
        fields("{{ b")
