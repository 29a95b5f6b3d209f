"""Free Python over the raw data, in the sandbox."""

from pydantic import Field

from roles.data_steps.row import DataStep


class Script(DataStep):
    """Run Python code that writes `/out/data.jsonl`; it replaces the rows so far.

    It finds the raw sources as `/corpus/<source>.jsonl` (read-only) and, when steps come before it, their rows as
    `/out/rows.jsonl` (one object a line with `source`, `row`, `fields`). Each line it writes is one of two things. With
    `prompt` and `answer` it is a finished training row; its answer must be readable by the scorer, and `options` (list
    of texts) tells it the options where there are some. Without `prompt` it is a raw row for steps that follow, such as
    `format` with `prompt: task`. `source` and `row` say where a row comes from; `source` is what `format` goes by, and
    "script" when it is left out. The program is first tried on 100 rows (of `rows.jsonl`, or else of each source). No
    network, no keys, no packages of this project; Python's standard library is there.
    """

    code: str = Field(min_length=1, description="the Python program")
    wall_seconds: int = Field(default=120, gt=0, le=3600)


STEP = Script
