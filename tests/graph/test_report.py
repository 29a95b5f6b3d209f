"""The page of a run: what a newcomer must find on it, in every state of a run, and that it is safe to open."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_up import (
    RECIPE,
    config,
    data,
    evidence,
    experiment,
    groups,
    plan,
    result,
    sealed,
    survey,
    trained,
    verdict,
    whole_run,
    write_run,
)

from eval import evaluator_client
from graph.report import write_report
from graph.report.changes import changes
from graph.report.flow import lineages
from graph.run_dir import RunDir
from graph.timing import duration, measure
from memory.records import DataRecipe, Evidence, Experiment, Finding, Flow, Step, TrainingConfig
from roles.briefing import Survey
from tasks.failure import Failure, FailureKind
from tasks.task import AnswerContract, Metric

ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """A page read as a browser reads it: its tags and attributes, its text by section, and what is not closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.sections: dict[str, str] = {"": ""}
        self.faults: list[str] = []
        self._open: list[str] = []
        self._heading = ""
        self.feed(source)
        self.close()
        self.faults += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h2":
            self._heading = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["h2"]:
            self._heading = data
        if "style" not in self._open:
            before = self.sections.get(self._heading, "")
            self.sections[self._heading] = " ".join(f"{before} {data}".split())

    @property
    def text(self) -> str:
        """All text in order."""
        return " ".join(self.sections.values())


def page(
    folder: Path,
    experiments: list[Experiment],
    about: Survey | None = None,
    tested: evaluator_client.TestResult | None = None,
    delivered: int | None = None,
    **settings: Any,
) -> Page:
    """The page of a made-up run; well-formed, and it loads nothing."""
    return reread(write_run(folder, experiments), about, tested, delivered, **settings)


def reread(
    written: RunDir,
    about: Survey | None,
    tested: evaluator_client.TestResult | None,
    delivered: int | None,
    **settings: Any,
) -> Page:
    """The page of a run directory."""
    write_report(written, config(**settings), about, tested, delivered)
    read = Page(written.file("report.html").read_text())
    assert read.faults == []
    assert len(set(read.ids)) == len(read.ids)
    assert {name for name, _ in read.attributes}.isdisjoint({"src", "href", "onerror", "onload", "onclick"})
    assert [word for word in ("<script", "@import", "url(", "http") if word in read.source] == []
    return read


def test_a_finished_run_says_what_came_out_and_how_sure_that_is(tmp_path: Path) -> None:
    """Both scores, gain, interval, number of items, chance, and what could be read."""
    said = page(tmp_path / "run", whole_run(), survey(), sealed(), 6).sections[""]
    for part in (
        "toy_finance", "Questions about finance.", "a-model", "Names exactly one option",
        "12.7 %", "43.7 %", "+31.0 points", "+24.6 to +37.4", "A real gain.", "300 sealed test items",
        "experiment 6", "97 % of the fine-tuned model's answers can be read, 42 % of the untouched one's", "25.0 %",
        "Guessing", "Part of the gain is form", "is 18.7 points above that", "another training seed may change them",
        "90 feedback, 210 selection and 300 sealed test items",
        "9.2 points would be found 80 times in 100",
    ):  # fmt: skip
        assert part in said, part


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.01, 0.2, "A real gain."), (-0.01, 0.2, "Not certain."), (-0.2, -0.01, "A loss."), (0.0, 0.1, "Not certain.")],
)
def test_certainty_follows_the_interval(low: float, high: float, words: str, tmp_path: Path) -> None:
    """Of the paired difference, not of the two scores."""
    tested = sealed()
    assert tested.verdict
    judged = tested.verdict.model_copy(update={"low": low, "high": high})
    said = page(tmp_path / "run", whole_run(), survey(), tested.model_copy(update={"verdict": judged}), 6).sections[""]
    assert [sentence for sentence in ("A real gain.", "Not certain.", "A loss.") if sentence in said] == [words]


