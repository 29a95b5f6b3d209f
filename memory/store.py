"""The experiment memory: every experiment of every run, found again by meaning.

The run directories are the truth; this is an index over them in one Chroma collection, built again at any time:

    python -m memory.store rebuild --runs runs --memory-dir runs/memory
    python -m memory.store list --memory-dir runs/memory --task finance_starter
    python -m memory.store recall "answers do not parse" --memory-dir runs/memory

Several processes may use one directory: each access is short and takes the directory's lock (`memory/index.py`).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from memory.journal import read_journals
from memory.recall import describe, outcome
from memory.records import Experiment
from tasks.embedding import Embedder, SentenceEmbedder
from tasks.failure import InputError
from tasks.record import Record, explain

if TYPE_CHECKING:
    from chromadb import Collection

DIRECTORY = Path("runs/memory")
"""Where the memory rests unless told otherwise."""
BATCH = 100
"""Experiments handed to Chroma at a time."""
DIGITS = 4
"""Similarities are rounded to this many digits, so that noise of the arithmetic decides no order."""


class Recalled(Record):
    """An experiment that memory holds for relevant."""

    id: str
    experiment: Experiment
    similarity: float = Field(ge=0, le=1, description="cosine between the question and the experiment, 0 if negative")


class ExperimentMemory:
    """The experiments of all runs in one directory. Nothing is held between two calls, so nothing needs closing.

    Every method raises `InputError` when the index cannot be used (locked too long, damaged, made with another
    embedder); `rebuild` is the way out and never reads the old index.
    """

    def __init__(self, directory: Path, embedder: Embedder | None = None) -> None:
        self.directory = directory.absolute()
        self.embedder: Embedder = embedder or SentenceEmbedder()

    def __enter__(self) -> "ExperimentMemory":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do: each access closed what it opened."""

    def add(self, experiment: Experiment) -> None:
        """Remember an experiment; one with the same id is replaced.

        Write the run's journal first: a rebuild that runs at the same time then loses nothing.
        """
        from memory.index import opened

        with opened(self.directory, self.embedder) as collection:
            _upsert(collection, [experiment])

    def recall(
        self,
        question: str,
        *,
        task: str | None = None,
        domain: str | None = None,
        run: str | None = None,
        exclude_run: str | None = None,
        limit: int = 5,
    ) -> list[Recalled]:
        """The experiments nearest to a question, most similar first; equally similar ones in the order of their ids.

        Failed and negative experiments are among them.

        Args:
            task, domain, run: only experiments of these.
            exclude_run: none of this run.
            limit: at most so many.
        """
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        from memory.index import opened

        where = _where({"task": task, "domain": domain, "run": run}, exclude_run)
        vector = self.embedder.embed([question])
        with opened(self.directory, self.embedder) as collection:
            nearest = _nearest(collection, vector, where, limit)
            if not nearest:
                return []  # Chroma refuses an empty list of ids
            found = {experiment.id: experiment for experiment in self._read(collection, ids=list(nearest))}
        return [Recalled(id=id_, experiment=found[id_], similarity=similarity) for id_, similarity in nearest.items()]

    def experiments(self, *, task: str | None = None, model: str | None = None) -> list[Experiment]:
        """All experiments, or those of a task, of a model or of both, in the order of their ids."""
        from memory.index import opened

        with opened(self.directory, self.embedder) as collection:
            found = self._read(collection, where=_where({"task": task, "model": model}, None))
        return sorted(found, key=lambda experiment: experiment.id)

    def count(self) -> int:
        """How many experiments are remembered."""
        from memory.index import opened

        with opened(self.directory, self.embedder) as collection:
            return collection.count()

    def rebuild(self, run_directories: Iterable[Path]) -> int:
        """Replace the index by the experiments in the journals of these runs, and return their number.

        The old index stays in place until the new one is complete, whatever happens in between.

        Raises:
            InputError: a run has no journal, a line is not an experiment or of another version (it names the file
                and the row), or two runs hold different experiments under one id.
        """
        from memory.index import replaced

        with replaced(self.directory, self.embedder) as collection:
            experiments = read_journals(run_directories)
            for start in range(0, len(experiments), BATCH):
                _upsert(collection, experiments[start : start + BATCH])
        return len(experiments)

    def _read(self, collection: "Collection", **selection: Any) -> list[Experiment]:
        from memory.index import advice

        rows = collection.get(include=["metadatas"], **selection)["metadatas"] or []
        try:
            return [Experiment.model_validate_json(str(row["record"])) for row in rows]
        except (ValidationError, KeyError) as error:
            reason = explain(error) if isinstance(error, ValidationError) else "no record"
            raise InputError(
                f"{self.directory} holds an unreadable record ({reason}); {advice(self.directory)}"
            ) from None


