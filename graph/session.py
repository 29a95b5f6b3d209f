"""From flags to a finished run: check everything, start the processes, stream the graph, close."""

import argparse
import json
import shlex
import sqlite3
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command
from rich.console import Console
from rich.table import Table

from eval.base_model import SMOLLM2, SMOLLM2_NOTE
from eval.devices import plan_devices
from eval.engine_client import AUTO, choose_engine, engine_service, model_folder
from eval.evaluator_client import Description, Evaluator
from eval.hardware import Hardware, survey_hardware, versions
from eval.socket_folder import remove_abandoned
from graph.approval import Proposal
from graph.budget import CLOCK, Budget
from graph.build import RunGraph, build_generalist_graph, build_graph
from graph.calibration import assumed_speed, remember_speed
from graph.config import RunConfig, choose_profile, dry_run_model, parse_duration, scripted_minds
from graph.context import RunContext
from graph.family import INDEX, resume_family, share_of_budget, start_family
from graph.gateway import answer_seconds, choose_tiers, open_gateway
from graph.person import NobodyThere, ask
from graph.progress import Terminal
from graph.run_dir import ENVIRONMENT, RunDir
from graph.state import State, by_number
from graph.timing import measure, table
from memory.store import ExperimentMemory, open_memory
from roles.backbone import GENERALIST, Minds, choose_specs, in_words, load_minds
from roles.data_steps.pipeline import Pipeline
from tasks import sandbox
from tasks.benchmark import at_a_glance
from tasks.catalogue import family_of, find_task, tasks, with_protocol
from tasks.corpus import read_corpus
from tasks.failure import InputError
from tasks.record import read_record, write_record, write_text

RUNS = Path("runs")
FINANCE, STARTER = "finance", "finance_starter"
"""FinanceIQ has to be fetched; without data and without a GPU the task that ships with the project stands in."""
CACHE = Path.home() / ".cache" / "ft-dojo"
STEPS = "steps"
"""Folder of step outputs in the run directory."""
THREAD = "run"
RECURSION_LIMIT = 10_000
"""LangGraph's own limit; the budget ends the loop long before."""


def draw(backbones: Sequence[str]) -> int:
    """Print the graph that values of `--backbone` lead to, as a Mermaid diagram."""
    build = build_generalist_graph if GENERALIST in choose_specs(backbones) else build_graph
    print(build().get_graph(xray=True).draw_mermaid())
    return 0


def list_tasks(data_root: Path | None) -> int:
    """Print a line for each task: what it measures, how many items there are, where they come from."""
    table = Table(box=None, pad_edge=False)
    for heading in ("task", "family", "metric", "items", "benchmark", "licence"):
        table.add_column(heading, overflow="fold")
    for task in tasks().values():
        items, place = at_a_glance(task, data_root)
        table.add_row(task.name, task.domain, task.metric.name, items, place, task.benchmark.licence)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return 0


def start(flags: argparse.Namespace) -> int:
    """A new run, or one for each task of a family."""
    members = family_of(flags.task)
    if not members:
        return start_run(flags)
    profile, _ = choose_profile(flags.profile, survey_hardware())
    budget = share_of_budget(flags, profile.budget_seconds)
    return start_family(flags, members, budget, RUNS, start_run, lambda one: resume_run(one.run_dir))


def start_run(flags: argparse.Namespace) -> int:
    """A new run; nothing is written into the run directory before all input is known to be good."""
    terminal, hardware = Terminal(), survey_hardware()
    config = make_config(flags, hardware)
    if config.task != flags.task and config.task == STARTER:
        terminal.say(f"task {flags.task} needs its data, by --data-root or --profile gpu; {STARTER} runs instead")
    minds = load_minds(config.backbones, config.temperatures, config.efforts)
    run = RunDir(flags.run_dir or RUNS / config.run)
    if run.path.exists():
        run.create()  # says why it cannot be
    terminal.say(f"profile {config.profile}: {config.profile_reason}")
    note = f" ({SMOLLM2_NOTE})" if config.model == SMOLLM2 else ""
    terminal.say(f"model {config.model}{note}; engine {config.engine}")
    terminal.say(f"minds {in_words(minds)}")

    def begin() -> None:
        run.create()
        run.hold()
        write_record(run.file("config.json"), config)
        write_text(run.file(ENVIRONMENT), json.dumps(versions(), indent=1) + "\n")

    with opened(config, run, hardware, terminal, minds=minds, begin=begin) as context:
        _introduce(context)
        return _stream(context, resumed=False)


def resume_run(name: Path) -> int:
    """Go on with a stopped run, where it stopped."""
    path = name if name.is_dir() else RUNS / name
    if (path / INDEX).is_file():
        return resume_family(path, start_run, lambda one: resume_run(one.run_dir))
    if not (path / "config.json").is_file():
        known = sorted(found.parent.name for found in RUNS.glob("*/config.json"))
        raise InputError(f"--resume {name}: no such run; runs here: {', '.join(known[-10:]) or 'none'}")
    run, terminal, hardware = RunDir(path), Terminal(), survey_hardware()
    config = read_record(run.file("config.json"), RunConfig)
    run.hold()
    minds = load_minds(config.backbones, config.temperatures, config.efforts)
    terminal.say(f"resuming {config.run}: task {config.task}, model {config.model}, engine {config.engine}")
    with opened(config, run, hardware, terminal, minds=minds) as context:
        _introduce(context)
        return _stream(context, resumed=True)


