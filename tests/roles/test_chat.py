"""A chat model as a mind, behind the gateway, against a server that answers, rambles, refuses and fails."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import situations as s
from faulty_server import ECHO, FaultyServer, Reply, Status, serving
from gateways import HASTY, in_process

from eval.answer_form import FEW_CHARACTERS, FEW_ITEMS, candidates, terse
from eval.chat_records import TokenUsage
from eval.gateway_client import Asker
from memory.records import DataRecipe, Plan
from roles.backbone import MindSettings, Question, Usage, load_minds
from roles.backbones.chat import Chat, chat_specs, connect
from tasks.failure import FailureKind, InputError, StageError

KEY = "sk-secret-0123456789"
GOOD = s.plan().model_copy(update={"hypothesis": "a {braced} idea with ``` in it"}).model_dump_json()
BAD = json.dumps(json.loads(GOOD) | {"predicted_effect": 7})
PLAN = Plan.model_validate_json(GOOD)
REFUSAL = Reply(None, refusal="I cannot help with that")
TRUNCATED = Reply(GOOD[:-20], finish="length")
EMPTY = Reply("")
QUESTION = Question("planner", s.planner(), Plan)


@pytest.fixture(scope="module")
def running() -> Iterator[FaultyServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: FaultyServer) -> FaultyServer:
    running.reset()
    running.answer = lambda body: Reply(GOOD)
    return running


@pytest.fixture
def gateway(server: FaultyServer, tmp_path: Path) -> Asker:
    return in_process([server.spec()], tmp_path, prices=[f"{server.spec()}=1,2"])


@pytest.fixture
def mind(server: FaultyServer, gateway: Asker) -> Chat:
    chat = Chat(server.spec())
    chat.connect(gateway)
    return chat


def decide(mind: Chat) -> tuple[Plan, Usage]:
    return mind.decide(QUESTION)


def said(body: dict[str, Any]) -> list[str]:
    return [message["content"] for message in body["messages"]]


def modes(server: FaultyServer) -> list[str]:
    """The ways in which the requests asked for the form of their answers."""
    return [
        "schema" if "response_format" in body else "function" if "tools" in body else "text" for body in server.requests
    ]


# ---- Where the decision is found ----


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"\n  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"Certainly! Here is the plan:\n\n{GOOD}\n\nGood luck.",
        f"First I had:\n```json\n{{}}\n```\nbut better is\n```json\n{json.dumps(json.loads(GOOD), indent=2)}\n```",
        f"A set {{a, b}} and an empty object {{}} come before {GOOD} and {{}} after.",
        f"<think>Perhaps {BAD}? Or {{}}?</think>\n{GOOD}",
        f"Perhaps {BAD}?\n</think>\n\n{GOOD}",
        f"[{GOOD}]",
    ],
    ids=["bare", "blanks", "fenced", "fenced without a language", "in prose", "two fences, the last counts",
         "other braces around", "after thoughts", "after thoughts without a beginning", "in a list"],
)  # fmt: skip
def test_the_json_is_found_in_the_answer(server: FaultyServer, mind: Chat, answer: str) -> None:
    server.script = [Reply(answer)]
    decided, usage = decide(mind)
    assert decided == PLAN
    assert len(server.requests) == 1
    assert (usage.mind, usage.input_tokens, usage.output_tokens) == (server.spec(), server.prompt, server.completion)


def test_a_thought_is_no_decision(server: FaultyServer, mind: Chat) -> None:
    server.script = [Reply(f"<think>Perhaps {GOOD}?</think>I would rather not say.")]
    decide(mind)
    assert len(server.requests) == 2


def test_tags_of_thoughts_inside_a_decision_stay(server: FaultyServer, mind: Chat) -> None:
    template = json.dumps(json.loads(GOOD) | {"data_strategy": "write <think>why</think> before answers"})
    server.script = [Reply(f"Here it is: {template}")]
    assert decide(mind)[0].data_strategy == "write <think>why</think> before answers"
    assert len(server.requests) == 1


def test_candidates_come_with_the_most_trusted_last() -> None:
    text = '{"a": 1} then\n```json\n{"b":2}\n```'
    assert list(candidates(text)) == ['{"a": 1}', '{"b": 2}', '{"b":2}', text]
    assert list(candidates("no { json } here")) == []


# ---- What is asked ----


def test_the_request_carries_the_prompts_and_the_schema(server: FaultyServer, mind: Chat) -> None:
    decide(mind)
    (asked,) = server.requests
    assert asked["model"] == "m"
    assert said(asked) == [QUESTION.system, QUESTION.user]
    assert asked["response_format"]["type"] == "json_schema"
    assert asked["response_format"]["json_schema"]["schema"] == QUESTION.json_schema


def test_the_settings_of_a_mind_are_sent(server: FaultyServer, gateway: Asker) -> None:
    chat = Chat(server.spec(), MindSettings(temperature=0.3, effort="high"), max_output_tokens=4000)
    chat.connect(gateway)
    decide(chat)
    settings = {"temperature": 0.3, "reasoning_effort": "high", "max_completion_tokens": 4000}
    assert {name: server.requests[0][name] for name in settings} == settings


@pytest.mark.parametrize(
    ("supported", "expected"),
    [
        ({"schema", "function", "text"}, ["schema"]),
        ({"function", "text"}, ["schema", "function"]),
        ({"text"}, ["schema", "function", "text"]),
    ],
)
def test_an_unsupported_form_falls_back_and_what_worked_is_remembered(
    server: FaultyServer, mind: Chat, supported: set[str], expected: list[str]
) -> None:
    server.modes = supported
    assert decide(mind)[0] == PLAN
    assert modes(server) == expected
    mind.decide(Question("planner", s.planner(), Plan, ["another question"]))
    assert modes(server) == [*expected, expected[-1]]


def test_another_refusal_does_not_fall_back(server: FaultyServer, mind: Chat) -> None:
    server.answer = lambda body: Status(400, "temperature must be 1")
    with pytest.raises(StageError, match="temperature must be 1"):
        decide(mind)
    assert modes(server) == ["schema"]


# ---- What goes wrong ----


@pytest.mark.parametrize("first", [BAD, "I would rather not.", "{}", GOOD[:-20], "never " * 300])
def test_an_answer_that_does_not_validate_gets_one_repair_turn(server: FaultyServer, mind: Chat, first: str) -> None:
    server.script = [Reply(first)]
    decided, usage = decide(mind)
    assert decided == PLAN
    assert (usage.input_tokens, usage.output_tokens) == (server.prompt, server.completion)
    turns = server.requests[1]["messages"]
    assert [message["role"] for message in turns] == ["system", "user", "assistant", "user"]
    assert turns[2]["content"] == first
    assert "does not validate" in turns[3]["content"]
    assert ("predicted_effect" in turns[3]["content"]) == (first in (BAD, "{}"))


@pytest.mark.parametrize(
    ("fault", "note"),
    [
        (EMPTY, "was empty"),
        (REFUSAL, "declined the question: I cannot help with that"),
        (TRUNCATED, "was cut off after"),
        (Reply(" \n"), "was empty"),
        (Reply("I w", finish="content_filter"), "declined the question."),
        (Reply("", finish="length"), "was cut off after"),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["schema", "function", "text"])
def test_an_answer_that_is_none_gets_one_more_try(
    server: FaultyServer, mind: Chat, fault: Reply, note: str, form: str
) -> None:
    server.modes = {form, "text"}
    server.script = [fault]
    decided, usage = decide(mind)
    assert decided == PLAN
    assert (usage.input_tokens, usage.output_tokens) == (server.prompt, server.completion)
    turns = server.requests[-1]["messages"]
    assert [message["role"] for message in turns] == ["system", "user"]  # turns alternate, as some templates demand
    assert turns[1]["content"].startswith(QUESTION.user.rstrip())
    assert note in turns[1]["content"]


def test_a_complete_decision_is_taken_though_the_limit_was_met(server: FaultyServer, mind: Chat) -> None:
    server.script = [Reply(GOOD, finish="length")]
    assert decide(mind)[0] == PLAN
    assert len(server.requests) == 1


def test_different_faults_get_a_try_each(server: FaultyServer, mind: Chat) -> None:
    server.script = [EMPTY, Reply(BAD), TRUNCATED, REFUSAL]
    assert decide(mind)[0] == PLAN
    turns = server.requests[-1]["messages"]
    assert [message["role"] for message in turns] == ["system", "user", "assistant", "user"]
    assert "was cut off" in turns[3]["content"]
    assert "declined" in turns[3]["content"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Reply(BAD), "predicted_effect"),
        (EMPTY, "empty"),
        (Reply("never"), "'never'"),
        (REFUSAL, "I cannot help with that"),
        (TRUNCATED, "truncated"),
    ],
    ids=str,
)
def test_the_same_fault_twice_fails_as_the_providers_and_is_not_kept(
    server: FaultyServer, mind: Chat, fault: Reply, said: str
) -> None:
    server.script = [fault, fault]
    with pytest.raises(StageError) as failed:
        decide(mind)
    assert (failed.value.failure.stage, failed.value.failure.kind) == ("planner", FailureKind.PROVIDER)
    assert server.spec() in failed.value.failure.message
    assert said in failed.value.failure.message
    assert len(server.requests) == 2
    assert decide(mind)[0] == PLAN  # a resumed run is not held to answers that led nowhere


def test_after_an_answer_that_was_cut_off_the_schema_wants_shorter_texts(server: FaultyServer, mind: Chat) -> None:
    server.script = [TRUNCATED]
    decide(mind)
    first, second = (asked["response_format"]["json_schema"]["schema"]["properties"] for asked in server.requests)
    assert first["reason"]["maxLength"] > FEW_CHARACTERS == second["reason"]["maxLength"]
    assert second["outlook"]["maxItems"] == first["outlook"]["maxItems"] == FEW_ITEMS
    assert second["outlook"]["items"]["maxLength"] == FEW_CHARACTERS
    assert second["memory_ids"]["maxItems"] == 0  # as before: there is nothing to name
    assert set(second) == set(first)


def test_a_terse_schema_bounds_what_is_bounded_and_changes_nothing_else() -> None:
    schema = {"a": {"maxLength": 4000}, "b": [{"maxItems": 64, "items": {"maxLength": 5}}], "maxLength": {"type": "x"}}
    few = {"a": {"maxLength": 200}, "b": [{"maxItems": 12, "items": {"maxLength": 5}}], "maxLength": {"type": "x"}}
    assert terse(schema) == few


@pytest.mark.parametrize(
    ("status", "tries"), [(500, HASTY.attempts), (429, HASTY.attempts), (401, 1), (404, 1), (400, 1)]
)
def test_no_answer_fails_as_the_providers_fault(server: FaultyServer, mind: Chat, status: int, tries: int) -> None:
    server.answer = lambda body: Status(status)
    with pytest.raises(StageError, match=str(status)) as failed:
        decide(mind)
    assert (failed.value.failure.stage, failed.value.failure.kind) == ("planner", FailureKind.PROVIDER)
    assert len(server.requests) == tries


def test_a_prompt_that_is_too_long_is_told(server: FaultyServer, mind: Chat) -> None:
    server.context = 10
    with pytest.raises(StageError, match="too long for the model"):
        decide(mind)
    assert modes(server) == ["schema", "schema"], "the second one was shorter"


def test_a_model_that_can_read_little_gets_a_shorter_prompt(server: FaultyServer, mind: Chat) -> None:
    question = Question("data_engineer", s.full_briefings()["data_engineer"], DataRecipe)
    whole = question.user
    server.context = len(f"{question.system} {whole}".split()) - 1
    recipe = DataRecipe(sources=("exams",), steps=())
    server.answer = lambda body: Reply(recipe.model_dump_json())
    assert mind.decide(question)[0] == recipe
    long, short = (body["messages"][1]["content"] for body in server.requests)
    assert long == whole
    assert len(short) < len(long)
    assert "What other runs found" in short


def test_a_server_that_fails_once_is_asked_again(server: FaultyServer, mind: Chat) -> None:
    server.script = [Status(500)]
    decided, usage = decide(mind)
    assert decided == PLAN
    assert usage.retries == 1


def test_a_cap_ends_the_conversation_as_a_matter_of_budget(server: FaultyServer, tmp_path: Path) -> None:
    chat = Chat(server.spec())
    chat.connect(in_process([server.spec()], tmp_path, HASTY.model_copy(update={"max_tokens": 100})))
    with pytest.raises(StageError) as failed:
        decide(chat)
    assert failed.value.failure.kind is FailureKind.BUDGET
    assert server.requests == []


@pytest.mark.parametrize("reply", [Status(401, "refused: {key}"), Status(500, "failed: {key}"), ECHO], ids=str)
def test_the_key_is_sent_and_never_told_on(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Any
) -> None:
    """The attack: a server that repeats the key it got."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat = Chat(server.spec())
    chat.connect(in_process([server.spec()], tmp_path))
    server.answer = lambda body: reply
    with pytest.raises(StageError) as failed:
        decide(chat)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert KEY not in f"{failed.value} {failed.value.failure} {failed.value.__cause__}"
    assert "[key]" in failed.value.failure.message


