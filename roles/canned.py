"""A situation in the middle of a run on `finance_starter`, as each role would meet it, and the beginning of such a
run, as the generalist would: to try a mind on.

The task, its sources and their first rows are real; trials and scores are made up. Wrong items are written for this and
stand in no split.
"""

from pathlib import Path
from typing import Any

from eval.hardware import survey_hardware
from eval.result import EvalResult, GroupScore, ItemResult, Split
from eval.verdict import Verdict
from memory.records import (
    DataRecipe,
    Diagnosis,
    Evidence,
    Experiment,
    Finding,
    Plan,
    Step,
    TrainingConfig,
    TrainingData,
    TrainingRun,
)
from roles.backbone import Role
from roles.briefing import (
    DataBriefing,
    DiagnosticianBriefing,
    GeneralistBriefing,
    ModelShape,
    PlannerBriefing,
    Remaining,
    Situation,
    Survey,
    TaskCard,
    TrainerBriefing,
)
from roles.data_steps import describe_steps
from roles.recipes import names as methods
from tasks import scoring
from tasks.corpus import materialise, read_corpus
from tasks.finance import finance_starter
from tasks.template import fields

MODEL = "smollm2-135m-instruct"
GROUPS = {"accounting": 110, "banking": 95, "corporate finance": 120, "insurance": 80, "markets": 95}
SOURCES = ("exam_bank", "worked_solutions")


def canned_briefings(cache: Path) -> dict[Role, Situation]:
    """A briefing for each role, after the first trained experiment.

    Args:
        cache: where the corpus of `finance_starter` is written, unless it lies there.
    """
    situation: dict[str, Any] = {
        "survey": _survey(cache),
        "trials": (untouched(), trained()),
        "incumbent": 1,
        "remaining": Remaining(
            experiments=2, minutes=14, tokens_per_second=600, training_tokens=180_000, most_tokens=400_000
        ),
    }
    first = trained()
    known: dict[str, Any] = {"diagnosis": first.diagnosis, "evidence": first.evidence}
    plan = Plan(
        hypothesis="Half of the wrong answers are about terms that only the glossary explains.",
        parent=1,
        factor="data",
        data_strategy="Add the glossary, in the form of the benchmark's questions.",
        training_strategy="keep",
        predicted_effect=0.05,
    )
    return {
        "planner": PlannerBriefing(**situation, **known),
        "data_engineer": DataBriefing(
            **situation, **known, plan=plan, parent_recipe=first.recipe, steps=tuple(describe_steps())
        ),
        "trainer": TrainerBriefing(
            **situation, **known, plan=plan, data=prepared(), parent_config=first.config, methods=tuple(methods())
        ),
        "diagnostician": DiagnosticianBriefing(
            **situation, experiment=first, evidence=first.evidence, parent_feedback=_result("feedback", 75, 0.12),
            wrong=wrong_items(), fixed=24, broken=3,
        ),
    }  # fmt: skip


def canned_opening(cache: Path) -> GeneralistBriefing:
    """What the generalist is told at the beginning of that run.

    Args:
        cache: as of `canned_briefings`.
    """
    return GeneralistBriefing(
        survey=_survey(cache),
        trials=(untouched(),),
        incumbent=0,
        remaining=Remaining(
            experiments=3, minutes=18, tokens_per_second=600, training_tokens=180_000, most_tokens=550_000
        ),
        steps=tuple(describe_steps()),
        methods=tuple(methods()),
        turns=36,
    )


def _survey(cache: Path) -> Survey:
    task = finance_starter
    corpus = read_corpus(materialise(task, None, cache))
    card = TaskCard(
        name=task.name,
        domain=task.domain,
        description=task.description,
        prompt=task.prompt,
        prompt_fields=tuple(fields(task.prompt)),
        answer=scoring.load(task.scorer).contract(),
        scorer=str(task.scorer["name"]),
        metric=task.metric,
        max_new_tokens=task.max_new_tokens,
        groups=GROUPS,
        feedback=75,
        selection=175,
        test=250,
        shared=False,
        options=4,
    )
    return Survey(
        task=card,
        corpus=corpus,
        row_tokens=dict.fromkeys((source.name for source in corpus.sources), 110),
        hardware=survey_hardware(),
        model=MODEL,
        model_gib=0.25,
        shape=ModelShape(layers=30, hidden=576, queries=576, key_values=192, intermediate=1536, context=8192),
        detectable_effect=0.08,
        max_train_rows=2000,
        remembered=0,
    )


