"""What a task is: a benchmark, the raw sources one may learn from, a prompt, and a scorer.

A `Task` is plain data. `tasks/finance.py` writes one in Python, `tasks/task_file.py` reads one from YAML. It names
files but holds no rows: only the evaluator loads the benchmark (`tasks/benchmark.py`), and training sees nothing but
the materialised corpus (`tasks/corpus.py`).
"""

import typing
from typing import Any, Literal

from pydantic import Field, JsonValue

from tasks.identity import Kind
from tasks.record import Record

Direction = Literal["up", "down"]
Protocol = Literal["honest", "paper"]
"""How a benchmark is split and scored: as its authors meant, with known defects repaired, or exactly as the reference
system does it, so that published figures can be compared."""


class Origin(Record):
    """Where rows come from: a file (csv, jsonl, json, parquet) or a hub data set."""

    path: str | None = None
    """File, relative to the task file or to `--data-root`, or absolute. With a `*` all files that match, in the order
    of their names; each row then says in `file` where it stood."""
    hub: str | None = None
    """`owner/name` of a Hugging Face data set; used when there is no file at `path`."""
    config: str | None = None
    """Configuration of the hub data set; `*` for all, and each row then says in `file` of which it is."""
    split: str | None = None
    """Split of the hub data set, for example `train`."""
    where: dict[str, JsonValue] = Field(default_factory=dict)
    """Keep rows whose field equals the value, or is one of a list of values."""
    fold: str | None = None
    """`"1,2/4"`: of four parts by row hash keep parts 1 and 2; lets one file serve as corpus and as benchmark."""
    limit: int | None = Field(default=None, gt=0)
    """Keep at most this many rows, chosen by row hash."""
    tail: int | None = Field(default=None, gt=0)
    """Of each file keep the last half of the rows, rounded up, and at most so many."""
    before_tail: int | None = Field(default=None, gt=0)
    """Keep the rows that `tail` would not."""
    shape: str | None = Field(default=None, pattern=r"^tasks(\.\w+)+:\w+$")
    """`tasks.module:function` of this project that turns the rows as they are read into those that templates see."""


class Source(Origin):
    """One raw source that training rows may be made from."""

    name: str
    """Short identifier; recipes refer to it."""
    licence: str = "unknown"
    description: str = ""
    """What the rows are, for the agents and the model card."""


class Benchmark(Origin):
    """The rows that measure."""

    licence: str = "unknown"

    id: str | None = None
    """Field that identifies a row; without it the row number serves."""
    group: str | None = None
    """Field with the category (sub-dataset) of a row: splits are stratified and results reported by it."""
    cluster: str | None = None
    """Field shared by rows that must stay on one side of a split (a table, a molecule, an application)."""
    test: str | None = None
    """A file with explicit test rows; without it half of each group, at most about 500 rows, is the test split."""
    reference: Literal["shuffled", "in_order"] | None = None
    """How the reference system orders each of its sub-datasets before it divides them (`tasks/reference_split.py`)."""
    sets: str | None = None
    """Field with the reference system's sub-datasets of a row, one name or a list; without it they are the groups."""


class Shots(Origin):
    """Solved examples that stand before every question of the benchmark; the prompt reads them as `shots`."""

    count: int = Field(default=5, gt=0)
    match: str | None = None
    """Field whose value the examples share with the row; without it every row gets the same ones."""


class Metric(Record):
    """The one number a task is judged by."""

    name: str = "accuracy"
    direction: Direction = "up"
    aggregate: Literal["mean", "group_mean", "f1"] = "mean"
    """`mean` over items; `group_mean`: the unweighted mean over the means of the groups; `f1`: the unweighted mean over
    classes of 2 tp / (2 tp + fp + fn), from the counts that the scorer gives as `tp.CLASS`, `fp.CLASS`, `fn.CLASS`."""
    only: str | None = None
    """The group that alone counts; the others are reported."""

    def difference(self, value: float) -> str:
        """A difference of two values in words: `+14.0 points` of a share where more is better, else `+0.140`."""
        return f"{100 * value:+.1f} points" if self.direction == "up" else f"{value:+.3f}"


class AnswerContract(Record):
    """What an answer must look like; agents and the data gate read it."""

    description: str
    example: str
    """An answer that parses."""


class Sample(Record):
    """One benchmark item, or one training row seen as an item."""

    id: str
    prompt: str
    """The rendered user message."""
    answer: str
    """The reference answer."""
    options: tuple[str, ...] = ()
    """The texts of the options of a multiple-choice item, in the order shown."""
    group: str = "all"
    """The category; where a benchmark has sub-tasks, the sub-task."""
    cluster: str = ""
    context: dict[str, JsonValue] = Field(default_factory=dict)
    """What the scorer needs besides the reference: the source molecule, the table."""
    content: str = ""
    """Question and options without the wording of the prompt: what decontamination compares."""
    identities: tuple[str, ...] = ()
    """Of what the item is about (`tasks/identity.py`): training rows about the same are leaks."""


class ItemScore(Record):
    """The score of one completion."""

    score: float
    """Between 0 and 1 unless the scorer says otherwise."""
    parsed: bool
    """False when no answer could be read; such an item is wrong and stays in the denominator."""
    extracted: str | None = None
    """The answer that was read."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Sub-metrics, and the counts that an aggregate over items needs (`tp.A`, `fp.A`, `fn.A`)."""
    lower_is_better: bool = False
    """The score is an error (`paper` only)."""


class Scorer(typing.Protocol):
    """Turns a completion into a score. Pure: no files, no clock, no randomness.

    A module in `tasks/scoring/` is a scorer when it has `SCORER`, a `Record` class with this interface whose `name`
    is the file's name and whose other fields are the parameters that a task may set. A parameter that is a Jinja
    template over the benchmark row (such as the options of `choice`) is rendered by the loader, not by the scorer.
    """

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Score a completion against `sample.answer`.

        `parsed` must not depend on `sample.answer`, so that training rows can be checked without a reference.
        """
        ...

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        ...


class Task(Record):
    """A task of the dojo."""

    name: str
    domain: str
    description: str
    """One paragraph that the agents read."""
    sources: tuple[Source, ...]
    benchmark: Benchmark
    prompt: str
    """Jinja template over the fields of a row; renders the user message."""
    answer: str
    """Jinja template over the fields of a row; renders the reference answer."""
    options: tuple[str, ...] | str = ()
    """One Jinja template per option, or one template that renders a JSON list; empty for free answers."""
    content: str | None = None
    """Jinja template of what decontamination compares; default: the fields the prompt uses."""
    scorer: dict[str, Any]
    """`{"name": ..., parameters}` of a scorer in `tasks/scoring/`."""
    metric: Metric = Metric()
    context: tuple[str, ...] = ()
    """Fields of a row that the scorer needs besides the reference."""
    shots: Shots | None = None
    identities: dict[Kind, tuple[str, ...]] = Field(default_factory=dict)
    """Fields of a row that hold what it is about: `{"molecule": ("source", "product")}`; a training row about the same
    molecule, table or application as a benchmark item is a leak, whatever it asks."""
    leakage: str = ""
    """What must be kept out of the training data besides the benchmark's own rows, and why."""
    protocol: Protocol = "honest"
    paper: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields that differ under `--protocol paper`."""
    max_new_tokens: int = Field(default=64, gt=0, le=32768)
    samples: int = Field(default=1, gt=0)
    """Completions an item (avg@k); at most 4 of them where there is no GPU."""
    temperature: float = Field(default=0.0, ge=0)
    """Of sampled completions."""
    base_dir: str = ""
    """Folder that relative paths start from, before `--data-root` is tried."""
