"""What an experiment is: every decision, its outcome and the verdict on it.

These records are the truth on disk (`experiments/NNN/*.json`, `experiments.jsonl`); the Chroma index in
`memory/store.py` can be rebuilt from them. Paths are relative to the run directory, so that a run can be moved.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from eval.probe import Regression
from eval.result import EvalResult
from eval.verdict import Verdict
from tasks.failure import Failure
from tasks.record import Record

Factor = Literal["data", "training", "both"]
LONG, LONGEST = 1000, 4000
"""Characters of what a mind writes: a sentence or two, and a paragraph. Where a server decodes by the schema, they stop
a small model that would write without end."""


class Plan(Record):
    """The planner's decision: what the next experiment tries and why."""

    hypothesis: str = Field(max_length=LONG, description="one sentence: what should improve, and why")
    parent: int = Field(ge=0, description="number of the experiment this one starts from; 0 is the untouched model")
    factor: Factor = Field(description="the one thing that changes against the parent; `both` only for a first draft")
    data_strategy: str = Field(
        max_length=LONGEST, description="what the data engineer should do; `keep` to reuse the parent's recipe"
    )
    training_strategy: str = Field(
        max_length=LONGEST, description="what the trainer should do; `keep` to reuse the parent's configuration"
    )
    predicted_effect: float = Field(ge=-1, le=1, description="expected change of the metric against the parent")
    reason: str = Field(
        default="", max_length=LONGEST, description="the evidence, trials or memories that this rests on"
    )
    outlook: tuple[Annotated[str, Field(max_length=LONG)], ...] = Field(
        default=(),
        max_length=12,
        description="what the experiments after this one are to try, in order, as far as it can be foreseen",
    )
    budget_share: float | None = Field(
        default=None, gt=0, le=1,
        description="share of the remaining time that this experiment may use; null shares it evenly",
    )  # fmt: skip
    memory_ids: tuple[str, ...] = Field(
        default=(), max_length=20, description="ids of the recalled experiments this relies on"
    )


class Review(Record):
    """What a person said to a plan that was shown before anything was spent on it."""

    experiment: int
    """The number of the experiment that is planned."""
    decision: Literal["accept", "edit", "back", "stop"]
    """`back`: the planner is to think again; `stop`: no experiment after those that there are."""
    proposed: Plan
    """The planner's."""
    edited: Plan | None = None
    """The person's, where it can be carried out."""
    text: str = ""
    """What the person wrote, where it cannot."""
    refused: str = ""
    """Why it cannot."""
    comment: str = ""
    """What the planner is told with a plan that comes back."""

    @property
    def accepted(self) -> Plan | None:
        """The plan that is carried out; None where none is."""
        return self.proposed if self.decision == "accept" else self.edited


class Step(Record):
    """One step of a data recipe."""

    name: str = Field(description="a data step, such as filter, deduplicate, sample, format, script")
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="the step's own parameters")


class DataRecipe(Record):
    """The data engineer's decision: sources, then steps in order. Two recipes can be compared step by step."""

    sources: tuple[str, ...] = Field(min_length=1, max_length=64, description="names of the raw sources to start from")
    steps: tuple[Step, ...] = Field(max_length=64, description="applied in order; each row leaves as prompt and answer")
    reason: str = Field(default="", max_length=LONGEST, description="why this recipe")


class TrainingConfig(Record):
    """The trainer's decision: method and hyperparameters."""

    method: str = Field(default="sft", description="a training recipe; `sft` is supervised fine-tuning with LoRA")
    learning_rate: float = Field(default=2e-4, gt=0, le=1, description="peak learning rate")
    epochs: float = Field(default=2.0, gt=0, le=50, description="passes over the rows")
    batch_size: int = Field(default=8, gt=0, le=1024, description="rows an optimiser step")
    lora_rank: int = Field(default=16, gt=0, le=512)
    lora_alpha: int = Field(default=32, gt=0, le=2048)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: Literal["all-linear", "attention"] = Field(default="all-linear", description="layers with LoRA")
    max_length: int = Field(default=512, gt=0, description="tokens a row; longer rows are dropped by the gate")
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    reason: str = Field(default="", max_length=LONGEST, description="why this configuration")


class Flow(Record):
    """What one step of a recipe did to the rows."""

    step: str
    """Name of the data step; `gate` and `decontamination` end every recipe."""
    rows: int | None
    """Rows that were left; None where that is not told."""
    removed: dict[str, int] = Field(default_factory=dict)
    """Rows dropped, by reason."""
    changed: dict[str, int] = Field(default_factory=dict)
    """Rows altered but kept, by what was done."""


