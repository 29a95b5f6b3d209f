"""Which prompts are put together because they begin alike."""

import random

import pytest

from eval.prefixes import FEWEST, Group, by_prefix


def test_examples_before_questions() -> None:
    """Two few-shot prompts, each with its questions, and the template that all share."""
    algebra = [f"<user>Examples of algebra: 1 + 1 = 2. {i}?" for i in range(6)]
    botany = [f"<user>Examples of botany: roses are red. {i}?" for i in range(5)]
    prompts = [*algebra[:3], *botany, *algebra[3:]]
    groups = by_prefix(prompts, least=10)
    shared = {prompts[group.members[0]][: group.shared] for group in groups}
    assert shared == {"<user>Examples of algebra: 1 + 1 = 2. ", "<user>Examples of botany: roses are red. "}
    assert sorted(group.members for group in groups) == [[0, 1, 2, 8, 9, 10], [3, 4, 5, 6, 7]]


def test_questions_without_examples_stay_together() -> None:
    prompts = [f"<user>Question {word}?" for word in ("apples", "apricots", "bananas", "cherries", "melons")]
    assert by_prefix(prompts, least=10) == [Group(len("<user>Question "), [0, 1, 2, 3, 4])]


def test_few_that_begin_alike_go_with_the_rest() -> None:
    prompts = ["abcdefgh1", "abcdefgh2", "abcdefgh3", "xy", "xz", "y"]
    assert len(prompts[:3]) < FEWEST
    assert by_prefix(prompts, least=4) == [Group(0, [0, 1, 2, 3, 4, 5])]


@pytest.mark.parametrize(
    ("sequences", "groups"),
    [
        ([], []),
        (["abc"], [Group(2, [0])]),
        (["abc", "abc"], [Group(2, [0, 1])]),  # one element is left to each
        (["abc", "abcd"], [Group(2, [0, 1])]),
        (["", "abc"], [Group(0, [0, 1])]),
        ([[1, 2, 3], [1, 2, 4]], [Group(2, [0, 1])]),
    ],
)
def test_small_cases(sequences: list[str], groups: list[Group]) -> None:
    assert by_prefix(sequences, least=5) == groups


def test_nothing_is_lost_and_what_is_shared_is_shared() -> None:
    rng = random.Random(0)
    for _ in range(200):
        sequences = [[rng.randrange(2) for _ in range(rng.randrange(1, 12))] for _ in range(rng.randrange(1, 30))]
        groups = by_prefix(sequences, least=rng.randrange(1, 5))
        assert sorted(i for group in groups for i in group.members) == list(range(len(sequences)))
        for group in groups:
            assert len({tuple(sequences[i][: group.shared]) for i in group.members}) == 1
            assert all(len(sequences[i]) > group.shared for i in group.members)
