"""The built-in mind: the practitioner's rules (`roles/practitioner/`) behind all four roles; no language model."""

from collections.abc import Callable
from typing import Any

from roles.backbone import D, Question, Usage
from roles.practitioner.configurations import configuration
from roles.practitioner.diagnoses import diagnosis
from roles.practitioner.planning import plan
from roles.practitioner.recipes import recipe
from tasks.record import Record


class Expert:
    """The rules as a backbone."""

    name = "expert"

    def decide(self, question: Question[D]) -> tuple[D, Usage]:
        """The decision that the rules reach.

        Raises:
            StageError: nothing is left to try, or no source can be read.
        """
        briefing, complaints = question.briefing, question.complaints
        rules: dict[str, Callable[[Any], Record]] = {
            "planner": plan,
            "data_engineer": lambda briefing: recipe(briefing, complaints),
            "trainer": lambda briefing: configuration(briefing, complaints),
            "diagnostician": diagnosis,
        }
        decision = rules[question.role](briefing)
        return question.schema.model_validate(decision.model_dump()), Usage(mind=self.name)