# ---- What it took ----


def test_usage_tells_tokens_cost_and_retries_of_what_was_bought(
    server: FaultyServer, mind: Chat, gateway: Asker
) -> None:
    server.script = [Status(500, billed=True), Reply(BAD, cached=3)]
    _, usage = decide(mind)
    assert (usage.input_tokens, usage.output_tokens) == (server.prompt, server.completion)
    assert (usage.cached_tokens, usage.retries) == (3, 1)
    assert usage.cost == pytest.approx((server.prompt + 2 * server.completion) / 1e6)
    spent = gateway.spent()
    assert set(spent.by_who) == {"planner"}
    assert spent.total.usage == TokenUsage(input=server.prompt, output=server.completion, cached_input=3)
    decided, again = decide(mind)
    assert decided == PLAN
    assert again == Usage(mind=server.spec(), seconds=again.seconds)  # all was there already


def test_an_unknown_price_makes_an_unknown_cost(server: FaultyServer, tmp_path: Path) -> None:
    chat = Chat(server.spec())
    chat.connect(in_process([server.spec()], tmp_path))
    assert decide(chat)[1].cost is None
    assert decide(chat)[1].cost == 0


def test_a_draw_gets_answers_of_its_own(server: FaultyServer, gateway: Asker) -> None:
    for draw in (0, 1, 0):
        chat = Chat(server.spec(), draw=draw)
        chat.connect(gateway)
        decide(chat)
    assert len(server.requests) == 2


# ---- Minds by spec ----


def test_minds_are_connected_by_their_specs(server: FaultyServer, gateway: Asker) -> None:
    minds = load_minds([server.spec(), "trainer=expert", "diagnostician=openai:other@http://127.0.0.1:9/v1"])
    assert chat_specs(minds.values()) == [server.spec(), "openai:other@http://127.0.0.1:9/v1"]
    with pytest.raises(RuntimeError, match="not connected"):
        minds["planner"].decide(QUESTION)
    connect(minds.values(), gateway)
    assert minds["planner"].decide(QUESTION)[0] == PLAN
    assert chat_specs(load_minds(["expert"]).values()) == []


@pytest.mark.parametrize("value", [None, ""])
def test_without_key_and_server_the_message_says_what_to_set(monkeypatch: pytest.MonkeyPatch, value) -> None:
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(InputError, match="set OPENAI_API_KEY"):
        Chat("openai:gpt-x")
