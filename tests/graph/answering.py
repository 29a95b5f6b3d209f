"""A server of language models behind the roles: it knows from the prompt who is asked, and goes wrong as told."""

import json
import re
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from faulty_server import Behaviour, FaultyServer, Reply, serving

SYNTHESIZE = "synthesize"
PROSE = "a good answer in prose"
_ROLE = re.compile(r"You are the (planner|data engineer|trainer|diagnostician) ")


class Roles:
    """Sensible decisions for the task `signs`; before them, for each role in turn, what is planned for it."""

    def __init__(self, server: FaultyServer, rows: int | None = 4) -> None:
        """
        Args:
            rows: of which the recipe asks a model; None for a recipe without `synthesize`.
        """
        self.rows = rows
        self.planned: dict[str, list[Behaviour]] = defaultdict(list)
        self.asked: list[tuple[str, str]] = []
        """Role and last message of each request."""
        server.answer = self.answer

    def answer(self, body: dict[str, Any]) -> Behaviour:
        """What to do with a request."""
        messages = body["messages"]
        found = _ROLE.search(messages[0]["content"])
        role = found[1].replace(" ", "_") if found else SYNTHESIZE
        self.asked.append((role, messages[-1]["content"]))
        if self.planned[role]:
            planned = self.planned[role].pop(0)
            if planned != PROSE:
                return planned
            return Reply(f"Here you are:\n```json\n{self.decide(role, messages)}\n```")
        return Reply(self.decide(role, messages))

    def decide(self, role: str, messages: list[dict[str, Any]]) -> str:
        """A good answer."""
        if role == SYNTHESIZE:
            return "a sign, and what it means"
        decision = getattr(self, f"_{role}")(messages[1]["content"])
        return json.dumps(decision)

    def _planner(self, prompt: str) -> dict[str, Any]:
        found = re.search(r"Plan experiment (\d+)", prompt)
        assert found
        number = int(found[1])
        factor = "both" if number == 1 else "training" if number == 2 else "data"
        strategies = {"data_strategy": "keep", "training_strategy": "keep"}
        strategies |= {
            f"{one}_strategy": f"something new, {number}" for one in ("data", "training") if factor in (one, "both")
        }
        return {"hypothesis": f"idea {number}", "parent": int(number > 1), "factor": factor, "predicted_effect": 0.1,
                **strategies}  # fmt: skip

    def _data_engineer(self, prompt: str) -> dict[str, Any]:
        write = {"source": "lessons", "prompt": "Explain {{ question }}", "into": "said", "rows": self.rows,
                 "keep_original": True}  # fmt: skip
        steps = [{"name": SYNTHESIZE, "parameters": write}] if self.rows else []
        steps += [{"name": "format", "parameters": {"source": "lessons", "answer": "{{ answer }}"}}]
        return {"sources": ["lessons"], "steps": steps}

    def _trainer(self, prompt: str) -> dict[str, Any]:
        trials = prompt.count("\n| ")
        return {"learning_rate": 0.001 * trials, "epochs": 1, "lora_rank": 4, "lora_alpha": 8, "max_length": 512}

    def _diagnostician(self, prompt: str) -> dict[str, Any]:
        return {"findings": [], "suspected_cause": "too few rows", "next_intervention": "more", "next_factor": "data"}


@contextmanager
def answering(rows: int | None = 4) -> Generator[tuple[FaultyServer, Roles]]:
    """A server that runs, and what it says."""
    with serving() as server:
        yield server, Roles(server, rows)
