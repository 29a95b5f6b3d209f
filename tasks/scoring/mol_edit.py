"""Editing of molecules: the mol_edit sub-tasks of ChemCoTBench (https://github.com/IDEA-XL/ChemCoTBench)."""

from typing import Any, ClassVar, Literal

from tasks.chemistry_answers import (
    answer_body,
    as_text,
    first_present,
    json_object,
    longest_run,
    quoted,
    shown,
    unknown_subtask,
)
from tasks.functional_groups import SMARTS, count_group
from tasks.molecules import molecule, tanimoto
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

KEYS = ("output", "answer")
"""JSON keys that may hold the edited molecule."""
SUBTASKS = ("add", "delete", "sub")
LEAST_SIMILARITY = 0.3
"""Under `honest` the edited molecule keeps this Tanimoto similarity to the source; without it `CC=O` is a perfect
answer to "add an aldehyde" for any molecule."""


class MolEdit(Record):
    """1 when the count of the functional group is the source's plus one (`add`), minus one (`delete`), or both (`sub`).

    The sub-task is the sample's group; the context holds `source_smiles`, `group_a` (added or deleted; in `sub`, added)
    and `group_b` (in `sub`, removed). The reference answer is not compared, since many molecules are right. Under
    `honest` the prediction must also stay similar to the source. In a task file: `scorer: {name: mol_edit}`.
    """

    ITEM_SECONDS: ClassVar[float] = 30

    name: Literal["mol_edit"] = "mol_edit"
    compares: ClassVar[bool] = False
    protocol: Protocol = "honest"
    """Whether a molecule that has nothing in common with the source can be right (`paper`)."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError for an unknown sub-task and for a context without source or group; under `honest` also for
        a source that is no molecule. An unknown functional group is wrong. Raises InputError without RDKit."""
        text = self._read(prediction)
        edited = molecule(text)
        if edited is None:
            return ItemScore(score=0, parsed=False, metrics={"valid": 0.0})
        if sample.group not in SUBTASKS:
            raise unknown_subtask(sample, SUBTASKS)
        source = molecule(_input(sample, "source_smiles"))
        if source is None and self.protocol == "honest":
            raise ValueError(f"source_smiles of sample {sample.id} is no molecule")
        similarity = 0.0 if source is None else tanimoto(edited, source)
        right = source is not None and _edited_as_asked(sample, source, edited)
        if self.protocol == "honest":
            right = right and similarity >= LEAST_SIMILARITY
        metrics = {"valid": 1.0, "similarity": similarity}
        return ItemScore(score=float(right), parsed=True, extracted=shown(text), metrics=metrics)

    def parses(self, prediction: str, group: str | None = None) -> bool:
        """Whether a molecule can be read; the format is the same for every sub-task."""
        return molecule(self._read(prediction)) is not None

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description='A JSON object whose key "output" holds the SMILES of the edited molecule.',
            example='{"output": "OCCc1ccccc1"}',
        )

    def _read(self, text: str) -> str:
        body = answer_body(text, self.protocol)
        for found in (as_text(first_present(json_object(body), KEYS)), quoted(body, KEYS), longest_run(body)):
            if found is not None:
                return found
        return body


def _edited_as_asked(sample: Sample, source: Any, edited: Any) -> bool:
    group = _input(sample, "group_a")
    changes = {group: -1 if sample.group == "delete" else 1}
    if sample.group == "sub":
        removed = _input(sample, "group_b")
        if removed == group:  # one group cannot become both more and fewer
            return False
        changes[removed] = -1
    return all(
        name in SMARTS and count_group(edited, name) == count_group(source, name) + change
        for name, change in changes.items()
    )


def _input(sample: Sample, key: str) -> str:
    value = sample.context.get(key)
    if not isinstance(value, str):
        raise ValueError(f"sample {sample.id} has no {key} in its context")
    return value


SCORER = MolEdit
