"""What the training rows tell, on rows that can be counted by hand."""

import cases
import situations as s

from memory.records import Evidence
from roles.evidence import duplicates, format_match, imbalance, label_noise, lengths, unused
from roles.evidence.case import TrainedRow


def rows_with(field: str, *values: object, source: str = "exams") -> list[TrainedRow]:
    """Rows whose raw field has these values; another field says `red` in the first of them."""
    raws = [{"note": "red" if number == 1 else "-", field: value} for number, value in enumerate(values, start=1)]
    return [cases.row(number=number, source=source, raw=raw) for number, raw in enumerate(raws, start=1)]


def test_categories_of_rows_by_hand() -> None:
    """Six red, two dark blue, one of no group, none green; case and underscores do not count."""
    rows = rows_with("colour", *["Red"] * 6, "dark_blue", "Dark Blue", "mauve")
    found = imbalance.find(cases.case(rows=rows, groups=("red", "dark blue", "green")))
    assert found is not None
    assert (found.count, found.of) == (6, 8)
    assert found.figures == {"largest": 0.75, "smallest": 0.25, "ratio": 3, "missing": 1}
    assert "the largest category (red) has 6 and the smallest (dark blue) 2" in found.claim
    assert "1 of 3 categories have no row: green." in found.claim


def test_each_source_has_its_own_field_and_one_without_is_left_out() -> None:
    """A stray match makes no category: of the terms in the glossary, one of three is the name of a group."""
    exams = rows_with("subject", "red", "red", "blue")
    forum = rows_with("board", "blue", "blue", "blue", source="forum")
    glossary = rows_with("term", "red", "tea", "wine", source="glossary")
    found = imbalance.find(cases.case(rows=[*exams, *forum, *glossary]))
    assert found is not None
    assert (found.count, found.of) == (4, 6)
    assert found.figures == {"largest": 0.6667, "smallest": 0.3333, "ratio": 2, "missing": 0}


def test_rows_without_categories_say_nothing() -> None:
    """Scripts leave no raw fields; a benchmark of one group has no balance."""
    assert imbalance.find(cases.case(rows=[cases.row(raw={}), cases.row(raw={})])) is None
    assert imbalance.find(cases.case(rows=rows_with("kind", "all"), groups=("all",))) is None


def test_lengths_by_hand() -> None:
    """Medians of rows in the task's form and of items; another row in another form does not count."""
    rows = [
        cases.row("one two", prompt="a b c"),
        cases.row("one two three four", prompt="a b c d e"),
        cases.row("one " * 50, prompt="a", task_format=False),
    ]
    items = [cases.item(1, prompt="a b", answer="one"), cases.item(2, prompt="红色是什么", answer="two words")]
    found = lengths.find(cases.case(rows=rows, items=items))
    assert found is not None
    assert (found.count, found.of) == (2, 3)
    assert found.figures == {
        "prompt_words_training": 4,
        "prompt_words_benchmark": 3.5,
        "answer_words_training": 3,
        "answer_words_benchmark": 1.5,
    }
    assert "4 words in the 2 training rows" in found.claim


def test_lengths_need_both_sides() -> None:
    """One alone compares with nothing."""
    assert lengths.find(cases.case(rows=[cases.row()])) is None
    assert lengths.find(cases.case(items=[cases.item(1)], rows=[cases.row(task_format=False)])) is None


def test_rows_in_the_task_s_form_by_source() -> None:
    """Two of three exam rows, no glossary row."""
    rows = [
        cases.row(number=1),
        cases.row(number=2),
        cases.row(number=3, task_format=False),
        cases.row(source="glossary", task_format=False),
    ]
    found = format_match.find(cases.case(rows=rows))
    assert found is not None
    assert (found.count, found.of) == (2, 4)
    assert found.figures == {"exams": 0.6667, "glossary": 0}
    assert "exams 67 %, glossary 0 %" in found.claim


