"""A laboratory without a model: the practitioner decides through `graph/decisions.py`, its recipes are really applied
to rows, time is kept by the real budget, and everything else (losses, scores, failures) is drawn at random.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import situations as s
import views as v

from eval.result import EvalResult
from eval.verdict import Verdict
from graph import decisions
from graph.budget import CLOCK, OVERHEAD_SECONDS, Budget, Clock
from graph.config import RunConfig
from graph.experiment import REPAIRS
from graph.run_dir import RunDir
from memory.records import DataRecipe, Evidence, Experiment, Flow, Plan, TrainingConfig, TrainingData
from memory.store import ExperimentMemory
from roles import evidence
from roles.backbones.expert import Expert
from roles.briefing import Survey
from roles.data_steps import load_step
from roles.data_steps.row import DataRow, StepContext
from tasks.failure import Failure, FailureKind, InputError, StageError
from tasks.record import digest, read_jsonl, write_record
from tasks.task import Benchmark, Task

TASK = Task(
    name="toy", domain="colours", description="Codes of colours.", sources=(), benchmark=Benchmark(path="x"),
    prompt="{{ question }} {{ options }}", answer="{{ answer }}", scorer={"name": "exact"},
)  # fmt: skip
TOKENS_A_SECOND = 400.0
EVALUATION = 10.0
"""Seconds."""
FAULTS = (*[None] * 9, FailureKind.OOM, FailureKind.DIVERGED, FailureKind.ENVIRONMENT, FailureKind.TIMEOUT)
"""How trainings end, one as often as the other."""


def raw_rows() -> list[DataRow]:
    """A bank of 240 rows in uneven categories with some near duplicates, a glossary and a forum of HTML pages."""
    groups = [*["red"] * 6, *["blue"] * 3, v.GROUPS[2]]
    bank = [
        {
            "question": f"Which colour has the {_word(n - n % 8 // 7)} of the {_word(n * 7 % 50)}?",
            "A": _word(n % 17) * (1 + n % 3),
            "B": _word(n % 13 + 20),
            "answer": "AB"[n % 2],
            "colour": groups[n % 10],
        }
        for n in range(240)
    ]
    glossary = [{"term": _word(n), "definition": f"the colour of a {_word(n + 3)} {n}"} for n in range(60)]
    forum = [{"id": n, "page": v.PAGE.replace("colour", f"colour is {_word(n)} {n}")} for n in range(60)]
    sources = {"bank": bank, "glossary": glossary, "old forum": forum}
    return [DataRow(source=name, row=n, fields=row) for name, rows in sources.items() for n, row in enumerate(rows, 1)]


def _word(number: int) -> str:
    """A made-up word for a number."""
    return "".join("bdfgklmnprstvz"[number // 14**place % 14] + "aeiou"[number * (place + 2) % 5] for place in range(3))


class World:
    """One run: its trials, and all that was asked and answered."""

    def __init__(
        self,
        folder: Path,
        seed: int = 0,
        *,
        experiments: int = 30,
        seconds: float | None = None,
        memory: ExperimentMemory | None = None,
        faults: tuple[FailureKind | None, ...] = FAULTS,
        touch: Callable[[DataRecipe], DataRecipe] = lambda recipe: recipe,
    ) -> None:
        """
        Args:
            touch: what another mind makes of the first recipe.
        """
        self.random = random.Random(seed)
        self.faults = faults
        self.touch = touch
        self.config = RunConfig(
            run=folder.name, task="toy", profile="embedded", profile_reason="", model="tiny", memory_dir="",
            budget_seconds=seconds, max_experiments=experiments, max_train_rows=200, engine="transformers",
            cache_dir="", tokens_per_second=TOKENS_A_SECOND,
        )  # fmt: skip
        self.run_dir = RunDir(folder)
        self.run_dir.create()
        self.rows = raw_rows()
        self.used = 0.0
        self.memory = memory
        self.survey = _survey(self.rows, self.config)
        self.trials = [self._scored(s.untouched().model_copy(update={"run": folder.name}), 0.3)]
        self.incumbent = 0
        self.ended = ""
        self._remember(self.trials[0])

    @property
    def budget(self) -> Budget:
        """What is left now."""
        return Budget(self.config, self.run_dir.file(CLOCK), test_answers=40, other_answers=40)

    @property
    def context(self) -> Any:
        """What `graph/decisions.py` needs of a `RunContext`."""
        return SimpleNamespace(
            config=self.config,
            run=self.run_dir,
            description=SimpleNamespace(task=TASK),
            minds=dict.fromkeys(("planner", "data_engineer", "trainer", "diagnostician"), Expert()),
            memory=self.memory,
            budget=self.budget,
            gateway=None,
        )

    @property
    def refusals(self) -> list[str]:
        """Why decisions were sent back, but for repairs that led where an earlier training had been."""
        path = self.run_dir.file("transcript.jsonl")
        rows = read_jsonl(path) if path.exists() else iter(())
        return [row["refused"] for row in rows if row["refused"] and "because" not in row["decision"]["reason"]]

    def run(self) -> "World":
        """Experiments until nothing is left to spend or to try."""
        while self.budget.allows_another(self.trials):
            try:
                plan = decisions.decide_plan(self.context, self.survey, self.trials, self.incumbent)
            except StageError as error:
                self.ended = str(error)
                break
            trial = self._carry_out(plan)
            self.trials.append(trial)
            self._remember(trial)
            if trial.verdict and trial.verdict.outcome == "better":
                self.incumbent = trial.number
        return self

    def _carry_out(self, plan: Plan) -> Experiment:
        trial = s.untouched().model_copy(
            update={
                "run": self.config.run,
                "number": len(self.trials),
                "plan": plan,
                "feedback": None,
                "selection": None,
            }
        )
        try:
            trial = self._prepared(trial)
            trial = self._trained(trial)
        except _Ended as end:
            trial = end.trial
        trial = trial.model_copy(update={"evidence": tuple(self._evidence(trial))})
        found = decisions.decide_diagnosis(self.context, self.survey, self.trials, self.incumbent, trial)
        return trial.model_copy(update={"diagnosis": found})

    def _prepared(self, trial: Experiment) -> Experiment:
        complaints: list[str] = []
        while True:
            try:
                recipe = decisions.decide_recipe(*self._asked(trial), complaints)
                recipe = self.touch(recipe) if trial.plan and trial.plan.parent == 0 else recipe
                return trial.model_copy(update={"recipe": recipe, "data": self.apply(recipe)})
            except StageError as error:
                complaints = _complain(trial, error.failure, complaints)

    def _trained(self, trial: Experiment) -> Experiment:
        assert trial.recipe
        assert trial.data
        complaints: list[str] = []
        while True:
            try:
                config = decisions.decide_config(*self._asked(trial), trial.data, complaints)
                self._train(trial.data, config)
                break
            except StageError as error:
                complaints = _complain(trial, error.failure, complaints)
        run = s.trial(1).training
        measured = run.model_copy(update={"tokens_per_second": TOKENS_A_SECOND}) if run else None
        trial = trial.model_copy(update={"config": config, "training": measured})
        parent = self.trials[trial.plan.parent if trial.plan else 0]
        before = parent.selection.score if parent.selection else 0.3
        return self._scored(trial, min(0.9, max(0.05, round(before + self.random.gauss(0.01, 0.04), 3))))

    def _asked(self, trial: Experiment) -> tuple[Any, ...]:
        return self.context, self.survey, self.trials, self.incumbent, trial.plan

    def _train(self, data: TrainingData, config: TrainingConfig) -> None:
        """Let time pass, then fail or not.

        Raises:
            StageError: as drawn, or TIMEOUT where the budget does not allow so much.
        """
        TrainingConfig.model_validate(config.model_dump())
        left = self.budget.seconds_left(self.trials)
        seconds = data.tokens * config.epochs / TOKENS_A_SECOND
        fault = self.random.choice(self.faults)
        if left is not None and seconds > left - EVALUATION:
            self._pass(left - EVALUATION)
            raise StageError("train", FailureKind.TIMEOUT, "out of time: the estimate was wrong")
        self._pass(seconds + OVERHEAD_SECONDS)
        if fault:
            raise StageError("train", fault, "drawn")

    def _pass(self, seconds: float) -> None:
        self.used += seconds
        write_record(self.run_dir.file(CLOCK), Clock(used=self.used))

    def apply(self, recipe: DataRecipe) -> TrainingData:
        """Apply a recipe as the pipeline does; cleaning labels, which needs the embedder, exchanges every tenth.

        Raises:
            StageError: a step does not fit the rows, or none is left.
        """
        rows = [row for row in self.rows if row.source in recipe.sources]
        flow = [Flow(step="sources", rows=len(rows))]
        for step in recipe.steps:
            typed = load_step(step)
            try:
                rows, removed = (_cleaned(rows), Counter[str]()) if step.name == "label_clean" else (
                    typed.apply(rows, StepContext(TASK, 0))[:2] if step.name != "script" else (rows, Counter())
                )  # fmt: skip
            except InputError as error:
                raise StageError("prepare_data", FailureKind.CONFIG, f"{step.name}: {error}") from None
            flow.append(Flow(step=step.name, rows=len(rows), removed=dict(removed)))
        texts = sorted({(row.source, row.fields["prompt"], row.fields["answer"]) for row in rows})[:200]
        if not texts:
            raise StageError("prepare_data", FailureKind.DATA, "no rows are left to train on")
        lengths = [20 + len(prompt + answer) // 4 for _, prompt, answer in texts]
        return TrainingData(
            path="data.jsonl", content_hash=digest(texts), rows=len(texts),
            rows_by_source=dict(Counter(source for source, _, _ in texts)), tokens=sum(lengths),
            tokens_median=sorted(lengths)[len(lengths) // 2], tokens_max=max(lengths), removed={}, flow=tuple(flow),
        )  # fmt: skip

    def _scored(self, trial: Experiment, score: float) -> Experiment:
        self._pass(EVALUATION)
        result = EvalResult(
            split="selection", n=40, samples=1, score=score, standard_error=0.05, unparsed=0.1, truncated=0.0,
            generated=40, seconds=EVALUATION / 2,
            groups=tuple(s.group(name, self.random.random(), self.random.random()) for name in v.GROUPS),
        )  # fmt: skip
        trial = trial.model_copy(update={"feedback": result, "selection": result})
        if trial.number == 0:
            return trial
        before = {one.number: one.selection.score for one in self.trials if one.selection}
        effect = round(score - before[self.incumbent], 3)
        outcome: Any = "better" if effect > 0.06 else "worse" if effect < -0.06 else "undecided"
        verdict = Verdict(
            outcome=outcome, incumbent=self.incumbent, effect=effect, low=effect - 0.08, high=effect + 0.08,
            p_better=0.5 - effect * 4 if abs(effect) < 0.12 else 0.01, p_worse=0.5, alpha=0.01, n=40, fixed=3, broken=2,
            mcnemar_p=1.0, rule="drawn",
        )  # fmt: skip
        against = trial.plan.parent if trial.plan else 0
        return trial.model_copy(update={"verdict": verdict, "effect": round(score - before[against], 3)})

    def _evidence(self, trial: Experiment) -> Iterator[Evidence]:
        """Findings of all names with figures that could be, each there half of the time."""
        draw = self.random
        falling, figures = draw.random() * 2, dict.fromkeys(v.GROUPS, 0.5)
        shapes: dict[str, dict[str, float]] = {
            "loss_shape": {"first": 1.0, "last": falling, "lowest": 0.1, "tail_change": draw.uniform(-0.5, 0.1)},
            "fit": {"fresh": 1.0, "repeated": draw.random()},
            "flips": {"fixed": float(draw.randrange(9)), "broken": float(draw.randrange(9))},
            "truncation": {"longest_answer_characters": 8.0, "longest_row_characters": 99.0},
            "lengths": {"answer_words_benchmark": 2.0, "answer_words_training": draw.uniform(1, 9)},
            "imbalance": {"ratio": draw.uniform(1, 9), "missing": 0.0},
            "relevance": {name: draw.random() for name in trial.data.rows_by_source} if trial.data else {},
            "categories": figures,
        }
        for name in evidence.names():
            if draw.random() < 0.5:
                yield v.evidence(name, draw.randrange(40), 100, **shapes.get(name, {}))

    def _remember(self, trial: Experiment) -> None:
        self.run_dir.write_experiment(trial)
        if self.memory:
            self.memory.add(trial)


class _Ended(Exception):
    """An experiment that could not be mended."""

    def __init__(self, trial: Experiment) -> None:
        self.trial = trial


def _complain(trial: Experiment, failure: Failure, complaints: list[str]) -> list[str]:
    """The complaints with one more, or the end of the experiment, as in `graph/experiment.py`."""
    hopeless = failure.kind in (FailureKind.TIMEOUT, FailureKind.ENVIRONMENT)
    if hopeless or len(complaints) == REPAIRS:
        raise _Ended(trial.model_copy(update={"failure": failure}))
    return [*complaints, f"{failure.kind}: {failure.message}"]


def _cleaned(rows: list[DataRow]) -> list[DataRow]:
    return [
        row.model_copy(update={"fields": {**row.fields, "answer": "another"}}) if row.row % 10 == 0 else row
        for row in rows
    ]


def _survey(rows: list[DataRow], config: RunConfig) -> Survey:
    sources = [
        one.model_copy(update={"rows": sum(row.source == one.name for row in rows),
                               "examples": tuple(row.fields for row in rows if row.source == one.name)[:3]})
        for one in v.SOURCES
    ]  # fmt: skip
    return v.survey(sources=sources, max_train_rows=config.max_train_rows)
