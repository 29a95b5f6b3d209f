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
        "accounting",
        "Sales revenue is {s} and the cost of goods sold is {c}. What is the gross profit margin in per cent?",
        "A shop buys its wares for {c} and takes in {s} for them. Which percentage of the takings is left?",
        "Gross profit is {s} - {c}, and divided by {s} this is {result}.",
        {"s": range(50_000, 250_000, 50_000), "c": range(20_000, 190_000, 5_000)},
        lambda v: tuple(
            100 * left / v["s"] for left in (v["s"] - v["c"], v["c"], v["s"] - v["c"] + 10_000, v["s"] - v["c"] / 2)
        ),
        " per cent",
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
        "banking",
        "A deposit of {p} earns {i} per cent a year, compounded annually. How much is in the account after two years?",
        "Yearly interest at {i} per cent is left untouched. To what sum do savings of {p} grow by the end of year two?",
        "Each year multiplies the balance by one plus the rate: {p} x (1 + {i} / 100) x (1 + {i} / 100) = {result}.",
        {"p": range(1_000, 31_000, 1_000), "i": range(2, 11)},
        lambda v: tuple(
            v["p"] * factor / 10_000
            for factor in ((100 + v["i"]) ** 2, 10_000 + 200 * v["i"], 10_000 + 100 * v["i"], (101 + v["i"]) ** 2)
        ),
    ),
    Computation(
        "banking",
        "A loan of {k} is secured on a property worth {w}. What is the loan-to-value ratio in per cent?",
        "Somebody borrows {k} to buy a house appraised at {w}. Which percentage of the appraisal is debt?",
        "The ratio is the loan divided by the value of the property: {k} / {w} = {result}.",
        {"k": range(60_000, 400_000, 10_000), "w": range(100_000, 600_000, 100_000)},
        lambda v: tuple(100 * part / v["w"] for part in (v["k"], v["w"] - v["k"], v["k"] + 10_000, v["k"] - 20_000)),
        " per cent",
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
        "securities",
        "A share trades at {p} and pays a yearly dividend of {d}. What is its dividend yield in per cent?",
        "Every share bought for {p} brings {d} in cash per year. Express this income as a percentage of the outlay.",
        "The dividend yield is the dividend divided by the price: {d} / {p} = {result}.",
        {"p": range(50, 410, 10), "d": range(1, 13)},
        lambda v: tuple(100 * d / v["p"] for d in (v["d"], v["d"] + 1, 2 * v["d"], v["d"] / 2)),
        " per cent",
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
        "funds",
        "Fund units are worth {a} and the yearly charge is {b} basis points. How much is charged in a year?",
        "At ongoing costs of {b} basis points, what do twelve months take from a holding valued at {a}?",
        "A basis point is a hundredth of a per cent: {a} x {b} / 10,000 = {result}.",
        {"a": range(10_000, 200_000, 5_000), "b": range(20, 160, 10)},
        lambda v: tuple(v["a"] * b / 10_000 for b in (v["b"], v["b"] + 10, 2 * v["b"], v["b"] / 2)),
    ),
    Computation(
        "funds",
        "Fund units bought at {p} are sold at {q} after a distribution of {d} each. "
        "What is the total return in per cent?",
        "A saver paid {p} for one unit, collected {d} on the way and cashed in at {q}. "
        "By what percentage did the money grow?",
        "The gain is {q} - {p} + {d}, and divided by the purchase price of {p} it is {result}.",
        {"p": range(80, 260, 10), "q": range(85, 300, 5), "d": range(1, 9)},
        lambda v: tuple(
            100 * gain / v["p"]
            for gain in (
                v["q"] - v["p"] + v["d"],
                v["q"] - v["p"],
                v["q"] - v["p"] - v["d"],
                v["q"] - v["p"] + 2 * v["d"],
            )
        ),
        " per cent",
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
        {"c": range(120_000, 300_000, 5_000), "p": range(200_000, 350_000, 50_000)},
        lambda v: tuple(100 * c / v["p"] for c in (v["c"], v["c"] + 10_000, v["c"] - 20_000, v["c"] + v["p"])),
        " per cent",
    ),
    Computation(
        "insurance",
        "A loss is {x}. After a deductible of {d} the insurer bears {c} per cent of the rest. How much does it pay?",
        "Repairs cost {x}. The client carries {d} alone, and the company takes over {c} per cent of what remains. "
        "Which sum does the company transfer?",
        "What exceeds the deductible is {x} - {d}, and {c} per cent of it is {result}.",
        {"x": range(2_000, 30_000, 500), "d": range(200, 1_200, 100), "c": range(60, 100, 10)},
        lambda v: tuple(
            part / 100
            for part in (
                (v["x"] - v["d"]) * v["c"],
                v["x"] * v["c"],
                (v["x"] - v["d"]) * (100 - v["c"]),
                (v["x"] + v["d"]) * v["c"],
            )
        ),
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
        "economics",
        "A price index of {a} rises by {c} points within a year. What is the rate of inflation in per cent?",
        "A basket of goods that used to cost {a} is dearer by {c} twelve months later. By what percentage did it rise?",
        "Inflation is the change of the index divided by its old value: {c} / {a} = {result}.",
        {"a": range(120, 420, 5), "c": range(2, 30)},
        lambda v: (100 * v["c"] / v["a"], v["c"], 100 * (v["c"] + 1) / v["a"], 50 * v["c"] / v["a"]),
        " per cent",
    ),
    Computation(
        "economics",
        "Government spending rises by {g}, and households consume {c} per cent of extra income. "
        "By how much does income rise in the simple multiplier model?",
        "People spend {c} per cent of whatever they earn in addition. The state orders goods for another {g}. "
        "How far does output climb in a textbook economy without taxes and trade?",
        "The multiplier is one divided by one minus the share consumed: {g} / (1 - {c} / 100) = {result}.",
        {"g": range(1_000, 30_000, 500), "c": range(50, 95, 5)},
        lambda v: (
            v["g"] / (1 - v["c"] / 100),
            v["g"] * v["c"] / 100,
            v["g"] * (1 + v["c"] / 100),
            v["g"] * (1 - v["c"] / 100),
        ),
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
        "tax",
        "A price is {p} before value added tax, and the rate is {r} per cent. How much does the customer pay?",
        "A joiner asks {p} net and adds {r} per cent for the treasury. Which amount stands at the bottom of the bill?",
        "The tax of {r} per cent is added to the price: {p} x (1 + {r} / 100) = {result}.",
        {"p": range(200, 9_000, 50), "r": range(5, 26)},
        lambda v: tuple(v["p"] * share / 100 for share in (100 + v["r"], v["r"], 100 - v["r"], 101 + v["r"])),
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
        "futures",
        "A futures position is worth {w} and the initial margin is {m} per cent. How much must be deposited?",
        "For a contract on goods valued at {w} the exchange wants {m} per cent up front. State the sum to be paid in.",
        "The margin is a percentage of the value of the position: {w} x {m} / 100 = {result}.",
        {"w": range(20_000, 300_000, 5_000), "m": range(4, 16)},
        lambda v: tuple(v["w"] * share / 100 for share in (v["m"], 100 - v["m"], v["m"] + 1, 2 * v["m"])),
    ),
    Computation(
        "futures",
        "A farmer hedges a crop of {q} tonnes with futures contracts of {s} tonnes each. How many contracts are sold?",
        "One contract stands for {s} tonnes. What number of them matches the {q} tonnes that a mill will need?",
        "The number of contracts is the quantity divided by the contract size: {q} / {s} = {result}.",
        {"q": range(500, 10_500, 500), "s": range(10, 110, 10)},
        lambda v: (v["q"] / v["s"], 2 * v["q"] / v["s"], v["q"] / v["s"] + 5, v["q"] / v["s"] - 2),
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
        "financial_planning",
        "A household earns {y} a month and spends {s} of it. What is its savings rate in per cent?",
        "Out of monthly pay of {y} a couple lays out {s}. Which percentage is put aside?",
        "What is saved is {y} - {s}, and divided by the income of {y} this is {result}.",
        {"y": range(2_000, 8_500, 500), "s": range(1_500, 6_000, 100)},
        lambda v: tuple(
            100 * part / v["y"] for part in (v["y"] - v["s"], v["s"], v["y"] - v["s"] + 200, (v["y"] - v["s"]) / 2)
        ),
        " per cent",
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
    Computation(
        "actuarial",
        "What is the present value of a perpetuity of {x} a year, paid in arrears, at a rate of {i} per cent?",
        "A foundation is to hand out {x} every year for ever, first in twelve months. "
        "Which capital earning {i} per cent makes this possible?",
        "The yearly payment is divided by the interest rate: {x} / ({i} / 100) = {result}.",
        {"x": range(300, 9_100, 100), "i": range(2, 11)},
        lambda v: (
            v["x"] * 100 / v["i"],
            v["x"] * v["i"] / 100,
            v["x"] * 100 / v["i"] + v["x"],
            v["x"] * 100 / v["i"] - v["x"],
        ),
    ),
)
