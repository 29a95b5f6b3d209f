"""How raw sources become prompts and answers: by the names and the looks of their fields."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from memory.records import Step
from roles.briefing import Survey, TaskCard
from tasks.corpus import CorpusSource
from tasks.molecule_items import MAKERS

_OPTION = re.compile(r"(?:option|choice|answer)?[_ ]?([a-h])", re.IGNORECASE)
_OPTIONS = ("options", "choices", "answers", "candidates")
_QUESTION = ("question", "problem", "query", "instruction", "prompt", "input", "title", "headline", "text")
_ANSWER = ("solution", "answer", "correct", "response", "output", "completion", "label", "target")
_TERM, _DEFINITION = ("term", "word", "concept", "name"), ("definition", "meaning", "description")
_NAME = re.compile(r"[A-Za-z_]\w*")
_TAG = re.compile(r"</?[a-z][a-z0-9]*[^<>]*>", re.IGNORECASE)
TAGS = 3
"""A text with at least so many tags is HTML."""
_HTML_QUESTION = (".question .body", ".question-body", ".question", ".post-text", "h1", "title")
_HTML_ANSWER = (".accepted .body", ".accepted-answer .body", ".accepted", ".answer .body", ".answer-body", ".answer")
_HTML_NOISE = ("script", "style", "blockquote", ".quote", ".signature", ".sig", ".ad", ".advert")
QUESTION, ANSWER = "question_text", "answer_text"
"""Fields that `html_clean` reads out of a page."""
OFFERED = "offered"
"""Field that `choices` fills with options."""
SHORT = 60
"""Characters up to which the answer to an open question makes a good option."""


def format_steps(survey: Survey) -> dict[str, Step]:
    """A `format` step for each source that can be understood, by source name; the others are left out."""
    steps = {source.name: _format_step(source, survey.task) for source in survey.corpus.sources}
    return {name: step for name, step in steps.items() if step}


def in_task_format(step: Step) -> bool:
    """Whether a `format` step renders the task's own prompt."""
    return step.parameters.get("prompt", "task") == "task"


def html_steps(survey: Survey, name: str) -> list[Step]:
    """The steps that read question and answer out of a source of HTML pages; none for other sources."""
    source = _source(survey, name)
    found = _html(source) if source else None
    if found is None:
        return []
    field, question, answer = found
    parameters: dict[str, Any] = {
        "source": name,
        "field": field,
        "select": {QUESTION: question, ANSWER: answer},
        "drop": list(_HTML_NOISE),
    }
    return [Step(name="html_clean", parameters=parameters)]


def molecule_steps(survey: Survey, name: str) -> list[Step]:
    """The step that makes questions out of a source of molecules, where the benchmark asks what can be computed."""
    source = _source(survey, name)
    kinds = _kinds(source, survey.task) if source else []
    if not kinds:
        return []
    parameters: dict[str, Any] = {"source": name, "kinds": kinds, "rows": survey.max_train_rows}
    return [Step(name="molecule_items", parameters=parameters)]


def _kinds(source: CorpusSource, task: TaskCard) -> list[str]:
    """The benchmark's sub-tasks that can be made from the molecules of a source."""
    return [group for group in task.groups if group in MAKERS] if "smiles" in source.fields else []


def choice_steps(survey: Survey, name: str) -> list[Step]:
    """The step that gives options to a source of open questions, where the benchmark's questions have some."""
    source = _source(survey, name)
    found = _offering(source, survey.task) if source else None
    if source is None or found is None:
        return []
    parameters: dict[str, Any] = {"source": name, "answer": found[1], "into": OFFERED, "number": survey.task.options}
    if field := group_field(survey, name):
        parameters["by"] = field
    return [Step(name="choices", parameters=parameters)]


def group_field(survey: Survey, name: str) -> str | None:
    """The field of a source whose values are categories of the benchmark; None when there is none."""
    source, groups = _source(survey, name), set(survey.task.groups)
    if source is None or len(groups) < 2 or not source.examples:
        return None
    named = (field for field in source.fields if _NAME.fullmatch(field))  # conditions cannot name the others
    return next((field for field in named if {str(row.get(field)) for row in source.examples} <= groups), None)


def _source(survey: Survey, name: str) -> CorpusSource | None:
    return next((source for source in survey.corpus.sources if source.name == name), None)


def _format_step(source: CorpusSource, task: TaskCard) -> Step | None:
    if _kinds(source, task):
        return Step(name="format", parameters={"source": source.name, "answer": "{{ answer }}"})
    options, answer = _option_fields(source), _named(source, _ANSWER)
    if not options and (listed := _list_field(source)):
        length = min(len(row[listed]) for row in source.examples)
        options = [f"{listed}[{number}]" for number in range(length)]
    if options and answer:
        return _multiple_choice(source, task, options, answer)
    if offering := _offering(source, task):
        return _offered_choice(source.name, task, *offering)
    question = _named(source, _QUESTION)
    if question and answer:
        return _open_question(source.name, source.fields, task, question, answer)
    if _html(source):
        return _open_question(source.name, (QUESTION, ANSWER), task, QUESTION, ANSWER)
    term, definition = _named(source, _TERM), _named(source, _DEFINITION)
    if term and definition:
        prompt = _which_term(task, definition)
        return Step(name="format", parameters={"source": source.name, "prompt": prompt, "answer": f"{{{{ {term} }}}}"})
    return None


