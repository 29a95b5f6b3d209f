"""Drop or mend answers that language models contradict."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import Field, JsonValue, model_validator

from eval.chat_records import ChatRequest, Message
from roles.data_steps.models import NO_MODELS, TIERS, ModelAccess, Models, Tier, known_sample
from roles.data_steps.outcome import NOT_ASKED, drawn
from roles.data_steps.row import Applied, DataRow, DataStep, Service, StepContext, of_source
from roles.data_steps.witnesses import answer_number, exchanged
from roles.data_steps.written import Form, ask, check_estimate
from tasks import scoring
from tasks.failure import InputError
from tasks.task import Sample, Task
from tasks.text import words

WHO = "label_vote"
ANSWER = "{{ answer }}"
VOTE = Form("vote", (), False)
"""All of an answer is the vote."""


class _Vote(NamedTuple):
    """An answer, and what the scorer reads in it."""

    text: str
    read: str


class LabelVote(DataStep):
    """Have language models answer formatted rows, and drop rows whose answer they contradict, or exchange the answer.

    Each model of `tiers` answers the row's prompt `draws` times without seeing its answer; the task's scorer reads the
    votes. A row is contradicted when at least `agreement` of all votes give one and the same other answer: models that
    do not know disagree with each other, too, and then the row stays. Pays where labels are noisy and the models know
    the subject better than whoever labelled; `label_clean` needs no model, where facts occur more than once. Put it
    after the `format` steps, and after the steps that drop rows: each row costs draws times models calls.
    """

    asks: ClassVar[Service | None] = "gateway"

    action: Literal["drop", "fix"] = Field(
        default="drop", description="drop contradicted rows, or give them the answer that the models agree on"
    )
    source: str | None = Field(default=None, description="only rows of this source are judged; other rows pass")
    answer: str = Field(
        default=ANSWER,
        min_length=1,
        description="Jinja template of the known answer, where the field `answer` holds more, such as a rationale",
    )
    tiers: tuple[Tier, ...] = Field(default=TIERS, min_length=1, description="who votes; a model votes once")
    draws: int = Field(default=3, gt=0, le=64, description="votes of each model")
    agreement: float = Field(
        default=0.7, gt=0.5, le=1, description="share of all votes that must give the same other answer"
    )
    rows: int | None = Field(
        default=None, gt=0, description="ask about at most so many rows, drawn by seed; the others pass"
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="null for the models' own; about 1 with several `draws`"
    )
    max_output_tokens: int = Field(
        default=1024, gt=0, description="tokens a vote may have, thoughts of a reasoning model included"
    )
    max_tokens: int = Field(
        default=1_000_000, gt=0, description="tokens that prompts and votes of this step may take at most"
    )
    max_cost: float | None = Field(default=None, ge=0, description="dollars that this step may cost at most")
    seed: int = Field(default=0, description="another seed draws other rows")

    @model_validator(mode="after")
    def _mends_what_it_reads(self) -> Self:
        if self.action == "fix" and self.answer != ANSWER:
            raise ValueError("`fix` exchanges the field `answer` as a whole, so it cannot go with a template `answer`")
        return self

    def depends_on(self, access: ModelAccess) -> JsonValue:
        """The models that vote, by their specs."""
        return [*self._voters(access)]

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Ask, count, and act on the rows that are contradicted.

        Raises:
            InputError: no row is of the source, none is formatted, or the task has no known answers.
            StageError: as of `synthesize`.
        """
        if not rows:
            return Applied([], Counter())
        meant = [place for place in of_source(rows, self.source) if {"prompt", "answer"} <= rows[place].fields.keys()]
        if not meant:
            raise InputError("no row has `prompt` and `answer`; put label_vote after the `format` steps")
        left = Counter({NOT_ASKED: len(meant)})
        samples = self._samples(rows, drawn(meant, self.rows, [self.seed, context.seed]), context.task, left)
        others = self._others(samples, self._votes(samples, context.models or NO_MODELS, left), context)
        changed = {f"left as it was: {why}": count for why, count in left.items() if count}
        if not others:
            return Applied(rows, Counter(), changed)
        if self.action == "drop":
            kept = [row for place, row in enumerate(rows) if place not in others]
            return Applied(kept, Counter({"contradicted by models": len(others)}), changed)
        mended = [
            row.model_copy(update={"fields": {**row.fields, "answer": others[place]}}) if place in others else row
            for place, row in enumerate(rows)
        ]
        return Applied(mended, Counter(), {"answer exchanged": len(others), **changed})

    def _voters(self, access: ModelAccess) -> list[str]:
        """The models behind the tiers, each once."""
        return list(dict.fromkeys(access.spec(tier) for tier in self.tiers))

    def _samples(self, rows: list[DataRow], places: list[int], task: Task, left: Counter[str]) -> dict[int, Sample]:
        """The chosen rows as items of the task, by place; counts those whose known answer does not render."""
        left[NOT_ASKED] -= len(places)
        samples: dict[int, Sample] = {}
        first: InputError | None = None
        for place in places:
            fields = rows[place].fields
            try:
                samples[place] = known_sample(task, fields, self.answer, str(fields["prompt"]))
            except InputError as error:
                left["a template does not render"] += 1
                first = first or error
        if first and not samples:
            raise first
        return samples

    def _votes(self, samples: dict[int, Sample], models: Models, left: Counter[str]) -> list[tuple[int, str]]:
        """What the models answer, with the place of the row; counts rows without any answer by the first reason."""
        requests = {
            spec: [
                ChatRequest(
                    spec=spec,
                    messages=(Message(role="user", content=sample.prompt),),
                    draw=draw,
                    who=WHO,
                    temperature=self.temperature,
                    max_output_tokens=self.max_output_tokens,
                )
                for sample in samples.values()
                for draw in range(self.draws)
            ]
            for spec in self._voters(models.access)
        }
        gateway, _ = models.chat(self.tiers[0])
        check_estimate(gateway, list(chain(*requests.values())), models.access.prices, self.max_tokens, self.max_cost)
        owners = [place for place in samples for _ in range(self.draws)] * len(requests)
        said = list(chain.from_iterable(ask(gateway, asked, VOTE) for asked in requests.values()))
        votes = [(place, one[0]["vote"]) for place, one in zip(owners, said, strict=True) if isinstance(one, list)]
        voted = {place for place, _ in votes}
        faults = {place: one for place, one in zip(owners, said, strict=True) if isinstance(one, str)}
        left.update(fault for place, fault in faults.items() if place not in voted)
        return votes

    def _others(
        self, samples: dict[int, Sample], votes: Sequence[tuple[int, str]], context: StepContext
    ) -> dict[int, str]:
        """The answer that enough votes give instead of the known one, by the place of the row."""
        scorer = scoring.load(context.task.scorer)
        if not scoring.compares(scorer):
            name = context.task.scorer["name"]
            raise InputError(f"the scorer {name} compares with no known answer, so that none can be contradicted")
        scores = scoring.score_each(scorer, [(vote, samples[place]) for place, vote in votes])
        against: dict[int, dict[str, list[_Vote]]] = {place: defaultdict(list) for place in samples}
        for (place, vote), score in zip(votes, scores, strict=True):
            if not isinstance(score, ValueError) and score.parsed and score.score == 0 and score.extracted:
                against[place][words(score.extracted)].append(_Vote(vote, score.extracted))
        voters = len(self._voters((context.models or NO_MODELS).access))
        found: dict[int, str] = {}
        for place, readings in against.items():
            same = max(readings.values(), key=len, default=[])
            if len(same) >= self.agreement * self.draws * voters:
                found[place] = _stated(samples[place], min(same, key=lambda vote: len(vote.text)))
        return found


def _stated(sample: Sample, vote: _Vote) -> str:
    """A vote as an answer: naming its option as the known answer does, by text or by letter, or in its own words."""
    number = answer_number(vote.read, sample.options)
    if number is None or answer_number(sample.answer, sample.options) is None:
        return vote.text
    return exchanged(sample.answer, sample.options, number)


STEP = LabelVote