def make_config(flags: argparse.Namespace, hardware: Hardware) -> RunConfig:
    """Check the flags and fix every choice that is left open.

    Raises:
        InputError: a flag's value is wrong, or a package it needs is missing.
    """
    profile, reason = choose_profile(flags.profile, hardware)
    named = STARTER if flags.task == FINANCE and profile.name == "embedded" and not flags.data_root else flags.task
    task = with_protocol(find_task(named), flags.protocol)
    budget = parse_duration(flags.budget) if flags.budget else None
    if budget is None and flags.max_experiments is None and not flags.dry_run:
        budget = profile.budget_seconds
    if flags.data_root and not flags.data_root.is_dir():
        raise InputError(f"--data-root {flags.data_root}: no such folder")
    cache = (flags.cache_dir or CACHE).absolute()
    backbones = scripted_minds(flags.backbone) if flags.dry_run else tuple(flags.backbone or ["expert"])
    if flags.approve and GENERALIST in choose_specs(backbones):
        raise InputError("--approve: plans are approved, and a generalist makes none; leave out one of the two")
    model = dry_run_model(flags.dry_run, flags.model, profile)
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{task.name}"
    return RunConfig(
        run=(flags.run_dir.name if flags.run_dir else name),
        task=str(Path(named).resolve()) if named.endswith((".yaml", ".yml")) else task.name,
        protocol=flags.protocol,
        profile=profile.name,
        profile_reason=reason,
        model=str(Path(model).resolve()) if Path(model).is_dir() else model,
        backbones=backbones,
        temperatures=tuple(flags.temperature),
        efforts=tuple(flags.effort),
        tiers=choose_tiers(flags.tiers, choose_specs(backbones)),
        max_tokens=flags.max_tokens,
        max_cost=flags.max_cost,
        prices=tuple(flags.price),
        answer_seconds=answer_seconds(flags.answer_timeout),
        # A dry run teaches nothing, so the shared memory is spared unless a folder is named.
        memory="run" if flags.dry_run and flags.memory == "on" and not flags.memory_dir else flags.memory,
        memory_dir=str((flags.memory_dir or RUNS / "memory").absolute()),
        data_root=str(flags.data_root.resolve()) if flags.data_root else None,
        budget_seconds=budget,
        max_experiments=flags.max_experiments or (2 if flags.dry_run else profile.max_experiments),
        max_train_rows=flags.max_train_rows or profile.max_train_rows,
        seed=flags.seed,
        max_regression=flags.max_regression,
        replicates=flags.replicates,
        engine=choose_engine("transformers" if flags.dry_run and flags.engine == AUTO else flags.engine),
        cache_dir=str(cache),
        unsafe_scripts=flags.unsafe_scripts,
        approve=flags.approve,
        merge=flags.merge,
        dry_run=flags.dry_run,
        tokens_per_second=assumed_speed(cache, model, hardware, profile),
    )


@contextmanager
def opened(
    config: RunConfig,
    run: RunDir,
    hardware: Hardware,
    terminal: Terminal,
    *,
    minds: Minds | None = None,
    begin: Callable[[], None] = lambda: None,
    warm: bool = True,
) -> Generator[RunContext]:
    """Start the processes of a run and end them again.

    Args:
        begin: called when all input is known to be good, before anything is written to the run directory.
        warm: start the engine at once; else when it is first asked.

    Raises:
        InputError: model, task files or memory cannot be used.
    """
    began = time.monotonic()
    remove_abandoned()
    cache = Path(config.cache_dir)
    terminal.say("reading the task, preparing the model")
    model = model_folder(config.model, cache)
    root = Path(config.data_root) if config.data_root else None
    log = cache / "logs" / f"{config.run}-evaluator.log"
    devices = plan_devices(hardware.gpus, model)
    with ExitStack() as started:
        evaluator = started.enter_context(closing(Evaluator(config.task, root, cache, log, config.protocol)))
        engine = started.enter_context(closing(engine_service(config.engine, model, run.file("engine.log"), devices)))
        gateway = open_gateway(config, minds or {}, run)
        if gateway:
            started.enter_context(closing(gateway))
        description = evaluator.describe()
        begin()
        if gateway:
            gateway.spent()  # starts it, so that what it lacks is known before anything is spent
        evaluator.attach(run.path)
        if warm:
            engine.start()  # it loads while the rest is prepared
        run.waited(time.monotonic() - began)
        engine.waited = evaluator.service.waited = run.waited
        run.listener = terminal.follow
        yield RunContext(
            config=config,
            run=run,
            hardware=hardware,
            description=description,
            model=model,
            evaluator=evaluator,
            engine=engine,
            devices=devices,
            minds=minds or {},
            memory=_memory(config, run),
            pipeline=_pipeline(config, description, model, run),
            budget=Budget(config, run.file(CLOCK), description.test_answers, description.other_answers, began),
            gateway=gateway,
            terminal=terminal,
        )


