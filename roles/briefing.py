"""What each role is told before it decides.

A briefing is a record: `expert` reads its fields, language models read it rendered by `roles/prompts/`. Only the
diagnostician's holds benchmark text, and only of the feedback split.
"""

from typing import Any

from pydantic import Field

from eval.hardware import Hardware
from eval.result import EvalResult, ItemResult
from memory.records import DataRecipe, Diagnosis, Evidence, Experiment, Plan, Review, TrainingConfig, TrainingData
from roles.data_steps.models import Tier
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
    answer_template: str = ""
    """The right answer, a Jinja template over the fields of a benchmark row."""
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


class ModelShape(Record):
    """The sizes of a decoder-only transformer that decide what its training takes."""

    layers: int
    hidden: int
    queries: int
    """Outputs of the query projection: heads times their size."""
    key_values: int
    """Outputs of the key projection, and of the value projection."""
    intermediate: int
    """Of the feed-forward layers."""
    context: int
    """Tokens it can read."""


class Survey(Record):
    """What is known before the first experiment."""

    task: TaskCard
    corpus: Corpus
    row_tokens: dict[str, int]
    """Median tokens of a raw row by source, counted with the model's tokenizer."""
    rows_shown: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    """Raw rows of each source, from all over it."""
    field_values: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
    """Rows by value, for fields of a source that have few values."""
    row_tokens_high: dict[str, int] = Field(default_factory=dict)
    """The 95th percentile of the same."""
    hardware: Hardware
    model: str
    model_gib: float
    """Size of the weights."""
    shape: ModelShape | None = None
    """None when the model's configuration does not tell."""
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
    evaluation_minutes: float | None = None
    """Minutes that evaluating one trained model takes."""
    model_tokens: int | None = None
    """Tokens that language models may still take, roles and data steps together; None without a cap."""
    model_dollars: float | None = None
    """What they may still cost; None without a cap."""


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
    declined: tuple[Review, ...] = ()
    """Plans of this run that a person sent back, the latest last."""


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
    tiers: dict[Tier, str] = Field(default_factory=dict)
    """The language models that steps may ask, by tier."""


class TrainerBriefing(Situation):
    """For the trainer. No benchmark text."""

    plan: Plan
    data: TrainingData
    examples: tuple[dict[str, str], ...] = ()
    """Some of its rows, with prompt and answer."""
    parent_config: TrainingConfig | None
    diagnosis: Diagnosis | None
    """Of the parent experiment."""
    evidence: tuple[Evidence, ...] = ()
    """Of the parent experiment."""
    methods: tuple[str, ...]


class GeneralistBriefing(Situation):
    """For the generalist, before its first turn. No benchmark text, because it writes the data, too."""

    steps: tuple[dict[str, Any], ...]
    """The data steps there are."""
    tiers: dict[Tier, str] = Field(default_factory=dict)
    """The language models that steps may ask, by tier."""
    methods: tuple[str, ...]
    turns: int
    """Turns it has."""


class DiagnosticianBriefing(Situation):
    """For the diagnostician."""

    experiment: Experiment
    evidence: tuple[Evidence, ...]
    parent_feedback: EvalResult | None
    wrong: tuple[ItemResult, ...]
    """Some feedback items that scored below 1."""
    parent_answers: dict[str, str] = Field(default_factory=dict)
    """What the parent answered to the shown items, by id."""
    once_right: tuple[str, ...] = ()
    """Ids of all items that score less than in the parent."""
    fixed: int
    """Feedback items right now and wrong in the parent."""
    broken: int
    """Feedback items wrong now and right in the parent."""
    examples: tuple[dict[str, str], ...] = ()
    """Some of the rows it was trained on, with prompt and answer."""
