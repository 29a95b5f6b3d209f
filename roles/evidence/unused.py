"""What the raw sources still hold: rows that the experiment was not trained on."""

from collections import Counter

from memory.records import Evidence
from roles.evidence.case import Case


def find(case: Case) -> Evidence | None:
    """Raw rows left, by source; None when no data were made."""
    sources = case.survey.corpus.sources
    if not case.rows or not sources:
        return None
    used = Counter(source for source, _ in {(row.source, row.row) for row in case.rows})
    left = {source.name: max(0, source.rows - used[source.name]) for source in sources}
    parts = ", ".join(f"{left[source.name]} of {source.rows} in {source.name}" for source in sources)
    untouched = [source.name for source in sources if not used[source.name]]
    claim = (
        f"{sum(left.values())} of {sum(source.rows for source in sources)} raw rows were not trained on (sampled out, "
        f"removed or never read): {parts}. "
        + (f"Not used at all: {', '.join(untouched)}." if untouched else "Every source was used.")
    )
    return Evidence(
        name="unused",
        claim=claim,
        count=sum(left.values()),
        of=sum(source.rows for source in sources),
        figures={name: float(rows) for name, rows in left.items()},
    )
