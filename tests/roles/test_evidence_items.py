"""What the feedback items tell, on items that can be counted by hand."""

import cases
import pytest
import situations as s

from roles.evidence import categories, flips, parse_failures, readable, truncation
from roles.evidence.parse_failures import kind_of
from tasks.task import Metric

PROMPT = (
    "Question: What is poured out of the seventh bottle tonight?\nA. red wine\nB. blue cheese\nAnswer with the text."
)
DOWN = s.card(metric=Metric(name="error", direction="down"), groups={"red": 40, "blue": 40})


@pytest.mark.parametrize("completion", ["", "  \n", "...", "**"])
def test_an_answer_without_a_word_is_empty(completion: str) -> None:
    """Also when it was cut: a prompt that is too long leaves no room."""
    assert kind_of(completion, PROMPT, cut=True) == "empty"


@pytest.mark.parametrize("completion", ["B", "b.", "(C)", "Answer: D", "The correct answer is B.", "Option A", "**E**"])
def test_a_letter_alone_is_a_letter(completion: str) -> None:
    """With the words that usually stand before it."""
    assert kind_of(completion, PROMPT, cut=False) == "letter_only"


@pytest.mark.parametrize("completion", ["7", "答", "B and C", "B because it is", "vitamin B"])
def test_other_short_answers_are_no_letter(completion: str) -> None:
    """Numbers, signs of other scripts, several letters, a letter within words."""
    assert kind_of(completion, PROMPT, cut=False) == "other"


@pytest.mark.parametrize(
    ("completion", "kind"),
    [
        (PROMPT, "echo"),
        ("What is poured out of the seventh bottle", "echo"),  # eight words
        ("Well: what is POURED out of the seventh bottle, sir?", "echo"),
        ("out of the seventh", "echo"),  # all of the answer, four words
        ("of the seventh", "other"),  # three words
        ("Poured out of the seventh cup", "other"),  # five words in a row, but not the whole answer
        ("something else was meant by all of that", "other"),
    ],
)
def test_an_answer_that_repeats_the_prompt_is_an_echo(completion: str, kind: str) -> None:
    """Case and punctuation do not count. An echo that was cut stays an echo: that is what went wrong."""
    assert kind_of(completion, PROMPT, cut=False) == kind
    assert kind_of(completion, PROMPT, cut=True) == ("cut" if kind == "other" else kind)


def test_parse_failures_are_counted_by_kind_over_all_completions() -> None:
    """Seven completions of six items: five do not parse, each another way."""
    twice = cases.item(6).model_copy(
        update={"completions": ("red", "A."), "scores": (1.0, 0.0), "parsed": (True, False)}
    )
    items = [
        cases.item(1),
        cases.unread(2, ""),
        cases.unread(3, "and then and then", truncated=True),
        cases.unread(4, cases.item(4).prompt),
        cases.unread(5, "no idea"),
        twice,
    ]
    found = parse_failures.find(cases.case(items=items))
    assert found is not None
    assert (found.count, found.of) == (5, 7)
    assert found.figures == dict.fromkeys(("empty", "letter_only", "echo", "cut", "other"), 1)
    assert "5 of 7 answers" in found.claim
    assert "1 cut at the token limit" in found.claim


def test_answers_that_all_parse_are_said_to_do_so() -> None:
    """That rules out a cause."""
    found = parse_failures.find(cases.case(items=[cases.item(1), cases.item(2)]))
    assert found is not None
    assert (found.count, found.of) == (0, 2)
    assert found.claim == "0 of 2 answers to feedback items cannot be read."


def test_truncation_by_hand() -> None:
    """Two of three items cut, one of them without an answer at all; five rows too long."""
    data = s.training_data().model_copy(
        update={"removed": {"gate: longer than 90 tokens": 5, "gate: duplicate": 7, "filter: longer than life": 9}}
    )
    items = [
        cases.item(1, truncated=True),
        cases.unread(2, "", truncated=True),
        cases.item(3, answer="a colour of three or more words"),
    ]
    experiment = s.trial(1).model_copy(update={"data": data})
    rows = [cases.row("red wine"), cases.row("a very long explanation of it all")]
    found = truncation.find(cases.case(items=items, rows=rows, experiment=experiment))
    assert found is not None
    assert (found.count, found.of) == (2, 3)
    assert found.figures == {
        "rows_too_long": 5, "prompts_too_long": 1, "unread": 1, "longest_answer_words": 7,
        "longest_answer_characters": 31, "longest_row_characters": 33,
    }  # fmt: skip
    assert "5 training rows" in found.claim
    assert "2 of 3 feedback answers are incomplete (at most 8 tokens" in found.claim


def test_truncation_of_rows_alone() -> None:
    """An experiment that was never evaluated still has its rows."""
    found = truncation.find(cases.case(experiment=s.trial(1)))
    assert found is not None
    assert (found.count, found.of) == (0, 0)
    assert found.claim == "0 training rows were dropped because they were too long."


