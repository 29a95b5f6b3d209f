"""How many training rows look like the benchmark."""

from memory.records import Evidence
from roles.evidence.case import Case
from roles.evidence.shares import by_source, in_words


def find(case: Case) -> Evidence | None:
    """Rows rendered by the task's own prompt; None without rows."""
    if not case.rows:
        return None
    matching = [row.source for row in case.rows if row.task_format]
    shares = by_source(matching, (row.source for row in case.rows))
    return Evidence(
        name="format_match",
        claim=f"{len(matching)} of {len(case.rows)} training rows have the benchmark's own prompt; "
        f"by source: {in_words(shares)}.",
        count=len(matching),
        of=len(case.rows),
        figures=shares,
    )
