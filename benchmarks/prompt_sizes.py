"""How large are the prompts of the roles, and of a generalist?

    python -m benchmarks.prompt_sizes [--data-root DATA] [--task NAME ...] [--show ROLE]

For each task and role three prompts are rendered and their tokens counted: before the first experiment, in the middle
of a run (three experiments), and the longest that a run can lead to (forty experiments with long recipes and scripts,
a full memory, the longest diagnosis, refusals, the longest feedback items answered at length). The generalist, who
works in the place of the roles, is asked before its first turn and after four turns for each of these experiments.
Task, sources and items are real; trials are made up. Tasks whose data is not at hand are named and left out.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer

from eval.base_model import SMOLLM2
from eval.engine_client import model_folder
from eval.evaluator_client import Evaluator
from eval.hardware import survey_hardware
from eval.result import ItemResult
from graph.decisions import WRONG_SHOWN
from graph.hands import ROW_BYTES
from graph.recollection import FAMILY, NEAREST, summarise
from graph.session import CACHE
from graph.surveying import survey_of
from memory.records import LONG, LONGEST, DataRecipe, Diagnosis, Evidence, Experiment, Finding, Plan, Step
from roles.backbone import GENERALIST, ROLES, Agent, Question, Role
from roles.briefing import (
    DataBriefing,
    DiagnosticianBriefing,
    GeneralistBriefing,
    PlannerBriefing,
    Recollection,
    Remaining,
    Situation,
    Survey,
    TrainerBriefing,
)
from roles.canned import prepared, trained, untouched
from roles.conversation import Conversation
from roles.data_steps import describe_steps
from roles.data_steps.models import Tier
from roles.evidence import names as evidence_names
from roles.generalist import (
    Allowance,
    Call,
    Decision,
    Evaluate,
    Example,
    Look,
    Looked,
    Prepare,
    Prepared,
    Reply,
    Train,
    Turn,
)
from roles.probe import SCHEMAS
from roles.recipes import names as methods
from tasks.benchmark import load_benchmark
from tasks.catalogue import find_task, tasks
from tasks.failure import InputError
from tasks.task import Sample

LARGEST, TYPICAL = 24_000, 8_000
"""Tokens that the largest of the longest prompts may have, and the median of those in the middle of a run."""
WORDS = "The rows of this source answer in another form than the benchmark asks for, and so the model learns to. "
CODE = "for row in rows:\n    out.write(json.dumps({'prompt': row['question'], 'answer': row['answer']}))\n"

REMAINING = Remaining(experiments=3, minutes=40, tokens_per_second=600, training_tokens=500_000, most_tokens=1_500_000)
TIERS: dict[Tier, str] = {"strong": "openai:strong", "weak": "openai:weak"}
AGENTS: tuple[Agent, ...] = (*ROLES, GENERALIST)


class Scene(NamedTuple):
    """How far a run has come."""

    name: str
    experiments: int
    words: int
    """How long everything is that minds write: `WORDS` so many times."""
    recalled: int
    complaints: tuple[str, ...] = ()


SCENES = (
    Scene("first", 0, 1, 0),
    Scene("typical", 3, 2, NEAREST),
    Scene("longest", 40, 40, NEAREST + FAMILY, (WORDS * 40, WORDS * 40)),
)


def questions(survey: Survey, items: list[Sample], scene: Scene) -> Iterator[Question[Any]]:
    """The question of each role in a scene.

    Args:
        items: feedback items, the longest first.
    """
    trials = (untouched(), *(_trial(survey, number, scene) for number in range(1, scene.experiments + 1)))
    latest = trials[-1]
    situation: dict[str, Any] = {
        "survey": survey,
        "trials": trials,
        "incumbent": min(1, scene.experiments),
        "remaining": REMAINING,
        "recalled": tuple(
            Recollection(
                id=f"run-{k}/00{k}", similarity=0.8, summary=summarise(latest), experiment=latest, baseline=0.1
            )
            for k in range(scene.recalled)
        ),
    }
    known: dict[str, Any] = {"diagnosis": latest.diagnosis, "evidence": latest.evidence}
    plan = _plan(scene, latest.number)
    briefings: dict[Role, Situation] = {
        "planner": PlannerBriefing(**situation, **known),
        "data_engineer": DataBriefing(
            **situation, **known, plan=plan, parent_recipe=latest.recipe, steps=tuple(describe_steps()),
            tiers=TIERS,
        ),
        "trainer": TrainerBriefing(
            **situation, **known, plan=plan, data=prepared(), parent_config=latest.config, methods=tuple(methods())
        ),
    }  # fmt: skip
    if scene.experiments:
        said, middle = (WORDS * scene.words).strip(), len(items) // 2
        longest = scene is SCENES[-1]
        wrong = tuple(
            ItemResult(
                id=item.id, group=item.group, prompt=item.prompt, answer=item.answer, completions=(said,),
                scores=(0.0,), parsed=(False,), truncated=False,
            )
            for item in (items if longest else items[middle:])[:WRONG_SHOWN]
        )  # fmt: skip
        briefings["diagnostician"] = DiagnosticianBriefing(
            **situation, experiment=latest, evidence=latest.evidence, parent_feedback=trials[0].feedback,
            wrong=wrong, fixed=5, broken=3,
        )  # fmt: skip
    for role, briefing in briefings.items():
        yield Question(role, briefing, SCHEMAS[role], scene.complaints)


def conversation(survey: Survey, scene: Scene) -> Conversation:
    """The question of the generalist in a scene."""
    opening = GeneralistBriefing(
        survey=survey, trials=(untouched(),), incumbent=0, remaining=REMAINING, methods=tuple(methods()),
        steps=tuple(describe_steps()), tiers=TIERS, turns=200,
    )  # fmt: skip
    turns: list[Turn] = []
    left = Allowance(remaining=REMAINING, turns=100, train=True, evaluate=True)

    def add(call: Call, **result: Any) -> None:
        thought = (WORDS * scene.words)[:LONGEST]
        reply = Reply(decision=Decision(thought=thought, call=call))
        turns.append(Turn(number=len(turns) + 1, reply=reply, left=left, **result))

    source = survey.corpus.sources[0]
    rows = tuple(json.dumps(row, ensure_ascii=False)[:ROW_BYTES] for row in survey.rows_shown[source.name])
    for number in range(1, scene.experiments + 1):
        trial = _trial(survey, number, scene)
        assert trial.recipe
        assert trial.data
        assert trial.config
        example = Example(source=source.name, prompt=rows[0], answer="Answer: B")
        made = Prepared(number=number, recipe=trial.recipe, data=trial.data, examples=(example,) * len(rows))
        add(Look(action="look", source=source.name), looked=Looked(rows=rows, found=source.rows))
        add(Prepare(action="prepare", recipe=trial.recipe), prepared=made)
        add(Train(action="train", data=number, config=trial.config), experiment=trial)
        add(Evaluate(action="evaluate", experiment=number), experiment=trial)
    return Conversation(opening, turns)


def _plan(scene: Scene, parent: int) -> Plan:
    said = (WORDS * scene.words)[:LONGEST]
    factor = "data" if parent else "both"
    return Plan(
        hypothesis=said[:LONG],
        parent=parent,
        factor=factor,
        data_strategy=said,
        training_strategy=said,
        predicted_effect=0.05,
    )


def _trial(survey: Survey, number: int, scene: Scene) -> Experiment:
    """An experiment of which all is long that may be."""
    said, sources = (WORDS * scene.words)[:LONGEST], tuple(source.name for source in survey.corpus.sources)
    steps = [
        Step(name="script", parameters={"code": CODE * 3 * scene.words, "wall_seconds": 300}),
        *(Step(name="format", parameters={"source": name, "answer": "{{ answer }}"}) for name in sources),
        Step(name="sample", parameters={"rows": 1500, "by": "source"}),
    ]
    diagnosis = Diagnosis(
        findings=tuple(Finding(claim=said[:LONG], count=10, of=100) for _ in range(scene.words)),
        suspected_cause=said, next_intervention=said, next_factor="data",
        weak_groups=tuple(survey.task.groups)[:5],
    )  # fmt: skip
    found = tuple(Evidence(name=name, claim=WORDS * min(scene.words, 3), count=1, of=9) for name in evidence_names())
    return trained().model_copy(
        update={
            "number": number,
            "plan": _plan(scene, number - 1),
            "recipe": DataRecipe(sources=sources, steps=tuple(steps), reason=said),
            "diagnosis": diagnosis,
            "evidence": found,
        }
    )


def feedback_items(name: str, data_root: Path | None) -> list[Sample]:
    """The feedback items of a task, the longest first."""
    benchmark = load_benchmark(find_task(name), data_root)
    return sorted(benchmark.of("feedback"), key=lambda item: -len(item.prompt))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--task", action="append", help="one task; repeatable (default: all)")
    parser.add_argument("--show", choices=AGENTS, help="print the longest prompt of this agent for the last task")
    asked = parser.parse_args()
    model = model_folder(SMOLLM2, CACHE)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)

    def count(texts: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(texts)["input_ids"]]

    console = Console(width=140)
    table = Table("task", "scene", *AGENTS, box=None)
    found: dict[str, dict[Agent, list[int]]] = {scene.name: {agent: [] for agent in AGENTS} for scene in SCENES}
    shown = ""
    for name in asked.task or list(tasks()):
        try:
            with tempfile.TemporaryDirectory() as folder:
                evaluator = Evaluator(name, asked.data_root, CACHE, Path(folder) / "log", "honest")
                try:
                    description = evaluator.describe()
                finally:
                    evaluator.close()
            survey = survey_of(
                description, model, count,
                hardware=survey_hardware(), model=SMOLLM2, detectable_effect=0.05, max_train_rows=2000, remembered=100,
            )  # fmt: skip
            items = feedback_items(name, asked.data_root)
        except InputError as error:
            console.print(f"{name} is left out: {error}", markup=False, highlight=False)
            continue
        for scene in SCENES:
            sizes: dict[Agent, int] = {}
            for question in (*questions(survey, items, scene), conversation(survey, scene)):
                prompt = "\n".join(message.content for message in question.messages)
                (sizes[question.role],) = count([prompt])
                shown = prompt if question.role == asked.show else shown
            for agent, size in sizes.items():
                found[scene.name][agent].append(size)
            table.add_row(name, scene.name, *(str(sizes.get(agent, "")) for agent in AGENTS))
    console.print(table)
    for name, limit in (("typical", TYPICAL), ("longest", LARGEST)):
        by_agent = {agent: counts for agent, counts in found[name].items() if counts}
        every = [size for counts in by_agent.values() for size in counts]
        if every:
            each = ", ".join(f"{agent} {median(counts):.0f}" for agent, counts in by_agent.items())
            print(f"{name}: median {median(every):.0f} ({each}), largest {max(every)}; aim {limit} at most")
    console.print(f"tokens of {SMOLLM2}'s tokenizer")
    if shown:
        console.print(shown, markup=False, highlight=False)


if __name__ == "__main__":
    main()
