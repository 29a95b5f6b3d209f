"""Splits never share a row, a cluster or a question; they keep the shares of each group and depend on the rows only."""

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from tasks.splits import FEW, TEST_ROWS, Splits, split_samples, with_units
from tasks.task import Sample

SPLITS = ("feedback", "selection", "test")


def sample(number: int, **settings: Any) -> Sample:
    given: dict[str, Any] = {"answer": "a", "content": f"Question {number}?", **settings}
    return Sample(id=f"q{number:04}", prompt=given["content"], **given)


def groups(**sizes: int) -> list[Sample]:
    """Samples with a question of their own, so many a group."""
    names = [name for name, size in sizes.items() for _ in range(size)]
    return [sample(number, group=name) for number, name in enumerate(names)]


def sides(splits: Splits, id_: str) -> list[str]:
    return [name for name in SPLITS if id_ in getattr(splits, name)]


def test_every_row_is_in_one_split() -> None:
    samples = groups(a=100, b=60, c=43)
    splits = split_samples(samples)
    assert not splits.shared
    assert Counter(id_ for name in SPLITS for id_ in getattr(splits, name)) == Counter(item.id for item in samples)


def test_half_is_test_and_the_rest_is_divided_30_to_70_in_each_group() -> None:
    samples = groups(a=200, b=100, c=40, d=11)
    splits = split_samples(samples)
    group_of = {item.id: item.group for item in samples}
    for name, share in (("test", 0.5), ("feedback", 0.15), ("selection", 0.35)):
        counts = Counter(group_of[id_] for id_ in getattr(splits, name))
        for group, size in (("a", 200), ("b", 100), ("c", 40), ("d", 11)):
            assert abs(counts[group] - share * size) <= 1, (name, group)


def test_a_large_benchmark_seals_about_500_rows_and_leaves_the_others_to_selection() -> None:
    samples = [sample(number, group=f"g{number % 4}", cluster=f"c{number // 12}") for number in range(2400)]
    splits = split_samples(samples)
    assert TEST_ROWS <= len(splits.test) <= TEST_ROWS + 4 * 12
    assert abs(len(splits.feedback) - 0.3 * (2400 - len(splits.test))) <= 4 * 12
    group_of = {item.id: item.group for item in samples}
    counts = Counter(group_of[id_] for id_ in splits.test)
    assert max(counts.values()) - min(counts.values()) <= 12
    assert len(split_samples(groups(a=1000)).test) == 500


def test_the_order_of_the_rows_does_not_matter() -> None:
    samples = [
        *groups(a=90, b=90),
        *(sample(number, cluster=f"t{number % 9}", group="abc"[number % 3]) for number in range(500, 560)),
        *(sample(number, content=f"Twin {number % 20}") for number in range(600, 640)),
        *(sample(number, content=f"Both {number % 30}", cluster=f"u{number % 37}") for number in range(700, 760)),
    ]
    expected = split_samples(samples)
    for seed in range(5):
        assert split_samples(random.Random(seed).sample(samples, len(samples))) == expected


def test_the_splits_are_the_same_on_every_machine() -> None:
    """Fixed by a hash: these ids were written down once, so that published numbers stay comparable."""
    splits = split_samples(groups(a=130))
    assert splits.test[:6] == ("q0000", "q0003", "q0004", "q0006", "q0007", "q0009")
    assert splits.feedback[:6] == ("q0002", "q0030", "q0042", "q0043", "q0047", "q0055")


def test_ids_do_not_decide() -> None:
    """Renaming rows moves none of them: the question decides, so ids by row number do no harm."""
    samples = groups(a=200)
    renamed = [item.model_copy(update={"id": f"x{item.id}"}) for item in samples]
    before, after = split_samples(samples), split_samples(renamed)
    assert all(sides(before, item.id) == sides(after, f"x{item.id}") for item in samples)


def test_more_rows_in_another_group_move_none_of_this_one() -> None:
    few, many = split_samples(groups(a=160)), split_samples(groups(a=160, b=90))
    assert all(sides(few, f"q{number:04}") == sides(many, f"q{number:04}") for number in range(160))


