"""The accounts: sums that survive a restart, and caps that look at what is in flight."""

import asyncio
from pathlib import Path

import pytest

from eval.chat_records import Limits, Tally, TokenUsage
from eval.spending import Accounts, CapReached
from tasks.failure import InputError
from tasks.record import read_jsonl

MOST = TokenUsage(input=10, output=30, estimated=True)
TOOK = TokenUsage(input=12, output=5, cached_input=4)


async def spend(accounts: Accounts, usage: TokenUsage = TOOK, cost: float | None = 0.5, **more: object) -> None:
    trouble = more.pop("trouble", None)
    call = await accounts.begin("planner", "openai:m", MOST, cost, int(str(more.pop("retry", 0))))
    await accounts.end(call, usage, cost, 0.1, None if trouble is None else str(trouble))


def test_sums_and_who_spent_them(tmp_path: Path) -> None:
    async def work() -> None:
        accounts = Accounts(tmp_path / "new" / "spending.jsonl", Limits())
        await spend(accounts)
        await spend(accounts, TokenUsage(), 0.0, trouble="timeout")
        await spend(accounts, MOST, None, retry=1)
        accounts.reuse("trainer", "openai:m")
        spent = accounts.spent()
        assert spent.by_who["planner"] == Tally(
            calls=3, failures=1, retries=1, usage=TOOK + MOST, cost=0.5, unpriced=1, estimated=1
        )
        assert spent.by_who["trainer"] == Tally(reused=1)
        assert spent.total == spent.by_who["planner"].model_copy(update={"reused": 1})
        again = Accounts(tmp_path / "new" / "spending.jsonl", Limits())
        assert again.spent() == spent

    asyncio.run(work())


def test_a_call_whose_end_nobody_saw_counts_with_what_it_might_have_taken(tmp_path: Path) -> None:
    async def work() -> None:
        path = tmp_path / "spending.jsonl"
        killed = Accounts(path, Limits())
        await spend(killed)
        await killed.begin("planner", "openai:m", MOST, 0.25, 0)
        assert killed.spent().total.calls == 1
        total = Accounts(path, Limits()).spent().total
        assert total == Tally(calls=2, failures=1, usage=TOOK + MOST, cost=0.75, estimated=1)
        assert Accounts(path, Limits()).spent().total == total  # and only once

    asyncio.run(work())


def test_half_a_line_at_the_end_is_dropped(tmp_path: Path) -> None:
    async def work() -> None:
        path = tmp_path / "spending.jsonl"
        await spend(Accounts(path, Limits()))
        whole = path.read_bytes()
        path.write_bytes(whole + whole[:50])
        accounts = Accounts(path, Limits())
        await spend(accounts)
        assert accounts.spent().total.calls == 2
        assert len(list(read_jsonl(path))) == 4

    asyncio.run(work())


@pytest.mark.parametrize("line", ['{"event": "sent"}', "rubbish"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "spending.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match="row 1"):
        Accounts(path, Limits())


def test_what_is_in_flight_counts_under_a_cap(tmp_path: Path) -> None:
    async def work() -> None:
        accounts = Accounts(tmp_path / "spending.jsonl", Limits(max_tokens=75))
        first = await accounts.begin("a", "m", MOST, 0, 0)
        second = asyncio.create_task(accounts.begin("a", "m", MOST, 0, 0))
        await asyncio.sleep(0.05)
        assert not second.done()  # 40 in flight and 40 more: it waits
        await accounts.end(first, TOOK, 0, 0, None)
        await asyncio.wait_for(second, 5)  # 17 spent and 40 more
        with pytest.raises(CapReached, match=r"75 tokens \(--max-tokens\).* 17 are spent.* may take 65"):
            await accounts.begin("a", "m", TokenUsage(input=65), 0, 0)  # does not fit, whatever comes of the others

    asyncio.run(work())


def test_those_who_wait_are_refused_when_nothing_is_left(tmp_path: Path) -> None:
    async def work() -> None:
        accounts = Accounts(tmp_path / "spending.jsonl", Limits(max_tokens=75))
        first = await accounts.begin("a", "m", MOST, 0, 0)
        waiting = asyncio.create_task(accounts.begin("a", "m", MOST, 0, 0))
        await asyncio.sleep(0.05)
        await accounts.end(first, MOST, 0, 0, None)
        with pytest.raises(CapReached):
            await asyncio.wait_for(waiting, 5)

    asyncio.run(work())


def test_the_cap_on_cost_adds_up_small_numbers_without_losing_the_last(tmp_path: Path) -> None:
    async def work() -> None:
        accounts = Accounts(tmp_path / "spending.jsonl", Limits(max_cost=0.3))
        for _ in range(3):
            await spend(accounts, cost=0.1)
        with pytest.raises(CapReached, match=r"\$0.3 \(--max-cost\)"):
            await spend(accounts, cost=0.001)
        await spend(accounts, cost=0.0)

    asyncio.run(work())
