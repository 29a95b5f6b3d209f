"""What the losses tell, on losses whose means are known."""

import cases
import pytest

from roles.evidence import fit, loss_shape
from roles.evidence.loss_shape import FEWEST


def test_the_shape_of_a_straight_line() -> None:
    """Losses 30 to 1: tenths of three steps, fifths of six, a last third of 10 to 1 with the means 8 and 3."""
    found = loss_shape.find(cases.case(losses=[float(30 - step) for step in range(30)]))
    assert found is not None
    assert (found.count, found.of) == (30, 30)
    assert found.figures["first"] == 29
    assert found.figures["last"] == 2
    assert found.figures["lowest"] == 3.5
    assert found.figures["tail_change"] == -0.625
    assert found.figures["tail_error"] == 0.125  # variance 2.5 in halves of five: the root of (2.5 + 2.5) / 5, of 8
    assert "from 29.000 (mean of the first tenth) to 2.000" in found.claim
    assert "it fell by 62 % (standard error 12 %)" in found.claim


def test_a_loss_that_rises_again_has_its_lowest_point_inside() -> None:
    """Down from 3 to 1 in the middle, and up again to 2."""
    found = loss_shape.find(cases.case(losses=[3.0] * 10 + [1.0] * 10 + [1.5] * 5 + [2.0] * 5))
    assert found is not None
    assert (found.figures["lowest"], found.figures["last"]) == (1, 2)
    assert found.figures["tail_change"] == round(0.5 / 1.5, 4)
    assert "it rose by 33 %" in found.claim


@pytest.mark.parametrize("loss", [0.0, 2.0])
def test_a_flat_loss_changes_nothing(loss: float) -> None:
    """Nor does a loss of zero divide by zero."""
    found = loss_shape.find(cases.case(losses=[loss] * 40))
    assert found is not None
    assert (found.figures["tail_change"], found.figures["tail_error"]) == (0, 0)


def test_few_steps_have_no_shape() -> None:
    """One step more, and they have."""
    assert loss_shape.find(cases.case(losses=[1.0] * (FEWEST - 1))) is None
    assert loss_shape.find(cases.case(losses=[1.0] * FEWEST)) is not None


def test_new_rows_and_repeated_rows() -> None:
    """Eight steps a pass: the second half of the first is 2.0, the last quarter of the last 0.5."""
    losses = [4.0] * 4 + [2.0] * 4 + [1.0] * 6 + [0.4, 0.6]
    found = fit.find(cases.trained(losses, rows=16, batch_size=2))
    assert found is not None
    assert found.figures == {"fresh": 2.0, "repeated": 0.5, "gap": 1.5}
    assert (found.count, found.of) == (8, 16)
    assert "a gap of 1.500" in found.claim


def test_the_last_pass_counts_however_many_there_are() -> None:
    """Four steps a pass (the last batch is short), three and a half passes; a quarter of a pass is one step."""
    found = fit.find(cases.trained([4.0, 4.0, 3.0, 1.0] + [9.0] * 9 + [0.5], rows=7, batch_size=2))
    assert found is not None
    assert found.figures == {"fresh": 2.0, "repeated": 0.5, "gap": 1.5}
    assert (found.count, found.of) == (10, 14)


@pytest.mark.parametrize("losses", [[3.0, 3.0, 1.0, 2.0], [3.0, 3.0]])
def test_one_pass_or_less_repeats_nothing(losses: list[float]) -> None:
    """Half a pass is judged by its own second half."""
    found = fit.find(cases.trained(losses, rows=4))
    assert found is not None
    assert found.figures == {"fresh": sum(losses[-len(losses) // 2 :]) / (len(losses) // 2)}
    assert found.count == 0
    assert "no row was seen twice" in found.claim


def test_a_repeated_step_is_never_taken_from_the_first_pass() -> None:
    """One step into the second pass of eight, where a quarter of a pass would be two steps."""
    found = fit.find(cases.trained([2.0] * 8 + [1.0], rows=8))
    assert found is not None
    assert found.figures["repeated"] == 1