@pytest.mark.parametrize(
    ("after", "words"),
    [(0.437, "is 18.7 points above that"), (0.26, "cannot be told from that"), (0.15, "is still below that")],
)
def test_a_gain_is_held_against_guessing(after: float, words: str, tmp_path: Path) -> None:
    """A model that learned only the form of an answer guesses."""
    assert words in page(tmp_path / "run", whole_run(), survey(), sealed(0.05, after), 6).sections[""]


def test_without_a_fixed_number_of_options_nothing_is_said_of_guessing(tmp_path: Path) -> None:
    """It cannot be known."""
    assert "uessing" not in page(tmp_path / "run", whole_run(), survey(options=None), sealed(), 6).source


def test_a_run_that_goes_on_says_so(tmp_path: Path) -> None:
    """With the best so far, which is not the highest score, and when the test is opened."""
    read = page(tmp_path / "run", whole_run()[:4], survey())
    said = read.sections[""]
    assert "The run is not finished." in said
    assert "best so far: experiment 1" in said
    assert "31.0 %" in said
    assert "The sealed test is opened once, when the run ends" in said
    assert "Not opened yet." in read.sections["Sealed test"]


def test_a_run_without_a_better_model_says_so(tmp_path: Path) -> None:
    """Only failures, one of them in a stage that has benchmark rows, whose message is not shown."""
    secret = "the evaluator said: Which term means"
    failures = [
        Failure(stage="prepare_data", kind=FailureKind.DATA, message="no row passes the gate"),
        Failure(stage="evaluate", kind=FailureKind.ENVIRONMENT, message=secret),
        Failure(stage="evaluator", kind=FailureKind.ENVIRONMENT, message=secret),
    ]
    tried = [experiment(k, plan=plan(0), failure=failure) for k, failure in enumerate(failures, start=1)]
    read = page(tmp_path / "run", [experiment(0, 0.1), *tried], survey(), sealed(0.1, None), 0)
    assert "No better model was found." in read.sections[""]
    assert "DATA in prepare_data: no row passes the gate" in read.sections["Experiments"]
    assert "ENVIRONMENT in evaluate" in read.sections["Experiments"]
    assert secret not in read.source


def test_a_run_of_a_generalist_has_a_page(tmp_path: Path) -> None:
    """Without plans; one of its experiments has a verdict, one failed, all are told with what sets them apart."""
    tried = whole_run()
    only_feedback = {"plan": None, "selection": None, "verdict": None, "effect": None, "diagnosis": None}
    one = tried[1].model_copy(update=only_feedback | {"evidence": ()})
    two = tried[2].model_copy(update={"plan": None, "effect": None})
    three = tried[3].model_copy(update={"plan": None})
    settings = {"backbones": ("generalist=openai:m",)}
    read = page(tmp_path / "run", [tried[0], one, two, three], survey(), sealed(), 2, **settings)
    said = read.sections["Experiments"]
    for part in (
        "One mind did the work of all roles", "every source that can be read", "no verdict", "feedback 28.0 %",
        "from experiment 1 data: unchanged training: epochs 2 -> 4", "undecided", "DIVERGED in train",
    ):  # fmt: skip
        assert part in said, part
    assert "Hypothesis" not in read.text
    assert "tree" not in read.ids
    assert "generalist=openai:m" in read.sections[""]


@pytest.mark.parametrize("about", [None, survey()])
def test_an_empty_run_has_a_page(about: Survey | None, tmp_path: Path) -> None:
    """Before the untouched model is scored, with and without a survey."""
    assert "Nothing has been measured yet." in page(tmp_path / "run", [], about).sections[""]


def test_records_from_before_the_new_fields_have_a_page(tmp_path: Path) -> None:
    """No survey, no flow, no evidence, no effect: that is computed from the scores."""
    old = trained(
        1, 0.31, verdict("better", 0.21), effect=None, evidence=(), data=data(1).model_copy(update={"flow": ()})
    )
    read = page(tmp_path / "run", [experiment(0, 0.1), old], None, sealed(), 1)
    assert "+21.0 points observed" in read.sections["Experiments"]
    assert "deduplicate: repeats 31" in read.sections["Data"]
    assert "not counted" in read.sections["Items fixed and broken, and the evidence"]


