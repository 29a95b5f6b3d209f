"""Chemical reactions: the reaction sub-tasks of ChemCoTBench (https://github.com/IDEA-XL/ChemCoTBench)."""

import re
from typing import Any, ClassVar, Literal

from tasks.chemistry_answers import (
    answer_body,
    as_text,
    first_present,
    json_object,
    quoted,
    reference_text,
    shown,
    unknown_subtask,
)
from tasks.molecules import components, molecule, same_molecule
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

KEYS = {
    "fs": ("Major Product", "output", "answer"),
    "retro": ("Reactants", "output", "answer"),
    "rcr": ("condition", "answer"),
    "nepp": ("output", "answer"),
    "mechsel": ("choice", "answer"),
}
"""Sub-task to the JSON keys that may hold the answer."""
ASKED = {"rcr": ("SMILES",), "nepp": ("pred_smi",)}
"""Keys that the prompts ask for and only `honest` reads, before the others."""
TRUE_REFERENCE = {"retro": "reactants", "fs": "product"}
"""Sub-task to the context that `honest` prefers to the reference, in which several molecules are glued together."""

Reading = tuple[str, Any]
"""An answer as text, and the RDKit molecule, condition or letter that is compared."""


class Reaction(Record):
    """1 for the right product (`fs`, `nepp`), set of reactants (`retro`), condition (`rcr`) or choice (`mechsel`).

    The sub-task is the sample's group. Molecules are compared by InChI, conditions as lower-case text. The reference is
    bare, or a JSON object like an answer. The benchmark's `retro` references are the reactants without the dots between
    them: `paper` compares with that; `honest` with the `reactants` of the context (a list of SMILES, or one with dots)
    when they are given, so there the reference itself is wrong. `product` does the same for `fs`. Under `paper`
    neither `rcr` nor `nepp` reads the key that its prompt asks for. A reference that is no molecule matches nothing.
    In a task file: `scorer: {name: reaction}`.
    """

    ITEM_SECONDS: ClassVar[float] = 30

    name: Literal["reaction"] = "reaction"
    protocol: Protocol = "honest"
    """Which keys of rcr and nepp, and which reference of retro and fs, are read."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError for an unknown sub-task, an empty reference, and true molecules in the context that are no
        molecules; InputError without RDKit."""
        if sample.group not in KEYS:
            if not self.parses(prediction):
                return ItemScore(score=0, parsed=False)
            raise unknown_subtask(sample, KEYS)
        reading = self._read(prediction, sample.group)
        if reading is None:
            return ItemScore(score=0, parsed=False)
        text, answer = reading
        return ItemScore(score=float(self._right(answer, sample)), parsed=True, extracted=shown(text))

    def parses(self, prediction: str, group: str | None = None) -> bool:
        """Whether an answer to the sub-task, or without one to any sub-task, can be read."""
        groups = KEYS if group is None else [group]
        return any(self._read(prediction, group) is not None for group in groups)

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description='A JSON object with the key the prompt asks for: "Major Product", "Reactants" (with dots '
            'between them), "SMILES" or "pred_smi" (each a SMILES), or "choice" (a capital letter).',
            example='{"Major Product": "CC(=O)OCC"}',
        )

    def _read(self, text: str, group: str) -> Reading | None:
        body = answer_body(text, self.protocol)
        if group == "mechsel":
            letter = _choice(body)
            return (letter, letter) if letter else None
        asked = ASKED.get(group, ()) if self.protocol == "honest" else ()
        smiles = _value(body, (*asked, *KEYS[group]), (*asked, *(KEYS[group] if group in ("fs", "retro") else ())))
        if group == "rcr":
            condition = (as_text(smiles) or "").lower() if smiles else ""
            return (condition, condition) if condition else None
        found = molecule(smiles) if isinstance(smiles, str) else None
        return None if found is None else (smiles, found)

    def _right(self, answer: Any, sample: Sample) -> bool:
        true = sample.context.get(TRUE_REFERENCE.get(sample.group, ""))
        if true and self.protocol == "honest":
            return components(answer) == _true_components(true, sample)
        text = reference_text(sample.answer, lambda text: (self._read(text, sample.group) or ("",))[0])
        if not text and sample.answer.strip():
            return False  # an answer of the benchmark that is no molecule
        if not text:
            raise ValueError(f"the reference of sample {sample.id} is empty")
        if sample.group == "mechsel":
            return answer == _first_letter(text)
        if sample.group == "rcr":
            return answer == text.lower()
        reference = molecule(text)
        return reference is not None and same_molecule(answer, reference)


def _value(body: str, keys: tuple[str, ...], keys_in_text: tuple[str, ...]) -> Any:
    """The JSON value; without a JSON object the text after one of `keys_in_text`, or the whole text."""
    found = json_object(body)
    if found is not None:
        return first_present(found, keys)
    text = quoted(body, keys_in_text)
    return body if text is None else text


def _choice(body: str) -> str:
    """A capital letter, or nothing."""
    value = first_present(json_object(body), KEYS["mechsel"])
    if value:
        return _first_letter(as_text(value) or "")
    letter = quoted(body, KEYS["mechsel"], '"([A-Z])"', ignore_case=False)
    alone = re.search(r"\b[A-Z]\b", body)
    return letter or (alone.group() if alone else _first_letter(body))


def _first_letter(text: str) -> str:
    found = re.search(r"[A-Z]", text.upper())
    return found.group() if found else ""


def _true_components(value: Any, sample: Sample) -> frozenset[str]:
    parts: list[Any] = value if isinstance(value, list) else [value]
    found = [molecule(part) if isinstance(part, str) else None for part in parts]
    if None in found:
        raise ValueError(f"{TRUE_REFERENCE[sample.group]} {value!r} of sample {sample.id} are no molecules")
    return frozenset[str]().union(*map(components, found))


SCORER = Reaction
