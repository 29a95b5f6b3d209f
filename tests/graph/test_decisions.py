"""What the roles are shown, where the graph chooses it."""

from eval.result import ItemResult
from graph.decisions import WRONG_SHOWN, spread


def item(number: int, group: str) -> ItemResult:
    """A wrong answer."""
    return ItemResult(
        id=f"{group}{number}", group=group, prompt="p", answer="a", completions=("b",), scores=(0.0,), parsed=(True,),
        truncated=False,
    )  # fmt: skip


def test_wrong_items_come_from_as_many_groups_as_there_are() -> None:
    """One group with many errors does not hide the others."""
    items = [item(k, "a") for k in range(20)] + [item(0, "b"), item(0, "c"), item(1, "c")]
    shown = spread(items)
    assert len(shown) == WRONG_SHOWN
    assert [one.id for one in shown[:5]] == ["a0", "b0", "c0", "a1", "c1"]
    assert spread(items[:2]) == (items[0], items[1])
    assert spread([]) == ()
