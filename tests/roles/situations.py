"""Real records for the tests of the minds: sources, a survey, trials, and a briefing for each role."""

from typing import Any

from eval.hardware import Gpu, Hardware
from eval.result import EvalResult, GroupScore, ItemResult
from eval.verdict import Verdict
from memory.records import (
    DataRecipe,
    Diagnosis,
    Evidence,
    Experiment,
    Finding,
    Plan,
    Review,
    Step,
    TrainingConfig,
    TrainingData,
)
from memory.records import TrainingRun as Run
from roles.briefing import (
    DataBriefing,
    DiagnosticianBriefing,
    ModelShape,
    PlannerBriefing,
    Recollection,
    Remaining,
    Situation,
    Survey,
    TaskCard,
    TrainerBriefing,
)
from tasks.corpus import Corpus, CorpusSource
from tasks.failure import Failure, FailureKind
from tasks.task import AnswerContract, Metric

FULL_RECIPE = DataRecipe(
    sources=("exams", "glossary"),
    steps=(Step(name="deduplicate"), Step(name="sample", parameters={"rows": 200, "by": "source"})),
    reason="every source",
)


def source(name: str, *rows: dict[str, Any]) -> CorpusSource:
    """A source whose first rows are `rows`."""
    fields = tuple(dict.fromkeys(field for row in rows for field in row))
    return CorpusSource(name=name, description=f"the {name}", licence="MIT", rows=120, fields=fields, examples=rows)


EXAMS = source("exams", {"question": "What is a bond?", "A": "a loan", "B": "a share", "answer": "A"})
GLOSSARY = source("glossary", {"term": "yield", "definition": "income over price"})
OPAQUE = source("ledger", {"x1": 3, "x2": 4})


def card(
    *, prompt: str = "{{ question }} {{ options }}", fields: tuple[str, ...] = ("question", "options"), **rest: Any
) -> TaskCard:
    """What agents know of a multiple-choice task, unless told otherwise."""
    settings: dict[str, Any] = {
        "name": "toy",
        "domain": "colours",
        "description": "Codes of colours.",
        "prompt": prompt,
        "prompt_fields": fields,
        "answer": AnswerContract(description="Names one option.", example="Answer: A"),
        "metric": Metric(),
        "max_new_tokens": 8,
        "groups": {"red": 40, "blue": 40},
        "feedback": 12,
        "selection": 28,
        "test": 40,
        "shared": False,
    }
    return TaskCard(**(settings | rest))


SHAPE = ModelShape(layers=28, hidden=3584, queries=3584, key_values=512, intermediate=18944, context=32768)


def survey(*sources: CorpusSource, task: TaskCard | None = None, gpus: tuple[Gpu, ...] = (), **rest: Any) -> Survey:
    """A survey over `sources`: without any, over exams, a glossary and one that cannot be understood."""
    corpus = Corpus(task="toy", hash="c0", sources=sources or (EXAMS, GLOSSARY, OPAQUE))
    settings: dict[str, Any] = {
        "model": "tiny",
        "row_tokens": {each.name: 25 for each in corpus.sources},
        "model_gib": 15.0,
        "detectable_effect": 0.1,
        "max_train_rows": 2000,
        "remembered": 0,
        "hardware": Hardware(processor="a processor", cores=2, memory_gib=16.0, gpus=gpus),
    }
    return Survey(task=task or card(), corpus=corpus, **(settings | rest))


