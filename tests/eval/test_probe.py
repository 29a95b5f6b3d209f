"""The general probe: its items hold together, and what it says of two models."""

import re
from collections import Counter

import pytest

from eval.engine import Completion
from eval.probe import ProbeItem, grade, probe_items, regression


def answers(texts: list[str]) -> list[list[Completion]]:
    return [[Completion(text=text, tokens=3, finish="stop")] for text in texts]


RIGHT = [item.example for item in probe_items()]
WRONG = ["I would rather talk about something else entirely, if I may, so let us do that."] * len(RIGHT)


def test_the_items() -> None:
    items = probe_items()
    assert Counter(item.skill for item in items) == {"instructions": 36, "knowledge": 36, "arithmetic": 36}
    assert len({item.id for item in items}) == len({item.prompt for item in items}) == len(items)


@pytest.mark.parametrize("item", probe_items(), ids=lambda item: item.id)
def test_an_item_knows_right_from_wrong(item: ProbeItem) -> None:
    """Its example passes, in prose too where the item allows it; silence, chatter and the prompt itself do not."""
    assert re.search(item.pattern, item.example, re.IGNORECASE)
    for wrong in ("", WRONG[0], "As a language model I cannot say.", "maybe 31415"):
        assert not re.search(item.pattern, wrong, re.IGNORECASE)
    if item.skill != "instructions":
        assert re.search(item.pattern, f"The answer is {item.example}.", re.IGNORECASE)
    else:
        assert not re.search(
            item.pattern, f"Sure! {item.prompt} Here you are: {item.example}. Anything else?", re.IGNORECASE
        )


def test_no_prompt_gives_its_answer_away() -> None:
    """Repeating the question is not an answer; where one must choose from a list or copy, the whole answer counts."""
    given = [item.id for item in probe_items() if re.search(item.pattern, item.prompt, re.IGNORECASE)]
    assert given == []


def test_numbers_are_whole() -> None:
    sums = {item.prompt: item for item in probe_items() if item.skill == "arithmetic"}
    item = sums["What is 2 + 3? Answer with the number."]
    texts = {"5": True, "= 5.": True, "5,": True, "15": False, "55": False, "5.5": False, "0.5": False}
    assert {text: bool(re.search(item.pattern, text)) for text in texts} == texts


def test_grades() -> None:
    graded = grade(answers([*RIGHT[:50], *WRONG[50:]]))
    assert [item.score for item in graded] == [1.0] * 50 + [0.0] * (len(RIGHT) - 50)
    assert [item.id for item in graded] == [item.id for item in probe_items()]


def test_a_model_that_forgot_arithmetic() -> None:
    """The loss of one skill is a third of the whole, and shown beside the others."""
    after = list(RIGHT)
    for place, item in enumerate(probe_items()):
        if item.skill == "arithmetic":
            after[place] = WRONG[place]
    found = regression(grade(answers(RIGHT)), grade(answers(after)))
    assert (found.before, found.after, found.change, found.n) == (1.0, 0.667, -0.333, 108)
    assert found.low <= found.change <= found.high < 0
    assert {skill.skill: (skill.before, skill.after) for skill in found.skills} == {
        "instructions": (1.0, 1.0), "knowledge": (1.0, 1.0), "arithmetic": (1.0, 0.0),
    }  # fmt: skip


def test_a_model_that_forgot_nothing() -> None:
    same = grade(answers(RIGHT))
    found = regression(same, same)
    assert (found.change, found.low, found.high) == (0, 0, 0)
