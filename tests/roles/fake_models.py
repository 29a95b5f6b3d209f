"""Models for data steps in tests: a gateway and an engine that answer by a function, in this process."""

from collections.abc import Callable, Sequence
from typing import Any

from eval.chat_records import ChatFailure, ChatReply, ChatRequest, Spent, Tally, TokenUsage
from eval.engine import Checkpoint, Completion, EngineInfo, Progress, Sampling
from eval.gateway_client import Asker
from roles.data_steps.models import ModelAccess, Models

STRONG, WEAK = "openai:strong", "openai:weak"
UNTOUCHED = Checkpoint(model="base")
BEST = Checkpoint(model="base", adapter="somewhere", adapter_hash="abc")
ACCESS = ModelAccess(
    gateway="none", tiers={"strong": STRONG, "weak": WEAK}, engine="none",
    checkpoints={"untouched": UNTOUCHED, "best": BEST},
)  # fmt: skip
Answer = Callable[[ChatRequest], ChatReply | ChatFailure]


def reply(text: str, **more: Any) -> ChatReply:
    """An answer that is complete unless said otherwise."""
    return ChatReply(text=text, usage=TokenUsage(), cost=0.0, seconds=0.0, **{"finish": "stop", **more})


def gateway(
    answer: Answer, tokens_left: int | None = None, known: Callable[[ChatRequest], bool] = lambda request: False
) -> tuple[Asker, list[ChatRequest]]:
    """A gateway that answers by a function, and the list of what it is asked.

    Args:
        known: whether the answer to a request was bought before.
    """
    asked: list[ChatRequest] = []

    def send(method: str, progress: Any, requests: Sequence[dict[str, Any]] = ()) -> Any:
        if method == "known":
            return [known(ChatRequest.model_validate(one)) for one in requests]
        if method == "spent":
            return Spent(total=Tally(), by_who={}, tokens_left=tokens_left).model_dump(mode="json")
        assert method == "ask"
        found = []
        for one in requests:
            asked.append(ChatRequest.model_validate(one))
            outcome = answer(asked[-1])
            found.append({type(outcome).__name__: outcome.model_dump(mode="json")})
        return found

    return Asker(send), asked


class FakeEngine:
    """Draws by a function of prompt, number of the draw and checkpoint; notes its calls."""

    def __init__(self, answer: Callable[[str, int, Checkpoint], str], chunk: int = 4) -> None:
        self.answer, self.chunk = answer, chunk
        self.calls: list[tuple[list[str], Sampling, Checkpoint]] = []

    def info(self) -> EngineInfo:
        return EngineInfo(name="fake", model="base", numerics="fake", context=1000, chunk=self.chunk)

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        self.calls.append((list(prompts), sampling, checkpoint))
        return [
            [
                Completion(text=text.removesuffix("..."), tokens=1, finish="length" if text.endswith("...") else "stop")
                for text in (self.answer(prompt, draw, checkpoint) for draw in range(sampling.samples))
            ]
            for prompt in prompts
        ]


def models(answer: Answer | None = None, engine: FakeEngine | None = None) -> Models:
    """Both; without functions of one's own, every answer is `red`."""
    return Models(
        ACCESS, gateway(answer or (lambda request: reply("red")))[0], engine or FakeEngine(lambda *asked: "red")
    )
