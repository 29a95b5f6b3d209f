"""What a run may still spend, with an adjusted clock."""

from pathlib import Path
from typing import Any

import pytest

from eval.probe import probe_items
from eval.result import EvalResult
from graph import budget as clock
from graph.budget import DELIVERY_SECONDS, MERGE_SECONDS, OVERHEAD_SECONDS, SLOWER, Budget, Clock
from graph.config import PROFILES, RunConfig, choose_profile, parse_duration
from memory.records import Experiment, TrainingRun
from tasks.failure import InputError
from tasks.record import read_record, write_record


def budget(folder: Path, used: float = 0.0, **changes: Any) -> Budget:
    """A budget of 1,000 s and 3 experiments, of which earlier sessions used some seconds."""
    settings: dict[str, Any] = {"budget_seconds": 1000.0, "max_experiments": 3, **changes}
    config = RunConfig(
        run="r", task="t", profile="embedded", profile_reason="", model="m", memory_dir="", max_train_rows=100,
        engine="transformers", cache_dir="", tokens_per_second=100.0, **settings,
    )  # fmt: skip
    if used:
        write_record(folder / "clock.json", Clock(used=used))
    return Budget(config, folder / "clock.json", test_answers=100, other_answers=50)


def experiment(number: int, evaluation: float = 10.0, seconds: float = 0.0, generated: int = 25) -> Experiment:
    """An experiment whose two evaluations took some seconds; after the baseline it is trained."""
    result = EvalResult(
        split="selection", n=25, samples=1, score=0.5, standard_error=0.1, unparsed=0, truncated=0,
        generated=generated, seconds=evaluation / 2,
    )  # fmt: skip
    training = TrainingRun(
        adapter="a", adapter_hash="h", seed=0, steps=1, first_loss=1, final_loss=1, tokens_per_second=250.0,
        peak_memory_gib=1, seconds=1,
    )  # fmt: skip
    return Experiment(
        run="r", task="t", domain="d", model="m", number=number, feedback=result, selection=result,
        training=training if number else None, seconds=seconds,
    )  # fmt: skip


def test_the_time_of_test_and_delivery_is_set_aside(tmp_path: Path) -> None:
    """Both models answer the test and the probe; each at the pace of its slowest, and a little slower."""
    found = budget(tmp_path).reserve([experiment(0, evaluation=30.0), experiment(1, evaluation=25.0)])
    assert found == pytest.approx((100 + len(probe_items())) * 55.0 / 50 * SLOWER + DELIVERY_SECONDS)
    merging = budget(tmp_path, merge=True).reserve([experiment(0, evaluation=30.0), experiment(1, evaluation=25.0)])
    assert merging == pytest.approx(found + MERGE_SECONDS)


@pytest.mark.parametrize(("cut", "expected"), [(0.0, 50.0), (0.5, 40.0), (1.0, 30.0)])
def test_a_trained_model_is_expected_to_end_its_answers(cut: float, expected: float, tmp_path: Path) -> None:
    """The untouched model's pace holds less what runs into the token limit, until a trained one was seen."""
    untouched = experiment(0, evaluation=50.0)
    assert untouched.selection is not None
    untouched = untouched.model_copy(update={"selection": untouched.selection.model_copy(update={"truncated": cut})})
    assert budget(tmp_path).evaluation_seconds([untouched]) == pytest.approx(expected)
    assert budget(tmp_path).evaluation_seconds([untouched, experiment(1, evaluation=45.0)]) == 45.0


def test_an_evaluation_from_the_cache_says_nothing_about_time(tmp_path: Path) -> None:
    """A resumed run reads completions back in no time."""
    assert budget(tmp_path).evaluation_seconds([experiment(0), experiment(1, evaluation=99.0, generated=0)]) == 10.0


def test_where_both_splits_are_the_same_rows_one_of_them_is_generated(tmp_path: Path) -> None:
    """Selection is then read back from the cache; its time is that of feedback."""
    shared = experiment(0, evaluation=60.0)
    assert shared.selection is not None
    cached = shared.selection.model_copy(update={"generated": 0, "seconds": 0.0})
    assert budget(tmp_path).evaluation_seconds([shared.model_copy(update={"selection": cached})]) == 30.0


