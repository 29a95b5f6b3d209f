"""The generalist's turns: what it may decide, what is refused before it costs anything, and what it is told.

After a wanted change of a prompt: `PYTHONPATH=. python tests/roles/test_generalist_turns.py`, then read the
difference of `golden/`.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import situations as s
from faulty_server import FaultyServer, serving
from faulty_server import Reply as Answer
from gateways import in_process
from jinja2 import UndefinedError
from pydantic import ValidationError

from memory.records import DataRecipe, Experiment, Step, TrainingConfig
from roles.backbone import Exchange, choose_specs, load_minds
from roles.backbones.chat import Chat
from roles.backbones.recorded import Recorded
from roles.backbones.scripted import Scripted
from roles.briefing import GeneralistBriefing, Remaining
from roles.checks import check_call
from roles.conversation import BYTES_A_TOKEN, CODE, MOST_TOKENS, Conversation, line
from roles.generalist import (
    Allowance,
    Call,
    Decision,
    Evaluate,
    Example,
    Look,
    Looked,
    Prepare,
    Prepared,
    Reply,
    Submit,
    Train,
    Turn,
    desk_of,
)
from tasks.failure import Failure, FailureKind, InputError, StageError
from tasks.record import Record, explain, write_jsonl

GOLDEN = Path(__file__).parent / "golden"
RECIPE = DataRecipe(sources=("exams",), steps=(Step(name="deduplicate"),), reason="clean first")
LOOK = Look(action="look", source="exams")
PREPARE = Prepare(action="prepare", recipe=RECIPE)
TRAIN = Train(action="train", data=1, config=TrainingConfig(learning_rate=1e-3, reason="small models bear more"))
EVALUATE = Evaluate(action="evaluate", experiment=1)
SUBMIT = Submit(action="submit", experiment=1)
DATA = s.training_data()
SECRET = "xyzzy-benchmark-text"
UNSEEN = Failure(stage="evaluate", kind=FailureKind.FORMAT, message=f"it said {SECRET}")
FAILURE = Failure(stage="train", kind=FailureKind.OOM, message="CUDA out of memory")


def opening(**changes: Any) -> GeneralistBriefing:
    """What the generalist is told at the beginning, with two of the data steps."""
    groups = (s.group("blue", 0.2, 0.4), s.group("red", 0.4, 0.6))
    untouched = s.untouched().model_copy(update={"feedback": s.result(0.3, unparsed=0.6, groups=groups)})
    steps = ({"name": "deduplicate", "does": "Drop repetitions.", "parameters": {}},)
    settings: dict[str, Any] = {
        **s.situation(tokens=90_000),
        "trials": (untouched,),
        "steps": (*steps, {"name": "script", "does": "Run Python.", "parameters": {"code": {"type": "string"}}}),
        "tiers": {"strong": "openai:strong"},
        "methods": ("sft",),
        "turns": 36,
    }
    return GeneralistBriefing(**(settings | changes))


def left(turns: int = 30, *, train: bool = True, evaluate: bool = False, **changes: Any) -> Allowance:
    """What is left after a turn."""
    remaining = s.remaining(90_000).model_copy(update=changes)
    return Allowance(remaining=remaining, turns=turns, train=train, evaluate=evaluate)


def taken(number: int, call: Call | None, thought: str = "", **outcome: Any) -> Turn:
    """A turn that was taken."""
    decision = Decision(thought=thought, call=call) if call else None
    reply = Reply(decision=decision, why="" if call else "the generalist said nothing")
    return Turn(number=number, reply=reply, **({"left": left()} | outcome))


def refused_turn(number: int, call: Call, why: str) -> Turn:
    """A turn whose action was not begun."""
    return Turn(number=number, reply=Reply(decision=Decision(call=call), refused=why), left=left())


def made(number: int = 1, **changes: Any) -> Experiment:
    """An experiment that is trained and not evaluated."""
    return s.trial(number, config=TRAIN.config, recipe=RECIPE).model_copy(
        update={"plan": None, "feedback": None, "selection": None, "verdict": None, "effect": None, "evidence": ()}
        | changes
    )


PREPARED = Prepared(
    number=1, recipe=RECIPE, data=DATA, examples=(Example(source="exams", prompt="Which?\nA or B", answer="A"),)
)
LOOKED = taken(1, LOOK, "see what there is", looked=Looked(rows=('{"question": "What is a bond?"}',), found=120))
ROWS = taken(2, PREPARE, "repeated rows", prepared=PREPARED)
TRAINED = taken(3, TRAIN, experiment=made(), left=left(train=False, evaluate=True))
EVALUATED = taken(
    4, EVALUATE, "knowledge is missing", left=left(train=False),
    experiment=made(feedback=s.result(0.5, groups=(s.group("blue", 0.4, 0.6),))),
)  # fmt: skip
ALL = (LOOKED, ROWS, TRAINED, EVALUATED)
OTHERS: dict[str, tuple[Turn, ...]] = {
    "nothing was found": (
        taken(1, Look(action="look", source="exams", first=500, where="A == 'x'"), looked=Looked(rows=(), found=0)),
    ),
    "refused": (refused_turn(1, TRAIN, "data 1 does not exist; prepared so far: none"),),
    "failed": (taken(1, TRAIN, failure=FAILURE, experiment=made(training=None, failure=FAILURE)),),
    "failed evaluation": (
        ROWS,
        TRAINED,
        taken(4, EVALUATE, failure=UNSEEN, experiment=made(failure=UNSEEN)),
    ),
    "no answer": (taken(1, None),),
    "caps": (taken(1, LOOK, looked=LOOKED.looked, left=left(model_tokens=12_000, model_dollars=1.5)),),
    "no time limit": (taken(1, LOOK, looked=LOOKED.looked, left=left(minutes=None, experiments=1)),),
}
SITUATIONS = {
    **{turn.call.action: ALL[: place + 1] for place, turn in enumerate(ALL) if turn.call},
    **OTHERS,
}


def results() -> str:
    """What is told after each kind of turn."""
    return "".join(f"===== {name}\n{Conversation(opening(), turns).user}\n" for name, turns in SITUATIONS.items())


def lines() -> str:
    """The turns on a line each, as in prompts and as on the terminal."""
    turns = [each[-1] for each in SITUATIONS.values()]
    return "".join(f"{line(turn)}\n{line(turn, brief=True)}\n" for turn in [*turns, taken(5, SUBMIT)])


GOLDEN_TEXTS = {
    "generalist.system.md": lambda: Conversation(opening(), ()).system,
    "generalist.opening.md": lambda: Conversation(opening(), ()).user,
    "generalist.results.md": results,
    "generalist.lines.md": lines,
}


# ---- Decisions ----


@pytest.mark.parametrize("call", [LOOK, PREPARE, TRAIN, EVALUATE, SUBMIT], ids=lambda call: call.action)
def test_every_action_survives_json_with_and_without_its_wrapping(call: Call) -> None:
    """Small models leave the wrapping out."""
    decision = Decision(thought="because", call=call)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert Decision.model_validate_json(json.dumps({"thought": "because", **call.model_dump(mode="json")})) == decision


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"call": {"action": "dance"}}, "'look', 'prepare', 'train', 'evaluate', 'submit'"),
        ({"call": {"action": "train", "data": 0, "config": {}}}, "call.train.data"),
        ({"call": {"action": "look", "source": "exams", "count": 500}}, "call.look.count"),
        ({"call": {"action": "evaluate", "experiment": 1, "split": "test"}}, "call.evaluate.split: Extra"),
        ({"thought": "hm"}, "call: Field required"),
        ([], "valid dictionary"),
    ],
)
def test_a_wrong_action_is_explained(given: object, said: str) -> None:
    """In words that a mind can repair it by; no split can be asked for."""
    with pytest.raises(ValidationError) as refused:
        Decision.model_validate(given)
    assert said in explain(refused.value)


def test_the_schema_is_one_that_all_providers_take() -> None:
    """An object at its root, `anyOf` for the choice."""
    schema = Decision.model_json_schema()
    text = json.dumps(schema)
    assert schema["type"] == "object"
    assert len(schema["properties"]["call"]["anyOf"]) == 5
    assert "oneOf" not in text
    assert "discriminator" not in text


def refusal(call: Call, *turns: Turn, at: Allowance | None = None) -> str | None:
    """What is said against an action after some turns."""
    last = turns[-1].model_copy(update={"left": at}) if turns and at else None
    return check_call(call, Conversation(opening(), (*turns[:-1], last) if last else turns))


CLOSED, NO_TRAINING = left(train=False), left(train=False, evaluate=True)
WRONG: dict[str, tuple[str | None, str]] = {
    "an unknown source": (refusal(Look(action="look", source="gossip")), "unknown source gossip; known: exams"),
    "a recipe of an unknown source": (
        refusal(Prepare(action="prepare", recipe=DataRecipe(sources=("gossip",), steps=()))), "unknown source gossip",
    ),
    "an unknown step": (
        refusal(Prepare(action="prepare", recipe=DataRecipe(sources=("exams",), steps=(Step(name="shuffle"),)))),
        "step 1 ('shuffle') is unknown; known: deduplicate, script",
    ),
    "the same recipe": (refusal(PREPARE, LOOKED, ROWS), "data 1 is what this recipe makes: 200 rows"),
    "data that are not prepared": (refusal(TRAIN, LOOKED), "data 1 does not exist; prepared so far: none"),
    "other data": (refusal(TRAIN.model_copy(update={"data": 2}), ROWS), "data 2 does not exist; prepared so far: 1"),
    "rows that do not fit": (
        refusal(TRAIN.model_copy(update={"config": TrainingConfig(max_length=16)}), ROWS), "longest row (90 tokens)",
    ),
    "what failed before": (refusal(TRAIN, ROWS, *OTHERS["failed"]), "experiment 1 trained the same rows"),
    "the same training": (refusal(TRAIN, ROWS, TRAINED, at=left()), "experiment 1 trained the same rows"),
    "what is not trained": (refusal(EVALUATE, ROWS), "no trained experiment 1; trained so far: none"),
    "what failed": (
        refusal(EVALUATE, ROWS, *OTHERS["failed"]), "no trained experiment 1; trained so far: none",
    ),
    "an evaluation twice": (refusal(EVALUATE, ROWS, EVALUATED, at=left()), "evaluated before and answers the same"),
    "to submit nothing": (refusal(SUBMIT, ROWS), "no trained experiment 1; trained so far: none"),
    "to look when it is late": (refusal(LOOK, *ALL, at=CLOSED), "only `submit` is left"),
    "to prepare when no training fits": (refusal(PREPARE, LOOKED, at=NO_TRAINING), "no other training fits"),
    "to train when no training fits": (refusal(TRAIN, ROWS, TRAINED, at=NO_TRAINING), "no other training fits"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_done_is_refused_before_it_costs_anything(wrong: str) -> None:
    found, said = WRONG[wrong]
    assert found is not None
    assert said in found


@pytest.mark.parametrize(
    ("call", "turns", "at"),
    [
        (LOOK, (), None),
        (PREPARE, (LOOKED,), None),
        (TRAIN, (ROWS,), None),
        (TRAIN.model_copy(update={"config": TrainingConfig(epochs=1)}), (ROWS, TRAINED), left()),
        (EVALUATE, (ROWS, TRAINED), NO_TRAINING),
        (SUBMIT, ALL, CLOSED),
        (SUBMIT, (ROWS, TRAINED), None),  # it is evaluated then
        (Submit(action="submit", experiment=0), (), None),
    ],
)
def test_what_can_be_done_is_not_refused(call: Call, turns: tuple[Turn, ...], at: Allowance | None) -> None:
    assert refusal(call, *turns, at=at) is None


def test_a_recipe_that_draws_from_the_best_model_may_be_repeated() -> None:
    """The best may be another by now."""
    recipe = DataRecipe(sources=("exams",), steps=(Step(name="rejection_sample", parameters={"source": "exams"}),))
    known = opening(steps=({"name": "rejection_sample", "does": "", "parameters": {}},))
    before = taken(1, PREPARE, prepared=PREPARED.model_copy(update={"recipe": recipe}))
    assert check_call(Prepare(action="prepare", recipe=recipe), Conversation(known, (before,))) is None


def test_the_desk_holds_the_latest_of_each_experiment() -> None:
    desk = desk_of(ALL)
    assert desk.prepared == (PREPARED,)
    assert [one.feedback and one.feedback.score for one in desk.experiments] == [0.5]


# ---- Prompts ----


@pytest.mark.parametrize("name", GOLDEN_TEXTS)
def test_prompts_equal_their_golden_copies(name: str) -> None:
    assert GOLDEN_TEXTS[name]() == (GOLDEN / name).read_text()


def test_the_conversation_alternates_and_grows_at_its_end() -> None:
    """What was said stays, so that a provider may cache it."""
    before = Conversation(opening(), ALL[:2]).messages
    after = Conversation(opening(), ALL[:3]).messages
    assert [message.role for message in after] == ["system", "user", *["assistant", "user"] * 3]
    assert after[: len(before)] == before
    assert json.loads(after[2].content)["call"] == {"action": "look", "source": "exams"}
    assert after[-1].content == Conversation(opening(), ALL[:3]).user


def test_a_turn_without_an_answer_is_told_beside_what_was_asked() -> None:
    """Roles alternate, and the question is not the same again, so no bad answer comes out of a cache."""
    asked = Conversation(opening(), OTHERS["no answer"])
    assert [message.role for message in asked.messages] == ["system", "user"]
    assert "the generalist said nothing" in asked.messages[1].content
    later = Conversation(opening(), (LOOKED, *OTHERS["no answer"]))
    assert [message.role for message in later.messages] == ["system", "user", "assistant", "user"]


def long_run(turns: int) -> tuple[Turn, ...]:
    """Turns that each bring ten thousand characters."""
    rows = Looked(rows=tuple(f'{{"text": "{k}{"x" * 500}"}}' for k in range(20)), found=120)
    return tuple(taken(k, LOOK, f"conclusion {k}", looked=rows) for k in range(1, turns + 1))


def size(asked: Conversation) -> int:
    return sum(len(message.content.encode()) for message in asked.messages)


def test_a_long_conversation_stays_short() -> None:
    """Old turns are lines; the last one is whole, and conclusions stay."""
    asked = Conversation(opening(), long_run(172))
    assert size(asked) <= MOST_TOKENS * BYTES_A_TOKEN
    messages = asked.messages
    assert messages[-1].content == asked.user
    assert "x" * 500 in messages[-1].content
    first = messages[1].content
    assert "x" * 500 not in first
    assert all(f"(conclusion {k})" in first for k in range(1, 160))
    assert [message.role for message in messages[2:]] == ["assistant", "user"] * ((len(messages) - 2) // 2)


def test_even_lines_are_left_out_when_there_are_too_many() -> None:
    turns = tuple(taken(k, LOOK, "y" * 160, looked=Looked(rows=(), found=0)) for k in range(1, 600))
    asked = Conversation(opening(), turns)
    assert size(asked) <= MOST_TOKENS * BYTES_A_TOKEN
    assert "are left out" in asked.messages[1].content
    assert "\n598. look" in asked.messages[1].content or "598" not in asked.messages[1].content


def test_the_beginning_changes_seldom() -> None:
    """In most turns the messages before are repeated as they were."""
    turns = long_run(24)
    asked = [Conversation(opening(), turns[:number]).messages for number in range(len(turns) + 1)]
    kept = [after[: len(before)] == before for before, after in itertools.pairwise(asked)]
    assert False in kept, "nothing was shortened"
    assert sum(kept) > 2 / 3 * len(kept)


def test_long_scripts_are_cut_in_what_is_repeated() -> None:
    """The JSON stays whole."""
    script = Step(name="script", parameters={"code": "print(1)\n" * 10_000})
    call = Prepare(action="prepare", recipe=RECIPE.model_copy(update={"steps": (script,)}))
    said = Conversation(opening(), (taken(1, call, failure=FAILURE),)).messages[2].content
    assert len(said) < CODE + 3000
    assert "more characters]" in json.loads(said)["call"]["recipe"]["steps"][0]["parameters"]["code"]


def test_an_unknown_name_in_a_template_is_an_error() -> None:
    """StrictUndefined holds here, too."""
    broken = opening()
    del broken.__dict__["methods"]
    with pytest.raises(UndefinedError, match="methods"):
        _ = Conversation(broken, ()).messages


@pytest.mark.parametrize("schema", [GeneralistBriefing, Turn])
def test_there_is_no_place_for_benchmark_items(schema: type[Record]) -> None:
    """By type: it writes the training data, so no item may reach it, whatever is added later."""
    assert "ItemResult" not in str(schema.model_json_schema())


def test_why_an_evaluation_failed_is_not_told() -> None:
    """The process that failed holds benchmark rows, and its words may, too."""
    asked = Conversation(opening(), OTHERS["failed evaluation"])
    assert "The evaluation of experiment 1 failed (FORMAT)" in asked.user
    assert not [message for message in asked.messages if SECRET in message.content]
    assert SECRET not in line(OTHERS["failed evaluation"][-1])
    assert not [message for message in Conversation(opening(), (*asked.turns, *long_run(40))).messages
                if SECRET in message.content]  # fmt: skip


def test_selection_scores_are_not_told() -> None:
    """Not even where a record holds them: the untouched model's is known before the first turn."""
    marked = s.result(0.123, split="selection")
    trials = tuple(trial.model_copy(update={"selection": marked}) for trial in opening().trials)
    scored = made(feedback=s.result(0.5), selection=marked)
    asked = Conversation(opening(trials=trials), (ROWS, TRAINED, taken(4, EVALUATE, experiment=scored)))
    assert "0.5" in asked.user
    assert not [message for message in asked.messages if "0.123" in message.content]


