"""Does a second run profit from the first? For each seed: a run with an empty memory, then two runs with another seed,
one that reads what the first left, and one with `--memory off`.

    python -m benchmarks.remembering --seeds 0 1 2 [--budget 20m] [--out runs/study]

Told for each run: after how many experiments it reached the best selection score of the first run.
"""

from benchmarks.study import FinishedRun, complete, study_flags

OTHER_SEED = 100
"""Added to the seed of the first run, so that nothing is repeated by chance."""


def scores(run: FinishedRun) -> list[float]:
    """Selection scores of the experiments in order, without the untouched model; a failed one counts as 0."""
    return [experiment.selection.score if experiment.selection else 0.0 for experiment in run.experiments[1:]]


def reached(run: FinishedRun, goal: float) -> int | None:
    """The first experiment whose selection score is at least `goal`; None when there is none."""
    return next((number for number, score in enumerate(scores(run), start=1) if score >= goal), None)


def main() -> None:
    """The command line."""
    arguments = study_flags(__doc__)
    print("| seed | first run's best | after | with its memory: after | scores | without memory: after | scores |")
    print("|---|---|---|---|---|---|---|")
    for seed in arguments.seeds:
        folder = arguments.out.absolute() / f"seed-{seed}"
        memory = ["--memory-dir", folder / "memory"]
        flags = ["--task", "finance_starter", "--budget", arguments.budget]
        first = complete(folder / "first", [*flags, "--seed", str(seed), *memory])
        other = [*flags, "--seed", str(seed + OTHER_SEED)]
        off = complete(folder / "off", [*other, "--memory", "off"])
        again = complete(folder / "again", [*other, *memory])
        best = max(scores(first))
        told = [
            f"{reached(run, best) or 'never'} | {', '.join(f'{s:.3f}' for s in scores(run))}" for run in (again, off)
        ]
        print(f"| {seed} | {best:.3f} | {reached(first, best)} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