def test_unused_rows_by_hand() -> None:
    """Of three sources with 120 rows each, two rows of one were used, one of them twice."""
    rows = [cases.row(number=4), cases.row(number=4, prompt="again"), cases.row(number=7)]
    found = unused.find(cases.case(rows=rows))
    assert found is not None
    assert (found.count, found.of) == (358, 360)
    assert found.figures == {"exams": 118, "glossary": 120, "ledger": 120}
    assert "118 of 120 in exams" in found.claim
    assert found.claim.endswith("Not used at all: glossary, ledger.")


def test_rows_that_a_script_invents_use_up_no_source() -> None:
    """Nor does a script that invents more rows than there are leave fewer than none."""
    invented = [cases.row(number=n, source="script") for n in range(200)]
    every = [cases.row(number=n, source="exams") for n in range(1, 200)]
    found = unused.find(cases.case(rows=[*invented, *every], **{"task": s.card(), "max_train_rows": 400}))
    assert found is not None
    assert found.figures == {"exams": 0, "glossary": 120, "ledger": 120}


def test_near_duplicates_by_source() -> None:
    """Two of three exam rows repeat the first, one of them with another full stop; the forum repeats nothing."""
    rows = [
        cases.row(content="Which drink is poured out of the old green bottle?"),
        cases.row(content="Which drink is poured out of the old green bottle"),
        cases.row(content="which drink is poured out of the very old green bottle?"),
        cases.row(content="Who is fond of cheese at night?", source="forum"),
    ]
    found = duplicates.find(cases.case(rows=rows))
    assert found is not None
    assert (found.count, found.of) == (2, 4)
    assert found.figures == {"exams": 0.6667, "forum": 0}
    assert "exams 67 %, forum 0 %" in found.claim


def drinks(*answers: str, source: str = "exams") -> list[TrainedRow]:
    """Rows that ask for the same drink in other words, with these answers."""
    asked = [
        "Which drink is made from the grapes of a vineyard?",
        "Out of the grapes of a vineyard, which drink is made?",
        "Name the drink that is made from grapes grown in a vineyard.",
        "Grapes of a vineyard are made into which drink?",
    ]
    return [cases.row(answer, content=text, source=source) for answer, text in zip(answers, asked, strict=True)]


def test_a_label_that_the_other_rows_contradict_is_noise() -> None:
    """Three rows say red wine, one says green tea; a row without options says nothing of itself."""
    red, blue, green, _ = cases.OPTIONS
    rows = [*drinks(red, red, green, red), cases.row(blue, content="What smells?", options=(), source="forum")]
    found = label_noise.find(cases.case(rows=rows))
    assert found is not None
    assert (found.count, found.of) == (1, 4)
    assert found.figures == {"exams": 0.25}
    assert "1 of 4 multiple-choice training rows" in found.claim


def test_labels_that_agree_are_not_noise() -> None:
    """And without options nothing can be said."""
    found = label_noise.find(cases.case(rows=drinks(*cases.OPTIONS[:1] * 4)))
    assert found is not None
    assert (found.count, found.of) == (0, 4)
    assert label_noise.find(cases.case(rows=[cases.row(options=())])) is None


def test_the_noise_of_unchanged_rows_is_taken_over_from_the_parent() -> None:
    """Looking again takes seconds. Other rows are looked at."""
    known = Evidence(name="label_noise", claim="7 of 9.", count=7, of=9)
    parent = s.trial(1).model_copy(update={"evidence": (*s.EVIDENCE, known)})
    child = s.trial(2, s.plan(parent=1, training="more epochs"))
    case = cases.case(rows=drinks(*cases.OPTIONS[:1] * 4), experiment=child)._replace(parent=parent)
    assert label_noise.find(case) == known
    assert child.data is not None
    other = child.model_copy(update={"data": child.data.model_copy(update={"content_hash": "d1"})})
    found = label_noise.find(case._replace(experiment=other))
    assert found is not None
    assert found.of == 4