# ---- Minds ----


def test_a_generalist_is_one_mind_alone() -> None:
    assert choose_specs(["generalist=scripted"]) == {"generalist": "scripted"}
    assert list(load_minds(["generalist=scripted"])) == ["generalist"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["generalist=scripted", "planner=expert"], ["generalist=scripted", "alone", "planner=expert"]),
        (["scripted", "generalist=scripted"], ["alone", "scripted"]),
        (["generalist=scripted", "generalist=scripted"], ["alone"]),
        (["generalist=expert"], ["the four roles only", "PROVIDER:MODEL"]),
        (["generalist=oracle"], ["unknown backbone 'oracle'"]),
        (["generalist="], ["unknown backbone ''"]),
        (["cook=scripted"], ["unknown role 'cook'", "planner"]),
    ],
)
def test_other_minds_beside_it_are_refused(values: list[str], said: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        load_minds(values)
    assert all(word in str(refused.value) for word in said)


def test_the_script_goes_through_every_action() -> None:
    """Look, prepare, train, evaluate, submit."""
    mind, turns, seen = Scripted(), list[Turn](), list[str]()
    outcomes = [LOOKED, ROWS, TRAINED, EVALUATED, taken(5, SUBMIT)]
    for outcome in outcomes:
        decision, usage = mind.decide(Conversation(opening(), turns))
        assert (decision.thought, usage.mind) == (f"scripted turn {len(turns) + 1}", "scripted")
        assert check_call(decision.call, Conversation(opening(), turns)) is None or decision.call.action == "prepare"
        seen.append(decision.call.action)
        turns.append(outcome)
    assert seen == ["look", "prepare", "train", "evaluate", "submit"]


def transcript(folder: Path, turns: tuple[Turn, ...]) -> Path:
    """What a run over these turns writes down; the second turn twice, as after a kill between two writes."""
    mind, exchanges = Scripted(), list[Exchange]()
    for number in [0, 1, 1, *range(2, len(turns))]:
        asked = Conversation(opening(), turns[:number])
        decision, usage = mind.decide(asked)
        written = decision.model_dump(mode="json")
        exchanges.append(
            Exchange(role="generalist", experiment=1, turn=asked.turn, system="", user=asked.user, decision=written,
                     refused=None, usage=usage)
        )  # fmt: skip
    write_jsonl(folder / "transcript.jsonl", exchanges)
    return folder / "transcript.jsonl"


def with_other_figures(turn: Turn) -> Turn:
    """The same turn on a slower machine."""
    assert turn.experiment
    assert turn.experiment.training
    slower = turn.experiment.training.model_copy(update={"seconds": 77.0, "tokens_per_second": 12.0})
    return turn.model_copy(update={"experiment": turn.experiment.model_copy(update={"training": slower})})


def test_a_recording_is_replayed_turn_by_turn(tmp_path: Path) -> None:
    """Measured figures may differ."""
    mind = Recorded(f"recorded:{transcript(tmp_path, ALL)}")
    again = (LOOKED, ROWS, with_other_figures(TRAINED), EVALUATED)
    decided = [mind.decide(Conversation(opening(), again[:number]))[0] for number in range(4)]
    assert [decision.call.action for decision in decided] == ["look", "prepare", "train", "evaluate"]
    assert decided == [Scripted().decide(Conversation(opening(), ALL[:number]))[0] for number in range(4)]


def test_a_recording_of_another_course_is_not_followed(tmp_path: Path) -> None:
    """Where the data could not be prepared, the training that followed makes no sense."""
    mind = Recorded(f"recorded:{transcript(tmp_path, ALL)}")
    failed = taken(2, PREPARE, failure=Failure(stage="prepare_data", kind=FailureKind.DATA, message="no rows"))
    with pytest.raises(StageError, match="generalist in turn 3 was made of another question") as drifted:
        mind.decide(Conversation(opening(), (LOOKED, failed)))
    assert drifted.value.failure.kind == FailureKind.PROVIDER
    with pytest.raises(StageError, match="generalist in turn 6 has no decision"):
        mind.decide(Conversation(opening(), (*ALL, EVALUATED)))


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with serving() as running:
        yield running


@pytest.mark.parametrize("bad", ['{"call": {"action": "dance"}}', "I would rather not.", '{"thought": "cut of'])
def test_a_malformed_answer_gets_one_repair_turn(server: FaultyServer, tmp_path: Path, bad: str) -> None:
    """The whole conversation is asked, then once more with what was wrong."""
    server.reset()
    server.script = [Answer(bad), Answer(Decision(call=TRAIN).model_dump_json())]
    mind = Chat(server.spec())
    mind.connect(in_process([server.spec()], tmp_path))
    asked = Conversation(opening(), (LOOKED, ROWS))
    decision, _ = mind.decide(asked)
    assert decision.call == TRAIN
    first, second = ([message["content"] for message in body["messages"]] for body in server.requests)
    assert first == [message.content for message in asked.messages]
    assert second[: len(first) + 1] == [*first, bad]
    assert "does not validate" in second[-1]


def test_a_second_malformed_answer_is_no_decision(server: FaultyServer, tmp_path: Path) -> None:
    server.reset()
    server.script = [Answer("no"), Answer("never")]
    mind = Chat(server.spec())
    mind.connect(in_process([server.spec()], tmp_path))
    with pytest.raises(StageError, match="gave no usable answer") as failed:
        mind.decide(Conversation(opening(), ()))
    assert failed.value.failure.kind == FailureKind.PROVIDER


def test_what_is_left_is_told_with_the_first_turn() -> None:
    asked = Conversation(opening(remaining=Remaining(experiments=1, minutes=None, tokens_per_second=400,
                                                     training_tokens=None)), ())  # fmt: skip
    assert "36 turns. 1 experiment, no time limit." in asked.user
    assert (asked.left.turns, asked.left.train, asked.left.closing) == (36, True, False)


@pytest.mark.parametrize(
    ("experiments", "told", "not_told"),
    [
        (2, "an even share of them is enough to train on about 90000 tokens", "minutes, enough"),
        (1, "minutes, enough to train on about 200000 tokens", "even share"),
        (0, "0 experiments, about 7 minutes. Training runs", "enough to train"),
    ],
)
def test_time_left_is_told_for_the_experiments_that_are_left(experiments: int, told: str, not_told: str) -> None:
    there = left(experiments=experiments, minutes=7, training_tokens=90_000, most_tokens=200_000)
    asked = Conversation(opening(), (taken(1, LOOK, looked=Looked(rows=("{}",), found=9), left=there),))
    assert told in asked.user
    assert not_told not in asked.user


if __name__ == "__main__":
    for file, text in GOLDEN_TEXTS.items():
        (GOLDEN / file).write_text(text())