def test_twenty_five_experiments_have_a_page(tmp_path: Path) -> None:
    """Each has a card."""
    many = [experiment(0, 0.1), *(trained(k, 0.2, verdict("undecided", 0.01)) for k in range(1, 26))]
    read = page(tmp_path / "run", many, survey(), sealed(0.1, None), 0)
    assert [id_ for id_ in read.ids if id_.startswith("experiment-")] == [f"experiment-{k}" for k in range(26)]


def test_a_metric_that_is_no_share_is_written_as_it_is(tmp_path: Path) -> None:
    """Lower is better, values in the hundreds: no percent, no points; the better score is the lower one."""
    error = {"standard_error": 20.0}
    runs = [
        experiment(0, 0.1, selection=result(412.7, **error), feedback=result(398.0, "feedback", 90, **error)),
        trained(1, 0.1, verdict("better", 98.3, half=44.0), effect=None, selection=result(314.4, **error),
                feedback=result(320.0, "feedback", 90, **error)),
    ]  # fmt: skip
    tested = evaluator_client.TestResult(
        baseline=result(420.0, "test", 300, **error), best=result(333.3, "test", 300, **error),
        verdict=verdict("better", 86.7, half=30.0), openings=3,
    )  # fmt: skip
    about = survey(metric=Metric(name="rmse", direction="down"), options=None)
    read = page(tmp_path / "run", runs, about, tested, 1)
    said = read.sections[""]
    for part in ("rmse , less is better", "420.0", "333.3", "+86.70", "A real gain."):
        assert part in said, part
    assert "points" not in read.text
    assert "+98.30 observed" in read.sections["Experiments"]
    assert "opened 3 times" in read.sections["Sealed test"]


def test_each_experiment_is_told_in_full(tmp_path: Path) -> None:
    """Hypothesis, reason, computed change, verdict in words, prediction, cost, diagnosis, replicates, failure."""
    said = page(tmp_path / "run", whole_run(), survey(), sealed(), 6, replicates=3).sections["Experiments"]
    for part in (
        "The sources teach what the benchmark asks.", "Why: The loss was still falling", "training: epochs 2 -> 4",
        "Better than the untouched model: +21.0 points (95 % interval +14.0 to +28.0) on 210 hidden items",
        "31 scored higher than before, 12 lower", "Undecided against experiment 1: +4.7 points",
        "That may be chance, so experiment 1 stays the best; a true difference below 9.2 points is often left",
        "Worse than experiment 1",
        "+3.0 points predicted, +21.0 points observed", "nothing observed", "36,000 tokens trained on",
        "language models read 5,200 and wrote 310 tokens", "underfitting; the diagnostician suggests: more epochs",
        "DIVERGED in train: the loss is not finite at step 14", "seed 1000", "44.0 %", "data: source forum added",
        "data: step added: near_duplicates (threshold 0.8)", "data: sample: rows 200 -> 400",
        "30 % of the time left at that point",
        "a lower learning rate", "McNemar p 0.0060",
    ):  # fmt: skip
        assert part in said, part
    assert said.count("tokens trained on") == 5, "a training that failed has used no known number of tokens"


def test_data_are_traced_from_source_to_row(tmp_path: Path) -> None:
    """Two recipes over three sources; what decontamination left is not told, what it removed is rounded."""
    said = page(tmp_path / "run", whole_run(), survey(), sealed(), 6).sections["Data"]
    for part in ("forum the forum MIT 1,000", "Experiments 1 2 3 4 : 200 training rows", "exams 150 , glossary 50",
                 "sources 2000 filter of exams 2000 1964 no answer 36", "deduplicate 1964 1933 repeats 31",
                 "rendered 1933 changed", "decontamination 208 not told leak (same question) at most 10",
                 "Experiments 5 6 : 400 training rows"):  # fmt: skip
        assert part in said, part


