"""One mind in the place of the roles: whole runs against a scripted server, killed, replayed and capped; its limits."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faulty_server import FaultyServer, Reply, serving
from laboratory import LESSONS, Finished, Laboratory, events, kill_with_children, token, write_signs
from sealed_watch import tokens_in, tokens_of
from test_budget import budget, experiment

from eval.result import EvalResult
from graph.build import build_generalist_graph
from graph.compare import differences
from graph.generalist import CLOSING_TURNS, USELESS_TURNS, after_turn, why_over
from graph.hands import Bench, best_by_feedback, carry_out, look, next_number
from graph.lineage import Lineage
from memory.records import DataRecipe, Experiment, TrainingConfig
from memory.store import open_memory
from roles.backbone import Exchange
from roles.briefing import GeneralistBriefing, Remaining
from roles.conversation import Conversation
from roles.generalist import Allowance, Decision, Evaluate, Look, Submit, Train, Turn
from roles.generalist import Reply as Given
from tasks.failure import Failure, FailureKind
from tasks.record import read_jsonl, read_record, write_jsonl
from tasks.task import Metric

FORMAT = {"name": "format", "parameters": {"source": "lessons", "answer": "{{ answer }}"}}
SHORT = {"learning_rate": 1e-3, "epochs": 1, "batch_size": 16, "lora_rank": 4, "max_length": 64, "reason": "a trial"}
LONG = {"learning_rate": 1e-3, "epochs": 4, "batch_size": 4, "max_length": 64, "reason": "more of it"}
MALFORMED = '{"thought": "now I prepare", "call": {"action": "prepare", "recipe": '


def call(action: str, **parameters: Any) -> str:
    """An answer of the mind."""
    return json.dumps({"thought": f"I {action}", "call": {"action": action, **parameters}})


def recipe(*sources: str) -> dict[str, Any]:
    """A recipe that formats the lessons."""
    return {"sources": sources, "steps": [FORMAT], "reason": "all lessons"}


SCRIPT = [
    call("look", source="lessons", first=3, count=2, where="sign == 'plus'"),
    call("prepare", recipe=recipe("gossip")),
    call("train", data=1, config=SHORT),
    call("prepare", recipe=recipe("lessons")),  # malformed at first
    call("train", data=1, config=SHORT),
    call("evaluate", experiment=1),
    call("evaluate", experiment=1),
    call("submit", experiment=5),
    call("train", data=1, config=SHORT),
    call("train", data=1, config=LONG),
    call("evaluate", experiment=2),
    call("submit", experiment=2),
]
BROKEN = {3}
"""Answers that are malformed until a repair is asked for."""
TOLD = {
    1: "65 rows of lessons satisfy the condition. From number 3 on",
    2: "unknown source gossip; known: lessons",
    3: "data 1 does not exist; prepared so far: none",
    4: "Prepared data 1: 120 rows",
    5: "Experiment 1 is trained",
    6: "Experiment 1. Feedback: ",
    7: "experiment 1 was evaluated before",
    8: "there is no trained experiment 5; trained so far: 1",
    9: "experiment 1 trained the same rows with the same configuration",
    10: "Experiment 2 is trained",
    11: "Nothing more fits: only `submit` is left",
}
"""What the mind is told after so many turns."""


def turns_of(run: Finished) -> list[dict[str, Any]]:
    """The decisions in a transcript, which holds the calls to the server, too."""
    return [row for row in run.rows("transcript.jsonl") if row["kind"] == "decision"]


def follow(script: list[str], broken: set[int]) -> Any:
    """The behaviour of a server that follows a script by the number of the turn."""

    def answer(body: dict[str, Any]) -> Reply:
        messages = body["messages"]
        repaired = "does not validate" in messages[-1]["content"]
        turn = sum(message["role"] == "assistant" for message in messages) - repaired
        return Reply(MALFORMED if turn in broken and not repaired else script[turn])

    return answer


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with serving() as running:
        running.answer = follow(SCRIPT, BROKEN)
        yield running


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task that the tiny model can learn."""
    return write_signs(tmp_path_factory.mktemp("signs"), lessons=LESSONS)


@pytest.fixture(scope="module")
def played(laboratory: Laboratory, server: FaultyServer, task: Path) -> Finished:
    """A whole run, killed in the middle of a training and after an answer that was not yet acted on."""
    flags = ("--task", task, "--model", "tiny-random", "--max-experiments", "2")
    run = laboratory.start("played", *flags, "--backbone", f"generalist={server.spec()}")
    run.wait_for((run.path / "experiments/001/losses.jsonl").exists, "the first loss")
    kill_with_children(run)
    run = laboratory.call("played", "--resume", run.path)
    run.wait_for((run.path / "turns/011.reply.json").exists, "the answer of turn 11")
    kill_with_children(run)
    return laboratory.end(laboratory.call("played", "--resume", run.path))


