"""Training rows that nearly repeat an earlier one, as the data step `near_duplicates` would find them."""

from memory.records import Evidence
from roles.data_steps.near_duplicates import NearDuplicates
from roles.data_steps.row import DataRow
from roles.evidence.case import Case, TrainedRow
from roles.evidence.shares import by_source, in_words


def find(case: Case) -> Evidence | None:
    """Rows that the step would drop with its own defaults; None without rows."""
    if not case.rows:
        return None
    copies = NearDuplicates().copies([_formatted(row) for row in case.rows])
    shares = by_source((case.rows[position].source for position in copies), (row.source for row in case.rows))
    return Evidence(
        name="duplicates",
        claim=f"{len(copies)} of {len(case.rows)} training rows nearly repeat an earlier one; "
        f"by source: {in_words(shares)}.",
        count=len(copies),
        of=len(case.rows),
        figures=shares,
    )


def _formatted(row: TrainedRow) -> DataRow:
    fields = {"prompt": row.prompt, "answer": row.answer, "options": list(row.options), "content": row.content}
    return DataRow(source=row.source, row=row.row, fields=fields)