@pytest.mark.parametrize("explicit", [False, True])
def test_a_cluster_stays_on_one_side(explicit: bool) -> None:
    samples = [sample(number, cluster=f"table {number % 40}") for number in range(240)]
    given = {f"q{number:04}" for number in range(15)} if explicit else None
    splits = split_samples(samples, given)
    found = [{samples[int(id_[1:])].cluster for id_ in getattr(splits, name)} for name in SPLITS]
    assert all(found)
    assert all(not one & other for one, other in [(found[0], found[1]), (found[0], found[2]), (found[1], found[2])])
    if explicit:
        left = {*splits.feedback, *splits.selection}
        assert set(splits.test) == given
        assert left == {item.id for item in samples if int(item.cluster.split()[1]) >= 15}


SAME = {
    "case": ("Which colour is it?", "WHICH COLOUR IS IT?"),
    "blanks": ("Which colour is it?", "Which  colour\nis it?"),
    "punctuation": ("Which colour is it?", "Which colour is it ..."),
    "full width": ("Is it 20?", "Is it \uff12\uff10?"),
}


@pytest.mark.parametrize("case", SAME)
@pytest.mark.parametrize("clustered", [False, True], ids=["no cluster", "two clusters"])
def test_an_identical_question_stays_on_one_side(case: str, clustered: bool) -> None:
    """However it is written, also when the two rows belong to different clusters."""
    for number in range(40):
        first, second = (f"{text} ({number})" for text in SAME[case])
        twins = [
            sample(900 + index, content=text, options=options, cluster=f"t{number}{index}" if clustered else "")
            for index, (text, options) in enumerate([(first, ("red", "blue")), (second, ("blue", "red"))])
        ]
        splits = split_samples([*groups(a=140), *twins])
        assert sides(splits, "q0900") == sides(splits, "q0901") != []


def test_rows_linked_by_clusters_and_questions_stay_together() -> None:
    """A chain: row n shares its cluster with n + 1, or its question, in turn."""
    for salt in range(20):
        chain = [
            sample(900 + n, cluster=f"c{salt}-{n // 2}", content=f"Chained {salt}-{(n + 1) // 2}") for n in range(6)
        ]
        random.Random(salt).shuffle(chain)
        splits = split_samples([*groups(a=150), *chain])
        assert len({tuple(sides(splits, item.id)) for item in chain}) == 1


def test_rows_that_stay_together_are_known_as_one_unit() -> None:
    """Statistics count them once."""
    alone = sample(0)
    twins = [sample(i, content="the same", options=("a", "b")) for i in (1, 2)]
    table = [sample(i, cluster="t") for i in (3, 4)]
    linked = [sample(5, cluster="u", content="both"), sample(6, cluster="v", content="both"), sample(7, cluster="v")]
    found = {one.id: one.cluster for one in with_units([alone, *twins, *table, *linked])}
    ids = [one.id for one in (alone, *twins, *table, *linked)]
    clusters = [found[id_] for id_ in ids]
    assert clusters[0] == ""
    assert clusters[1] == clusters[2] != ""
    assert clusters[3:5] == ["t", "t"]
    assert len(set(clusters[5:])) == 1
    assert len(set(clusters)) == 4


def test_other_options_make_another_question() -> None:
    """`Which is true?` with other options is another item, so such rows may stand on both sides."""
    samples = [sample(number, content="Which is true?", options=(f"a{number}", f"b{number}")) for number in range(200)]
    assert len(split_samples(samples).test) == 100


def test_a_twin_of_an_explicit_test_row_is_left_out() -> None:
    samples = groups(a=100)
    twin = sample(900, content="QUESTION 3")
    splits = split_samples([*samples, twin], {"q0003", "q0004"})
    assert splits.test == ("q0003", "q0004")
    assert sides(splits, "q0900") == []
    assert len(splits.feedback) + len(splits.selection) == 98


@pytest.mark.parametrize("left", [FEW - 1, FEW])
def test_with_few_rows_feedback_and_selection_are_the_same(left: int) -> None:
    samples = groups(a=left + 20)
    test = {item.id for item in samples[:20]}
    splits = split_samples(samples, test)
    assert splits.shared is (left < FEW)
    assert set(splits.test) == test
    if splits.shared:
        assert splits.feedback == splits.selection == tuple(item.id for item in samples[20:])
    else:
        assert len(splits.feedback) == 18
        assert len(splits.selection) == 42
        assert not set(splits.feedback) & set(splits.selection)


def test_ids_are_sorted_in_each_split() -> None:
    splits = split_samples(random.Random(0).sample(groups(a=200), 200))
    for name in SPLITS:
        assert all(one < other for one, other in pairwise(getattr(splits, name)))
