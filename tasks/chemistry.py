"""Chemistry: ChemCoTBench (molecules and reactions written as SMILES, answers in JSON).

    Count the fragment in the molecule. Molecule: CCOC(=O)c1ccccc1, fragment: ester.

    {"count": 1}

`chemistry_mol_und` reads molecules, `chemistry_mol_edit` adds, removes and replaces functional groups,
`chemistry_mol_opt` improves a property that is computed from the structure, `chemistry_reaction` predicts products,
reactants, conditions and mechanisms. Needs RDKit.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from tasks.oracles import present
from tasks.rows import Row
from tasks.task import Benchmark, Metric, Source, Task

_INPUTS = {
    "fg_count": r"Input Molecule: (?P<molecule>\S+), Fragment Name: (?P<fragment>.+?)\.?$",
    "ring_count": r"Input Molecule: (?P<molecule>\S+), Ring Structure: (?P<ring>\S+?)\.?$",
    "Murcko_scaffold": r"Input Molecule: (?P<molecule>\S+?)\.?$",
    "ring_system_scaffold": r"Input Molecule: (?P<molecule>\S+), Ring System Structure: (?P<ring>\S+?)\.?$",
    "equivalence": r"Molecule A: (?P<molecule>\S+), Molecule B: (?P<other>\S+?)\.?$",
    "add": r"Input Molecule: (?P<molecule>\S+), Functional Group to add: (?P<group_a>\w+)\.?\"?$",
    "delete": r"Input Molecule: (?P<molecule>\S+), Functional Group to delete: (?P<group_a>\w+)\.?\"?$",
    "sub": r"Input Molecule: (?P<molecule>\S+), Functional Group to delete: (?P<group_b>\w+), "
    r"Functional Group to add: (?P<group_a>\w+)\.?\"?$",
}
"""What the benchmark's own prompts end with, by sub-task."""
_ORACLES = {"logp": "logp", "qed": "qed", "solubility": "solubility", "drd": "drd2", "gsk": "gsk3b", "jnk": "jnk3"}

_MOL_UND = """\
{% if subtask == "fg_count" %}
How often does the fragment occur in the molecule?
Molecule: {{ molecule }}
Fragment: {{ fragment }}
Answer with JSON: {"count": 2}
{% elif subtask == "ring_count" %}
How often does the ring occur in the molecule?
Molecule: {{ molecule }}
Ring: {{ ring }}
Answer with JSON: {"count": 2}
{% elif subtask == "Murcko_scaffold" %}
What is the Murcko scaffold of the molecule: its ring systems and the bonds that connect them, without side chains?
Molecule: {{ molecule }}
Answer with JSON: {"Output Scaffold": "SMILES"}
{% elif subtask == "ring_system_scaffold" %}
Is the ring system in the molecule?
Molecule: {{ molecule }}
Ring system: {{ ring }}
Answer with JSON: {"output": "Yes"} or {"output": "No"}
{% else %}
Are the two molecules the same?
Molecule A: {{ molecule }}
Molecule B: {{ other }}
Answer with JSON: {"output": "Yes"} or {"output": "No"}
{% endif %}"""

_MOL_EDIT = """\
{% if subtask == "add" %}
Add the functional group {{ group_a }} to the molecule.
{% elif subtask == "delete" %}
Remove the functional group {{ group_a }} from the molecule.
{% else %}
Remove the functional group {{ group_b }} from the molecule and add {{ group_a }}.
{% endif %}
Molecule: {{ molecule }}
Answer with JSON: {"output": "SMILES of the changed molecule"}"""

_MOL_OPT = """\
Change the molecule so that its {{ property }} rises, and keep it similar.
Molecule: {{ molecule }}
Answer with JSON: {"Final Target Molecule": "SMILES"}"""

_PROPERTIES = {
    "logp": "lipophilicity (logP)",
    "qed": "drug-likeness (QED)",
    "solubility": "solubility in water",
    "drd": "activity on the dopamine receptor D2",
    "gsk": "inhibition of GSK3-beta",
    "jnk": "inhibition of JNK3",
}

_LEAKAGE = (
    "A molecule is the same however its SMILES is written: training rows with a molecule that a benchmark item asks "
    "about are removed by InChI key, and molecules with its scaffold are, where that is larger than a ring or two."
)


def mol_und(row: Row) -> list[Row]:
    """A row of molecule understanding: the molecules of its question under their names."""
    return [{**_inputs(row), "answer": str(row["gt"])}]


def mol_edit(row: Row) -> list[Row]:
    """A row of molecule editing; other molecules than the reference may be right too, so it is not compared with."""
    shaped = _inputs(row)
    answer = json.dumps({"output": _meta(row)["reference"]})
    return [{**shaped, "source_smiles": shaped["molecule"], "answer": answer}]


def mol_opt(row: Row) -> list[Row]:
    """A row of molecule optimisation; it has no answer of its own. Rows whose oracle is absent are left out."""
    return paper_mol_opt(row) if present(_ORACLES[row["subtask"]]) else []


def paper_mol_opt(row: Row) -> list[Row]:
    """The same with all rows: what an absent oracle cannot judge scores 0."""
    source = _meta(row)["src_smiles"]
    property_ = _PROPERTIES[row["subtask"]]
    return [{**_common(row), "molecule": source, "source_smiles": source, "property": property_, "answer": "better"}]