def _pipeline(config: RunConfig, description: Description, model: Path, run: RunDir) -> Pipeline:
    corpus, steps = Path(description.corpus), run.file(STEPS)
    return Pipeline(description.task, corpus, steps, model, config.seed, unsafe=config.unsafe_scripts)


def _memory(config: RunConfig, run: RunDir) -> ExperimentMemory | None:
    if config.memory == "off":
        return None
    return open_memory(run.file("memory") if config.memory == "run" else Path(config.memory_dir))


def _introduce(context: RunContext) -> None:
    """The first lines: what is at hand and what can be found with it."""
    say, d, config = context.terminal.say, context.description, context.config
    corpus = read_corpus(context.corpus)
    say(f"task {d.task.name}: " + ", ".join(f"{s.name} {s.rows} rows" for s in corpus.sources))
    shared = " (feedback and selection are the same rows: verdicts are weaker)" if d.shared else ""
    say(f"benchmark: feedback {d.feedback}, selection {d.selection}, sealed test {d.test}{shared}")
    if d.new_tokens < d.task.max_new_tokens:
        say(f"without a GPU answers are cut at {d.new_tokens} tokens; the task gives them {d.task.max_new_tokens}")
    say(f"detectable effect of one decision: {context.detectable_effect:.3f} ({d.task.metric.name}, 80 % power)")
    minutes = f"{config.budget_seconds / 60:.0f} min, " if config.budget_seconds else ""
    say(f"budget: {minutes}{config.max_experiments} experiments, {config.max_train_rows} rows each; seed {config.seed}")
    complaint = sandbox.available()
    if complaint:
        say(f"no sandbox: {complaint}; data steps run unconfined, scripts are refused without --unsafe-scripts")
    say(f"run {context.run.path}")


def _stream(context: RunContext, *, resumed: bool) -> int:
    """Run the graph to its end."""
    thread: RunnableConfig = {"configurable": {"thread_id": THREAD}, "recursion_limit": RECURSION_LIMIT}
    database = sqlite3.connect(context.run.file("graph.sqlite"), check_same_thread=False, timeout=30)
    try:
        build = build_generalist_graph if GENERALIST in context.minds else build_graph
        graph = build(SqliteSaver(database))
        began = resumed and graph.get_state(thread).created_at is not None
        given: State | Command[Any] | None = None if began else {"experiments": [], "candidates": []}
        try:
            while given := _until_asked(context, graph, thread, given):
                pass
        except (KeyboardInterrupt, NobodyThere) as error:
            context.budget.save()
            if isinstance(error, NobodyThere):
                context.terminal.say(str(error))
            again = shlex.join([sys.executable, "run_graph.py", "--resume", str(context.run.path)])
            context.terminal.say(f"stopped; go on with: {again}")
            raise KeyboardInterrupt from None
        state: dict[str, Any] = graph.get_state(thread).values
    finally:
        database.close()
    remember_speed(context)
    _conclude(context, state)
    return 0


def _until_asked(
    context: RunContext, graph: RunGraph, thread: RunnableConfig, given: State | Command[Any] | None
) -> Command[Any] | None:
    """Run the graph until a person is asked, and return the answer; None at the end of the run.

    The time until the answer comes is not the run's.
    """
    with context.terminal.live():
        _show(context, graph.get_state(thread).values)
        for _ in graph.stream(given, thread, context=context, stream_mode="updates", durability="sync"):
            context.budget.save()
    questions = graph.get_state(thread).interrupts
    if not questions:
        return None
    with context.budget.stopped():
        answer = ask(context.terminal, context.run, Proposal.model_validate(questions[0].value))
    return Command(resume=answer.model_dump(mode="json"))


def _show(context: RunContext, state: dict[str, Any]) -> None:
    """Tell the terminal what was found before it became live."""
    experiments = by_number(state.get("candidates", []), state.get("experiments", []))
    if experiments:
        context.terminal.show(experiments, state.get("incumbent", 0), context.budget.remaining(experiments))


def _conclude(context: RunContext, state: dict[str, Any]) -> None:
    """The last lines: the sealed test and where the time went."""
    say, result = context.terminal.say, state["test"]
    if state.get("ended"):
        say(f"the loop ended early: {state['ended']}")
    if result.best and result.verdict:
        v = result.verdict
        say(
            f"sealed test: {result.baseline.score:.3f} -> {result.best.score:.3f}, {v.effect:+.3f} "
            f"(95 % {v.low:+.3f} to {v.high:+.3f}, n={v.n}, unparsed {result.best.unparsed:.0%})"
        )
    else:
        say(f"sealed test: {result.baseline.score:.3f}; no experiment was better than the untouched model")
    if result.openings > 1:
        say(f"this test split has now been opened {result.openings} times; its score means less each time")
    for line in table(measure(context.run.events(), context.budget.used)):
        say(line)
    say(f"report {context.run.file('report.html')}")
