"""SmolLM2-135M behind vLLM's OpenAI server in each role: it decides poorly, but in form and about what there is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gateways import in_process
from vllm_server import vllm_serves

from eval.base_model import SMOLLM2, resolve_model
from eval.chat_records import ChatReply, ChatRequest, Limits
from eval.gateway_client import Asker
from memory.records import DataRecipe, Diagnosis, Plan, TrainingConfig
from roles.backbone import ROLES, MindSettings, Question, Role
from roles.backbones.chat import Chat
from roles.canned import canned_briefings
from roles.probe import SCHEMAS

pytestmark = pytest.mark.vllm
CONTEXT = 8192
"""All that the model can read."""
MOST = 1200
"""Tokens of an answer: small models write each text to its limit, and the schema has to stop them."""


@pytest.fixture(scope="module")
def spec(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The mind behind a server."""
    model = resolve_model(SMOLLM2, cache)
    flags = ["--served-model-name", "small", "--kv-cache-memory-bytes", str(1 << 30)]
    flags += ["--max-num-batched-tokens", str(CONTEXT)]
    with vllm_serves(str(model), tmp_path_factory.mktemp("weak"), *flags, context=CONTEXT) as address:
        yield f"openai:small@{address}"


@pytest.mark.parametrize("role", ROLES)
def test_a_weak_model_decides_by_the_schema(
    role: Role, spec: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ChatRequest] = []
    ask = Asker.ask

    def noted(self: Asker, request: ChatRequest) -> ChatReply:
        asked.append(request)
        return ask(self, request)

    monkeypatch.setattr(Asker, "ask", noted)
    chat = Chat(spec, MindSettings(temperature=0), max_output_tokens=MOST)
    chat.connect(in_process([spec], tmp_path, Limits(timeout=300)))
    briefing = canned_briefings(cache)[role]
    decision, usage = chat.decide(Question(role, briefing, SCHEMAS[role], experiment=2))
    assert {request.mode for request in asked} == {"schema"}
    assert 0 < usage.output_tokens <= MOST * len(asked)
    match decision:
        case Plan():
            assert decision.parent < len(briefing.trials)
            assert not decision.memory_ids
        case DataRecipe():
            assert set(decision.sources) <= {source.name for source in briefing.survey.corpus.sources}
        case TrainingConfig():
            assert decision.method == "sft"
        case Diagnosis():
            assert set(decision.weak_groups) <= set(briefing.survey.task.groups)
        case _:
            raise AssertionError(decision)
