"""Feedback, selection and test: three disjoint sets by a fixed rule over read-only data.

Test rows are sealed: half of each group, in a large benchmark a smaller share of each that makes about 500 rows. Of the
rest 30 % are feedback (the diagnostician sees items, outputs and errors) and 70 % are selection (roles learn only the
verdict and the rounded aggregate). Rows that share a cluster, or the same question, stay on one side. Everything is
decided by hashes of the rows: no seed, no order, so the same rows always split alike.
"""

import hashlib
from collections import defaultdict

from tasks.record import Record
from tasks.task import Sample
from tasks.text import normalise

TEST_SHARE = 0.5
TEST_ROWS = 500
"""More test rows than this narrow an interval little; they serve better as feedback and selection."""
FEEDBACK_SHARE = 0.3
FEW = 60
"""With fewer rows than this outside the test split, feedback and selection are the same rows."""


class Splits(Record):
    """Ids of each split."""

    feedback: tuple[str, ...]
    selection: tuple[str, ...]
    test: tuple[str, ...]
    shared: bool
    """Feedback and selection are the same rows, so the verdict is weaker; flagged wherever it matters."""


def split_samples(samples: list[Sample], test_ids: set[str] | None = None) -> Splits:
    """Divide samples, stratified by group.

    Args:
        test_ids: an explicit test split; None takes half of each group, or a smaller share that makes `TEST_ROWS` in
            all. Other rows that share a cluster or a question with a test row are left out.
    """
    units = _units(samples)
    unit_of = {sample.id: unit for unit, members in units.items() for sample in members}
    share = min(TEST_SHARE, TEST_ROWS / max(1, len(samples)))
    test = test_ids if test_ids is not None else _take(units, share, "test")
    test_units = {unit_of[id_] for id_ in test}
    rest = {unit: members for unit, members in units.items() if unit not in test_units}
    size = sum(len(members) for members in rest.values())
    everything = tuple(sorted(sample.id for members in rest.values() for sample in members))
    if size < FEW:
        return Splits(feedback=everything, selection=everything, test=tuple(sorted(test)), shared=True)
    feedback = _take(rest, FEEDBACK_SHARE, "feedback")
    return Splits(
        feedback=tuple(sorted(feedback)),
        selection=tuple(id_ for id_ in everything if id_ not in feedback),
        test=tuple(sorted(test)),
        shared=False,
    )


def with_units(samples: list[Sample]) -> list[Sample]:
    """The samples, with a cluster for rows that must stay together: they are not independent of one another."""
    found = {sample.id: sample for sample in samples}
    for unit, members in _units(samples).items():
        if len(members) > 1:
            clusters = {sample.cluster for sample in members} - {""}
            name = clusters.pop() if len(clusters) == 1 else hashlib.sha256(unit.encode()).hexdigest()[:12]
            found |= {sample.id: sample.model_copy(update={"cluster": name}) for sample in members}
    return [found[sample.id] for sample in samples]


def _units(samples: list[Sample]) -> dict[str, list[Sample]]:
    """Rows that must stay together: of one cluster, or with the same question and options, or linked by such rows."""
    names: dict[str, str] = {}  # of a link: a link of the same unit that stands before it; the first one names the unit

    def first(link: str) -> str:
        while names.setdefault(link, link) != link:
            link = names[link]
        return link

    links = {sample.id: _links(sample) for sample in samples}
    for own in links.values():
        low, high = sorted((first(own[0]), first(own[-1])))
        names[high] = low
    units: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        units[first(links[sample.id][0])].append(sample)
    return units


def _links(sample: Sample) -> list[str]:
    text = " ".join([normalise(sample.content), *sorted(normalise(option) for option in sample.options)])
    return [f"cluster|{sample.cluster}", f"row|{text}"] if sample.cluster else [f"row|{text}"]


def _take(units: dict[str, list[Sample]], share: float, salt: str) -> set[str]:
    """Ids of about `share` of each group's rows, whole units, lowest hash first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for unit, members in units.items():
        groups[min(sample.group for sample in members)].append(unit)
    taken: set[str] = set()
    for members in groups.values():
        wanted = round(share * sum(len(units[unit]) for unit in members))
        count = 0
        for unit in sorted(members, key=lambda unit: hashlib.sha256(f"{salt}|{unit}".encode()).digest()):
            if count >= wanted:
                break
            taken |= {sample.id for sample in units[unit]}
            count += len(units[unit])
    return taken
