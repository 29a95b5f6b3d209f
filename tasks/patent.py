"""Patent examination: PANORAMA (claims of United States applications, and the prior art that examiners cited).

    Claim 1: A cup, comprising a body and a handle that folds flat against the body.
    A. Folding handle for vessels: A handle that swings on two pins ...
    B. Heat-resistant glass: A glass with a low coefficient of expansion ...

`patent_par4pc` asks which of eight documents bear on a claim, `patent_pi4pc` which paragraph of a document does,
`patent_noc4pc` whether the claim is allowable or lacks novelty (102) or is obvious (103). Prompts hold whole documents:
tens of thousands of characters.
"""

import hashlib
from typing import Any

from tasks.rows import Row
from tasks.task import Benchmark, Metric, Source, Task

_CLAIM = """\
Title: {{ title }}
Abstract: {{ abstract }}
Claim {{ claim_number }}: {{ claim }}
"""

_PAR4PC = f"""\
You examine a claim of a patent application against prior art. Which of the documents A to H bear on the claim, so \
that an examiner would cite them against it?

{_CLAIM}
{{% for letter, document in documents.items() %}}
Document {{{{ letter }}}}: {{{{ document.title }}}}
Abstract: {{{{ document.abstract }}}}
Claims: {{{{ document.claims | join(' ') }}}}

{{% endfor %}}
Answer with JSON: {{"answer": "A"}}, or a list if there are several: {{"answer": ["A", "C"]}}."""

_PI4PC = f"""\
You examine a claim of a patent application against a document of the prior art. Which paragraph of the document bears \
most on the claim?

{_CLAIM}
Document: {{{{ document_title }}}}
Abstract: {{{{ document_abstract }}}}

{{% for number, text in paragraphs.items() %}}
[{{{{ number }}}}] {{{{ text }}}}
{{% endfor %}}

Answer with JSON that names the paragraph: {{"answer": 12}}."""

_NOC4PC = f"""\
You examine a claim of a patent application against prior art. Decide whether the claim is allowable (ALLOW), is not \
new over one document (102), or is obvious over several (103).

{_CLAIM}
{{% for document in documents %}}
Document {{{{ document.patent_id }}}}: {{{{ document.title }}}}
Abstract: {{{{ document.abstract }}}}
Claims: {{{{ document.claims | join(' ') }}}}
{{% for paragraph in document.paragraphs %}}
[{{{{ paragraph.key }}}}] {{{{ paragraph.content }}}}
{{% endfor %}}

{{% endfor %}}
Answer with JSON: {{"code": "ALLOW"}}, {{"code": "102"}} or {{"code": "103"}}."""

_LEAKAGE = (
    "Claims of one application share their text and their prior art: all rows of an application lie on one side, and "
    "training rows of an application of the benchmark are removed."
)
_TRAINING = 3
"""Of ten parts of the applications in a local file, those that are for training; the hub has splits of its own."""


def par4pc(row: Row) -> list[Row]:
    """A benchmark row: the claim, `documents` by letter, `reference`."""
    return [] if _for_training(row) else _par4pc(row)


def par4pc_training(row: Row) -> list[Row]:
    """A training row; of a local file those of other applications than the benchmark's."""
    return _par4pc(row) if _for_training(row) or "file" not in row else []


def pi4pc(row: Row) -> list[Row]:
    """A row: the claim, the document, `paragraphs` by number, `reference`."""
    document = row["prior_art_specification"]
    reference = {name: row[name] for name in ("gold_answers", "silver_answers", "negative_answers")}
    shaped = {
        **_claim(row),
        "document_title": document["title"],
        "document_abstract": document["abstract"],
        "paragraphs": dict(sorted(row["options"].items(), key=lambda item: int(item[0]))),
        "gold": row["gold_answers"][0],
        "reference": reference,
    }
    return [shaped]


def noc4pc(row: Row) -> list[Row]:
    """A benchmark row: the claim, `documents`, `code`."""
    return [] if _for_training(row) else _noc4pc(row)


def noc4pc_training(row: Row) -> list[Row]:
    """A training row; of a local file those of other applications than the benchmark's."""
    return _noc4pc(row) if _for_training(row) or "file" not in row else []


def _par4pc(row: Row) -> list[Row]:
    documents = {letter: _document(document) for letter, document in sorted(row["options"].items()) if document}
    reference = {"gold": row["gold_answers"], "silver": row["silver_answers"]}
    return [{**_claim(row), "documents": documents, "gold": row["gold_answers"], "reference": reference}]


def _noc4pc(row: Row) -> list[Row]:
    documents = [_document(document) for document in row["prior_art_specifications"]]
    return [{**_claim(row), "documents": documents, "code": str(row["answer"]["code"])}]


def _claim(row: Row) -> Row:
    context, number = row["context"], int(row["claim_number"])
    if not 1 <= number <= len(context["claims"]):
        raise ValueError(f"claim_number {number}: the application has {len(context['claims'])} claims")
    return {
        "application": str(row["application_number"]),
        "claim_number": number,
        "title": context["title"],
        "abstract": context["abstract"],
        "claim": context["claims"][number - 1],
    }


def _document(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document.get(name) or "" for name in ("patent_id", "title", "abstract", "claims", "paragraphs")}


def _for_training(row: Row) -> bool:
    if "file" not in row:
        return False
    return int(hashlib.sha256(str(row["application_number"]).encode()).hexdigest(), 16) % 10 < _TRAINING


def _task(name: str, description: str, prompt: str, answer: str, metric: Metric, *, split_files: bool = True) -> Task:
    hub: dict[str, Any] = {"hub": "LG-AI-Research/PANORAMA", "config": name, "path": f"panorama/{name}*.jsonl"}
    training = f"tasks.patent:{name}_training" if split_files else f"tasks.patent:{name}"
    return Task(
        name=f"patent_{name}",
        domain="patent",
        description=description,
        sources=(
            Source(
                name="panorama_train",
                split="train",
                shape=training,
                licence="CC BY-NC 4.0",
                description="claims with their prior art and what the examiner found, in the form of the benchmark",
                **hub,
            ),
        ),
        benchmark=Benchmark(
            split="test",
            shape=f"tasks.patent:{name}",
            cluster="application",
            reference="shuffled",
            licence="CC BY-NC 4.0",
            **hub,
        ),
        prompt=prompt,
        answer=answer,
        content="{{ claim }}",
        scorer={"name": name},
        metric=metric,
        identities={"application": ("application",)},
        leakage=_LEAKAGE,
        max_new_tokens=256,
    )


TASKS = (
    _task(
        "par4pc",
        "Prior art retrieval: of eight documents, name those that bear on a claim. The answer is JSON with letters.",
        _PAR4PC,
        "{{ reference | tojson }}",
        Metric(name="micro F1", aggregate="f1"),
    ),
    _task(
        "pi4pc",
        "Paragraph identification: name the paragraph of a document that bears most on a claim. The answer is JSON "
        "with its number.",
        _PI4PC,
        "{{ reference | tojson }}",
        Metric(name="gold hit rate"),
        split_files=False,
    ),
    _task(
        "noc4pc",
        "Novelty and obviousness: decide over the prior art whether a claim is allowable, lacks novelty (102) or is "
        "obvious (103). The answer is JSON with the code.",
        _NOC4PC,
        "{{ code }}",
        Metric(name="macro F1", aggregate="f1"),
    ),
)