def with_groups(*groups: tuple[str, float, float]) -> object:
    """An experiment that scored 0.5 with groups of a name, a score and the end of the interval."""
    return s.trial(1, groups=tuple(s.group(*each) for each in groups))


def test_weak_categories_lie_below_the_whole_with_all_of_their_interval() -> None:
    """The overall score is 0.5: 0.49 lies below, 0.5 does not. The worst comes first."""
    table = [("red", 0.9, 1.0), ("blue", 0.3, 0.49), ("green", 0.1, 0.2), ("grey", 0.2, 0.5)]
    found = categories.find(cases.case(experiment=with_groups(*table)))
    assert found is not None
    assert (found.count, found.of) == (2, 4)
    assert found.figures == {"red": 0.9, "blue": 0.3, "green": 0.1, "grey": 0.2}
    assert "2 of 4 categories" in found.claim
    assert found.claim.index("green (0.10 over 5 items") < found.claim.index("blue (0.30")
    assert "grey" not in found.claim


def test_without_weak_categories_the_worst_is_named() -> None:
    """As what it is: not proven to be weak."""
    found = categories.find(cases.case(experiment=with_groups(("red", 0.6, 0.8), ("blue", 0.4, 0.7))))
    assert found is not None
    assert found.count == 0
    assert "the worst is blue (0.40" in found.claim


def test_where_less_is_better_a_weak_category_lies_above() -> None:
    """Errors: `red` has the most, from 0.6 up."""
    table = (s.group("red", 0.9, 1.0).model_copy(update={"low": 0.6}), s.group("blue", 0.1, 0.2))
    found = categories.find(cases.case(experiment=s.trial(1, groups=table), task=DOWN))
    assert found is not None
    assert found.count == 1
    assert ": red (0.90" in found.claim


def test_one_category_is_compared_with_nothing() -> None:
    """Nor none."""
    assert categories.find(cases.case(experiment=with_groups(("all", 0.1, 0.2)))) is None
    assert categories.find(cases.case(experiment=with_groups())) is None


def test_flips_by_hand() -> None:
    """Of five items in both, three got better and one worse: p is 2 * (1 + 4) / 16. A sixth has no partner."""
    before = [cases.item(n, score=score) for n, score in enumerate([0.0, 0.0, 0.5, 1.0, 1.0])]
    after = [cases.item(n, score=score) for n, score in enumerate([1.0, 1.0, 1.0, 0.0, 1.0, 1.0])]
    found = flips.find(cases.case(items=after, parent_items=before))
    assert found is not None
    assert (found.count, found.of) == (4, 5)
    assert found.figures == {"fixed": 3, "broken": 1, "p": 0.625}
    assert "changed against the untouched model: 3 were fixed and 1 broken" in found.claim


def test_flips_follow_the_direction_of_the_metric_and_name_the_parent() -> None:
    """An error that falls is an item fixed."""
    case = cases.case(items=[cases.item(1, score=0.0)], parent_items=[cases.item(1, score=1.0)], task=DOWN)
    found = flips.find(case._replace(parent=s.trial(4)))
    assert found is not None
    assert found.figures == {"fixed": 1, "broken": 0, "p": 1}
    assert "against experiment 4" in found.claim


def test_no_flip_is_no_split() -> None:
    """Nothing changed, so no probability is claimed; without common items nothing is said."""
    same = [cases.item(1)]
    found = flips.find(cases.case(items=same, parent_items=same))
    assert found is not None
    assert found.claim == "0 of 1 feedback items changed against the untouched model."
    assert flips.find(cases.case(items=same, parent_items=[cases.item(2)])) is None


def test_readable_answers_tell_knowledge_from_form() -> None:
    """Of three fixed items one had been readable; two right ones of three readable, one of two before."""
    before = [cases.unread(1, "?"), cases.unread(2, ""), cases.item(3, score=0.0), cases.item(4)]
    after = [cases.item(1), cases.item(2), cases.item(3), cases.item(4, score=0.0), cases.unread(5, "")]
    found = readable.find(cases.case(items=after, parent_items=before))
    assert found
    assert found.claim == (
        "4 of 5 answers can be read and score 0.750; of the untouched model 2, scoring 0.500. "
        "Of 3 items that score more than before 2 could not be read then."
    )
    assert (found.count, found.of) == (4, 5)
    assert found.figures == {"score": 0.75, "parent": 0.5, "fixed": 3.0, "fixed_unread": 2.0}


def test_readable_answers_without_any_or_without_a_parent() -> None:
    assert readable.find(cases.case(items=[cases.unread(1, "")])) is None
    alone = readable.find(cases.case(items=[cases.item(1)]))
    assert alone
    assert alone.claim == "1 of 1 answers can be read and score 1.000."
    own = cases.case(items=[cases.item(1)], parent_items=[cases.item(1)], experiment=s.untouched())
    found = readable.find(own)
    assert found
    assert "untouched" not in found.claim