# ---- A whole run ----


def test_what_is_submitted_is_judged_tested_and_delivered(played: Finished) -> None:
    """By the rules of the roles' runs; the experiment that was not submitted has feedback and no verdict."""
    untouched, first, second = played.experiments
    assert untouched.feedback
    assert untouched.feedback.score == 0
    assert first.feedback
    assert (first.selection, first.verdict, first.failure) == (None, None, None)
    assert second.verdict
    assert second.verdict.outcome == "better"
    assert second.selection
    assert second.regression
    assert {one.plan for one in (first, second)} == {None}
    assert second.config == TrainingConfig.model_validate(LONG)
    assert second.recipe == DataRecipe.model_validate(recipe("lessons"))
    test = played.json("test.json")
    assert test["verdict"]["low"] > 0.2
    lineage = read_record(played.path / "deliver/lineage.json", Lineage)
    assert (lineage.experiment, lineage.plan, lineage.ancestors) == (2, None, ())
    assert (played.path / "deliver/adapter/adapter_model.safetensors").exists()
    assert "all lessons; more of it" in (played.path / "deliver/MODEL_CARD.md").read_text()


def test_wrong_actions_are_refused_in_words_and_cost_nothing(played: Finished, server: FaultyServer) -> None:
    """The loop goes on after each of them."""
    told = {row["turn"]: row["user"] for row in turns_of(played)}
    assert [said for turn, said in TOLD.items() if said not in told[turn + 1]] == []
    refused = [row["turn"] for row in turns_of(played) if row["refused"]]
    assert refused == [2, 3, 7, 8, 9]
    started = [event["stage"] for event in events(played.path) if event["what"] == "start"]
    assert started.count("prepare_data") == 1
    assert len(list(read_jsonl(played.path / "experiments.jsonl"))) == 3


def test_no_answer_is_bought_twice_over_two_kills(played: Finished, server: FaultyServer) -> None:
    """One request a turn, and one for the repair; each is another one."""
    asked = [json.dumps(body["messages"]) for body in server.requests[: len(SCRIPT) + len(BROKEN)]]
    assert len(server.requests) == len(asked) == len(set(asked))
    assert [row["turn"] for row in turns_of(played)] == list(range(1, len(SCRIPT) + 1))


def test_what_was_asked_follows_from_what_lies_on_disk(played: Finished, server: FaultyServer) -> None:
    """So a run that is killed before it has kept an answer asks the same, and finds the answer in the cache."""
    told = read_record(played.path / "turns/opening.json", GeneralistBriefing)
    taken = [read_record(played.path / f"turns/{number:03d}.json", Turn) for number in range(1, len(SCRIPT) + 1)]
    asked = [body["messages"] for body in server.requests]
    for number in range(len(SCRIPT)):
        messages = [message.model_dump() for message in Conversation(told, taken[:number]).messages]
        assert messages in asked, number + 1


def test_nothing_that_ended_is_begun_again(played: Finished) -> None:
    """The killed training goes on from where it was, all others are done once; the test is opened once."""
    ended: set[tuple[str, str]] = set()
    found = [event for event in events(played.path) if event["stage"] not in ("record", "deliver")]
    for event in found:
        key = (event["stage"], event["record"])
        assert event["what"] != "start" or key not in ended, event
        if event["what"] == "end":
            ended.add(key)
    begun = [event["record"] for event in found if (event["stage"], event["what"]) == ("train", "start")]
    assert begun.count("experiments/001/training.json") == 2
    assert begun.count("experiments/002/training.json") == 1
    assert [event["what"] for event in found if event["stage"] == "test"] == ["start", "end"]


def test_no_benchmark_text_reaches_the_mind(played: Finished, server: FaultyServer, task: Path) -> None:
    """Neither of feedback nor of hidden items: it writes the training data. Training rows it may see."""
    said = "".join(json.dumps(body) for body in server.requests).encode()
    found = tokens_in(said)
    assert token("lessons", 4, "question") in found, "the search finds nothing"
    for split in ("feedback", "selection", "test"):
        assert not found & tokens_of(task, split), split
    assert not tokens_in((played.path / "transcript.jsonl").read_bytes()) & tokens_of(task, "feedback")


