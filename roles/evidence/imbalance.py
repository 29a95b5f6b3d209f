"""How evenly the training rows cover the categories of the benchmark.

Raw rows often name their category in a field whose values are those of the benchmark's groups. The field is looked for
in each source: the one whose values are most often the name of a group, if at least half of them are.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from memory.records import Evidence
from roles.evidence.case import Case, TrainedRow
from tasks.text import normalise

ENOUGH = 0.5
"""Share of a source's rows whose field must name a group."""


def find(case: Case) -> Evidence | None:
    """The largest and the smallest category, and those without a row; None when rows do not tell theirs."""
    groups = {normalise(group): group for group in case.survey.task.groups}
    rows = Counter(_categories(case.rows, groups))
    if len(groups) < 2 or not rows:
        return None
    of = rows.total()
    ordered = sorted(rows, key=lambda group: (-rows[group], group))
    largest, smallest = ordered[0], ordered[-1]
    missing = sorted(set(groups.values()) - set(rows))
    claim = (
        f"Of {of} training rows whose category is known, the largest category ({largest}) has {rows[largest]} and the "
        f"smallest ({smallest}) {rows[smallest]}, a ratio of {rows[largest] / rows[smallest]:.1f}; {len(missing)} of "
        f"{len(groups)} categories have no row{': ' if missing else ''}{', '.join(missing)}."
    )
    figures = {
        "largest": rows[largest] / of,
        "smallest": rows[smallest] / of,
        "ratio": rows[largest] / rows[smallest],
        "missing": float(len(missing)),
    }
    return Evidence(
        name="imbalance",
        claim=claim,
        count=rows[largest],
        of=of,
        figures={name: round(value, 4) for name, value in figures.items()},
    )


def _categories(rows: tuple[TrainedRow, ...], groups: Mapping[str, str]) -> Iterator[str]:
    """The group of each row that tells it."""
    for source in {row.source for row in rows}:
        raw = [row.raw for row in rows if row.source == source]
        named = Counter(field for fields in raw for field, value in fields.items() if normalise(str(value)) in groups)
        field, hits = max(named.items(), key=lambda one: (one[1], one[0]), default=("", 0))
        if hits >= ENOUGH * len(raw):
            found = (normalise(str(fields.get(field, ""))) for fields in raw)
            yield from (groups[value] for value in found if value in groups)
