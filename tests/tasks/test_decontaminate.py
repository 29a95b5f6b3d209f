"""Each way to smuggle a benchmark item into training rows is found; items that only resemble one are kept."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.leak_corpora import real
from benchmarks.leak_edits import EDITS
from tasks.benchmark import LoadedBenchmark, content_of, load_benchmark, render_options
from tasks.decontaminate import CHARACTERS, SHORTEST, WORDS, Content, Decontaminator
from tasks.finance import finance_starter
from tasks.identity import identities
from tasks.rows import load_rows
from tasks.task import Sample
from tasks.template import render

DATA = os.environ.get("FT_DOJO_DATA")
LONG = (
    "A trader in Utrecht buys a bond with a face value of 1,000 and a coupon of 5 % at par; which yield does he earn "
    "when rates stay as they are until it is repaid?"
)
SHORT = "Which ratio divides debt by equity?"
CHINESE = (
    "某公司发行面值一千元的五年期债券，票面利率为百分之五，每年付息一次，到期还本，"  # noqa: RUF001
    "如果市场利率保持不变，投资者按面值买入并持有到期，其到期收益率应当是多少？"  # noqa: RUF001
)
OPTIONS = ("five percent", "six percent", "ten percent", "none of these")
WAGES = (
    "Wages earned by staff this month are paid next month. Under which heading does the unpaid amount stand at month "
    "end?"
)
HEADINGS = ("current asset", "share capital", "current liability", "long-term investment")
QUOTING = 'In accounting, which expression stands for "a cost incurred but not yet invoiced or paid"?'
SIDES = ("it lies below the equilibrium", "it lies above the equilibrium")


def item(content: str, answer: str = "five percent", options: tuple[str, ...] = OPTIONS) -> Sample:
    return Sample(id=content[:20], prompt=f"Question: {content}", answer=answer, options=options, content=content)


ITEMS = [
    item(LONG),
    item(SHORT, "leverage ratio", ("leverage ratio", "quick ratio", "cash ratio", "turnover")),
    item(CHINESE, "百分之五", ("百分之五", "百分之六")),
    item("什么是债券的久期？", "B", ("价格", "利率敏感度")),  # noqa: RUF001
    item("Which letter names the yield that holds until a bond is repaid at par value?", "B", ("coupon", "maturity")),
    item("What is NPV?", "net present value", ()),
    item("A sum of 200 grows by 10 a year for 3 years without compound interest: what is the sum?", "230", ()),
    item(WAGES, "current liability", HEADINGS),
    item(QUOTING, "accrued expense", ("accrued expense", "goodwill", "prudence", "provision")),
    item("Which of the following statements is true?", "A", ("demand falls", "demand rises", "prices fall")),
    item("What is true about a price ceiling that binds?", "it lies below the equilibrium", SIDES),
    item("How many rings does the molecule CC(NC(=O)c1ccc2c(c1)OCO2)c1ccccc1 have, all told?", "3", ()),
]


@pytest.fixture(scope="module")
def guard() -> Decontaminator:
    return Decontaminator(ITEMS)


def row(question: str, answer: str, *options: str) -> Content:
    return Content(question=question, answer=answer, options=options)


LEAKS: dict[str, tuple[Content, str]] = {
    "as it is": (row(LONG, "five percent"), "exact"),
    "upper case": (row(LONG.upper(), "FIVE PERCENT"), "exact"),
    "blanks": (row(LONG.replace(" ", " \n\t"), "five  percent."), "exact"),
    "no punctuation": (row(LONG.replace(";", "").replace("?", ""), "five percent"), "exact"),
    "full width": (row(LONG.replace("5", "\uff15").replace(";", "\uff1b"), "five percent"), "exact"),
    "invisible characters": (row(LONG.replace("bond", "bo\u200bnd"), "five percent"), "exact"),
    "answer in a rationale": (row(LONG, "Bought at par, the yield is the coupon: five percent."), "exact"),
    "prefix": (row(f"Read this with care and think first. {LONG}", "five percent"), "n-gram"),
    "prefix and suffix": (row(f"Now: {LONG} Answer in a word.", "five percent"), "n-gram"),
    "prefix with numbers": (row(f"Exercise 12 of 40. {LONG}", "five percent"), "n-gram"),
    "short with a prefix": (row(f"Here is an easy one. {SHORT}", "leverage ratio"), "n-gram"),
    "short in the middle": (row(f"Think. {SHORT} Be brief, please.", "The leverage ratio."), "n-gram"),
    "shorter than a run": (row("what is npv", "Net present value"), "exact"),
    "options, right label": (row(LONG, "five percent", *OPTIONS), "exact"),
    "options, wrong label": (row(LONG, "six percent", *OPTIONS), "exact"),
    "options in another order": (row(LONG, "D", *reversed(OPTIONS)), "exact"),
    "options in upper case": (row(f"Try this. {LONG}", "none", *(option.upper() for option in OPTIONS)), "n-gram"),
    "options, no answer": (row(SHORT, "", "cash ratio", "quick ratio", "turnover", "leverage ratio"), "exact"),
    "Chinese": (row(CHINESE.replace("，", " "), "百分之五"), "exact"),  # noqa: RUF001
    "Chinese with a prefix": (row("请认真思考后回答下面的问题。" + CHINESE, "答案是 百分之五 。"), "n-gram"),
    "Chinese, 50 characters of it": (row(CHINESE[5:66] + "请回答", "百分之五", "百分之六", "百分之五"), "n-gram"),
    "Chinese after English": (
        row(f"Please read the following exam question with great care before you answer it: {CHINESE}", "百分之五"),
        "n-gram",
    ),
    "short Chinese after English": (row("Answer this question of mine: 什么是债券的久期", "B"), "n-gram"),
    "letter for the letter": (row(ITEMS[4].content, "B"), "exact"),
    "text for the letter": (row(ITEMS[4].content, "It is the yield to maturity"), "exact"),
    "text for the letter, Chinese": (row(ITEMS[3].content, "利率敏感度"), "exact"),
    "numbers": (row(f"Solve it. {ITEMS[6].content}", "200 + 3 * 10 = 230"), "n-gram"),
    "numbers, another answer": (row(ITEMS[6].content, "no idea"), "exact"),
    "numbers, another answer, prefix": (row(f"Solve it. {ITEMS[6].content}", "266.2"), "n-gram"),
}


@pytest.mark.parametrize("case", LEAKS)
def test_a_leak_is_found(guard: Decontaminator, case: str) -> None:
    content, reason = LEAKS[case]
    assert guard.leaks([content]) == [reason]


WITH_LETTERS = "A. share capital B. current liability C. long-term investment D. current asset"
EDITED: dict[str, Content] = {
    "typos": row(WAGES.replace("earned", "eanred").replace("heading", "headding"), "current liability", *HEADINGS),
    "other words": row(WAGES.replace("staff", "employees").replace("amount", "sum"), "current liability", *HEADINGS),
    "words dropped": row(WAGES.replace("by staff ", "").replace("the unpaid", "unpaid"), "current liability"),
    "words added": row(
        WAGES.replace("are paid", "are usually paid").replace("stand", "finally stand"), "current liability"
    ),
    "sentences exchanged": row(" ".join(reversed(WAGES.split(". "))), "current liability", *HEADINGS),
    "a number before it": row(f"Q12. {WAGES.replace('month end', 'the end')}", "current liability", *HEADINGS),
    "other punctuation": row(
        WAGES.replace(".", " -").replace("?", "...").replace("staff", "the staff"), "current liability"
    ),
    "another wrong option": row(
        WAGES.replace("heading", "title"), "current liability", "goodwill", "current liability", *HEADINGS[:2]
    ),
    "the letter of its own options": row(WAGES.replace("heading", "title"), "D", *HEADINGS[:2], "loss", HEADINGS[2]),
    "the letter of options in the prompt": row(f"{WAGES.replace('heading', 'title')} {WITH_LETTERS}", "B"),
    "another letter after options in another order": row(
        f"{ITEMS[4].content.replace('names', 'stands for')} A. maturity B. coupon", "A"
    ),
    "an answer with its reason": row(WAGES.replace("heading", "title"), "It is owed soon: a current liability."),
    "in a definition": row(QUOTING.replace("incurred", "incured").replace("stands for", "means"), "accrued expense"),
    "around a definition": row(QUOTING.replace("expression", "term"), "accrued expense"),
    "numbers written otherwise": row(
        LONG.replace("1,000", "1 000").replace("5 %", "5%").replace("trader", "dealer")
        .replace("Utrecht", "Delft").replace("coupon", "cupon").replace("rates stay", "rates remain"),
        "five percent",
    ),
    "a formula with other words": row(ITEMS[-1].content.replace("molecule", "structure"), "3"),
    "Chinese": row(
        CHINESE.replace("某公司", "一家企业").replace("百分之五", "百分五").replace("保持", "维持")
        .replace("投资者", "买家").replace("应当", "应该").replace("还本", "还款"),
        "百分之五",
    ),
    "short Chinese": row("请问什么是公司债券的久期", "B"),
    "the first word": row(f"Salaries {WAGES.partition(' ')[2]}", "current liability"),
    "the last word": row(LONG.replace("repaid", "discharged"), "five percent"),
    "a word of the shortest question": row(SHORT.replace("divides", "compares"), "leverage ratio"),
    "Chinese, the first word": row(CHINESE.replace("某公司", "一银行"), "百分之五"),
    "Chinese, the last word": row(CHINESE.replace("是多少", "有多高"), "百分之五"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITED)
def test_a_light_edit_does_not_hide_an_item(guard: Decontaminator, case: str) -> None:
    assert guard.leaks([EDITED[case]]) == ["n-gram"]


PARAPHRASE = (
    "Employees' pay for this month is handed out in the next one. Under what heading is the unpaid sum shown at the "
    "end of the month?"
)


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        (PARAPHRASE, "current liability", "paraphrase"),
        (PARAPHRASE.upper(), "It is a current liability.", "paraphrase"),
        (PARAPHRASE, "share capital", None),
        (PARAPHRASE + " Answer in a word." * 60, "current liability", None),  # longer than what is embedded
    ],
)
def test_a_paraphrase_is_found_by_its_meaning(
    guard: Decontaminator, question: str, answer: str, reason: str | None
) -> None:
    """Also among other rows, and for each of two rows that leak the same item."""
    assert guard.leaks([row(question, answer)]) == [reason]
    other = LEGAL["the same fact and options"]
    assert guard.leaks([other, row(question, answer), other, row(question, answer)]) == [None, reason, None, reason]


LEGAL: dict[str, Content] = {
    "the same fact and options": row(
        "Where does a company show an accrued expense in its statement of financial position?",
        "current liability", *HEADINGS,
    ),
    "the same fact with a case of its own": row(
        "Rent for March is settled in April. How is it classified on the balance sheet of 31 March?",
        "current liability", *HEADINGS,
    ),
    "the definition alone": row("a cost incurred but not yet invoiced or paid", "accrued expense"),
    "the definition in another question": row(
        "Name the term: a cost incurred but not yet invoiced or paid.", "accrued expense"
    ),
    "the other direction": row('What does "accrued expense" mean?', "a cost incurred but not yet invoiced or paid"),
    "edited, other answer": row(WAGES.replace("heading", "title"), "share capital", *HEADINGS),
    "edited, the letter of another option": row(WAGES.replace("heading", "title"), "C", *HEADINGS[1:]),
    "a letter that names something else": row(ITEMS[4].content, "B", "yield to maturity", "duration"),
    "an article that looks like a letter": row("Which of the following statements is true?", "a bond is a loan"),
    "a general question with other options": row(
        "Which of the following statements is true of a bond?", "A", "it is a loan", "it is a share"
    ),
    "one word makes it another question": row("What is true about a price floor that binds?", SIDES[1], *SIDES),
    "edited, other numbers": row(ITEMS[6].content.replace("200", "190").replace("grows", "rises"), "230"),
    "a number twice": row(ITEMS[6].content.replace("10", "3").replace("grows", "rises"), "230"),
    "another formula": row(ITEMS[-1].content.replace("c1ccccc1", "c1ccccc1Cl").replace("OCO2", "OCCO2"), "3"),
    "other Chinese": row("什么是股票的市盈率和市净率？", "利率敏感度"),  # noqa: RUF001
    "same answer, other question": row(
        "What does a bond bought at its face value with a coupon yield?", "five percent"
    ),
    "same options, other question": row("How much is a twentieth of it?", "five percent", *OPTIONS),
    "same question, other answer": row(LONG, "zero"),
    "same question, other options and answer": row(LONG, "a lot", "a lot", "little", "none", "some"),
    "same question, part of the answer": row(LONG, "five"),
    "answer inside another word": row(SHORT, "deleverage ratios"),
    "other numbers": row(ITEMS[6].content.replace("200", "220").replace("10", "3"), "230"),
    "other numbers at the same answer": row(LONG.replace("1,000", "2,000"), "five percent"),
    "twelve words of it": row(" ".join(LONG.split()[: WORDS - 1]) + " or of something else", "five percent"),
    "Chinese, 40 characters of it": row(CHINESE[:40] + "请回答", "百分之五"),
    "three words with a prefix": row("Tell me: what is NPV?", "net present value"),
    "another text for the letter": row(ITEMS[4].content, "the coupon"),
    "empty": row("", ""),
    "one word": row("bond", "five percent"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEGAL)
def test_a_legal_row_is_kept(guard: Decontaminator, case: str) -> None:
    assert guard.leaks([LEGAL[case]]) == [None]


def test_the_run_is_13_words_or_50_characters_long(guard: Decontaminator) -> None:
    assert (WORDS, CHARACTERS, SHORTEST) == (13, 50, 4)
    words = LONG.replace("1,000 and a coupon of 5 %", "x").split()  # numbers count by themselves
    plain = Decontaminator([item(" ".join(words))])
    for length, expected in ((WORDS, "n-gram"), (WORDS - 1, None)):
        assert plain.leaks([row("Say " + " ".join(words[:length]), "five percent")]) == [expected]
    characters = [character for character in CHINESE if character.isalpha()]
    for length, expected in ((CHARACTERS, "n-gram"), (CHARACTERS - 1, None)):
        assert guard.leaks([row("请问" + "".join(characters[:length]), "百分之五")]) == [expected]
    few = ["net", "present", "value", "method"]
    for length, expected in ((SHORTEST, "n-gram"), (SHORTEST - 1, None)):
        short = Decontaminator([item(" ".join(few[:length]))])
        assert short.leaks([row("the " + " ".join(few[:length]), "five percent")]) == [expected]


NUMBERS = ("498", "500", "1,000", "505")
SMALL = [
    item("How many are needed of these contracts to match the whole of what a mill will use?", "500", NUMBERS),
    item("Fiat money", "is backed by nothing", ("is backed by nothing", "is backed by gold", "is a car", "is debt")),
    item("Simplify $\\frac{84}{144}.$", "\\frac{7}{12}", ()),
]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (row(SMALL[0].content, "505", *NUMBERS), "exact"),  # options whose numbers stand side by side
        (row(SMALL[0].content, "D", *NUMBERS[::-1]), "exact"),
        (row("Exercise 12. Fiat money", "is backed by nothing", *SMALL[1].options), "n-gram"),
        (row("Exercise 12. Fiat money", "is backed by nothing"), None),  # too short without options
        (row("Exercise 12. Fiat money", "is a car", *SMALL[1].options), None),
        (row("Good money", "is backed by nothing", *SMALL[1].options), None),
        (row("Exercise 12. Simplify $\\frac{84}{144}.$", "\\frac{7}{12}"), "n-gram"),
        (row("SIMPLIFY $\\FRAC{84}{144}.$", "7/12"), "exact"),
        (row("Exercise 12. Simplify $\\frac{84}{143}.$", "\\frac{7}{12}"), None),
    ],
)
def test_short_questions_and_options_that_are_numbers(content: Content, reason: str | None) -> None:
    assert Decontaminator(SMALL).leaks([content]) == [reason]


CLAIM = (
    "A vessel with a lid that closes by its own weight when the handle is let go, the lid having a slot through which "
    "steam leaves and a ring of soft rubber that rests on the rim."
)
ABOUT: list[Sample] = [
    item("How many rings does the molecule have?", "2", ()).model_copy(
        update={
            "identities": identities({"smiles": "COc1ccc2cc(ccc2c1)C(C)C(=O)O"}, {"molecule": ("smiles",)}),
        }
    ),
    item(CLAIM, "102", ()).model_copy(update={"identities": ("application:14704145",)}),
]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (row("Add a hydroxyl group to OC(=O)C(C)c1ccc2cc(OC)ccc2c1, please.", "any"), "molecule"),
        (row("Name an anti-inflammatory drug.", "CC(C(O)=O)c1ccc2cc(OC)ccc2c1"), "molecule"),  # in the answer
        (Content(question="", answer="any", prompt="Weigh OC(=O)C(C)c1ccc2cc(OC)ccc2c1!"), "molecule"),
        (Content(question="How heavy is it?", answer="any", identities=ABOUT[0].identities[:1]), "molecule"),
        (Content(question="How heavy is it?", answer="any", identities=ABOUT[0].identities[1:]), "scaffold"),
        (row("Add a hydroxyl group to OC(=O)CCc1ccc2cc(OC)ccc2c1, please.", "any"), None),
        (row("Is claim 3 of US 14/704,145 obvious?", "yes"), "application"),
        (Content(question="Is it obvious?", answer="yes", identities=("application:14704145",)), "application"),
        (row(f"Which documents bear on this claim? {CLAIM}", "document C"), "application"),
        (row(CLAIM.replace("rubber", "silicone"), "the office refused it"), "application"),
        (row("A vessel with a lid that has a slot through which steam leaves and a clip for a spoon.", "102"), None),
        (row("Is claim 3 of US 14/704,146 obvious?", "yes"), None),
        (row("How many rings does the molecule have?", "3"), None),
    ],
)
def test_a_row_about_what_an_item_is_about_is_a_leak_whatever_it_asks(content: Content, reason: str | None) -> None:
    assert Decontaminator(ABOUT).leaks([content]) == [reason]


def test_a_twin_with_other_options_does_not_hide_an_item() -> None:
    """Two items share a question; a row that leaks the second one is found."""
    guard = Decontaminator([item(LONG, "never", ("never", "always")), item(LONG)])
    assert guard.leaks([row(LONG, "five percent")]) == ["exact"]
    assert guard.leaks([row(f"Say: {LONG}", "always", "always", "never")]) == ["n-gram"]


def test_an_empty_benchmark_leaks_nothing() -> None:
    assert Decontaminator([]).leaks([row(LONG, "five percent")]) == [None]


@pytest.fixture(scope="module")
def starter() -> LoadedBenchmark:
    return load_benchmark(finance_starter, None)


@pytest.fixture(scope="module")
def starter_guard(starter: LoadedBenchmark) -> Decontaminator:
    return Decontaminator(starter.samples.values())


def exam_rows() -> list[Content]:
    """The exam bank as the format step renders it: content without options, answers as texts."""
    contents: list[Content] = []
    for raw in load_rows(finance_starter.sources[0], finance_starter.base_dir, None):
        texts = [raw[f"option_{letter}"] for letter in "abcd"]
        if raw["answer"] not in {"A", "B", "C", "D"}:
            continue
        fields: dict[str, Any] = raw | {"options": texts}
        contents.append(
            Content(
                question=content_of(finance_starter, fields),
                answer=render("{{ options['ABCD'.index(answer)] }}", fields),
                options=render_options(finance_starter.options, fields),
            )
        )
    return contents


def test_next_to_no_honest_row_of_the_starter_corpus_is_dropped(starter_guard: Decontaminator) -> None:
    """None as a copy. As a paraphrase fewer than 1 % of either source: the corpus asks about the benchmark's facts, and
    now and then nearly as the benchmark does."""
    solutions = load_rows(finance_starter.sources[2], finance_starter.base_dir, None)
    for honest in (exam_rows(), [row(raw["question"], raw["solution"]) for raw in solutions]):
        reasons = Counter(starter_guard.leaks(honest))
        assert len(honest) > 300
        assert set(reasons) <= {None, "paraphrase"}
        assert reasons["paraphrase"] < 0.01 * len(honest)


PLANTED: dict[str, tuple[Callable[[str], str], str]] = {
    "exact": (str, "exact"),
    "upper case": (str.upper, "exact"),
    "prefix": (lambda text: f"Read the question with care and choose one option. {text}", "n-gram"),
}


@pytest.mark.parametrize("how", PLANTED)
@pytest.mark.parametrize("shown", ["with options", "answer only", "wrong label"])
def test_planted_items_are_found_among_exam_rows(
    starter: LoadedBenchmark, starter_guard: Decontaminator, how: str, shown: str
) -> None:
    """50 items of the real benchmark, over all three splits, among the honest rows: these are found, each under its
    name, and next to no others."""
    change, reason = PLANTED[how]
    planted = random.Random(7).sample(list(starter.samples.values()), 50)
    assert {name for name in ("feedback", "selection", "test") for one in planted if one in starter.of(name)} == {
        "feedback", "selection", "test"}  # fmt: skip
    rows = exam_rows()[:500]
    for sample in planted:
        wrong = next(option for option in sample.options if option != sample.answer)
        answer = wrong if shown == "wrong label" else change(sample.answer)
        options = () if shown == "answer only" else tuple(change(option) for option in sample.options[::-1])
        rows.append(
            row(change(sample.content), answer, *(options if how != "prefix" else sample.options[: len(options)]))
        )
    reasons = starter_guard.leaks(rows)
    assert reasons[500:] == [reason] * 50
    assert Counter(reasons[:500]) in ({None: 500}, {None: 499, "paraphrase": 1})


def found_of_planted(items: list[Sample], kind: str) -> tuple[int, list[str]]:
    """How many items can be planted with an edit, and those of them that are not found."""
    questions = [sample.content for sample in items]
    chance = random.Random(kind)
    planted = {
        sample.content: Content(question=changed, answer=sample.answer, options=sample.options)
        for sample in items
        if (changed := EDITS[kind](sample.content, chance, questions)) is not None
    }
    guard = Decontaminator(items)
    return len(planted), [question for question, content in planted.items() if guard.copied(content) is None]


@pytest.mark.parametrize("kind", EDITS)
def test_every_planted_item_of_the_starter_benchmark_is_found(starter: LoadedBenchmark, kind: str) -> None:
    number, missed = found_of_planted(list(starter.samples.values()), kind)
    assert (number >= 100, missed) == (True, [])


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
@pytest.mark.parametrize("kind", EDITS)
def test_every_planted_item_of_real_benchmarks_is_found(kind: str) -> None:
    seen: dict[str, list[Sample]] = {corpus.name.partition(":")[0]: corpus.items for corpus in real(Path(str(DATA)))}
    for name in ("FinanceIQ", "AIME", "TableBench", "GSM8K", "MATH", "MMLU finance"):
        items = list({sample.content: sample for sample in seen[name] if sample.content}.values())
        number, missed = found_of_planted(items, kind)
        assert (name, number >= 5, missed) == (name, True, [])


def test_exact_and_ngram_rules_read_20000_rows_in_ten_seconds_of_a_core(
    starter: LoadedBenchmark, starter_guard: Decontaminator
) -> None:
    """100,000 rows in a minute are asked for; rows of usual length and joined ones."""
    rows = exam_rows()
    chosen = random.Random(1).choices(rows, k=10_000)
    joined = [
        one.model_copy(update={"question": f"{one.question} {two.question}"})
        for one, two in zip(chosen, chosen[1:] + chosen[:1], strict=True)
    ]
    assert len(starter.samples) >= 1000
    started = time.process_time()
    assert sum(starter_guard.copied(content) is not None for content in chosen + joined) < 200
    assert time.process_time() - started < 10