def test_the_report_and_the_terminal_tell_of_the_run(played: Finished) -> None:
    """Also without plans."""
    page = (played.path / "report.html").read_text()
    for part in ("One mind did the work of all roles", "all lessons; a trial", "all lessons; more of it", "no verdict"):
        assert part in page
    assert "Hypothesis" not in page
    assert "which experiment started from which" not in page.lower()
    for part in ("turn 12. submit experiment 2", "submitted: experiment 002", "verdict 002: better than 000"):
        assert part in played.out


def test_its_experiments_are_remembered(played: Finished) -> None:
    """As those of the roles are."""
    assert open_memory(played.memory).experiments() == played.experiments


def test_its_tokens_are_accounted_to_experiments(played: Finished, server: FaultyServer) -> None:
    exchanges = [Exchange.model_validate(row) for row in turns_of(played)]
    assert [exchange.experiment for exchange in exchanges] == [1] * 5 + [2] * 7
    assert sum(exchange.usage.input_tokens for exchange in exchanges) == server.prompt


def test_a_recording_of_it_is_the_same_run(played: Finished, laboratory: Laboratory, task: Path) -> None:
    """Without a server."""
    recorded = f"generalist=recorded:{played.path / 'transcript.jsonl'}"
    flags = ("--task", task, "--model", "tiny-random", "--max-experiments", "2", "--backbone", recorded)
    again = laboratory.run("replayed", *flags)
    assert differences(played.path, again.path) == []
    assert not (again.path / "spending.jsonl").exists()


def test_a_scripted_generalist_walks_the_whole_graph(laboratory: Laboratory, marked_task: Path) -> None:
    """`--dry-run` with any generalist: every action, no key needed."""
    flags = ("--task", marked_task, "--dry-run", "--max-experiments", "1")
    run = laboratory.run("dry-generalist", *flags, "--backbone", "generalist=openai:gpt-5.2")
    actions = [row["decision"]["call"]["action"] for row in turns_of(run)]
    assert actions == ["look", "prepare", "train", "evaluate", "submit"]
    assert run.experiments[1].verdict
    assert "sealed test: 0.000; no experiment was better than the untouched model" in run.out
    assert {path.name for path in (run.path / "deliver").iterdir()} == {"MODEL_CARD.md"}


def test_when_a_cap_is_reached_the_best_so_far_is_submitted(
    laboratory: Laboratory, server: FaultyServer, task: Path
) -> None:
    """Even if it was not evaluated yet; the run ends as any other."""
    server.reset()
    server.answer = follow([call("prepare", recipe=recipe("lessons")), call("train", data=1, config=LONG)], set())
    flags = ("--task", task, "--model", "tiny-random", "--max-experiments", "2", "--max-tokens", "20000")
    run = laboratory.run("capped", *flags, "--backbone", f"generalist={server.spec()}")
    assert len(server.requests) == 2
    assert "the loop ended early: the generalist has nothing left: the cap of 20,000 tokens" in run.out
    assert "submitted: experiment 001" in run.out
    assert run.experiments[1].verdict
    assert run.experiments[1].verdict.outcome == "better"


# ---- Limits ----


def opening(folder: Path, turns: int = 28, **changes: Any) -> Any:
    """A run of 1,000 s and 3 experiments as far as limits look at it, and what its generalist is told."""
    context = SimpleNamespace(budget=budget(folder, **changes), gateway=None)
    told = GeneralistBriefing.model_construct(
        trials=(experiment(0),), turns=turns, survey=SimpleNamespace(task=SimpleNamespace(metric=Metric()))
    )
    return context, told


def allowance(*, train: bool = True, evaluate: bool = False) -> Allowance:
    remaining = Remaining(experiments=1, minutes=1, tokens_per_second=1, training_tokens=1)
    return Allowance(remaining=remaining, turns=9, train=train, evaluate=evaluate)


def turn(number: int, decided: Any = None, left: Allowance | None = None, **outcome: Any) -> Turn:
    """A turn that was taken; without an action, one that brought no answer."""
    reply = Given(decision=Decision(call=decided) if decided else None, why="" if decided else "gibberish")
    return Turn(number=number, reply=reply, left=left or allowance(), **outcome)


LOOK = Look(action="look", source="lessons")
TRAIN = Train(action="train", data=1, config=TrainingConfig())


def failed(kind: FailureKind, number: int = 1) -> dict[str, Any]:
    """What a training that failed leaves."""
    failure = Failure(stage="train", kind=kind, message="it broke")
    begun = experiment(number).model_copy(update={"training": None, "feedback": None, "selection": None})
    return {"failure": failure, "experiment": begun.model_copy(update={"failure": failure})}


