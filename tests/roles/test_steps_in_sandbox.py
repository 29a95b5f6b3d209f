"""The steps that need libraries and model files work where they really run: in the sandbox, without network."""

from pathlib import Path

import pytest

from memory.records import DataRecipe, Step
from roles.data_steps.gate import GatedRow
from roles.data_steps.pipeline import Pipeline
from tasks import sandbox
from tasks.corpus import materialise
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Benchmark, Source, Task

pytestmark = pytest.mark.skipif(sandbox.available() is not None, reason=str(sandbox.available()))

OPTIONS = ["a lasting rise of prices", "a lasting fall of prices"]
QUESTIONS = (
    ('What does the term "inflation" mean?', 0),
    ('How is the term "inflation" defined?', 1),
    ('Which statement explains the term "inflation"?', 0),
    ('Which statement explains the term "inflation" best?', 0),
    ('What does the term "deflation" mean?', 1),
)
"""The second is wrong, the fourth nearly repeats the third."""


def test_a_recipe_of_all_of_them(tmp_path: Path, tiny_model: Path) -> None:
    pages = [
        {"html": f"<p>{question}</p><i>{OPTIONS[n]}</i>", "topic": question.split('"')[1]} for question, n in QUESTIONS
    ]
    write_jsonl(tmp_path / "web.jsonl", pages)
    write_jsonl(tmp_path / "notes.jsonl", [{"term": "inflation", "meaning": OPTIONS[0]}] * 2)
    task = Task(
        name="toy", domain="x", description="", benchmark=Benchmark(path="none.jsonl"),
        sources=(Source(name="web", path="web.jsonl"), Source(name="notes", path="notes.jsonl")),
        prompt="{{ question }}", answer="{{ answer }}", options="{{ options | tojson }}", scorer={"name": "choice"},
        base_dir=str(tmp_path),
    )  # fmt: skip
    parameters = {
        "html_clean": {"source": "web", "field": "html", "select": {"question": "p", "right": "i"}},
        "format": {"source": "web", "answer": "{{ right }}", "fields": {"options": OPTIONS}},
        "near_duplicates": {"source": "web"},
        "label_clean": {"action": "fix"},
        "balance": {"source": "web", "by": "topic", "how": "oversample"},
        "mix": {"shares": {"web": 3, "notes": 1}, "rows": 8},
    }
    notes = Step(name="format", parameters={"source": "notes", "prompt": "{{ meaning }}", "answer": "{{ term }}"})
    recipe = DataRecipe(
        sources=("web", "notes"), steps=(notes, *(Step(name=name, parameters=p) for name, p in parameters.items()))
    )
    corpus = materialise(task, None, tmp_path / "cache")
    prepared = Pipeline(task, corpus, tmp_path / "steps", tiny_model, 0).apply(recipe, 200, tmp_path / "script")
    rows = [GatedRow.model_validate(row) for row in read_jsonl(Path(prepared.path))]
    assert [(stage.step, stage.rows, stage.removed, stage.changed) for stage in prepared.flow[2:]] == [
        ("html_clean", 7, {}, {"html read": 5}),
        ("format", 7, {}, {}),
        ("near_duplicates", 6, {"near duplicate": 1}, {}),
        ("label_clean", 6, {}, {"answer exchanged": 1}),
        ("balance", 8, {}, {"repeated of topic deflation": 2}),
        ("mix", 8, {}, {}),
        ("gate", 7, {"duplicate": 1}, {}),
    ]
    assert [(row.source, row.row, row.answer) for row in rows] == [
        ("notes", 1, "inflation"),
        *(("web", number, OPTIONS[0]) for number in (1, 2, 3)),
        *[("web", 5, OPTIONS[1])] * 3,
    ]
