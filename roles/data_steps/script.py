"""Free Python over the raw data, in the sandbox."""

from pydantic import Field

from roles.data_steps.row import DataStep


class Script(DataStep):
    """Run Python code that writes `/out/data.jsonl`; it replaces the rows so far.

    It finds the raw sources as `/corpus/<source>.jsonl` (read-only) and the rows of the steps before it as
    `/out/rows.jsonl` (one object a line with `source`, `row`, `fields`). Each line it writes needs `prompt` and
    `answer`; `options` (list), `source` and `row` are optional. No network, no keys, no packages of this project.
    """

    code: str = Field(min_length=1, description="the Python program")
    wall_seconds: int = Field(default=120, gt=0, le=3600)


STEP = Script
