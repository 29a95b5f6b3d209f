"""One suite for every scorer in `tasks/scoring/`; a new file there is tested by existing."""

import importlib
from typing import Any

import pytest

from tasks import scoring
from tasks.failure import InputError
from tasks.task import Sample, Scorer


def item(answer: str, *options: str) -> Sample:
    return Sample(id="1", prompt="?", answer=answer, options=options)


def of(group: str, answer: str, **context: Any) -> Sample:
    """A sample of a sub-task."""
    return Sample(id="1", prompt="?", answer=answer, group=group, context=context)


MOLECULE = {"source_smiles": "CCc1ccccc1", "group_a": "hydroxyl", "group_b": ""}
CHART = {"table": {"columns": ["month", "sales"], "data": [["Jan", 12], ["Feb", 9]]}, "chart_type": "bar"}

# Scorer: its specification, a sample, another sample with a different reference, gold answers and wrong answers.
CANONICAL: dict[str, tuple[Any, Sample, Sample, list[str], list[str]]] = {
    "choice": (
        "choice",
        item("duration", "yield", "duration", "par"),
        item("A", "yield", "duration", "par"),
        ["B", "duration"],
        ["A", "par"],
    ),
    "exact": ("exact", item("Net present value"), item("yield"), ["net present value."], ["present value"]),
    "number": ({"name": "number", "marker": "####"}, item("#### 1,234"), item("72"), ["#### 1234"], ["#### 1235"]),
    "contains": ("contains", item("duration"), item("yield"), ["It is the duration."], ["It is the term."]),
    "f1": ("f1", item("the net present value"), item("yield"), ["net present value"], ["coupon"]),
    "rouge_l": ("rouge_l", item("prices rose fast"), item("yield"), ["Prices rose fast."], ["nothing happened"]),
    "json_field": (
        {"name": "json_field", "field": "result.answer"},
        item("ALLOW"),
        item("103"),
        ['{"result": {"answer": "allow"}}'],
        ['{"result": {"answer": "102"}}'],
    ),
    "math": ("math", item("\\frac{1}{2}"), item("5"), ["\\boxed{0.5}", "so $1/2$"], ["\\boxed{2}"]),
    "letter": ("letter", item("B"), item("C"), ["B", "答案是: B"], ["C"]),
    "par4pc": (
        "par4pc",
        item('{"gold": ["C", "G"], "silver": ["E"]}'),
        item('["A"]'),
        ['{"answer": ["G", "C"]}', '```json\n{"answer": "C, G"}\n```'],
        ['{"answer": "B"}'],
    ),
    "pi4pc": (
        "pi4pc",
        item('{"gold_answers": [17], "silver_answers": [21]}'),
        item("[4]"),
        ['{"answer": 17}', 'It is "answer": "17".'],
        ['{"answer": 21}'],
    ),
    "noc4pc": ("noc4pc", item("103"), item("ALLOW"), ['{"code": "103"}', "code: 103"], ['{"code": "ALLOW"}']),
    "mol_und": (
        "mol_und",
        of("fg_count", "2"),
        of("fg_count", "5"),
        ['{"count": 2}', '{"count": "2"}'],
        ['{"count": 3}'],
    ),
    "mol_edit": (
        "mol_edit",
        of("add", '{"output": "OCCc1ccccc1"}', **MOLECULE),
        of("add", '{"output": "CC(O)c1ccccc1"}', **MOLECULE),
        ['{"output": "OCCc1ccccc1"}', '{"output": "CC(O)c1ccccc1"}'],
        [],
    ),
    "mol_opt": (
        "mol_opt",
        of("logp", "better", **MOLECULE),
        of("logp", "higher", **MOLECULE),
        ['{"Final Target Molecule": "CCCCCc1ccccc1"}'],
        [],
    ),
    "reaction": (
        "reaction",
        of("fs", "CCOC(C)=O"),
        of("fs", "CCO"),
        ['{"Major Product": "CC(=O)OCC"}', "CC(=O)OCC"],
        ['{"Major Product": "CCO"}'],
    ),
    "table_exact": (
        "table_exact",
        item("-12.5"),
        item("Oslo, Bergen"),
        ["So:\nFinal Answer: -12.5%"],
        ["Final Answer: 12 5", "Oslo"],
    ),
    "table_analysis": (
        "table_analysis",
        of("CorrelationAnalysis", "Weak positive correlation, 0.5"),
        of("CorrelationAnalysis", "7"),
        ["Final Answer: 0.52"],
        ["Final Answer: -0.5", "No correlation"],
    ),
    "python_file": (
        {
            "name": "python_file",
            "code": "def parses(p): return p[:1].isalpha()\ndef score(p, r, i): return p == r",
            "description": "a word",
            "example": "word",
        },
        item("yield"),
        item("duration"),
        ["yield"],
        ["duration"],
    ),
    "chart": (
        "chart",
        of("all", "y_references = [[12, 9]]", **CHART),
        of("all", "y_references = [[1]]", **CHART),
        ["```python\nplt.bar(['Jan', 'Feb'], [12, 9])\n```"],
        ["```python\nplt.bar(['Jan', 'Feb'], [12, 8])\n```"],
    ),
}
GARBAGE = ["", " ", "\n\t ", "%%% ~~ ]]", "\x00", "qwzx vvv", "\u200b"]
EVERY = sorted({*scoring.names(), *CANONICAL})


