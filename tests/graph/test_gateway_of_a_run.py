"""Who may be asked in a run, and what is refused before it begins."""

from pathlib import Path
from typing import Any

import made_up
import pytest

from graph.gateway import answer_seconds, choose_tiers, open_gateway
from graph.run_dir import RunDir
from roles.backbone import choose_specs, load_minds
from tasks.failure import InputError

ONE, TWO, THREE = (f"openai:{name}@http://127.0.0.1:9/v1" for name in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("flag", "backbones", "expected"),
    [
        (None, ["expert"], {}),
        (None, [ONE], {"strong": ONE, "weak": ONE}),
        (None, ["expert", f"planner={ONE}"], {"strong": ONE, "weak": ONE}),
        (None, [ONE, f"data_engineer={TWO}"], {"strong": TWO, "weak": TWO}),
        (f"strong={TWO},weak={THREE}", [ONE], {"strong": TWO, "weak": THREE}),
        (f"weak={THREE}", [ONE], {"strong": ONE, "weak": THREE}),
        (f"weak={THREE}", ["expert"], {"strong": THREE, "weak": THREE}),
        (f"strong={TWO}", ["recorded:FILE"], {"strong": TWO, "weak": TWO}),
    ],
)
def test_the_models_of_data_steps(flag: str | None, backbones: list[str], expected: dict[str, str]) -> None:
    assert choose_tiers(flag, choose_specs(backbones)) == expected


@pytest.mark.parametrize("flag", ["strong", "middle=openai:m", "strong=oracle:m", "strong=openai"])
def test_wrong_tiers_are_refused(flag: str) -> None:
    with pytest.raises(InputError):
        choose_tiers(flag, choose_specs(["expert"]))


def test_without_a_language_model_there_is_no_gateway(tmp_path: Path) -> None:
    assert open_gateway(made_up.config(), load_minds(["expert"]), RunDir(tmp_path)) is None


def test_tiers_alone_need_one(tmp_path: Path) -> None:
    tiers: Any = {"strong": ONE, "weak": ONE}
    gateway = open_gateway(made_up.config(tiers=tiers), load_minds(["expert"]), RunDir(tmp_path / "run"))
    assert gateway
    assert not (tmp_path / "run").exists(), "nothing is written before it is asked"
    gateway.close()


def test_prices_are_looked_at_before_anything_is_written(tmp_path: Path) -> None:
    minds, run = load_minds([ONE]), RunDir(tmp_path / "run")
    with pytest.raises(InputError, match=r"--max-cost: the price of openai:one@\S+ is unknown; give it with --price"):
        open_gateway(made_up.config(max_cost=1.0), minds, run)
    with pytest.raises(InputError, match="expected SPEC=IN,OUT"):
        open_gateway(made_up.config(prices=(f"{ONE}=1",)), minds, run)
    gateway = open_gateway(made_up.config(max_cost=1.0, prices=(f"{ONE}=1,2",)), minds, run)
    assert gateway
    gateway.close()
    assert not run.path.exists()


def test_the_time_of_an_answer() -> None:
    assert (answer_seconds(None), answer_seconds("90s"), answer_seconds("1h")) == (600.0, 90.0, 3600.0)
    with pytest.raises(InputError, match="--answer-timeout soon: expected a duration"):
        answer_seconds("soon")
