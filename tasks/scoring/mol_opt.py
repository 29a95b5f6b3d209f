"""Optimisation of molecules: the mol_opt sub-tasks of ChemCoTBench (https://github.com/IDEA-XL/ChemCoTBench)."""

from typing import Any, ClassVar, Literal

from tasks.chemistry_answers import answer_body, as_text, json_object, longest_run, quoted, shown, unknown_subtask
from tasks.failure import InputError
from tasks.molecules import molecule, murcko_scaffold
from tasks.oracles import OracleAbsentError, oracle_value
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Protocol, Sample

KEYS = ("Final Target Molecule", "Final_Target_Molecule", "output", "answer")
"""JSON keys that may hold the molecule; the first that is not empty counts."""
OBJECTIVES = {
    "logp": "logp",
    "qed": "qed",
    "solubility": "solubility",
    "drd": "drd2",
    "drd2": "drd2",
    "gsk": "gsk3b",
    "gsk3b": "gsk3b",
    "jnk": "jnk3",
    "jnk3": "jnk3",
}
"""Sub-task to the oracle in `tasks/oracles.py`."""
LARGE = {"logp": 0.5, "solubility": 0.5}
"""An improvement from which on an item counts for the best rate; 0.3 for the others."""
NOISE = 1e-9
"""Under `honest` a rise above this counts: the same molecule, written differently, differs by rounding."""


class MolOpt(Record):
    """1 when the oracle of the objective is higher for the predicted molecule than for the source, else 0.

    The objective is the sample's group, the source is `source_smiles` of the context, or else the reference answer.
    There is no right answer to compare with: a task may give any text as the reference. An absent oracle scores 0 under
    `paper`; under `honest` it raises, so that the task leaves such items out. The metrics are `improvement`, `best`
    (an improvement of 0.3, or 0.5 for logp and solubility), `scaffold_match` and `valid`. In a task file:
    `scorer: {name: mol_opt}`.
    """

    ITEM_SECONDS: ClassVar[float] = 30

    name: Literal["mol_opt"] = "mol_opt"
    compares: ClassVar[bool] = False
    protocol: Protocol = "honest"
    """What happens without the oracle."""
    oracles: str | None = None
    """Folder with `drd2.pkl`, `gsk3b.pkl`, `jnk3.pkl` of the Therapeutics Data Commons. Loading a pickle runs the code
    in it; name only a folder that you trust."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError for an unknown sub-task and without a source (under `honest` also when it is no molecule or
        the oracle is absent), InputError without RDKit."""
        text = self._read(prediction)
        made = molecule(text)
        if made is None:
            return ItemScore(score=0, parsed=False, metrics={"valid": 0.0})
        if sample.group not in OBJECTIVES:
            raise unknown_subtask(sample, OBJECTIVES)
        metrics = {"valid": 1.0}
        source = self._source(sample)
        if source is not None:
            metrics["scaffold_match"] = float(murcko_scaffold(made) == murcko_scaffold(source))
            metrics |= self._improvement(OBJECTIVES[sample.group], made, source)
        least = NOISE if self.protocol == "honest" else 0
        score = float(metrics.get("improvement", 0) > least)
        return ItemScore(score=score, parsed=True, extracted=shown(text), metrics=metrics)

    def parses(self, prediction: str, group: str | None = None) -> bool:
        """Whether a molecule can be read; the format is the same for every sub-task."""
        return molecule(self._read(prediction)) is not None

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description='A JSON object whose key "Final Target Molecule" holds the SMILES of the improved molecule.',
            example='{"Final Target Molecule": "CCCCc1ccccc1"}',
        )

    def _read(self, text: str) -> str:
        body = answer_body(text, self.protocol)
        found = json_object(body) or {}
        filled = next((found[key] for key in KEYS if found.get(key)), found.get(KEYS[-1]))
        for value in (as_text(filled), quoted(body, KEYS), longest_run(body)):
            if value is not None:
                return value
        return body

    def _source(self, sample: Sample) -> Any | None:
        text = sample.context.get("source_smiles") or sample.answer
        if not isinstance(text, str) or not text:
            raise ValueError(f"sample {sample.id} has neither source_smiles in its context nor a reference")
        source = molecule(text)
        if source is None and self.protocol == "honest":
            raise ValueError(f"the source {text!r} of sample {sample.id} is no molecule")
        return source

    def _improvement(self, oracle: str, made: Any, source: Any) -> dict[str, float]:
        try:
            before, after = oracle_value(oracle, source, self.oracles), oracle_value(oracle, made, self.oracles)
        except (InputError, OracleAbsentError):
            if self.protocol == "honest":
                raise
            return {}
        if before is None or after is None:
            return {}
        gain = after - before
        return {"improvement": gain, "best": float(gain >= LARGE.get(oracle, 0.3))}


SCORER = MolOpt