def training_data(rows: int = 200, tokens_a_row: int = 50, longest: int = 90) -> TrainingData:
    """Rows that passed the gate."""
    return TrainingData(
        path="data.jsonl",
        content_hash="d0",
        rows=rows,
        rows_by_source={"exams": rows - rows // 4, "glossary": rows // 4},
        tokens=rows * tokens_a_row,
        tokens_median=tokens_a_row,
        tokens_max=longest,
        removed={"gate: duplicate": 3},
    )


def result(
    score: float = 0.5, *, unparsed: float = 0.0, groups: tuple[GroupScore, ...] = (), **rest: Any
) -> EvalResult:
    """An evaluation."""
    settings: dict[str, Any] = {"split": "feedback", "n": 20, "samples": 1, "truncated": 0.0, "generated": 20}
    settings |= {"standard_error": 0.05, "seconds": 2.0}
    return EvalResult(score=score, unparsed=unparsed, groups=groups, **(settings | rest))


def group(name: str, score: float, high: float) -> GroupScore:
    """A line of the category table."""
    return GroupScore(group=name, n=5, score=score, low=0.0, high=high)


def diagnosis(cause: str) -> Diagnosis:
    """A diagnosis with this cause."""
    return Diagnosis(
        findings=(Finding(claim="answers that do not parse", count=3, of=20),),
        suspected_cause=cause,
        next_intervention="another",
        next_factor="data",
        weak_groups=("blue",),
    )


EVIDENCE = (
    Evidence(
        name="flips",
        claim="4 of 20 feedback items changed against the untouched model: 3 were fixed and 1 broken.",
        count=4,
        of=20,
        figures={"fixed": 3.0, "broken": 1.0, "p": 0.625},
    ),
    Evidence(
        name="format_match",
        claim="150 of 200 training rows have the benchmark's own prompt; by source: exams 100 %, glossary 0 %.",
        count=150,
        of=200,
        figures={"exams": 1.0, "glossary": 0.0},
    ),
)


def plan(*, parent: int = 0, data: str = "keep", training: str = "keep") -> Plan:
    """A plan with these strategies."""
    factor = "both" if parent == 0 else "training" if data == "keep" else "data"
    return Plan(
        hypothesis="More of it helps.",
        parent=parent,
        factor=factor,
        data_strategy=data,
        training_strategy=training,
        predicted_effect=0.03,
    )


def untouched() -> Experiment:
    """Experiment 0."""
    return Experiment(
        run="r", task="toy", domain="colours", model="tiny", number=0, feedback=result(0.3), selection=result(0.3)
    )


def trial(
    number: int,
    decided: Plan | None = None,
    *,
    score: float = 0.5,
    final_loss: float = 0.1,
    unparsed: float = 0.0,
    cause: str | None = None,
    failure: FailureKind | None = None,
    rows: int = 200,
    groups: tuple[GroupScore, ...] = (),
    recipe: DataRecipe = FULL_RECIPE,
    config: TrainingConfig | None = None,
) -> Experiment:
    """A trained experiment; with `failure`, one that failed in training."""
    base = {"run": "r", "task": "toy", "domain": "colours", "model": "tiny", "number": number}
    shared: dict[str, Any] = base | {
        "plan": decided or plan(data="all sources", training="defaults"),
        "recipe": recipe,
        "data": training_data(rows),
        "config": config or TrainingConfig(),
        "diagnosis": diagnosis(cause) if cause else None,
        "seconds": 60.0,
    }
    if failure:
        broke = Failure(stage="train", kind=failure, message="it broke")
        return Experiment(**shared, failure=broke, evidence=EVIDENCE[1:])
    run = Run(
        adapter="adapter",
        adapter_hash="a0",
        seed=0,
        steps=50,
        first_loss=3.0,
        final_loss=final_loss,
        tokens_per_second=1000.0,
        peak_memory_gib=1.0,
        seconds=30.0,
    )
    verdict = Verdict(
        outcome="better", incumbent=0, effect=0.2, low=0.1, high=0.3, p_better=0.01, p_worse=0.99, alpha=0.03, n=28,
        fixed=8, broken=2, mcnemar_p=0.1, rule="paired bootstrap",
    )  # fmt: skip
    feedback = result(score, unparsed=unparsed, groups=groups)
    return Experiment(
        **shared, training=run, feedback=feedback, selection=result(score, split="selection"), verdict=verdict,
        effect=0.2, evidence=EVIDENCE,
    )  # fmt: skip


RECALLED = (
    Recollection(
        id="other/003",
        similarity=0.8,
        summary="half the rows: better, effect 0.2",
        experiment=trial(3).model_copy(update={"run": "other"}),
        baseline=0.3,
    ),
)


DECLINED = (
    Review(
        experiment=2, decision="back", proposed=plan(parent=1, data="all sources"), comment="no forum posts, please"
    ),
)


def remaining(tokens: int | None = None, *, experiments: int = 3, most: int | None = None) -> Remaining:
    """What is left when the next training may take so many tokens; without a number, no time limit."""
    return Remaining(
        experiments=experiments,
        tokens_per_second=400,
        minutes=None if tokens is None else 40,
        training_tokens=tokens,
        most_tokens=None if tokens is None else most or experiments * tokens,
    )


def situation(*trials: Experiment, incumbent: int = 0, tokens: int | None = None, **rest: Any) -> dict[str, Any]:
    """The fields that every briefing has."""
    settings: dict[str, Any] = {
        "survey": survey(),
        "trials": (untouched(), *trials),
        "incumbent": incumbent,
        "remaining": remaining(tokens),
        "recalled": (),
    }
    return settings | rest


def planner(*trials: Experiment, **rest: Any) -> PlannerBriefing:
    """The planner's briefing after these trials."""
    latest = trials[-1] if trials else untouched()
    own: dict[str, Any] = {"diagnosis": latest.diagnosis, "evidence": latest.evidence}
    own |= {name: rest.pop(name) for name in list(rest) if name in own}
    return PlannerBriefing(**situation(*trials, **rest), **own)


def data_engineer(strategy: str = "all sources", *trials: Experiment, **rest: Any) -> DataBriefing:
    """The data engineer's briefing for a strategy."""
    own: dict[str, Any] = {"plan": plan(data=strategy), "parent_recipe": None, "diagnosis": None, "steps": ()}
    own |= {"evidence": (), "tiers": {}}
    own |= {name: rest.pop(name) for name in list(rest) if name in own}
    return DataBriefing(**situation(*trials, **rest), **own)


def trainer(strategy: str = "defaults", *trials: Experiment, **rest: Any) -> TrainerBriefing:
    """The trainer's briefing for a strategy."""
    own: dict[str, Any] = {"plan": plan(training=strategy), "data": training_data(), "parent_config": None}
    own |= {"diagnosis": None, "evidence": (), "methods": ("sft",)}
    own |= {name: rest.pop(name) for name in list(rest) if name in own}
    return TrainerBriefing(**situation(*trials, **rest), **own)


def diagnostician(experiment: Experiment, **rest: Any) -> DiagnosticianBriefing:
    """The diagnostician's briefing about an experiment."""
    own: dict[str, Any] = {"parent_feedback": None, "wrong": (), "fixed": 0, "broken": 0}
    own |= {"evidence": experiment.evidence}
    own |= {name: rest.pop(name) for name in list(rest) if name in own}
    return DiagnosticianBriefing(**situation(experiment, **rest), experiment=experiment, **own)


def item(id_: str, prompt: str, answer: str, completion: str, *, parsed: bool = True) -> ItemResult:
    """A wrong feedback item."""
    return ItemResult(
        id=id_, group="red", prompt=prompt, answer=answer, completions=(completion,), scores=(0.0,), parsed=(parsed,),
        truncated=False,
    )  # fmt: skip


def full_briefings() -> dict[str, Situation]:
    """One briefing a role in which every optional part is there."""
    shared: dict[str, Any] = {
        "survey": survey(
            task=card(shared=True),
            gpus=(Gpu(name="a GPU", memory_gib=80.0),),
            shape=SHAPE,
            row_tokens_high={"exams": 60},
        ),
        "remaining": remaining(90_000).model_copy(
            update={"evaluation_minutes": 1.5, "model_tokens": 120_000, "model_dollars": 3.5}
        ),
        "incumbent": 1,
        "recalled": RECALLED,
    }
    table = (group("blue", 0.2, 0.4), group("red", 0.8, 0.95))
    good = trial(1, cause="weak knowledge", groups=table)
    bad = trial(2, plan(parent=1, training="larger adapter"), failure=FailureKind.OOM, cause="out of memory")
    parent: dict[str, Any] = {"diagnosis": good.diagnosis, "evidence": good.evidence}
    steps = ({"name": "sample", "does": "Keep rows.", "parameters": {"rows": {"type": "integer"}}},)
    decided = plan(parent=1, data="other rows")
    wrong = (item("q7", "Which colour?", "red", "blue"), item("q8", "Which code?", "green", "no idea", parsed=False))
    return {
        "planner": planner(good, bad, declined=DECLINED, **shared),
        "data_engineer": data_engineer(
            "",
            good,
            bad,
            **shared,
            **parent,
            plan=decided,
            parent_recipe=FULL_RECIPE,
            steps=steps,
            tiers={"strong": "openai:large", "weak": "openai:small"},
        ),
        "trainer": trainer("", good, bad, **shared, **parent, plan=decided, parent_config=TrainingConfig()),
        "diagnostician": diagnostician(good, **shared, parent_feedback=result(0.3), wrong=wrong, fixed=8, broken=2),
    }


def minimal_briefings() -> dict[str, Situation]:
    """One briefing a role in which every optional part is missing."""
    return {
        "planner": planner(),
        "data_engineer": data_engineer(),
        "trainer": trainer(data=training_data().model_copy(update={"removed": {}})),
        "diagnostician": diagnostician(untouched()),
    }
