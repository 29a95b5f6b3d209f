"""Rules about the training rows: noise, repetitions, balance, form, sources."""

from memory.records import Evidence
from roles.practitioner.formats import format_steps
from roles.practitioner.moves import left_out, other_rows, short, without
from roles.practitioner.rules.answers import longest_answer
from roles.practitioner.rules.view import Suspicion, View, suspect

NOISY = 0.03
"""Share of contradicted labels above which they are cleaned."""
REPEATED = 0.03
"""Share of near duplicates above which they are dropped."""
UNEVEN = 3.0
"""Rows of the largest category over those of the smallest."""
OWN_FORM = 0.5
"""Share of rows in the benchmark's form below which its form is learned badly."""
LONG = 2.0
"""Words of the median training answer over those of the benchmark's."""
OFF_TOPIC = 0.6
"""A source is off topic when it resembles the benchmark less than this, relative to the closest source."""


def label_noise(view: View) -> Suspicion | None:
    """Answers of the rows contradict each other."""
    found = _above(view, "label_noise", NOISY)
    return suspect("label noise", found.claim, ("clean labels", min(0.1, found.share / 2))) if found else None


def duplicates(view: View) -> Suspicion | None:
    """Time goes into rows that nearly repeat others."""
    found = _above(view, "duplicates", REPEATED)
    gain = min(0.05, found.share / 4) if found else 0.0
    return suspect("duplicates", found.claim, ("without near duplicates", gain)) if found else None


def _above(view: View, name: str, share: float) -> Evidence | None:
    found = view.evidence(name)
    return found if found and found.share > share else None


def imbalance(view: View) -> Suspicion | None:
    """Some categories have few rows."""
    found = view.evidence("imbalance")
    if found is None or found.figures["ratio"] <= UNEVEN:
        return None
    return suspect("imbalance", found.claim, ("balance the categories", 0.02))


def format_mismatch(view: View) -> Suspicion | None:
    """Few rows look like the benchmark, or their answers are much longer."""
    form, lengths = view.evidence("format_match"), view.evidence("lengths")
    if form and form.of and form.share < OWN_FORM:
        return suspect("format mismatch", form.claim, ("fewer rows in other forms", 0.03), ("task format only", 0.02))
    expected = lengths.figures["answer_words_benchmark"] if lengths else 0.0
    bound = longest_answer(view)
    if lengths is None or not expected or lengths.figures["answer_words_training"] <= LONG * expected or not bound:
        return None
    return suspect("format mismatch", lengths.claim, (short("answer", bound), 0.02))


def unread_sources(view: View) -> Suspicion | None:
    """A source that can be read has never been used."""
    used = {source for trial in (*view.trials, view.parent) if trial.recipe for source in trial.recipe.sources}
    unread = sorted(set(format_steps(view.survey)) - used)
    if view.parent.recipe is None or not unread:
        return None
    return suspect("unread sources", f"Not used so far: {', '.join(unread)}.", ("all sources", 0.01))


def off_topic(view: View) -> Suspicion | None:
    """A source resembles the benchmark much less than the others do."""
    found, data = view.evidence("relevance"), view.parent.data
    if found is None or data is None or len(found.figures) < 2:
        return None
    source = min(found.figures, key=lambda name: (found.figures[name], name))
    if found.figures[source] >= OFF_TOPIC * max(found.figures.values()):
        return None
    share = data.rows_by_source.get(source, 0) / data.rows
    return suspect("off topic", found.claim, (without(source), max(0.01, min(0.03, share / 8))))


def chance_rows(view: View) -> Suspicion | None:
    """A sample left rows out: others can be drawn, which promises nothing but another draw."""
    recipes = [trial.recipe for trial in (*view.trials, view.parent) if trial.recipe]
    seeds = [step.parameters.get("seed") for recipe in recipes for step in recipe.steps if step.name == "sample"]
    data = view.parent.data
    if data is None or not left_out(data):
        return None
    seed = 1 + max((seed for seed in seeds if isinstance(seed, int)), default=0)
    reason = f"{left_out(data)} rows were left out by chance; another draw takes other ones."
    return suspect("chance", reason, (other_rows(seed), 0.0))