def test_evidence_items_memory_and_words_are_there(tmp_path: Path) -> None:
    """The parts that a reader who doubts looks for."""
    read = page(tmp_path / "run", whole_run(), survey(), sealed(), 6)
    items = read.sections["Items fixed and broken, and the evidence"]
    assert "1 22 4 90 31 12 210 p 0.0060" in items
    assert "flips 22 items were fixed and 4 broken. 26 90" in items
    assert "earlier/002 , in experiment 1 earlier/004 , in experiments 1 6" in read.sections["Memory"]
    assert "opened once" in read.sections["Sealed test"]
    words = read.sections[""].partition("Words used on this page")[2]
    for word in ("feedback", "selection", "sealed test", "verdict", "undecided", "interval", "decontamination", "loss"):
        assert word in words, word


def test_the_time_is_the_terminals(tmp_path: Path) -> None:
    """The same parts from the same events and the same clock."""
    run = write_run(tmp_path / "run", whole_run())
    said = reread(run, survey(), sealed(), 6).sections["Time"]
    timing = measure(run.events(), 910.5)
    for part in timing.parts:
        assert f"{part.name} {duration(part.seconds)} {100 * part.share:.0f} % {part.what}" in said, part
    assert f"wall clock {duration(timing.wall)}" in said


def test_categories_show_the_best_beside_the_untouched_model(tmp_path: Path) -> None:
    """By verdict; without a better one, the highest score."""
    assert "experiment 6 (coloured)" in page(tmp_path / "a", whole_run(), survey(), sealed(), 6).sections["Categories"]
    undecided = [run for run in whole_run() if run.number in (0, 2, 5)]
    undecided = [
        run.model_copy(update={"verdict": verdict("undecided", 0.02)}) if run.number else run for run in undecided
    ]
    assert "experiment 2 (coloured)" in page(tmp_path / "b", undecided, survey()).sections["Categories"]
    alone = experiment(0, 0.1, feedback=result(0.1, "feedback", groups=groups(0.1, ("all",))))
    assert "Categories" not in page(tmp_path / "c", [alone], survey()).sections


def test_nothing_that_a_person_or_a_model_wrote_becomes_markup(tmp_path: Path) -> None:
    """The attack in every text that comes from outside."""
    attacked = trained(
        1, 0.3, verdict("better", 0.2, rule=ATTACK),
        plan=plan(0, ATTACK, reason=ATTACK, data_strategy=ATTACK, training_strategy=ATTACK, outlook=(ATTACK,),
                  memory_ids=(ATTACK,)),
        recipe=DataRecipe(sources=(ATTACK,), steps=(Step(name=ATTACK, parameters={ATTACK: ATTACK, "source": ATTACK}),),
                          reason=ATTACK),
        config=TrainingConfig(method=ATTACK, reason=ATTACK),
        data=data(1).model_copy(update={
            "rows_by_source": {ATTACK: 3},
            "flow": (Flow(step=ATTACK, rows=3, removed={ATTACK: 1}, changed={ATTACK: 2}),),
        }),
        evidence=(*evidence(), Evidence(name=ATTACK, claim=ATTACK, count=1, of=2)),
        feedback=result(0.3, "feedback", groups=groups(0.3, (ATTACK, "other"))),
    )  # fmt: skip
    assert attacked.diagnosis
    said = {"findings": (Finding(claim=ATTACK, count=1, of=2),), "suspected_cause": ATTACK, "next_intervention": ATTACK}
    attacked = attacked.model_copy(update={"diagnosis": attacked.diagnosis.model_copy(update=said)})
    failed = experiment(2, plan=plan(1, ATTACK), failure=Failure(stage="train", kind=FailureKind.OOM, message=ATTACK))
    about = survey(
        name=ATTACK, description=ATTACK, prompt=ATTACK, metric=Metric(name=ATTACK),
        answer=AnswerContract(description=ATTACK, example=""),
    )  # fmt: skip
    sources = tuple(
        s.model_copy(update={"name": ATTACK, "licence": ATTACK, "description": ATTACK}) for s in about.corpus.sources
    )
    about = about.model_copy(update={"corpus": about.corpus.model_copy(update={"sources": sources})})
    read = page(
        tmp_path / "run", [experiment(0, 0.1), attacked, failed], about, sealed(), 1,
        model=ATTACK, backbones=(ATTACK,), profile_reason=ATTACK, engine=ATTACK, run=ATTACK,
    )  # fmt: skip
    assert "script" not in read.tags
    assert "img" not in read.tags
    assert read.text.count("alert(1)") > 80, "the attack did not reach the page"


