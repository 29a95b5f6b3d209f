"""The contract that every finding keeps, and the attack: no benchmark text in any evidence."""

import importlib
import math
from typing import Any

import cases
import pytest

from memory.records import Evidence
from roles.evidence import gather, names

SECRET = "xyzzy"


def find(name: str, case: Any) -> Evidence | None:
    """The finding of a module."""
    return importlib.import_module(f"roles.evidence.{name}").find(case)


@pytest.mark.parametrize("name", names())
def test_a_finding_counts_what_it_says(name: str) -> None:
    """Its name is the module's, counts fit, figures are finite, and the claim is sentences that hold the count."""
    found = find(name, cases.full_case())
    assert found is not None
    assert found.name == name
    assert 0 <= found.count <= found.of
    assert found.figures
    assert all(math.isfinite(value) for value in found.figures.values())
    assert str(found.count) in found.claim
    assert found.claim[0].isalnum()
    assert found.claim.endswith(".")
    assert "\n" not in found.claim


@pytest.mark.parametrize("name", names())
def test_a_finding_is_deterministic(name: str) -> None:
    """The same case gives the same record."""
    assert find(name, cases.full_case()) == find(name, cases.full_case())


@pytest.mark.parametrize("name", names())
def test_nothing_is_said_of_an_experiment_without_anything(name: str) -> None:
    """It failed before there were data."""
    assert find(name, cases.case()) is None


def test_gathering_keeps_the_order_of_the_names() -> None:
    """One record a finding; those that have nothing to say are left out."""
    assert [found.name for found in gather(cases.full_case())] == names()
    assert gather(cases.case()) == ()


def secret_case() -> Any:
    """The full case with a secret word in every text of its feedback items, in every shape that is told apart."""
    prompt = f"{SECRET} of the sky at dusk in all of the coloured towns of {SECRET}?"
    shapes: list[dict[str, Any]] = [
        {"completions": (SECRET,), "parsed": (False,), "scores": (0.0,)},
        {"completions": (prompt,), "parsed": (False,), "scores": (0.0,)},
        {"completions": (f"{SECRET} {SECRET}",), "parsed": (False,), "scores": (0.0,), "truncated": True},
        {"completions": (SECRET,), "scores": (0.3,)},
    ]
    texts = {"prompt": prompt, "answer": SECRET}
    items = [
        cases.item(n).model_copy(update={"id": f"{SECRET}{n}", **texts, **shape}) for n, shape in enumerate(shapes)
    ]
    before = [each.model_copy(update={"scores": (0.5,)}) for each in items]
    return cases.full_case()._replace(items=tuple(items), parent_items=tuple(before))


def test_no_evidence_holds_text_of_the_benchmark() -> None:
    """The attack: the data engineer reads every claim."""
    case = secret_case()
    assert SECRET in case.items[0].prompt
    found = gather(case)
    assert [each.name for each in found] == names()
    assert [each.name for each in found if SECRET in each.model_dump_json()] == []
