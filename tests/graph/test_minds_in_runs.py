"""Whole runs with language models behind the roles: faults, secrets, caps, kills, recordings."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from answering import PROSE, SYNTHESIZE, Roles, answering
from faulty_server import CUT, GARBLED, HANG, RESET, FaultyServer, Reply, Status
from laboratory import Finished, Laboratory, children, command, kill, write_signs

from eval.chat_records import Call
from eval.spending import Entry
from roles.backbone import ROLES, read_exchanges
from tasks.failure import FailureKind

PLANTED = {
    "OPENAI_API_KEY": "planted-openai-key-4711",
    "ANTHROPIC_API_KEY": "planted-anthropic-key-4712",
    "HF_TOKEN": "planted-hub-token-0815",
}
TINY = ("--model", "tiny-random", "--answer-timeout", "8s")


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_signs(tmp_path_factory.mktemp("minded"), lessons=40)


class Soak(NamedTuple):
    """A run in which everything goes wrong that can."""

    finished: Finished
    server: FaultyServer
    roles: Roles
    environments: dict[str, str]
    """Of its processes while it trained, by their command."""


@pytest.fixture(scope="module")
def soak(laboratory: Laboratory, signs: Path) -> Iterator[Soak]:
    """Three experiments; the last one and two diagnoses are lost, everything else is mended."""
    with answering() as (server, roles):
        again = Status(429, "slow down", {"Retry-After": "0"})
        roles.planned |= {
            "planner": [again, Status(500, "key {key} broke it"), RESET, PROSE,
                        Reply(None, refusal="I would rather not")],  # experiment 2
            "data_engineer": [Reply(""), Reply('{"sources": 3}'), GARBLED, PROSE,
                              Status(401, "no such key: {key}")],  # experiment 3
            SYNTHESIZE: [again] * 6,
            "trainer": [Reply('{"method": "sf', finish="length"), CUT, PROSE, HANG],
            "diagnostician": [Status(400, "This model's maximum context length is 10 tokens."), PROSE,
                              Status(401, "{key}"), Reply("I am sure that"), Reply("that it is so")],
        }  # fmt: skip
        flags = ("--task", signs, *TINY, "--backbone", server.spec(), "--max-experiments", "3")
        run = laboratory.start("soak", *flags, env=PLANTED)
        training = run.child("roles.recipes.sft")
        environments = {command(one): str(one.environ()) for one in (training, *children(run.process.pid))}
        yield Soak(laboratory.end(run), server, roles, environments)


def calls(run: Finished) -> list[Call]:
    return [Call.model_validate(row) for row in run.rows("transcript.jsonl") if row["kind"] == "call"]


def test_a_run_survives_everything_that_can_go_wrong(soak: Soak) -> None:
    run = soak.finished
    first, second, third = run.experiments[1:]
    assert first.training
    assert second.training
    assert third.failure
    assert (third.failure.stage, third.failure.kind) == ("data_engineer", FailureKind.PROVIDER)
    assert "the key was refused" in third.failure.message
    assert [one.diagnosis is None for one in (first, second, third)] == [False, True, True]
    assert (run.path / "test.json").exists()
    assert (run.path / "deliver" / "MODEL_CARD.md").exists()
    assert not any(soak.roles.planned.values()), "every fault had its turn"


def test_every_call_and_every_decision_is_in_the_transcript(soak: Soak) -> None:
    run = soak.finished
    made = calls(run)
    assert len(made) == len(soak.server.requests)
    troubles = {call.trouble for call in made}
    assert troubles == {None, "rate limit", "server", "unreachable", "key", "context", "timeout"}
    assert {call.who for call in made} == {*ROLES, SYNTHESIZE}
    assert all((call.answer is None) == (call.trouble is not None) for call in made if call.refusal is None)
    decided = list(read_exchanges(run.path / "transcript.jsonl"))
    lost = [(one.role, one.experiment, one.failure.kind) for one in decided if one.failure]
    provider = FailureKind.PROVIDER
    assert lost == [("diagnostician", 2, provider), ("data_engineer", 3, provider), ("diagnostician", 3, provider)]
    long, brief = [call.messages[1].content for call in made if call.who == "diagnostician"][:2]
    assert len(brief) < len(long)
    assert all(one.usage.mind == soak.server.spec() for one in decided)


def test_no_secret_is_anywhere(soak: Soak) -> None:
    """Neither in a file of the run, its memory and the cache's logs, nor on the terminal, nor in another process."""
    run = soak.finished
    assert any("[key]" in str(call.model_dump()) or call.trouble == "key" for call in calls(run)), "a key was echoed"
    files = [path for folder in (run.path, run.memory, run.path.parent) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 50
    for secret in PLANTED.values():
        found = [path for path in files if secret.encode() in path.read_bytes()]
        assert found == []
        assert secret not in run.out + run.err
    assert len(soak.environments) >= 4, sorted(soak.environments)
    keys = (PLANTED["OPENAI_API_KEY"], PLANTED["ANTHROPIC_API_KEY"])
    holders = {name for name, held in soak.environments.items() if any(key in held for key in keys)}
    assert all("eval.gateway" in name for name in holders)
    assert not any(PLANTED["ANTHROPIC_API_KEY"] in held for held in soak.environments.values()), "nobody needs it"
    token = {name for name, held in soak.environments.items() if PLANTED["HF_TOKEN"] in held}
    assert all("eval.evaluator" in name for name in token), "it fetches benchmarks"


def test_the_accounts_agree_with_the_server(soak: Soak) -> None:
    """To the token where a reply came through; a reply that was lost counts with the most it might have taken."""
    ended = [Entry.model_validate(row) for row in soak.finished.rows("spending.jsonl") if row["event"] == "ended"]
    assert len(ended) == len(soak.server.requests)
    answered = sum(entry.usage.total for entry in ended if entry.trouble is None)
    lost = [entry.usage.total for entry in ended if entry.usage.estimated]
    assert len(lost) == 4  # RESET, GARBLED, CUT, HANG
    assert all(entry.usage.total == 0 for entry in ended if entry.trouble and not entry.usage.estimated)
    assert answered < soak.server.billed.total <= answered + max(lost), "only the one that was cut was billed"


def test_a_recording_leads_to_the_same_experiments_without_a_call(
    laboratory: Laboratory, signs: Path, soak: Soak
) -> None:
    before = soak.server.settled()
    spec, transcript = soak.server.spec(), soak.finished.path / "transcript.jsonl"
    flags = ("--task", signs, *TINY, "--backbone", f"recorded:{transcript}", "--tiers", f"strong={spec}")
    again = laboratory.run("soak-replayed", *flags, "--max-experiments", "3")
    assert len(soak.server.requests) == before
    for old, new in zip(soak.finished.experiments, again.experiments, strict=True):
        assert (new.plan, new.recipe, new.config, new.diagnosis) == (old.plan, old.recipe, old.config, old.diagnosis)
        assert (new.data and new.data.content_hash) == (old.data and old.data.content_hash)
        assert (new.training and new.training.adapter_hash) == (old.training and old.training.adapter_hash)
        assert (new.failure and new.failure.kind) == (old.failure and old.failure.kind)
    assert again.json("test.json")["baseline"]["score"] == soak.finished.json("test.json")["baseline"]["score"]
    assert calls(again) == []


@pytest.mark.parametrize("role", ROLES)
def test_one_role_alone_may_have_another_mind(laboratory: Laboratory, signs: Path, role: str) -> None:
    with answering(rows=None) as (server, roles):
        flags = ("--task", signs, *TINY, "--backbone", "scripted", "--backbone", f"{role}={server.spec()}")
        run = laboratory.run(f"only-{role}", *flags, "--max-experiments", "1")
        assert {asked for asked, _ in roles.asked} == {role}
    (found,) = run.experiments[1:]
    assert found.training
    assert found.diagnosis
    minds = {one.role: one.usage.mind for one in read_exchanges(run.path / "transcript.jsonl")}
    assert minds == {one: server.spec() if one == role else "scripted" for one in ROLES}
    report = (run.path / "report.html").read_text()
    assert server.spec() in report


def test_a_cap_ends_the_loop_and_not_the_run(laboratory: Laboratory, signs: Path) -> None:
    with answering(rows=None) as (server, _):
        flags = ("--task", signs, *TINY, "--backbone", server.spec(), "--max-experiments", "5")
        run = laboratory.run("minds-capped", *flags, "--max-tokens", "22000")
        assert server.billed.total <= 22_000
    assert re.search(r"the loop ended early: .*max-tokens", " ".join(run.out.split()))
    assert len([one for one in run.experiments if one.failure]) <= 1, "the same cap was met again"
    assert (run.path / "deliver" / "MODEL_CARD.md").exists()
    assert 1 <= len(run.experiments[1:]) < 5
    assert "may still take" in json.dumps(run.rows("transcript.jsonl"))  # the minds are told what is left


def test_a_kill_in_the_middle_of_many_calls_buys_nothing_twice(
    laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = 500
    task = write_signs(tmp_path_factory.mktemp("many"), lessons=rows)
    with answering(rows=rows) as (server, roles):
        flags: tuple[Any, ...] = ("--task", task, *TINY, "--backbone", server.spec(), "--max-experiments", "1")
        run = laboratory.start("minds-killed", *flags)

        def written() -> int:
            return sum(role == SYNTHESIZE for role, _ in roles.asked)

        run.wait_for(lambda: written() > 150, "150 requests")
        everybody = [*children(run.process.pid)]
        run.process.kill()
        for one in everybody:
            kill(one) if one.is_running() else None
        run.finish()
        time.sleep(0.5)
        assert written() < rows, "it was killed too late"
        resumed = laboratory.end(laboratory.call("minds-killed", "--resume", run.path))
        texts = [text for role, text in roles.asked if role == SYNTHESIZE]
        assert len(set(texts)) == rows
        assert len(texts) - rows <= 8, "more than those in flight were asked again"
    (found,) = resumed.experiments[1:]
    assert found.data
    assert next(stage for stage in found.data.flow if stage.step == SYNTHESIZE).changed["written"] == rows