def test_a_line_of_losses_that_was_cut_off_or_is_no_number_is_passed_over(tmp_path: Path) -> None:
    """A training that was killed or diverged still has a curve."""
    run = write_run(tmp_path / "run", whole_run())
    with (run.experiment(3) / "losses.jsonl").open("a") as file:
        file.write('{"step":61,"steps":62,"loss":NaN,"learning_rate":0.1,"seconds":1}\n{"step":62,"st')
    assert "Training losses" in reread(run, survey(), None, None).sections


def test_the_curves_are_those_of_the_experiments(tmp_path: Path) -> None:
    """One for each training that wrote losses, the failed one's too."""
    source = page(tmp_path / "run", whole_run(), survey()).source
    assert re.findall(r'class="(e\d+) curve', source) == ["e1", "e2", "e3", "e4", "e5", "e6"]


# What changed


def steps(*made: tuple[str, dict[str, Any]]) -> DataRecipe:
    """A recipe of one source."""
    return DataRecipe(sources=("exams",), steps=tuple(Step(name=name, parameters=values) for name, values in made))


def test_a_first_draft_has_nothing_to_differ_from() -> None:
    """Its sources and its settings are named."""
    first = trained(1, 0.3, verdict("better", 0.2))
    assert changes(first, experiment(0, 0.1)) == [
        "data: first recipe, from exams, glossary prepared in 5 steps, listed below",
        "training: first configuration, sft, learning rate 0.001, 2 epochs, batches of 8",
    ]


def test_an_experiment_that_changes_nothing_says_so_twice() -> None:
    """Reasons are no change."""
    one = trained(1, 0.3, verdict("better", 0.2))
    assert one.config
    other = one.model_copy(
        update={
            "config": one.config.model_copy(update={"reason": "another"}),
            "recipe": RECIPE.model_copy(update={"reason": "another"}),
        }
    )
    assert changes(other, one) == ["data: unchanged", "training: unchanged"]


def test_steps_are_compared_by_name_and_source() -> None:
    """An added step does not make all later ones differ; a parameter of one of two equal steps is found."""
    old = steps(
        ("format", {"source": "a", "answer": "x"}), ("format", {"source": "b"}), ("sample", {"rows": 10, "by": None})
    )
    new = steps(
        ("filter", {"require": ["question"]}),
        ("format", {"source": "a", "answer": "y"}),
        ("format", {"source": "b"}),
        ("sample", {"rows": 20}),
    )
    before, after = (experiment(k, recipe=recipe, config=TrainingConfig()) for k, recipe in enumerate((old, new)))
    assert changes(after, before) == [
        'data: step added: filter (require ["question"])',
        "data: format of a: answer x -> y",
        "data: sample: rows 10 -> 20",
        "training: unchanged",
    ]


def test_a_removed_step_and_source_are_named_and_code_is_counted() -> None:
    """A script of forty lines is not printed."""
    code = "\n".join(f"line {k}" for k in range(40))
    old = steps(("script", {"code": code}), ("deduplicate", {}))
    new = RECIPE.model_copy(update={"steps": (Step(name="script", parameters={"code": code + "\nx"}),)})
    before, after = (experiment(k, recipe=recipe) for k, recipe in enumerate((old, new)))
    assert changes(after, before) == [
        "data: source glossary added",
        "data: script: code (40 lines) -> (41 lines)",
        "data: step removed: deduplicate",
        "training: no configuration was made",
    ]


def test_experiments_on_the_same_rows_share_a_lineage() -> None:
    """The same recipe for another reason is the same; failed ones without rows have none."""
    found = lineages(whole_run())
    assert [rows.numbers for rows in found] == [(1, 2, 3, 4), (5, 6)]
    first = found[0].stages
    assert [(stage.step, stage.entered, stage.left) for stage in first][:3] == [
        ("sources", None, 2000), ("filter of exams", 2000, 1964), ("deduplicate", 1964, 1933)
    ]  # fmt: skip
    assert first[-1].left is None
