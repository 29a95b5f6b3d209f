"""The computations asked in each subject. Amounts carry no currency, rates are whole percentages."""

from __future__ import annotations

from tasks.starter.computations import Computation

COMPUTATIONS: tuple[Computation, ...] = (
    Computation(
        "accounting",
        "Current assets are {a} and current liabilities are {b}. What is the current ratio?",
        "A firm must pay {b} within a year and owns short-term resources of {a}. Compute its liquidity quotient.",
        "The current ratio is current assets divided by current liabilities: {a} / {b} = {result}.",
        {"a": range(60_000, 300_000, 10_000), "b": range(40_000, 130_000, 20_000)},
        lambda v: tuple((2 * v["a"] + halves * v["b"]) / (2 * v["b"]) for halves in (0, 1, 2, -1)),
    ),
    Computation(
        "accounting",
        "A machine costs {c}, has a residual value of {r} and a useful life of {n} years. "
        "What is the yearly straight-line depreciation?",
        "Equipment bought for {c} will be sold for {r} after {n} years. Which equal charge does each year bear?",
        "The depreciable amount is {c} - {r}, and spread evenly over {n} years it gives {result} a year.",
        {"c": range(20_000, 90_000, 5_000), "r": range(2_000, 10_000, 1_000), "n": range(4, 11)},
        lambda v: ((v["c"] - v["r"]) / v["n"], v["c"] / v["n"], (v["c"] + v["r"]) / v["n"], v["c"] - v["r"]),
    ),
    Computation(
        "banking",
        "A deposit of {p} earns simple interest of {i} per cent a year. How much interest is earned in {n} years?",
        "Over {n} years a saver leaves {p} at {i} per cent annually, without compounding. Find the total earnings.",
        "Simple interest is principal times rate times time: {p} x {i} / 100 x {n} = {result}.",
        {"p": range(1_000, 20_000, 500), "i": range(2, 9), "n": range(2, 7)},
        lambda v: tuple(v["p"] * v["i"] / 100 * n for n in (v["n"], 1, v["n"] + 1, v["n"] + 2)),
    ),
    Computation(
        "securities",
        "A company has {n} shares outstanding, and one share trades at {p}. What is its market capitalisation?",
        "At a quotation of {p} apiece, what is the market worth of all {n} shares in issue?",
        "Market capitalisation is the price times the number of shares: {p} x {n} = {result}.",
        {"n": range(20_000, 400_000, 20_000), "p": range(12, 60)},
        lambda v: tuple(v["n"] * p for p in (v["p"], v["p"] + 1, v["p"] / 2, v["p"] - 2)),
    ),
    Computation(
        "securities",
        "A bond has a face value of {f} and a coupon rate of {c} per cent. What is its yearly coupon payment?",
        "How much does the holder of debt paper with a nominal amount of {f} receive per year at {c} per cent?",
        "The coupon is the face value times the coupon rate: {f} x {c} / 100 = {result}.",
        {"f": range(1_000, 30_000, 1_000), "c": range(2, 10)},
        lambda v: tuple(v["f"] * share / 100 for share in (v["c"], 100 + v["c"], 100 - v["c"], v["c"] / 2)),
    ),
    Computation(
        "funds",
        "A fund has assets of {a}, liabilities of {d} and {n} shares. What is its net asset value per share?",
        "{n} units are in issue. With holdings worth {a} and debts of {d}, at what amount is one unit valued?",
        "Assets less liabilities are {a} - {d}, and divided by {n} shares this gives {result}.",
        {
            "a": range(500_000, 2_000_000, 50_000),
            "d": range(20_000, 99_000, 10_000),
            "n": range(10_000, 60_000, 10_000),
        },
        lambda v: tuple(amount / v["n"] for amount in (v["a"] - v["d"], v["a"], v["a"] + v["d"], v["a"] - 2 * v["d"])),
    ),
    Computation(
        "insurance",
        "A covered loss amounts to {x} and the policy has a deductible of {d}. How much does the insurer pay?",
        "The client bears the first {d} of every claim. What is received after damage of {x}?",
        "The insurer pays the loss less the deductible: {x} - {d} = {result}.",
        {"x": range(2_000, 20_000, 500), "d": range(200, 1_200, 100)},
        lambda v: (v["x"] - v["d"], v["x"] + v["d"], v["x"], v["x"] - 2 * v["d"]),
    ),
    Computation(
        "insurance",
        "Claims incurred are {c} and premiums earned are {p}. What is the loss ratio in per cent?",
        "For {p} of earned income an insurer had damage costs of {c}. What is its claims quotient in per cent?",
        "The loss ratio is claims divided by premiums: {c} / {p} = {result}.",
        {"c": range(60_000, 190_000, 10_000), "p": range(100_000, 260_000, 50_000)},
        lambda v: tuple(100 * c / v["p"] for c in (v["c"], v["c"] + 10_000, v["c"] - 20_000, v["c"] + v["p"])),
        " per cent",
    ),
    Computation(
        "economics",
        "The price of a good changes by {p} per cent and the quantity demanded by {q} per cent. "
        "What is the price elasticity of demand in absolute value?",
        "Buyers react to a {p} per cent dearer product by taking {q} per cent less. How strong is the reaction?",
        "Elasticity is the change in quantity divided by the change in price: {q} / {p} = {result}.",
        {"p": range(2, 21, 2), "q": range(1, 41)},
        lambda v: tuple(q / v["p"] for q in (v["q"], v["q"] + v["p"], 2 * v["q"], v["q"] / 2)),
    ),
    Computation(
        "tax",
        "The tax base is {b} and the tax rate is {r} per cent. How much tax is due?",
        "A levy of {r} per cent falls on a chargeable amount of {b}. What must be handed over?",
        "Tax is the rate times the base: {b} x {r} / 100 = {result}.",
        {"b": range(10_000, 90_000, 2_500), "r": range(8, 41)},
        lambda v: tuple(v["b"] * r / 100 for r in (v["r"], 100 - v["r"], v["r"] / 2, v["r"] + 1)),
    ),
    Computation(
        "tax",
        "Income is {y}, the allowance is {a} and the rate on the rest is {r} per cent. How much tax is due?",
        "A worker earns {y}, of which {a} is free, and {r} per cent applies beyond that. Find the final bill.",
        "The taxable income is {y} - {a}, and {r} per cent of it is {result}.",
        {"y": range(20_000, 80_000, 2_000), "a": range(4_000, 13_000, 1_000), "r": range(10, 41, 5)},
        lambda v: tuple(
            amount * v["r"] / 100 for amount in (v["y"] - v["a"], v["y"], v["y"] + v["a"], v["y"] - 2 * v["a"])
        ),
    ),
    Computation(
        "futures",
        "A trader buys one futures contract on {n} units at {p} and sells it at {q}. What is the gain before costs?",
        "A long holder of a single contract covering {n} units sees the quote go from {p} to {q}. State the profit.",
        "The gain is the price change times the contract size: ({q} - {p}) x {n} = {result}.",
        {"n": range(100, 5_100, 100), "p": range(20, 50), "q": range(51, 70)},
        lambda v: tuple(v["n"] * move for move in (v["q"] - v["p"], v["q"], v["p"], v["q"] - v["p"] + 1)),
    ),
    Computation(
        "financial_planning",
        "A household owns assets of {a} and owes debts of {d}. What is its net worth?",
        "Add up a family's possessions to {a} and its loans to {d}. How wealthy is it after all debts?",
        "Net worth is what is owned less what is owed: {a} - {d} = {result}.",
        {"a": range(80_000, 600_000, 5_000), "d": range(10_000, 70_000, 3_000)},
        lambda v: (v["a"] - v["d"], v["a"] + v["d"], v["a"], v["a"] - 2 * v["d"]),
    ),
    Computation(
        "financial_planning",
        "Monthly expenses are {e}. How large is an emergency fund covering {n} months?",
        "Someone spending {e} each month wants to get by for {n} months without pay. What reserve is needed?",
        "The fund is monthly expenses times the number of months: {e} x {n} = {result}.",
        {"e": range(1_200, 4_000, 100), "n": range(3, 10)},
        lambda v: tuple(v["e"] * n for n in (v["n"], v["n"] + 1, v["n"] - 1, 12)),
    ),
    Computation(
        "actuarial",
        "What is the present value of {x} due in one year at an interest rate of {i} per cent?",
        "In twelve months {x} has to be paid. How much set aside today at {i} per cent is just enough?",
        "The payment is divided by one plus the rate: {x} / (1 + {i} / 100) = {result}.",
        {"x": range(1_010, 22_001, 10), "i": range(2, 11)},
        lambda v: (
            v["x"] / (1 + v["i"] / 100),
            v["x"] * (1 + v["i"] / 100),
            v["x"] * (1 - v["i"] / 100),
            v["x"] * v["i"] / 100,
        ),
    ),
    Computation(
        "actuarial",
        "Claim frequency is {f} per 100 policies and mean severity is {s}. What is the pure premium per policy?",
        "Among 100 policies {f} losses of {s} on average are foreseen. What does one contract cost in expectation?",
        "The pure premium is frequency times severity: {f} / 100 x {s} = {result}.",
        {"f": range(2, 25), "s": range(1_000, 9_000, 200)},
        lambda v: tuple(v["s"] * f / 100 for f in (v["f"], v["f"] + 1, 100 - v["f"], v["f"] / 2)),
    ),
)