class TrainingData(Record):
    """What the data steps and the gate left to train on."""

    path: str
    """`data.jsonl`, relative to the run directory."""
    content_hash: str
    rows: int
    rows_by_source: dict[str, int]
    tokens: int
    """Tokens of all rows, prompt and answer, with the target tokenizer."""
    tokens_median: int
    tokens_max: int
    removed: dict[str, int]
    """Rows dropped, by reason; leaks in tens, never 0, made up by other rows: an exact count would tell of the sealed
    split."""
    flow: tuple[Flow, ...] = ()
    """The recipe step by step; begins with the step `sources`, which has the raw rows."""
    row_limit: int | None = None
    """Tokens that a row might have; None in records from before this was kept."""
    best: int | None = None
    """The experiment that its steps could draw from as the best; None where that was the incumbent of the verdict."""
    seconds: float = 0.0


class TrainingOutcome(Record):
    """What a training process knows at its end."""

    steps: int
    first_loss: float
    """Mean over the first tenth of the steps."""
    final_loss: float
    """Mean over the last tenth of the steps."""
    tokens_per_second: float
    peak_memory_gib: float
    seconds: float


class TrainingRun(TrainingOutcome):
    """One training with one seed: the outcome, and where the adapter lies."""

    adapter: str
    """Folder of the adapter, relative to the run directory."""
    adapter_hash: str
    seed: int


class Evidence(Record):
    """One computed fact about an experiment, from `roles/evidence/`; it holds counts and never benchmark text."""

    name: str
    """The module that found it."""
    claim: str
    """The fact in one sentence, numbers included."""
    count: int = Field(ge=0)
    """Items, rows or steps that show it."""
    of: int = Field(ge=0)
    """Items, rows or steps looked at."""
    figures: dict[str, float] = Field(default_factory=dict)
    """The numbers behind the claim, by name; groups, sources and kinds are named as they are."""

    @property
    def share(self) -> float:
        """`count` of `of`; 0 when nothing was looked at."""
        return self.count / self.of if self.of else 0.0


class Finding(Record):
    """One observation with its evidence."""

    claim: str = Field(max_length=LONG)
    count: int = Field(ge=0, description="items or rows that show it")
    of: int = Field(ge=0, description="items or rows looked at")


class Diagnosis(Record):
    """The diagnostician's decision: why the result is what it is. It names categories and ids, never benchmark text."""

    findings: tuple[Finding, ...] = Field(max_length=40, description="what was observed")
    suspected_cause: str = Field(max_length=LONGEST)
    next_intervention: str = Field(max_length=LONGEST, description="what to try next")
    next_factor: Literal["data", "training"] = Field(description="which hand that needs")
    weak_groups: tuple[str, ...] = Field(default=(), max_length=100, description="groups that score lowest")


class Replicate(Record):
    """The same recipe trained with another seed."""

    training: TrainingRun
    selection: EvalResult


class Experiment(Record):
    """One turn of the laboratory. Number 0 is the untouched model."""

    version: Literal[1] = 1
    run: str
    task: str
    domain: str
    model: str
    number: int
    plan: Plan | None = None
    recipe: DataRecipe | None = None
    data: TrainingData | None = None
    config: TrainingConfig | None = None
    training: TrainingRun | None = None
    feedback: EvalResult | None = None
    selection: EvalResult | None = None
    replicates: tuple[Replicate, ...] = ()
    verdict: Verdict | None = None
    effect: float | None = None
    """Change of the metric on selection against the plan's parent, positive when better: what the plan predicted."""
    regression: Regression | None = None
    """What it costs elsewhere; of experiments that were found better, and of what is delivered."""
    barred: str = ""
    """Why an experiment that was found better does not become the best; empty when it does."""
    evidence: tuple[Evidence, ...] = ()
    diagnosis: Diagnosis | None = None
    failure: Failure | None = None
    seconds: float = 0.0

    @property
    def advances(self) -> bool:
        """Whether it became the best of its run when it was judged."""
        return self.verdict is not None and self.verdict.outcome == "better" and not self.barred

    @property
    def id(self) -> str:
        """Unique over all runs."""
        return f"{self.run}/{self.number:03d}"


MEASURED = frozenset({"run", "seconds", "tokens_per_second", "peak_memory_gib", "generated"})
"""Fields that differ from one execution to the next without the experiment being another."""


def canonical(record: Record) -> Any:
    """A record as plain JSON data without the measured fields, for telling whether two experiments are the same."""
    return _without(record.model_dump(mode="json"))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(item) for key, item in value.items() if key not in MEASURED}
    return [_without(item) for item in value] if isinstance(value, list) else value
