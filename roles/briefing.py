"""What each role is told before it decides.

A briefing is a record: `expert` reads its fields, language models read it rendered by `roles/prompts/`. Only the
diagnostician's holds benchmark text, and only of the feedback split.
"""

from typing import Any

from eval.hardware import Hardware
from eval.result import EvalResult, ItemResult
from memory.records import DataRecipe, Diagnosis, Evidence, Experiment, Plan, TrainingConfig, TrainingData
from tasks.corpus import Corpus
from tasks.record import Record
from tasks.task import AnswerContract, Metric


class TaskCard(Record):
    """The task as agents may know it."""

    name: str
    domain: str
    description: str
    prompt: str
    """The prompt template of the benchmark, a Jinja template over `prompt_fields`."""
    prompt_fields: tuple[str, ...]
    answer: AnswerContract
    scorer: str = ""
    """Name of the scorer."""
    metric: Metric
    max_new_tokens: int
    groups: dict[str, int]
    feedback: int
    selection: int
    test: int
    shared: bool
    """Feedback and selection are the same rows, sampled several times."""
    options: int | None = None
    """Options that every item offers to choose from; None for free answers, or when their number varies."""

    @property
    def chance(self) -> float | None:
        """The score of guessing; None where it cannot be known."""
        return 1 / self.options if self.options else None


class Survey(Record):
    """What is known before the first experiment."""

    task: TaskCard
    corpus: Corpus
    row_tokens: dict[str, int]
    """Median tokens of a raw row by source, counted with the model's tokenizer."""
    hardware: Hardware
    model: str
    model_gib: float
    """Size of the weights."""
    detectable_effect: float
    """Difference on selection that one decision finds with 80 % power."""
    max_train_rows: int
    remembered: int
    """Experiments in the memory."""


class Remaining(Record):
    """What is left to spend."""

    experiments: int
    minutes: int | None
    """Rounded; None without a time budget."""
    tokens_per_second: int
    """Training speed: of the latest training, or assumed before the first."""
    training_tokens: int | None
    """Tokens that one more experiment may train on (rows times tokens times epochs); None without a time budget."""
    most_tokens: int | None = None
    """The same if that experiment takes all the time that is left."""


class Recollection(Record):
    """An experiment of an earlier run that resembles this one."""

    id: str
    similarity: float
    summary: str
    """What language models read."""
    experiment: Experiment
    """What rules read."""
    baseline: float | None
    """Selection score of the untouched model in that run, where it is known."""


class Situation(Record):
    """What every role sees."""

    survey: Survey
    trials: tuple[Experiment, ...]
    """Experiments of this run in order; number 0 is the untouched model."""
    incumbent: int
    """Number of the best experiment by verdict."""
    remaining: Remaining
    recalled: tuple[Recollection, ...] = ()


class PlannerBriefing(Situation):
    """For the planner."""

    diagnosis: Diagnosis | None
    """Of the latest experiment."""
    evidence: tuple[Evidence, ...] = ()
    """Of the latest experiment."""


class DataBriefing(Situation):
    """For the data engineer. No benchmark text."""

    plan: Plan
    parent_recipe: DataRecipe | None
    diagnosis: Diagnosis | None
    """Of the parent experiment."""
    evidence: tuple[Evidence, ...] = ()
    """Of the parent experiment."""
    steps: tuple[dict[str, Any], ...]
    """The data steps there are."""


class TrainerBriefing(Situation):
    """For the trainer. No benchmark text."""

    plan: Plan
    data: TrainingData
    parent_config: TrainingConfig | None
    diagnosis: Diagnosis | None
    """Of the parent experiment."""
    evidence: tuple[Evidence, ...] = ()
    """Of the parent experiment."""
    methods: tuple[str, ...]


class DiagnosticianBriefing(Situation):
    """For the diagnostician."""

    experiment: Experiment
    evidence: tuple[Evidence, ...]
    parent_feedback: EvalResult | None
    wrong: tuple[ItemResult, ...]
    """Some feedback items that scored below 1."""
    fixed: int
    """Feedback items right now and wrong in the parent."""
    broken: int
    """Feedback items wrong now and right in the parent."""