def reaction(row: Row) -> list[Row]:
    """A row of reaction prediction, asked in the benchmark's words; rows without a question are left out.

    The benchmark glues several molecules of an answer together without the dot between them; the list in `meta` has
    them apart.
    """
    if "query" not in row:
        return []
    meta = _meta(row)
    reactants = meta.get("reactants") or []
    product = meta["rxn_smiles"].rpartition(">")[2] if "rxn_smiles" in meta else ""
    answer = ".".join(reactants) if row["subtask"] == "retro" else product or str(row["gt"])
    return [{**_common(row), "reactants": reactants, "product": product, "answer": answer}]


def paper_reaction(row: Row) -> list[Row]:
    """The same with the benchmark's own answer."""
    return [{**shaped, "answer": str(row["gt"])} for shaped in reaction(row)]


def _common(row: Row) -> Row:
    return {"id": row["id"], "subtask": row["subtask"], "query": row["query"]}


def _inputs(row: Row) -> Row:
    pattern = _INPUTS[row["subtask"]]
    found = re.search(pattern, row["query"].strip())
    if not found:
        raise ValueError(f"the query of sub-task {row['subtask']} does not end as expected: {row['query'][-120:]!r}")
    fields = dict.fromkeys(("fragment", "ring", "other", "group_a", "group_b"), "")
    return {**fields, **_common(row), **found.groupdict()}


def _meta(row: Row) -> Mapping[str, Any]:
    meta = row["meta"]
    return json.loads(meta) if isinstance(meta, str) else meta


_SOURCES = (
    Source(
        name="molecules",
        path="chem_train/*molecules.jsonl",
        licence="MIT",
        description="drug-like molecules of ZINC, one SMILES a row: raw material for `molecule_items`",
    ),
)
_PAIRS = Source(
    name="drd2_pairs",
    path="chem_train/graph2graph_drd2_train_pairs.jsonl",
    licence="MIT",
    description="pairs of similar molecules of which the target is active on the dopamine receptor D2",
)
_REACTIONS = Source(
    name="uspto",
    path="chem_train/uspto50k*.csv",
    licence="CC0 and MIT",
    description="reactions from patents with atom maps and a class from 1 to 10: reactants>reagents>product",
)
_COT = Source(
    name="chemcot",
    hub="OpenMol/ChemCoTDataset",
    split="train",
    licence="MIT",
    description="questions of the benchmark's kind with structured chains of thought",
)


def _task(
    name: str, description: str, prompt: str, metric: Metric, sources: tuple[Source, ...], context: tuple[str, ...],
    cluster: str | None, paper: dict[str, Any] | None = None,
) -> Task:  # fmt: skip
    benchmark = Benchmark(
        path=f"chemcotbench/{'reaction*' if name == 'reaction' else name}.jsonl",
        hub="OpenMol/ChemCoTBench",
        split="test",
        shape=f"tasks.chemistry:{name}",
        id="id",
        group="subtask",
        cluster=cluster,
        reference="shuffled",
        licence="CC BY 4.0",
    )
    changes: dict[str, Any] = {"prompt": "{{ query }}", **(paper or {})}
    if name in ("mol_opt", "reaction"):
        changes["benchmark"] = {**benchmark.model_dump(), "shape": f"tasks.chemistry:paper_{name}"}
    return Task(
        name=f"chemistry_{name}",
        domain="chemistry",
        description=description,
        sources=sources,
        benchmark=benchmark,
        prompt=prompt,
        answer="{{ answer }}",
        scorer={"name": name},
        metric=metric,
        context=context,
        identities={"molecule": ("product", "reactants") if name == "reaction" else ("molecule", "other")},
        leakage=_LEAKAGE,
        max_new_tokens=1024,
        paper=changes,
    )


TASKS = (
    _task(
        "mol_und",
        "Reading molecules: count fragments and rings, find the Murcko scaffold, tell whether a ring system is part of "
        "a molecule and whether two SMILES are the same molecule. Answers are JSON.",
        _MOL_UND,
        Metric(name="mean over sub-tasks", aggregate="group_mean"),
        _SOURCES,
        (),
        "molecule",
        paper={"metric": {"name": "equivalence accuracy", "aggregate": "group_mean", "only": "equivalence"}},
    ),
    _task(
        "mol_edit",
        "Editing molecules: add, remove or replace a functional group and keep the rest. The answer is JSON with a "
        "SMILES.",
        _MOL_EDIT,
        Metric(name="correct rate", aggregate="group_mean"),
        _SOURCES,
        ("source_smiles", "group_a", "group_b"),
        "molecule",
    ),
    _task(
        "mol_opt",
        "Optimising molecules: change a molecule so that a property rises (penalised logP, drug-likeness, solubility, "
        "and where their models are installed activity on DRD2, GSK3-beta and JNK3). The answer is JSON with a SMILES.",
        _MOL_OPT,
        Metric(name="success rate", aggregate="group_mean"),
        (*_SOURCES, _PAIRS),
        ("source_smiles",),
        "molecule",
    ),
    _task(
        "reaction",
        "Reactions: the product, the reactants, the conditions, the next elementary step and the mechanism. Answers "
        "are JSON.",
        "{{ query }}",
        Metric(name="exact match", aggregate="group_mean"),
        (_REACTIONS,),
        ("reactants", "product"),
        None,
    ),
)