def _result(split: Split, n: int, score: float, groups: tuple[GroupScore, ...] = ()) -> EvalResult:
    return EvalResult(
        split=split, n=n, split_n=n, samples=1, score=score, standard_error=round((score * (1 - score) / n) ** 0.5, 4),
        groups=groups, unparsed=0.05, truncated=0.02, generated=n, seconds=14.0,
    )  # fmt: skip


def untouched() -> Experiment:
    """Experiment 0."""
    return Experiment(
        run="canned", task=finance_starter.name, domain=finance_starter.domain, model=MODEL, number=0,
        feedback=_result("feedback", 75, 0.12), selection=_result("selection", 175, 0.114),
    )  # fmt: skip


def trained() -> Experiment:
    """Experiment 1, better than the untouched model."""
    groups = tuple(
        GroupScore(group=name, n=15, score=score, low=max(0.0, score - 0.22), high=min(1.0, score + 0.22))
        for name, score in zip(GROUPS, (0.47, 0.4, 0.33, 0.13, 0.53), strict=True)
    )
    return Experiment(
        run="canned", task=finance_starter.name, domain=finance_starter.domain, model=MODEL, number=1,
        plan=Plan(
            hypothesis="The exam bank teaches the form and the subject.", parent=0, factor="both",
            data_strategy="exam bank and worked solutions", training_strategy="defaults", predicted_effect=0.2,
        ),
        recipe=_recipe(), data=prepared(), config=TrainingConfig(learning_rate=1e-3),
        training=TrainingRun(
            adapter="experiments/001/adapter", adapter_hash="0" * 16, seed=0, steps=150, first_loss=2.3,
            final_loss=0.9, tokens_per_second=600.0, peak_memory_gib=2.1, seconds=210.0,
        ),
        feedback=_result("feedback", 75, 0.373, groups), selection=_result("selection", 175, 0.36),
        verdict=Verdict(
            outcome="better", incumbent=0, effect=0.246, low=0.17, high=0.32, p_better=0.0001, p_worse=1.0,
            alpha=0.033, n=175, fixed=52, broken=9, mcnemar_p=0.0001, rule="paired bootstrap",
        ),
        diagnosis=Diagnosis(
            findings=(Finding(claim="questions about terms are answered wrongly", count=21, of=47),),
            weak_groups=("insurance",), suspected_cause="terms are not in the rows",
            next_intervention="add the glossary", next_factor="data",
        ),
        evidence=(Evidence(name="unused", claim="504 rows of glossary are not used.", count=504, of=504),),
        seconds=290.0,
    )  # fmt: skip


def _recipe() -> DataRecipe:
    return DataRecipe(
        sources=SOURCES,
        steps=(
            Step(name="deduplicate"),
            *(Step(name="format", parameters={"source": name, "answer": "{{ answer }}"}) for name in SOURCES),
            Step(name="sample", parameters={"rows": 600, "by": "source"}),
        ),
    )


def prepared() -> TrainingData:
    """What it was trained on."""
    return TrainingData(
        path="experiments/001/data.jsonl", content_hash="0" * 16, rows=600,
        rows_by_source={"exam_bank": 420, "worked_solutions": 180}, tokens=66_000, tokens_median=104, tokens_max=240,
        removed={"deduplicate: repeated": 38, "leaks, rounded up to tens": 70}, flow=(), row_limit=2048,
        seconds=6.0,
    )  # fmt: skip


def wrong_items() -> tuple[ItemResult, ...]:
    """Two feedback items that it got wrong."""
    asked = (
        (
            "made-1",
            "insurance",
            "Who bears the first part of a loss under a policy with an excess?",
            "the policyholder",
        ),
        ("made-2", "markets", "What happens to the price of a bond when market rates rise?", "it falls"),
    )
    return tuple(
        ItemResult(
            id=id_, group=group, prompt=prompt, answer=answer, completions=("the insurer, and the state",),
            scores=(0.0,), parsed=(False,), truncated=False,
        )
        for id_, group, prompt, answer in asked
    )  # fmt: skip