def test_an_evaluation_that_stopped_early_counts_as_a_whole_one(tmp_path: Path) -> None:
    """25 of 100 selection items took 10 s, so all would have taken 40 s; feedback is never cut."""
    stopped = experiment(1, evaluation=20.0)
    assert stopped.selection is not None
    stopped = stopped.model_copy(update={"selection": stopped.selection.model_copy(update={"split_n": 100})})
    assert budget(tmp_path).evaluation_seconds([stopped]) == pytest.approx(50.0)


def test_an_evaluation_with_answers_from_the_cache_counts_as_a_whole_one(tmp_path: Path) -> None:
    """After a restart 5 of 25 items were left on each split, and took 10 s."""
    resumed = experiment(1, evaluation=20.0, generated=5)
    assert budget(tmp_path).evaluation_seconds([resumed]) == pytest.approx(100.0)


def test_an_evaluation_of_feedback_only_counts_as_a_whole_one(tmp_path: Path) -> None:
    """A generalist's: 25 of the 50 answers took 4 s."""
    half = experiment(1, evaluation=8.0).model_copy(update={"selection": None})
    assert budget(tmp_path).evaluation_seconds([experiment(0), half]) == pytest.approx(8.0)


def test_what_earlier_sessions_used_counts(tmp_path: Path) -> None:
    """Resuming grants no new time."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    fresh, resumed = budget(tmp_path / "a"), budget(tmp_path / "b", used=400.0)
    trials = [experiment(0)]
    assert (fresh.seconds_left(trials) or 0) - (resumed.seconds_left(trials) or 0) == pytest.approx(400, abs=1)
    resumed.save()
    assert read_record(tmp_path / "b/clock.json", Clock).used == pytest.approx(400, abs=1)


@pytest.mark.parametrize(
    ("tried", "used", "changes", "allowed"),
    [
        (0, 0.0, {}, True),
        (2, 0.0, {}, True),
        (3, 0.0, {}, False),  # as many as planned
        (0, 1000.0 - DELIVERY_SECONDS - 52.0 - OVERHEAD_SECONDS, {}, False),  # no time for a useful one
        (0, 5000.0, {"budget_seconds": None}, True),  # no time limit
        (3, 0.0, {"budget_seconds": None}, False),
    ],
)
def test_whether_another_experiment_may_start(
    tried: int, used: float, changes: dict[str, Any], allowed: bool, tmp_path: Path
) -> None:
    """One must be left, and time for it."""
    trials = [experiment(number) for number in range(tried + 1)]
    assert budget(tmp_path, used, **changes).allows_another(trials) is allowed


@pytest.mark.parametrize(("planned", "tried"), [(1, 0), (3, 0), (3, 1), (3, 2)])
def test_time_is_shared_evenly_among_the_experiments_that_are_left(planned: int, tried: int, tmp_path: Path) -> None:
    """The last one gets all; each share pays for its own evaluation."""
    trials = [experiment(number) for number in range(tried + 1)]
    found = budget(tmp_path, max_experiments=planned)
    left = found.seconds_left(trials) or 0
    assert found.training_seconds(trials) == pytest.approx(left / (planned - tried) - 10 - OVERHEAD_SECONDS, abs=1)


def test_a_plan_may_ask_for_another_share_and_leaves_the_rest(tmp_path: Path) -> None:
    """An experiment that takes what its share buys leaves the other shares untouched, but for the clock's noise."""
    trials = [experiment(0)]
    found = budget(tmp_path)
    left = found.seconds_left(trials) or 0
    seconds = found.training_seconds(trials, 0.6)
    assert seconds == pytest.approx(0.6 * left - 10 - OVERHEAD_SECONDS, abs=1)
    later = budget(tmp_path, used=(seconds or 0) + 10 + OVERHEAD_SECONDS)
    assert later.seconds_left([*trials, experiment(1)]) == pytest.approx(0.4 * left, abs=1)