@pytest.fixture(params=EVERY)
def case(request: pytest.FixtureRequest) -> tuple[Scorer, Sample, Sample, list[str], list[str]]:
    name = request.param
    if name not in CANONICAL:
        pytest.fail(f"add an entry for the scorer {name!r} to CANONICAL: a spec, two samples, gold and wrong answers")
    spec, *rest = CANONICAL[name]
    return scoring.load(spec), *rest


@pytest.mark.parametrize("name", EVERY)
def test_module_defines_the_scorer_of_its_name(name: str) -> None:
    scorer = importlib.import_module(f"tasks.scoring.{name}").SCORER
    assert scorer.model_fields["name"].default == name
    assert "scorer: {" in scorer.__doc__, "the docstring shows the YAML that a user writes"


def test_gold_scores_one_and_wrong_scores_less(case: Any) -> None:
    scorer, sample, _, gold, wrong = case
    for prediction in gold:
        result = scorer.score(prediction, sample)
        assert (result.score, result.parsed) == (1, True), prediction
        assert result.extracted
    for prediction in wrong:
        result = scorer.score(prediction, sample)
        assert (result.score, result.parsed) == (0, True), prediction


def test_contract_example_parses(case: Any) -> None:
    scorer, sample, *_ = case
    contract = scorer.contract()
    assert contract.description
    assert scorer.score(contract.example, sample).parsed


def test_garbage_scores_zero_and_empty_is_unparsed(case: Any) -> None:
    scorer, sample, *_ = case
    for prediction in GARBAGE:
        assert scorer.score(prediction, sample).score == 0, repr(prediction)
        if not prediction.strip():
            assert scorer.score(prediction, sample).parsed is False
            assert scorer.score(prediction, sample).extracted is None


def test_parsed_does_not_depend_on_the_reference(case: Any) -> None:
    scorer, sample, other, gold, wrong = case
    for prediction in [*gold, *wrong, *GARBAGE, scorer.contract().example]:
        first, second = scorer.score(prediction, sample), scorer.score(prediction, other)
        assert (first.parsed, first.extracted) == (second.parsed, second.extracted), prediction


def test_pure_and_within_bounds(case: Any) -> None:
    scorer, sample, _, gold, wrong = case
    for prediction in [*gold, *wrong, *GARBAGE]:
        first = scorer.score(prediction, sample)
        assert first == scorer.score(prediction, sample)
        assert 0 <= first.score <= 1


def test_an_empty_reference_raises_instead_of_scoring_zero(case: Any) -> None:
    scorer, sample, _, gold, _ = case
    if not scoring.compares(scorer):
        assert scorer.score(gold[0], sample.model_copy(update={"answer": ""})).score == 1
        return
    with pytest.raises(ValueError, match="sample 1"):
        scorer.score(gold[0], sample.model_copy(update={"answer": ""}))


def test_unparsed_never_raises_and_a_parsed_answer_is_its_own_reference(case: Any) -> None:
    """So training rows can be checked without a reference."""
    scorer, sample, _, gold, wrong = case
    for prediction in GARBAGE:
        itself = sample.model_copy(update={"answer": prediction})
        assert scorer.score(prediction, itself).parsed is scorer.score(prediction, sample).parsed
    for prediction in [*gold, *wrong, scorer.contract().example]:
        assert scoring.parses(scorer, prediction, sample.options)
        if not hasattr(scorer, "check_reference"):  # a program is no reference
            assert scorer.score(prediction, sample.model_copy(update={"answer": prediction})).score == 1


def test_record_survives_json(case: Any) -> None:
    scorer = case[0]
    assert type(scorer).model_validate_json(scorer.model_dump_json()) == scorer
    assert scoring.load(scorer.model_dump()) == scorer


def test_unknown_parameter_is_refused(case: Any) -> None:
    scorer = case[0]
    with pytest.raises(InputError, match=rf"scorer {scorer.name}: wibble"):
        scoring.load({**scorer.model_dump(), "wibble": 1})
