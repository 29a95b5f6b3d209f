"""A mind that follows a fixed script: for `--dry-run` and the tests. It reads nothing but the round it is in."""

from typing import Any

from memory.records import DataRecipe, Diagnosis, Plan, Step, TrainingConfig
from roles.backbone import D, Question, Usage
from roles.briefing import Survey
from roles.conversation import Conversation
from roles.generalist import Call, Decision, Evaluate, Look, Prepare, Submit, Train, desk_of
from roles.practitioner.formats import choice_steps, format_steps, html_steps, molecule_steps


class Scripted:
    """Plans, formats every source it can, trains briefly, and finds nothing remarkable."""

    name = "scripted"

    def decide(self, question: Question[D]) -> tuple[D, Usage]:
        """The scripted decision for the role, or for the generalist's turn."""
        if isinstance(question, Conversation):
            turn: Any = self._turn(question)
            return turn, Usage(mind=self.name)
        decisions: dict[str, Any] = {
            "planner": self._plan,
            "data_engineer": self._recipe,
            "trainer": self._config,
            "diagnostician": self._diagnosis,
        }
        decision = decisions[question.role](question.briefing)
        return question.schema.model_validate(decision.model_dump()), Usage(mind=self.name)

    def _plan(self, briefing: Any) -> Plan:
        round_ = len(briefing.trials)
        first = round_ == 1
        return Plan(
            hypothesis=f"scripted experiment {round_}",
            parent=0 if first else briefing.trials[-1].number,
            factor="both" if first else "training",
            data_strategy="all sources" if first else "keep",
            training_strategy=f"learning rate of round {round_}",
            predicted_effect=0.0,
        )

    def _turn(self, asked: Conversation) -> Decision:
        """Look once, prepare once, then train and evaluate as often as fits; submit the last one."""
        return Decision(thought=f"scripted turn {asked.turn}", call=self._call(asked))

    def _call(self, asked: Conversation) -> Call:
        survey, desk = asked.opening.survey, desk_of(asked.turns)
        if not asked.turns:
            return Look(action="look", source=survey.corpus.sources[0].name)
        if not desk.prepared:
            return Prepare(action="prepare", recipe=self._made(survey))
        last = len(desk.experiments)
        if last and not (desk.experiments[-1].feedback or desk.experiments[-1].failure):
            return Evaluate(action="evaluate", experiment=last)
        if asked.left.train:
            return Train(action="train", data=1, config=self._rate(last + 1))
        return Submit(action="submit", experiment=last)

    def _recipe(self, briefing: Any) -> DataRecipe:
        return self._made(briefing.survey)

    def _made(self, survey: Survey) -> DataRecipe:
        steps = format_steps(survey)
        makers = (html_steps, molecule_steps, choice_steps)
        reading = [step for name in steps for maker in makers for step in maker(survey, name)]
        sample = Step(name="sample", parameters={"rows": min(32, survey.max_train_rows)})
        return DataRecipe(sources=tuple(steps), steps=(*reading, *steps.values(), sample), reason="scripted")

    def _config(self, briefing: Any) -> TrainingConfig:
        return self._rate(len(briefing.trials))

    def _rate(self, round_: int) -> TrainingConfig:
        rate = 1e-3 * (1 + round_)
        return TrainingConfig(
            learning_rate=rate, epochs=1, lora_rank=4, lora_alpha=8, max_length=2048, reason="scripted"
        )

    def _diagnosis(self, briefing: Any) -> Diagnosis:
        return Diagnosis(
            findings=(), suspected_cause="none looked for", next_intervention="higher learning rate",
            next_factor="training",
        )  # fmt: skip