def test_replicates_share_the_time(tmp_path: Path) -> None:
    """Three seeds: a third each, after the evaluations of all three."""
    trials = [experiment(0)]
    three = budget(tmp_path, replicates=3)
    left = three.seconds_left(trials) or 0
    assert three.training_seconds(trials, 0.5) == pytest.approx((left / 2 - 3 * 10 - OVERHEAD_SECONDS) / 3, abs=1)


def test_training_time_is_never_negative(tmp_path: Path) -> None:
    """However late it is."""
    late = budget(tmp_path, used=3000.0)
    assert late.training_seconds([experiment(0)]) == 0
    assert (late.seconds_left([experiment(0)]) or 0) < 0


def test_roles_are_told_rounded_figures(tmp_path: Path) -> None:
    """Whole minutes, tokens to two digits: the noise of a clock changes no decision. The measured speed counts."""
    before = budget(tmp_path).remaining([experiment(0)])
    after = budget(tmp_path).remaining([experiment(0), experiment(1, seconds=200.0)])
    assert (before.experiments, after.experiments) == (3, 2)
    assert before.minutes == round((1000 - DELIVERY_SECONDS - 52) / 60)
    assert before.training_tokens is not None
    assert after.training_tokens is not None
    assert len(str(before.training_tokens).rstrip("0")) <= 2
    assert after.training_tokens > before.training_tokens


def test_roles_are_told_what_a_share_buys_and_what_all_the_time_would(tmp_path: Path) -> None:
    """At 100 tokens a second; what is between the two follows from them."""
    trials = [experiment(0)]
    found = budget(tmp_path)
    told = {share: found.remaining(trials, share) for share in (None, 1 / 3, 0.5, 1.0)}
    assert told[None] == told[1 / 3]
    assert len({one.most_tokens for one in told.values()}) == 1
    assert told[1.0].training_tokens == told[1.0].most_tokens == pytest.approx(832 * 100, rel=0.02)
    assert told[0.5].training_tokens == pytest.approx(396 * 100, rel=0.02)
    assert budget(tmp_path, max_experiments=1).remaining(trials).training_tokens == told[1.0].most_tokens


def test_without_a_time_limit_nothing_is_said_of_time(tmp_path: Path) -> None:
    """Two runs compared under `--max-experiments` do not depend on a clock."""
    found = budget(tmp_path, budget_seconds=None).remaining([experiment(0)])
    assert (found.minutes, found.training_tokens, found.most_tokens) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("12h", 43200), ("1h30m", 5400), ("1.5h", 5400), (" 1h1m1s ", 3661)],
)
def test_durations(text: str, seconds: float) -> None:
    """Hours, minutes and seconds, in this order."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "1m1h", "-5m", "0s", "soon", "5 m", "1e3s", "nan"])
def test_bad_durations(text: str) -> None:
    """Anything else is an input error that names the flag."""
    with pytest.raises(InputError, match="--budget"):
        parse_duration(text)


def test_profiles_are_chosen_by_the_hardware_or_by_name() -> None:
    """The reason is told; a name wins."""
    from eval.hardware import Gpu, Hardware

    laptop = Hardware(processor="p", cores=2, memory_gib=8, gpus=())
    server = laptop.model_copy(update={"gpus": (Gpu(name="H", memory_gib=80),)})
    assert choose_profile("auto", laptop) == (PROFILES["embedded"], "no CUDA device is there")
    assert choose_profile("auto", server)[0] == PROFILES["gpu"]
    assert choose_profile("embedded", server)[0] == PROFILES["embedded"]


def test_the_clock_stands_still_while_a_person_thinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither then nor afterwards does the time count, nor after a resume; work before and after it does."""
    now = [1000.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    found = budget(tmp_path, used=40.0)
    now[0] += 10
    with found.stopped():
        now[0] += 5000
        assert found.used == 50
        assert read_record(tmp_path / "clock.json", Clock).used == 50  # also for a process that is killed now
        assert found.allows_another([experiment(0)])
    now[0] += 3
    assert found.used == 53
    found.save()
    assert budget(tmp_path).used == 53


def test_the_clock_goes_on_after_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who leaves without an answer has used nothing either."""
    now = [1000.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    found = budget(tmp_path)

    def leave() -> None:
        with found.stopped():
            now[0] += 70
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    now[0] += 1
    assert found.used == 1
