"""Let the model that is trained answer, and keep what the scorer accepts."""

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, JsonValue

from eval.engine import Sampling
from roles.data_steps.format import in_task_form
from roles.data_steps.models import NO_MODELS, Drawn, ModelAccess, known_sample
from roles.data_steps.outcome import Outcome
from roles.data_steps.row import Applied, DataRow, DataStep, Service, StepContext, of_source
from tasks import scoring
from tasks.failure import InputError
from tasks.task import Sample, Task
from tasks.template import render

TOP_P = 0.95
PROMPT, ANSWER = "prompt", "answer"


class RejectionSample(DataStep):
    """Draw answers from the model that is trained, and keep those that the task's scorer accepts, as formatted rows.

    The model learns from its own right answers: its words, its way of reasoning, in the form that scores. Pays where
    answers are worked out (mathematics, tables, molecules) and the model is right now and then; where an answer is one
    letter it adds nothing. Rows must have what the task's own prompt reads, or be formatted by `prompt: task` already.
    Each row becomes at most `keep` rows with its prompt and an accepted answer; rows without one are dropped and
    counted. It takes `draws` generations a row, so put a `sample` before it. Nothing is paid for.
    """

    asks: ClassVar[Service | None] = "engine"

    source: str = Field(description="the source whose rows are answered; other rows pass")
    answer: str = Field(
        default="{{ answer }}", min_length=1, description="Jinja template of the known right answer of a row"
    )
    draws: int = Field(default=4, gt=0, le=64, description="answers that are drawn for each row")
    keep: int = Field(
        default=1, gt=0, le=64, description="accepted answers of a row that are kept, different ones only"
    )
    temperature: float = Field(default=0.8, ge=0, le=2, description="of the draws; 0 allows but one draw")
    checkpoint: Drawn = Field(
        default="best", description="`untouched` for the base model, `best` for the best experiment so far"
    )
    max_new_tokens: int | None = Field(
        default=None, gt=0, description="tokens an answer may have; null for as many as in the benchmark"
    )
    seed: int = Field(default=0, description="another seed draws other answers")

    def depends_on(self, access: ModelAccess) -> JsonValue:
        """The checkpoint; the sampling follows from parameters, task and seed."""
        checkpoint = access.checkpoint(self.checkpoint)
        return [Path(checkpoint.model).name, checkpoint.adapter_hash]

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Draw and judge.

        Raises:
            InputError: no row is of the source, or none has what the task's prompt reads.
            StageError: CONFIG without an engine; ENVIRONMENT when it goes away.
        """
        if not rows:
            return Applied([], Counter())
        positions = of_source(rows, self.source)
        outcome = Outcome.of(positions)
        items = self._items(rows, positions, context.task, outcome)
        drawn = (context.models or NO_MODELS).draw(
            [fields[PROMPT] for fields, _ in items.values()], self._sampling(context), self.checkpoint
        )
        answers = {
            position: list(
                dict.fromkeys(one.text.strip() for one in found if one.finish == "stop" and one.text.strip())
            )
            for position, found in zip(items, drawn, strict=True)
        }
        self._judge(items, answers, context.task, outcome)
        return outcome.joined(rows, keep_original=False, beside=False)

    def _sampling(self, context: StepContext) -> Sampling:
        return Sampling(
            max_new_tokens=self.max_new_tokens or context.task.max_new_tokens,
            temperature=self.temperature,
            top_p=TOP_P if self.temperature else 1.0,
            samples=self.draws if self.temperature else 1,
            seed=1_000_003 * context.seed + self.seed,
        )

    def _items(
        self, rows: list[DataRow], positions: list[int], task: Task, outcome: Outcome
    ) -> dict[int, tuple[dict[str, Any], Sample]]:
        """Formatted fields and the known answer as an item of the task, by position."""
        items: dict[int, tuple[dict[str, Any], Sample]] = {}
        first: InputError | None = None
        for position in positions:
            raw = rows[position].fields
            try:
                formatted = raw if raw.get("task_format") else in_task_form(task, raw, render(self.answer, raw))
                items[position] = (formatted, known_sample(task, formatted, self.answer, formatted[PROMPT]))
            except InputError as error:
                outcome.fault(position, "a template does not render")
                first = first or error
        if first and not items:
            raise first
        return items

    def _judge(
        self,
        items: dict[int, tuple[dict[str, Any], Sample]],
        answers: dict[int, list[str]],
        task: Task,
        outcome: Outcome,
    ) -> None:
        places = [(position, text) for position, texts in answers.items() for text in texts]
        scores = scoring.score_each(
            scoring.load(task.scorer), [(text, items[position][1]) for position, text in places]
        )
        for (position, text), score in zip(places, scores, strict=True):
            accepted = not isinstance(score, ValueError) and score.score == 1
            if accepted and len(outcome.made[position]) < self.keep:
                outcome.keep(position, {**items[position][0], ANSWER: text})
        for position in items:
            if not outcome.made[position]:
                outcome.fault(position, "no answer accepted")


STEP = RejectionSample