def test_a_run_goes_on_while_there_are_turns_and_time(tmp_path: Path) -> None:
    context, told = opening(tmp_path)
    assert why_over(Bench(context, told, [])) == ""
    assert why_over(Bench(context, told, [turn(k, LOOK) for k in range(1, 28)])) == ""
    assert "all 28 turns" in why_over(Bench(context, told, [turn(k, LOOK) for k in range(1, 29)]))


@pytest.mark.parametrize(("used", "over"), [(0.0, ""), (820.0, ""), (925.0, "the time is spent")])
def test_the_loop_ends_when_no_evaluation_fits_any_more(used: float, over: str, tmp_path: Path) -> None:
    """72 s are set aside for test and delivery, 10 s for the evaluation of what is submitted."""
    assert why_over(Bench(*opening(tmp_path, used=used), [turn(1, LOOK)])) == over


def test_without_a_time_limit_time_ends_nothing(tmp_path: Path) -> None:
    assert why_over(Bench(*opening(tmp_path, used=1e6, budget_seconds=None), [turn(1, LOOK)])) == ""


def test_who_does_not_submit_in_the_end_is_not_waited_for(tmp_path: Path) -> None:
    """Some turns after it was told that nothing else is left."""
    late = allowance(train=False)
    told = [turn(1, LOOK, late), *(turn(2 + k, LOOK, late) for k in range(CLOSING_TURNS))]
    assert "nothing was submitted" in why_over(Bench(*opening(tmp_path), told))
    assert why_over(Bench(*opening(tmp_path), told[:-1])) == ""


def test_a_mind_that_gives_no_usable_answer_is_given_up(tmp_path: Path) -> None:
    """After some turns in a row."""
    silent = [turn(k) for k in range(1, USELESS_TURNS + 1)]
    assert "no usable answer in 3 turns: gibberish" in why_over(Bench(*opening(tmp_path), silent))
    assert why_over(Bench(*opening(tmp_path), [*silent[:-1], turn(3, LOOK)])) == ""


@pytest.mark.parametrize(
    ("kinds", "number", "counted"),
    [
        ([FailureKind.OOM], 1, 0),
        ([FailureKind.OOM, FailureKind.DIVERGED], 1, 0),
        ([FailureKind.OOM] * 3, 2, 1),  # as an experiment of the roles, which is repaired twice
        ([FailureKind.TIMEOUT], 2, 1),
    ],
)
def test_a_failed_training_may_be_tried_again_as_often_as_by_the_roles(
    kinds: list[FailureKind], number: int, counted: int, tmp_path: Path
) -> None:
    turns = [turn(k, TRAIN, **failed(kind)) for k, kind in enumerate(kinds, start=1)]
    bench = Bench(*opening(tmp_path), turns)
    assert next_number(bench) == number
    assert bench.allowance().remaining.experiments == 3 - counted
    assert len(bench.desk.experiments) == 1


def test_what_still_fits(tmp_path: Path) -> None:
    """A training while experiments and time are left; an evaluation of what has none."""
    unseen = experiment(1).model_copy(update={"feedback": None, "selection": None})
    (tmp_path / "late").mkdir()
    trained = [turn(1, TRAIN, experiment=unseen)]
    found = Bench(*opening(tmp_path), trained).allowance()
    assert (found.train, found.evaluate, found.closing, found.turns) == (True, True, False, 27)
    last = Bench(*opening(tmp_path, max_experiments=1), trained).allowance()
    assert (last.train, last.evaluate, last.closing) == (False, True, False)
    late = Bench(*opening(tmp_path / "late", used=925.0), trained).allowance()
    assert (late.train, late.evaluate, late.closing) == (False, False, True)
    seen = [*trained, turn(2, Evaluate(action="evaluate", experiment=1), experiment=experiment(1))]
    assert Bench(*opening(tmp_path, max_experiments=1), seen).allowance().closing


def scored(number: int, score: float, **changes: Any) -> Experiment:
    result = EvalResult(
        split="feedback", n=25, samples=1, score=score, standard_error=0.1, unparsed=0, truncated=0, generated=25,
        seconds=5.0,
    )  # fmt: skip
    return experiment(number).model_copy(update={"feedback": result, "selection": None, **changes})


