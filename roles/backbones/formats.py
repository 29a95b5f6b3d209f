"""How the built-in minds turn a raw source into prompts and answers: by the names and the looks of its fields."""

import re
from typing import Any

from memory.records import Step
from roles.briefing import Survey, TaskCard
from tasks.corpus import CorpusSource

_OPTION = re.compile(r"(?:option|choice|answer)?[_ ]?([a-h])", re.IGNORECASE)
_QUESTION = ("question", "problem", "query", "instruction", "prompt", "input", "title", "headline", "text")
_ANSWER = ("solution", "answer", "response", "output", "completion", "label", "target")
_TERM, _DEFINITION = ("term", "word", "concept", "name"), ("definition", "meaning", "description")


def format_steps(survey: Survey) -> dict[str, Step]:
    """A `format` step for each source that can be understood, by source name; the others are left out."""
    steps = {source.name: _format_step(source, survey.task) for source in survey.corpus.sources}
    return {name: step for name, step in steps.items() if step}


def in_task_format(step: Step) -> bool:
    """Whether a `format` step renders the task's own prompt."""
    return step.parameters.get("prompt", "task") == "task"


def _format_step(source: CorpusSource, task: TaskCard) -> Step | None:
    options = _option_fields(source)
    answer = _named(source, _ANSWER)
    if options and answer:
        return _multiple_choice(source, task, options, answer)
    question = _named(source, _QUESTION)
    if question and answer:
        return _open_question(source, task, question, answer)
    term, definition = _named(source, _TERM), _named(source, _DEFINITION)
    if term and definition:
        prompt = f"Which term of {task.domain} means: {{{{ {definition} }}}}?"
        return Step(name="format", parameters={"source": source.name, "prompt": prompt, "answer": f"{{{{ {term} }}}}"})
    return None


def _option_fields(source: CorpusSource) -> list[str]:
    """Fields A, B, C ... or option_a, option_b, ... in order; at least two."""
    found = {match[1].lower(): name for name in source.fields if (match := _OPTION.fullmatch(name))}
    letters = "abcdefgh"[: len(found)]
    return [found[letter] for letter in letters] if len(found) >= 2 and set(letters) == set(found) else []


def _multiple_choice(source: CorpusSource, task: TaskCard, options: list[str], answer: str) -> Step | None:
    question = _named(source, _QUESTION)
    if question is None or not all(option.isidentifier() for option in options):  # templates cannot name the others
        return None
    letters = "ABCDEFGH"[: len(options)]
    by_letter = all(str(row.get(answer, "")).strip() in {*letters, ""} for row in source.examples)
    texts = ", ".join(f"'{letter}': {option}" for letter, option in zip(letters, options, strict=True))
    gold = f"{{{{ {{{texts}}}[{answer} | trim] }}}}" if by_letter else f"{{{{ {answer} }}}}"
    parameters: dict[str, Any] = {"source": source.name, "answer": gold}
    if not set(task.prompt_fields) <= set(source.fields):
        if not set(task.prompt_fields) <= {"question", "options"}:
            return None
        parameters["fields"] = {
            "question": f"{{{{ {question} }}}}",
            "options": [f"{{{{ {option} }}}}" for option in options],
        }
    return Step(name="format", parameters=parameters)


def _open_question(source: CorpusSource, task: TaskCard, question: str, answer: str) -> Step:
    prompt = "task" if set(task.prompt_fields) <= set(source.fields) else f"Question: {{{{ {question} }}}}"
    return Step(name="format", parameters={"source": source.name, "prompt": prompt, "answer": f"{{{{ {answer} }}}}"})


def _named(source: CorpusSource, names: tuple[str, ...]) -> str | None:
    fields = {field.lower(): field for field in source.fields}
    return next((fields[name] for name in names if name in fields), None)
