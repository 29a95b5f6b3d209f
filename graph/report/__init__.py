"""`report.html`: one self-contained page a run, rewritten after every experiment. It shows no benchmark text."""

from eval.evaluator_client import TestResult
from graph.config import RunConfig
from graph.run_dir import RunDir
from graph.templates import render
from roles.briefing import Survey
from tasks.record import write_text


def write_report(run: RunDir, config: RunConfig, survey: Survey | None, result: TestResult | None) -> None:
    """Write `report.html` from what the run has recorded so far."""
    page = render(
        "report.html",
        config=config,
        survey=survey,
        experiments=run.experiments(),
        result=result,
        stages=run.stage_seconds(),
    )
    write_text(run.file("report.html"), page)
