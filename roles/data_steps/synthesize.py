"""Have a language model write fields or new rows."""

from collections import Counter
from typing import Any, ClassVar, Self

from pydantic import Field, JsonValue, model_validator

from roles.data_steps.models import NO_MODELS, ModelAccess, Tier, known_sample
from roles.data_steps.outcome import Outcome, drawn
from roles.data_steps.row import Applied, DataRow, DataStep, Service, StepContext, holds, of_source
from roles.data_steps.written import Form, ask, check_estimate, faults
from tasks.failure import InputError
from tasks.task import Task
from tasks.template import fields as fields_of
from tasks.template import render


class Synthesize(DataStep):
    """Have a language model write what the raw rows lack, row by row, by a prompt of yours.

    Four things it is good for. Rationales for known answers: show question and right answer, ask for the reasoning
    that ends in the answer in the task's form, `into` a field that `format` uses as the answer, checked by `answer`
    and `verify`. Paraphrases: `fields: [question]` with `items: true` asks for several wordings, each a new row.
    New items from a passage: `items: true`, such as `fields: [question, answer]`; a model that writes question and
    answer can be wrong in both, so tell it to stay with the passage. Translation: `into` a new field, or `fields`.

    Put it before `format`, and after the steps that drop rows: each row costs a call. The model sees the prompt and
    nothing else, neither the task nor other rows, so say what is wanted, how long, and in which form it is to end. With
    `fields` or `items` the step itself adds how to answer in JSON. The original fields stay and what is written is
    added, or takes the place of a field of that name; new rows keep source and row number of the row they come from.
    Answers that fail, are refused, cut off, unreadable or wrong are dropped and counted. A cost estimate is made before
    anything is asked, and over `max_tokens` or `max_cost` the step is refused. The same question is never paid for
    twice.
    """

    asks: ClassVar[Service | None] = "gateway"

    source: str = Field(description="the source whose rows are asked about; other rows pass")
    prompt: str = Field(
        min_length=1, description="Jinja template over the row's fields: the whole message that the model gets"
    )
    tier: Tier = Field(
        default="strong",
        description="`strong` for rationales and new items; `weak` is cheaper: paraphrase, translation",
    )
    into: str | None = Field(default=None, description="field that takes the whole text of the answer; or use `fields`")
    fields: tuple[str, ...] = Field(
        default=(), description="fields to be written: an answer of JSON with these texts is asked for, and checked"
    )
    items: bool = Field(
        default=False, description="with `fields`: a list of such objects is asked for, and each is a new row"
    )
    answer: str | None = Field(
        default=None,
        description="Jinja template of the known right answer, over the row's fields and with `items` the written ones",
    )
    verify: str | None = Field(
        default=None,
        description="field that holds the written answer: only what the task's scorer gives 1 against `answer` is kept",
    )
    keep_original: bool = Field(
        default=False,
        description="a row of which nothing usable is written stays as it was instead of being dropped; with `items` "
        "every row also stays beside its new rows",
    )
    where: str | None = Field(
        default=None, description="ask only about rows for which this Jinja condition holds, such as `subject == 'tax'`"
    )
    rows: int | None = Field(
        default=None,
        gt=0,
        description="ask about at most so many rows, drawn by seed; rows that are not asked about "
        "are dropped unless `keep_original` is set",
    )
    draws: int = Field(default=1, gt=0, le=64, description="answers for each row; different usable ones become rows")
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="null for the model's own; about 1 with several `draws`"
    )
    max_output_tokens: int = Field(
        default=1024, gt=0, description="tokens an answer may have, thoughts of a reasoning model included"
    )
    max_tokens: int = Field(
        default=1_000_000, gt=0, description="tokens that prompts and answers of this step may take at most"
    )
    max_cost: float | None = Field(default=None, ge=0, description="dollars that this step may cost at most")
    seed: int = Field(default=0, description="another seed draws other rows")

    @model_validator(mode="after")
    def _says_what_comes_out(self) -> Self:
        if (self.into is None) == (not self.fields):
            raise ValueError("give either `into` or `fields`: where what is written goes")
        if self.items and not self.fields:
            raise ValueError("`items` needs `fields`: what each item has")
        if (self.answer is None) != (self.verify is None):
            raise ValueError(
                "`answer` and `verify` belong together: the known answer, and where the written one stands"
            )
        written = self.fields or (self.into,)
        if self.verify is not None and self.verify not in written:
            raise ValueError(f"`verify` names none of the written fields: {', '.join(filter(None, written))}")
        if self.items and self.answer is not None and self.verify in _read_by(self.answer):
            raise ValueError("`answer` reads the field that `verify` names: the written answer would judge itself")
        return self

    def depends_on(self, access: ModelAccess) -> JsonValue:
        """The model of the tier, by its spec."""
        return access.spec(self.tier)

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Ask about the rows of the source.

        Raises:
            InputError: no row is of the source, or none renders.
            StageError: CONFIG without a model, or when the estimate is more than the step may take or the run has left;
                BUDGET when a cap of the run is reached; PROVIDER when most requests stay without an answer.
        """
        if not rows:
            return Applied([], Counter())
        models = context.models or NO_MODELS
        gateway, spec = models.chat(self.tier)
        positions = of_source(rows, self.source)
        outcome = Outcome.of(positions)
        meant = [position for position in positions if self.where is None or holds(self.where, rows[position])]
        asked = self._rendered(rows, drawn(meant, self.rows, [self.seed, context.seed]), context.task, outcome)
        form = Form(self.into, self.fields, self.items)
        settings = {"temperature": self.temperature, "max_output_tokens": self.max_output_tokens}
        requests = [one for prompt in asked.values() for one in form.requests(prompt, spec, self.draws, **settings)]
        check_estimate(gateway, requests, models.access.prices, self.max_tokens, self.max_cost)
        owners = [position for position in asked for _ in range(self.draws)]
        written: list[tuple[int, dict[str, Any]]] = []
        for position, answer in zip(owners, ask(gateway, requests, form), strict=True):
            if isinstance(answer, str):
                outcome.fault(position, answer)
            else:
                written += [(position, {**rows[position].fields, **one}) for one in answer]
        self._judge(rows, written, context.task, outcome)
        return outcome.joined(rows, keep_original=self.keep_original, beside=self.items)

    def _rendered(self, rows: list[DataRow], positions: list[int], task: Task, outcome: Outcome) -> dict[int, str]:
        """Prompts by position; a known answer that does not render is found before the written one is paid for."""
        prompts: dict[int, str] = {}
        first: InputError | None = None
        for position in positions:
            fields = rows[position].fields
            try:
                if self.answer is not None and not self.items:
                    known_sample(task, fields, self.answer)
                prompts[position] = render(self.prompt, fields)
            except InputError as error:
                outcome.fault(position, "a template does not render")
                first = first or error
        if first and not prompts:
            raise first
        return prompts

    def _judge(
        self, rows: list[DataRow], written: list[tuple[int, dict[str, Any]]], task: Task, outcome: Outcome
    ) -> None:
        """Sort what is written into what is kept and what is wrong."""
        found: list[str | None] = [None] * len(written)
        if self.answer is not None and self.verify is not None:
            # What is written may stand where the known answer stood, so that comes from the row as it was.
            known = [fields if self.items else rows[position].fields for position, fields in written]
            texts = [str(fields[self.verify]) for _, fields in written]
            found = faults(task, list(zip(known, texts, strict=True)), self.answer)
        for (position, fields), fault in zip(written, found, strict=True):
            if fault:
                outcome.fault(position, fault)
            else:
                outcome.keep(position, fields)


def _read_by(template: str) -> list[str]:
    """
    Raises:
        ValueError: it is no template; as an error of parameters.
    """
    try:
        return fields_of(template)
    except InputError as error:
        raise ValueError(str(error)) from None


STEP = Synthesize