def open_memory(directory: Path, embedder: Embedder | None = None) -> ExperimentMemory:
    """The memory in a directory, which is made if need be, after a look at whether it can be used.

    Args:
        embedder: what turns texts into vectors; the offline `SentenceEmbedder` by default.

    Raises:
        InputError: the index is damaged or was made with another embedder (it says how to build it again).
    """
    memory = ExperimentMemory(directory, embedder)
    memory.count()
    return memory


def _upsert(collection: "Collection", experiments: Sequence[Experiment]) -> None:
    if experiments:
        collection.upsert(
            ids=[experiment.id for experiment in experiments],
            documents=[describe(experiment) for experiment in experiments],
            metadatas=[_metadata(experiment) for experiment in experiments],
        )


def _metadata(experiment: Experiment) -> dict[str, str | int | float | bool | None]:
    """What can be filtered by, and the record itself.

    Chroma leaves out what is None. It must be given all the same: an upsert would keep the value that was there.
    """
    plan, config, verdict = experiment.plan, experiment.config, experiment.verdict
    record = experiment.model_dump_json()
    Experiment.model_validate_json(record)  # NaN is written as null: better refused now than unreadable later
    return {
        "run": experiment.run,
        "task": experiment.task,
        "domain": experiment.domain,
        "model": experiment.model,
        "method": config.method if config else None,
        "number": experiment.number,
        "outcome": outcome(experiment),
        "factor": plan.factor if plan else None,
        "failed": experiment.failure is not None,
        "effect": verdict.effect if verdict else None,
        "score": experiment.selection.score if experiment.selection else None,
        "record": record,
    }


def _where(equal: dict[str, str | None], exclude_run: str | None) -> dict[str, Any] | None:
    """Chroma's filter; it wants `$and` for two conditions and refuses it for one."""
    conditions: list[dict[str, Any]] = [{key: value} for key, value in equal.items() if value is not None]
    if exclude_run is not None:
        conditions.append({"run": {"$ne": exclude_run}})
    return {"$and": conditions} if len(conditions) > 1 else next(iter(conditions), None)


def _nearest(collection: "Collection", vector: Any, where: dict[str, Any] | None, limit: int) -> dict[str, float]:
    """Ids and similarities, the nearest first; asks for more until no tie is cut at the limit by chance."""
    asked, count = limit + 1, collection.count()
    while True:
        result = collection.query(query_embeddings=vector, n_results=asked, where=where, include=["distances"])
        ids, distances = result["ids"][0], (result["distances"] or [[]])[0]
        similarities = {id_: _similarity(distance) for id_, distance in zip(ids, distances, strict=True)}
        ranked = sorted(similarities.items(), key=lambda item: (-item[1], item[0]))
        if len(ranked) < asked or asked >= count or ranked[limit - 1][1] > ranked[-1][1]:
            return dict(ranked[:limit])
        asked *= 2


def _similarity(distance: float) -> float:
    return round(min(max(1.0 - distance, 0.0), 1.0), DIGITS)


if __name__ == "__main__":
    from memory.command import main

    raise SystemExit(main())