def _option_fields(source: CorpusSource) -> list[str]:
    """Fields A, B, C ... or option_a, option_b, ... in order; at least two."""
    found = {match[1].lower(): name for name in source.fields if (match := _OPTION.fullmatch(name))}
    letters = "abcdefgh"[: len(found)]
    return [found[letter] for letter in letters] if len(found) >= 2 and set(letters) == set(found) else []


def _list_field(source: CorpusSource) -> str | None:
    """A field that holds a list of at least two options in every example."""
    field = _named(source, _OPTIONS)
    lists = [row.get(field) for row in source.examples] if field else []
    return field if lists and all(isinstance(value, list) and len(value) >= 2 for value in lists) else None


def _multiple_choice(source: CorpusSource, task: TaskCard, options: list[str], answer: str) -> Step | None:
    question = _named(source, _QUESTION)
    plain = all(re.fullmatch(rf"{_NAME.pattern}(\[\d\])?", option) for option in options)
    if question is None or not plain:  # templates cannot name the others
        return None
    letters = "ABCDEFGH"[: len(options)]
    by_letter = all(_letter(row.get(answer)) in {*letters, ""} for row in source.examples)
    texts = ", ".join(f"'{letter}': {option}" for letter, option in zip(letters, options, strict=True))
    letter = f"{answer} | trim(' .()') | upper"
    gold = f"{{{{ {{{texts}}}[{letter}] }}}}" if by_letter else f"{{{{ {answer} }}}}"
    if by_letter and task.scorer == "letter":
        gold = f"{{{{ {letter} }}}}"
    parameters: dict[str, Any] = {"source": source.name, "answer": gold}
    if not set(task.prompt_fields) <= set(source.fields):
        if not set(task.prompt_fields) <= {"question", "options"}:
            return None
        parameters["fields"] = {
            "question": f"{{{{ {question} }}}}",
            "options": [f"{{{{ {option} }}}}" for option in options],
        }
    return Step(name="format", parameters=parameters)


def _which_term(task: TaskCard, definition: str) -> str:
    return f"Which term of {task.domain} means: {{{{ {definition} }}}}?"


def _offering(source: CorpusSource, task: TaskCard) -> tuple[str, str] | None:
    """Question template and answer field of open questions whose short, different answers can be options."""
    if not task.options or set(task.prompt_fields) != {"question", "options"}:
        return None
    if _option_fields(source) or _list_field(source):
        return None
    question, answers = _named(source, _QUESTION), [name for name in _ANSWER if _named(source, (name,))]
    term, definition = _named(source, _TERM), _named(source, _DEFINITION)
    if question:
        pairs = [(f"{{{{ {question} }}}}", _named(source, (name,))) for name in answers]
    else:
        pairs = [(_which_term(task, definition), term)] if term and definition else []
    return next(((text, field) for text, field in pairs if field and _varied(source, field)), None)


def _varied(source: CorpusSource, field: str) -> bool:
    """Whether the examples have short answers, all different: not a label, and not an explanation."""
    values = [str(row.get(field) or "") for row in source.examples]
    return len(values) > 1 and len(set(values)) == len(values) and all(0 < len(value) <= SHORT for value in values)


def _offered_choice(name: str, task: TaskCard, question: str, answer: str) -> Step:
    options = [f"{{{{ {OFFERED}[{number}] }}}}" for number in range(task.options or 0)]
    fields: dict[str, Any] = {"question": question, "options": options}
    return Step(name="format", parameters={"source": name, "answer": f"{{{{ {answer} }}}}", "fields": fields})


def _letter(value: Any) -> str:
    return str(value or "").strip(" .()").upper()


def _open_question(name: str, known: Iterable[str], task: TaskCard, question: str, answer: str) -> Step:
    prompt = "task" if set(task.prompt_fields) <= set(known) else f"Question: {{{{ {question} }}}}"
    parameters: dict[str, Any] = {"source": name, "prompt": prompt, "answer": _worded(task, set(known), answer)}
    return Step(name="format", parameters=parameters)


def _worded(task: TaskCard, known: set[str], answer: str) -> str:
    """The answer's template in the form that the task's scorer reads."""
    if task.scorer == "math" and "answer" in known:
        worked = f"{{{{ {answer} }}}}\n\nThe answer is " if answer != "answer" else ""
        return worked + r"\boxed{{ '{' }}{{ answer }}{{ '}' }}"
    if task.scorer in ("table_exact", "table_analysis"):
        return f"Final Answer: {{{{ {answer} }}}}"
    return f"{{{{ {answer} }}}}"


def _html(source: CorpusSource) -> tuple[str, str, str] | None:
    """Field, question selector and answer selector of a source of HTML pages, as its examples have them."""
    for field in source.fields:
        texts = tuple(str(row.get(field) or "") for row in source.examples)
        if texts and all(len(_TAG.findall(text)) >= TAGS for text in texts) and (found := _selectors(texts)):
            return field, *found
    return None


@lru_cache(maxsize=64)
def _selectors(texts: tuple[str, ...]) -> tuple[str, str] | None:
    """Selectors of question and answer in pages; None unless each has a question and one an answer."""
    from bs4 import BeautifulSoup

    pages = [BeautifulSoup(text, "html.parser") for text in texts]
    question = next((s for s in _HTML_QUESTION if all(page.select_one(s) for page in pages)), None)
    answer = next((s for s in _HTML_ANSWER if any(page.select_one(s) for page in pages)), None)
    return (question, answer) if question and answer else None


def _named(source: CorpusSource, names: tuple[str, ...]) -> str | None:
    fields = {field.lower(): field for field in source.fields}
    return next((fields[name] for name in names if name in fields), None)
