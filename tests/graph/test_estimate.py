"""What a plan is expected to take: minutes out of the budget, money out of what was spent so far."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import situations as s

from eval.chat_records import Spent, Tally, TokenUsage
from graph.budget import CLOCK, OVERHEAD_SECONDS, Budget
from graph.config import RunConfig
from graph.estimate import Estimate, estimate, in_words, model_costs
from memory.records import Experiment


def tally(tokens: int, cost: float, unpriced: int = 0) -> Tally:
    """What somebody's calls took."""
    usage = TokenUsage(input=tokens - tokens // 4, output=tokens // 4)
    return Tally(calls=3, usage=usage, cost=cost, unpriced=unpriced)


def spent(unpriced: str = "", **left: Any) -> Spent:
    """Planner, trainer and a data step have asked; the calls of one may have no known price."""
    found = {"planner": (4000, 0.5), "trainer": (2000, 0.1), "synthesize": (10_000, 0.3)}
    by_who = {who: tally(tokens, cost, int(who == unpriced)) for who, (tokens, cost) in found.items()}
    return Spent(total=tally(16_000, 0.9), by_who=by_who, **left)


def found(
    folder: Path, experiments: list[Experiment], share: float | None = None, account: Spent | None = None, **config: Any
) -> Estimate:
    """The estimate of a plan that wants a share of the time."""
    settings: dict[str, Any] = {"budget_seconds": 1000.0, "max_experiments": 4, **config}
    made = RunConfig(
        run="r", task="t", profile="embedded", profile_reason="", model="m", memory_dir="", max_train_rows=100,
        engine="transformers", cache_dir="", tokens_per_second=100.0, **settings,
    )  # fmt: skip
    gateway = SimpleNamespace(spent=lambda: account) if account else None
    budget = Budget(made, folder / CLOCK, test_answers=40, other_answers=40)
    context: Any = SimpleNamespace(config=made, budget=budget, gateway=gateway)
    return estimate(context, experiments, s.plan().model_copy(update={"budget_share": share}))


UNTOUCHED = s.untouched()
"""Its evaluation took 4 s."""
TRAINED = s.trial(1)
"""Its training took 30 s."""


def test_with_a_time_limit_a_plan_takes_the_share_that_it_asks_for(tmp_path: Path) -> None:
    """Evaluation and overhead come out of it; without a share, time is divided evenly."""
    half, even = found(tmp_path, [UNTOUCHED], 0.5), found(tmp_path, [UNTOUCHED])
    assert half.minutes_left
    assert half.minutes == pytest.approx(half.minutes_left / 2, abs=0.15)
    assert even.minutes == pytest.approx(half.minutes_left / 4, abs=0.15)
    assert half.other_minutes == OVERHEAD_SECONDS / 60
    assert half.evaluation_minutes == pytest.approx(4 / 60, abs=0.05)
    assert in_words(half)[0].startswith(f"time: about {half.minutes:.1f} minutes of the {half.minutes_left:g} left")


def test_replicates_share_the_time_of_their_experiment(tmp_path: Path) -> None:
    """Three trainings take three times one third."""
    one, three = found(tmp_path, [UNTOUCHED], 0.5), found(tmp_path, [UNTOUCHED], 0.5, replicates=3)
    assert three.minutes == pytest.approx(one.minutes, abs=0.15)
    assert three.evaluation_minutes > one.evaluation_minutes


def test_without_a_time_limit_the_latest_training_tells(tmp_path: Path) -> None:
    """Before there is one, nothing does, and that is said."""
    before = found(tmp_path, [UNTOUCHED], budget_seconds=None)
    after = found(tmp_path, [UNTOUCHED, TRAINED], budget_seconds=None)
    assert (before.minutes, before.minutes_left) == (None, None)
    assert "may take any time" in in_words(before)[0]
    assert after.training_minutes == 0.5
    assert "as the latest; no limit" in in_words(after)[0]


def test_money_of_an_experiment_is_what_those_before_took_without_their_plans(tmp_path: Path) -> None:
    """The plan is made and paid when it is shown; two experiments took 12,000 tokens and 0.4 dollars."""
    models = found(tmp_path, [UNTOUCHED, TRAINED, s.trial(2)], account=spent(tokens_left=9000, dollars_left=1.5)).models
    assert models
    assert (models.tokens, models.dollars) == (6000, 0.2)
    said = in_words(found(tmp_path, [UNTOUCHED, TRAINED], account=spent(tokens_left=9000, dollars_left=1.5)))[1]
    assert said == "money: about $0.4 (12,000 tokens), as the experiments so far; left: 9,000 tokens and $1.50"


def test_before_the_first_experiment_nothing_is_known_but_the_plan(tmp_path: Path) -> None:
    """An estimate out of nothing would be none."""
    said = in_words(found(tmp_path, [UNTOUCHED], account=spent()))[1]
    assert said == (
        "money: not known before the first experiment; planning it took $0.5 (4,000 tokens); left: no limit is set"
    )


@pytest.mark.parametrize(("unpriced", "dollars", "planned"), [("trainer", None, 0.5), ("planner", 0.4, None)])
def test_an_unknown_price_is_called_so(unpriced: str, dollars: float | None, planned: float | None) -> None:
    """One call without a price makes the sum unknown; tokens are still known."""
    models = model_costs(spent(unpriced), [UNTOUCHED, TRAINED])
    assert (models.tokens, models.dollars, models.planned_dollars) == (12_000, dollars, planned)


def test_an_unknown_price_in_words(tmp_path: Path) -> None:
    """The tokens are told instead."""
    said = in_words(found(tmp_path, [UNTOUCHED, TRAINED], account=spent("trainer")))[1]
    assert said.startswith("money: about 12,000 tokens at an unknown price, as")


def test_without_a_language_model_there_is_no_money(tmp_path: Path) -> None:
    """And that is said, too."""
    assert in_words(found(tmp_path, [UNTOUCHED]))[1] == "money: no language model is asked"
