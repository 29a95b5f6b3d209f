"""Turn raw rows into prompt and answer."""

from collections import Counter
from typing import Any

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext
from tasks.benchmark import content_of, render_options
from tasks.failure import InputError
from tasks.task import Task
from tasks.template import SHOTS, fields, render

TASK = "task"


class Format(DataStep):
    """Render prompt and answer of the rows of one source with Jinja templates over their fields.

    With `prompt: task` the rows are rendered by the task's own prompt, so that training looks like the benchmark;
    `fields` then supplies what that prompt reads under other names. The raw fields stay, for steps that follow. Where a
    field holds the letter of another one, `{{ {'A': A, 'B': B, 'C': C, 'D': D}[answer] }}` is its text.
    """

    source: str = Field(description="the source whose rows are rendered")
    prompt: str = Field(default=TASK, description="`task` for the task's own prompt, or a Jinja template")
    answer: str = Field(description="Jinja template of the answer to learn")
    fields: dict[str, str | list[str]] = Field(
        default_factory=dict, description="new fields by template, or lists of templates, computed before the prompt"
    )

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Render rows of the source; rows whose templates do not render are dropped with the reason."""
        removed: Counter[str] = Counter()
        kept: list[DataRow] = []
        for row in rows:
            if row.source != self.source:
                kept.append(row)
                continue
            try:
                kept.append(row.model_copy(update={"fields": self._render(row.fields, context.task)}))
            except InputError:
                removed[f"{self.source}: a template does not render"] += 1
        if removed and not any(row.source == self.source for row in kept):
            self._explain(rows, context.task)
        return Applied(kept, removed)

    def _explain(self, rows: list[DataRow], task: Task) -> None:
        """Raise the error of the first row: no row rendered, so the template is at fault."""
        self._render(next(row.fields for row in rows if row.source == self.source), task)

    def _render(self, raw: dict[str, Any], task: Task) -> dict[str, Any]:
        row = dict(raw)
        for name, template in self.fields.items():
            single = isinstance(template, str)
            row[name] = render(template, raw) if single else [render(part, raw) for part in template]
        answer = render(self.answer, row)
        if self.prompt != TASK:
            content = " ".join(str(row[name]) for name in fields(self.prompt) if name in row)
            return {**row, "prompt": render(self.prompt, row), "answer": answer, "options": [], "content": content,
                    "task_format": False}  # fmt: skip
        return in_task_form(task, row, answer)


def in_task_form(task: Task, row: dict[str, Any], answer: str) -> dict[str, Any]:
    """The fields of a row and those of a formatted one, rendered by the task's own prompt.

    Raises:
        InputError: the row lacks a field that the task's templates read.
    """
    return {
        **row,
        "prompt": render(task.prompt, {SHOTS: [], **row}),
        "answer": answer,
        "options": list(render_options(task.options, row)),
        "content": content_of(task, row),
        "task_format": True,
    }


STEP = Format
