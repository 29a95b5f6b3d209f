"""What is looked at before a decision costs anything."""

from typing import Any

import pytest
import situations as s

from eval.hardware import Gpu
from memory.records import DataRecipe, Finding, Plan, Step, TrainingConfig
from roles.briefing import ModelShape
from roles.checks import check_config, check_diagnosis, check_plan, check_recipe
from roles.data_steps import describe_steps
from roles.footprint import adapter_weights, at_least_gib

STEPS = tuple(describe_steps(("engine",)))
TRIED = s.trial(1)
SHAPE = ModelShape(layers=30, hidden=576, queries=576, key_values=192, intermediate=1536, context=8192)


def planned(**changes: Any) -> Plan:
    return s.plan(data="all sources", training="defaults").model_copy(update=changes)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (planned(), None),
        (planned(parent=2), "parent 2 does not exist; experiments so far: 0 to 1"),
        (planned(factor="data"), "experiment 0 was not trained, so nothing of it can be kept: factor must be `both`"),
        (planned(parent=1), "experiment 1 is trained, so change one factor against it: `data` or `training`"),
        (planned(parent=1, factor="data", training_strategy="keep"), None),
        (planned(parent=1, factor="data", data_strategy="Keep "), "data_strategy must say what is to be done"),
        (planned(parent=1, factor="training", training_strategy="keep"), "training_strategy must say what"),
        (planned(memory_ids=("other/003",)), None),
        (planned(memory_ids=("other/003", "other/9")), "memory_ids names other/9, which you were not told of"),
    ],
)
def test_a_plan(plan: Plan, said: str | None) -> None:
    found = check_plan(plan, s.planner(TRIED, recalled=s.RECALLED))
    assert found is None if said is None else said in (found or "")


def recipe(*steps: Step, sources: tuple[str, ...] = ("exams",)) -> DataRecipe:
    return DataRecipe(sources=sources, steps=steps)


def step(name: str, **parameters: Any) -> Step:
    return Step(name=name, parameters=parameters)


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        (recipe(step("format", source="exams", answer="a")), None),
        (recipe(sources=("exams", "novels")), "unknown source novels; known: exams, glossary"),
        (recipe(sources=("exams", "exams")), "names one of them twice"),
        (recipe(step("deduplicate"), step("fine_tune")), "step 2 ('fine_tune') is unknown; known: balance, choices"),
        (recipe(step("synthesize", source="exams", prompt="p", into="x")), "step 1 ('synthesize') is unknown"),
        (recipe(step("sample", rows=-3)), "step 1: step 'sample': rows: Input should be greater than 0"),
        (recipe(step("sample", rows=3, source="glossary")), "is about 'glossary'; sources names: exams"),
        (recipe(step("script", code="pass"), step("format", source="made", answer="a")), None),
    ],
)
def test_a_recipe(decided: DataRecipe, said: str | None) -> None:
    found = check_recipe(decided, s.data_engineer("all", TRIED, steps=STEPS))
    assert found is None if said is None else said in (found or "")


def test_a_configuration() -> None:
    survey, data = s.survey(model_gib=0.25, shape=SHAPE), s.training_data()
    fresh = data.model_copy(update={"content_hash": "d9"})
    assert check_config(TrainingConfig(), fresh, survey, [TRIED]) is None
    assert "unknown method 'rlhf'; known: sft" in (check_config(TrainingConfig(method="rlhf"), fresh, survey, []) or "")
    short = check_config(TrainingConfig(max_length=89), fresh, survey, [])
    assert short == "max_length 89 is shorter than the longest row (90 tokens)"
    assert "experiment 1 trained the same rows with the same" in (
        check_config(TrainingConfig(reason="again", max_length=600), data, survey, [TRIED]) or ""
    )
    failed = s.trial(1, failure=s.FailureKind.OOM)
    assert check_config(TrainingConfig(), data, survey, [failed])
    assert check_config(TrainingConfig(epochs=3), data, survey, [TRIED]) is None


def test_a_training_that_cannot_fit_is_not_begun() -> None:
    data, long = s.training_data(longest=8000), TrainingConfig(max_length=8192)
    small = s.survey(model_gib=0.25, shape=SHAPE)
    assert at_least_gib(small, long, 8000) == pytest.approx(0.25 + 4.38 + 0.07, abs=0.05)
    assert check_config(long, data, small, []) is None  # of 16 GiB
    gpu = s.survey(model_gib=14.5, shape=SHAPE, gpus=(Gpu(name="a GPU", memory_gib=16.0),))
    assert check_config(long, data, gpu, []) == (
        "this training takes at least 19.0 GiB, and there are 16.0 GiB: a lower lora_rank or fewer target_modules "
        "take less, and so do shorter rows"
    )
    unknown = s.survey(model_gib=20.0)
    assert "at least 20.0 GiB" in (check_config(long, data, unknown, []) or "")


def test_the_weights_of_an_adapter() -> None:
    """As PEFT counts them for SmolLM2-135M with all linear layers at rank 8, and for attention alone."""
    assert adapter_weights(SHAPE, TrainingConfig(lora_rank=8)) == 2_442_240
    assert adapter_weights(SHAPE, TrainingConfig(lora_rank=8, target_modules="attention")) == 921_600


def test_a_diagnosis() -> None:
    wrong = (s.item("q7", "Which colour has the code nine in the seventh box of the shelf?", "red", "blue"),)
    asked = s.diagnostician(TRIED, wrong=wrong)

    def said(**changes: Any) -> str | None:
        return check_diagnosis(s.diagnosis("weak knowledge").model_copy(update=changes), asked)

    assert said() is None
    assert said(weak_groups=("blue", "grey")) == "weak_groups names grey; known: red, blue"
    assert said(suspected_cause="it does not know the code nine in the seventh box") is None  # seven words
    quote = "it fails at colour has the code nine in the seventh box of"
    finding = Finding(claim=quote, count=1, of=2)
    for changes in ({"suspected_cause": quote}, {"next_intervention": quote}, {"findings": (finding,)}):
        assert said(**changes) == "the diagnosis quotes item q7; name items and groups, never their text"
