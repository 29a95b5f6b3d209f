"""An experiment that was found better does not become the best when it costs too much elsewhere."""

from types import SimpleNamespace
from typing import Any

import pytest
from test_nodes import experiment, verdict

from eval.probe import Regression, SkillScore
from graph import actions
from graph.nodes import probed


def cost(change: float, half: float = 0.05) -> Regression:
    skill = SkillScore(skill="knowledge", n=36, before=0.6, after=0.6 + change)
    return Regression(
        before=0.6, after=0.6 + change, change=change, low=change - half, high=change + half, n=108, skills=(skill,)
    )


def context(most: float | None) -> Any:
    said: list[str] = []
    terminal = SimpleNamespace(say=said.append)
    return SimpleNamespace(config=SimpleNamespace(max_regression=most), terminal=terminal, said=said)


@pytest.mark.parametrize(
    ("change", "most", "barred"),
    [
        (-0.2, 0.1, True),
        (-0.1, 0.1, False),
        (0.3, 0.0, False),
        (-0.06, 0.0, True),
        (-0.04, 0.0, False),  # may be chance
        (-0.9, None, False),
    ],
)
def test_the_gate(change: float, most: float | None, barred: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "probe", lambda *_: cost(change))
    there = context(most)
    better = experiment(1).model_copy(update={"verdict": verdict(0.2, outcome="better")})
    found = probed(there, better)
    assert found.regression == cost(change)
    assert bool(found.barred) is barred
    assert found.advances is not barred
    assert "general probe 001: 0.600 ->" in there.said[0]
    assert (len(there.said) == 2) is barred
    if barred:
        assert f"loses {-change:.3f}" in found.barred
        assert found.barred in there.said[1]


def test_the_untouched_model_is_not_probed_against_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "probe", lambda *_: pytest.fail("nothing to compare"))
    untouched = experiment(0)
    assert probed(context(0.0), untouched) == untouched
