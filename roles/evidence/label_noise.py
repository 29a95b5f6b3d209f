"""Training rows whose answer is probably wrong, because the other rows contradict it.

This takes seconds, so an experiment on the rows of its parent takes over what was found there.
"""

from memory.records import Evidence
from roles.data_steps.label_agreement import suspicious
from roles.data_steps.witnesses import Answered
from roles.evidence.case import Case
from roles.evidence.shares import by_source, in_words

NAME = "label_noise"


def find(case: Case) -> Evidence | None:
    """Suspicious rows among those with options; None without such rows."""
    asked = [row.source for row in case.rows if row.options]
    return (_of_parent(case) or _found(case, asked)) if asked else None


def _of_parent(case: Case) -> Evidence | None:
    data, before = case.experiment.data, case.parent.data
    if data is None or before is None or data.content_hash != before.content_hash:
        return None
    return next((evidence for evidence in case.parent.evidence if evidence.name == NAME), None)


def _found(case: Case, asked: list[str]) -> Evidence:
    found = suspicious([Answered(row.content, row.answer, row.options, row.source) for row in case.rows])
    shares = by_source((case.rows[suspicion.row].source for suspicion in found), asked)
    return Evidence(
        name=NAME,
        claim=f"{len(found)} of {len(asked)} multiple-choice training rows have an answer that other rows contradict, "
        f"so it is probably wrong; by source: {in_words(shares)}.",
        count=len(found),
        of=len(asked),
        figures=shares,
    )