@pytest.mark.parametrize(
    ("scores", "direction", "best"),
    [
        ([0.1, 0.3, 0.2], "up", 1),
        ([0.1, 0.3, 0.3], "up", 1),
        ([0.3, 0.3, 0.2], "up", 0),  # nothing gained, nothing submitted
        ([0.3, 0.5, 0.2], "down", 2),
        ([0.1, None, 0.2], "up", 2),  # the first failed
        ([0.1], "up", 0),
    ],
)
def test_the_best_by_feedback(scores: list[float | None], direction: Any, best: int, tmp_path: Path) -> None:
    """Of what was evaluated and did not fail; the untouched model among them."""
    broke = Failure(stage="evaluate", kind=FailureKind.FORMAT, message="the adapter changes nothing")
    trials = [
        scored(number, score or 0.9, failure=None if score is not None else broke)
        for number, score in enumerate(scores)
    ]
    told = GeneralistBriefing.model_construct(
        survey=SimpleNamespace(task=SimpleNamespace(metric=Metric(direction=direction)))
    )
    assert best_by_feedback(trials, told).number == best


def test_a_turn_without_an_action_is_a_turn(tmp_path: Path) -> None:
    """And one with a refused action does nothing."""
    bench = Bench(*opening(tmp_path), [])
    silent = carry_out(bench, Given(decision=None, why="gibberish"))
    assert (silent.number, silent.call, silent.left.turns) == (1, None, 27)
    refused = carry_out(bench, Given(decision=Decision(call=LOOK), refused="unknown source"))
    assert (refused.call, refused.looked, refused.failure) == (LOOK, None, None)


def test_the_graph_is_the_roles_graph_without_their_nodes() -> None:
    """Survey, baseline, judge, record, test and delivery are shared."""
    drawn = build_generalist_graph().get_graph().draw_mermaid()
    for edge in ("baseline -.-> act", "act -.-> act", "act -.-> submit", "submit --> judge", "judge --> record"):
        assert edge in drawn
    assert not [node for node in ("plan", "diagnose", "experiment") if f"{node}(" in drawn]


def test_what_was_submitted_or_ended_leaves_the_loop() -> None:
    assert after_turn({"turns": 1}) == "act"
    assert after_turn({"turns": 1, "submitted": 0}) == "submit"
    assert after_turn({"turns": 1, "ended": "the time is spent"}) == "submit"
    assert Submit(action="submit", experiment=0).experiment == 0


# ---- Looking ----


@pytest.fixture
def corpus(tmp_path: Path) -> Any:
    """A run with a source of thirty rows, the last of which is long."""
    rows = [
        {"id": k, "text": f"row {k}", "page": "<p>" * (9000 if k == 30 else 1), "answer": "C"} for k in range(1, 31)
    ]
    write_jsonl(tmp_path / "lessons.jsonl", rows)
    return Bench(SimpleNamespace(corpus=tmp_path), opening(tmp_path)[1], [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "count", "ids"), [(1, 5, [1, 2, 3, 4, 5]), (29, 1, [29]), (28, 2, [28, 29]), (31, 5, [])]
)
def test_a_look_shows_the_rows_that_were_asked_for(first: int, count: int, ids: list[int], corpus: Bench) -> None:
    """And counts all."""
    found = look(corpus, Look(action="look", source="lessons", first=first, count=count))
    assert found.found == 30
    assert [json.loads(row)["id"] for row in found.rows] == ids


@pytest.mark.parametrize(
    ("first", "count", "ids"),
    [(1, 4, [1, 11, 20, 30]), (1, 1, [1]), (10, 3, [10, 20, 30]), (29, 9, [29, 30]), (31, 3, [])],
)
def test_a_look_can_show_rows_from_all_over(first: int, count: int, ids: list[int], corpus: Bench) -> None:
    """For sources that are sorted."""
    found = look(corpus, Look(action="look", source="lessons", first=first, count=count, spread=True))
    assert found.found == 30
    assert [json.loads(row)["id"] for row in found.rows] == ids


@pytest.mark.parametrize(("first", "most"), [(30, 4100), (11, 12_500)])
def test_long_rows_are_cut_where_they_are_long(first: int, most: int, corpus: Bench) -> None:
    """Fewer rows show more; short values stay."""
    found = look(corpus, Look(action="look", source="lessons", first=first, count=20))
    assert sum(map(len, found.rows)) < most
    assert '"text": "row 30"' in found.rows[-1]
    assert found.rows[-1].endswith('"answer": "C"}')
    assert "more characters]" in found.rows[-1]


def test_there_is_no_plan_to_approve(laboratory: Laboratory, task: Path) -> None:
    run = laboratory.start("approved", "--task", task, "--dry-run", "--approve", "--backbone", "generalist=scripted")
    code, _, err = run.finish()
    assert (code, "--approve: plans are approved, and a generalist makes none" in " ".join(err.split())) == (2, True)
    assert not run.path.exists()
