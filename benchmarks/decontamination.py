"""What does decontamination find, what does it remove wrongly, and how fast is it?

    python -m benchmarks.decontamination [--data-root DIR] [--speed-rows 100000]

Without `--data-root` the starter benchmark and its sources are used, with it also what lies there of FinanceIQ, AIME,
TableBench, ChemCoTBench, PANORAMA, GSM8K, MATH and MMLU. Of a collection without a benchmark some rows serve as items,
and the others are legal; rows about the molecule, the table or the application of an item are set apart. Prints tables:
edited copies of all items found, by edit; things with an identity found in other forms; handwritten paraphrases found,
on the half on which thresholds were chosen and on the other one; legal rows removed; what an English embedder could do
for Chinese; rows a second. Takes some minutes, in one process.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from benchmarks.leak_corpora import Corpus, Paraphrase, half, paraphrases, real, starter
from benchmarks.leak_edits import EDITS
from benchmarks.leak_forms import FORMS
from tasks.decontaminate import Content, Decontaminator
from tasks.embedding import CachedEmbedder, SentenceEmbedder
from tasks.identity import Sightings
from tasks.question import Question, is_cjk, same_solution
from tasks.task import Sample

COPIES = ("exact", "n-gram")
SPEED_ITEMS = 1000
EMBEDDED = 2000
"""Questions whose embedding is timed."""
LEGAL_CHINESE = 1000
"""Legal rows in Chinese that say from which cosine on one in a hundred would go."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print("|", " | ".join(head), "|")
    print("|---" * len(head) + "|")
    for row in rows:
        print("|", " | ".join(map(str, row)), "|", flush=True)
    print()


def share(number: int, of: int, digits: int = 1) -> str:
    """`3 of 400 (0.8 %)`."""
    return f"{number} of {of} ({100 * number / of:.{digits}f} %)" if of else "-"


def distinct(corpora: Iterable[Corpus]) -> dict[str, list[Sample]]:
    """The benchmarks, each question once."""
    found: dict[str, dict[str, Sample]] = {}
    for corpus in corpora:
        items = found.setdefault(corpus.benchmark, {})
        items.update((item.content, item) for item in corpus.items if item.content)
    return {name: list(items.values()) for name, items in found.items()}


def planted(corpora: Sequence[Corpus], folder: Path) -> None:
    """Copies of all items, by edit: how many can be edited so, and how many are found."""

    def found(items: Sequence[Sample], kind: str, guard: Decontaminator) -> str:
        chance, questions = random.Random(kind), [item.content for item in items]
        rows = [
            Content(question=changed, answer=item.answer, options=item.options)
            for item in items
            if (changed := EDITS[kind](item.content, chance, questions)) is not None
        ]
        return share(sum(reason is not None for reason in guard.leaks(rows)), len(rows))

    def row(name: str, items: Sequence[Sample]) -> list[object]:
        guard = Decontaminator(items, folder)
        return [name, *(found(items, kind, guard) for kind in EDITS)]

    print("## Edited copies found\n")
    table(["items of", *EDITS], (row(name, items) for name, items in distinct(corpora).items()))


def in_other_forms(corpora: Sequence[Corpus], folder: Path) -> None:
    """Things with an identity, in forms that no other rule knows."""
    print("## Molecules, tables and applications found in other forms\n")
    lines: list[list[object]] = []
    for name, items in distinct(corpora).items():
        guard = Decontaminator(items, folder)
        for form, write in FORMS.items():
            rows = [row for item in items if (row := write(item)) is not None]
            if rows:
                lines.append([name, form, share(sum(reason is not None for reason in guard.leaks(rows)), len(rows))])
    table(["items of", "form", "found"], lines)


def reworded(known: Sequence[Paraphrase], guard: Decontaminator) -> None:
    """The handwritten paraphrases, with the options of their item and without."""
    plain = [one._replace(row=one.row.model_copy(update={"options": (), "answer": text_of(one)})) for one in known]
    print("## Handwritten paraphrases found\n")
    lines: list[list[object]] = []
    for form, rows in (("with options", known), ("without options", plain)):
        hits = [reason is not None for reason in guard.leaks([one.row for one in rows])]
        for language, chinese in (("English", False), ("Chinese", True)):
            by_half = [
                [
                    hit
                    for one, hit in zip(rows, hits, strict=True)
                    if one.chinese == chinese and half(one.item.id) == side
                ]
                for side in (0, 1)
            ]
            both = by_half[0] + by_half[1]
            lines.append([language, form, *(share(sum(part), len(part)) for part in (*by_half, both))])
        lines.append(["all", form, "", "", share(sum(hits), len(hits))])
    table(["language", "form", "chosen on", "held out", "both"], lines)


def text_of(one: Paraphrase) -> str:
    """The answer in words."""
    letter, options = one.item.answer, one.item.options
    return options["ABCD".index(letter)] if options and letter in tuple("ABCD") else letter


def kept(corpora: Sequence[Corpus], known: Sequence[Paraphrase], own: Decontaminator, folder: Path) -> None:
    """Legal rows that are removed, by corpus, and how fast. Rows about what an item is about are not legal."""
    print("## Legal rows removed\n")
    lines: list[list[object]] = []

    def look(name: str, guard: Decontaminator, rows: Sequence[Content], sides: Sequence[int]) -> None:
        began = time.process_time()
        reasons = guard.leaks(rows)
        seconds = time.process_time() - began
        halves = [[bool(one) for one, part in zip(reasons, sides, strict=True) if part == side] for side in (0, 1)]
        told = ", ".join(f"{reason} {count}" for reason, count in Counter(reasons).items() if reason) or "-"
        removed = (share(sum(part), len(part), 2) for part in (*halves, halves[0] + halves[1]))
        lines.append([name, *removed, told, f"{len(rows) / seconds:,.0f}"])

    for language, those in (("English", (False,)), ("Chinese", (True,)), ("all", (False, True))):
        legal = [(row, half(one.item.id)) for one in known if one.chinese in those for row in one.legal]
        look(f"handwritten, same fact, {language}", own, *zip(*legal, strict=True))
    guards: dict[int, Decontaminator] = {}
    for corpus in corpora:
        guard = guards.setdefault(id(corpus.items), Decontaminator(corpus.items, folder))
        known_things = Sightings(name for item in corpus.items for name in item.identities)
        rows = [row for row in corpus.rows if known_things.seen((), row.identities) is None]
        if rows:
            set_apart = f", {len(corpus.rows) - len(rows)} set apart" if len(rows) < len(corpus.rows) else ""
            look(f"{corpus.name}{set_apart}", guard, rows, [half(row.question + row.prompt) for row in rows])
    table(["rows", "removed of those chosen on", "held out", "both", "as", "rows a CPU second"], lines)


def chinese(known: Sequence[Paraphrase], corpora: Sequence[Corpus], folder: Path) -> None:
    """Paraphrases above the cosine that one in a hundred legal Chinese rows with an item's solution reaches."""
    print("## An English embedder on Chinese\n")
    legal = next((corpus for corpus in corpora if corpus.rows and is_cjk(question(corpus.rows[0]).text)), None)
    if legal is None:
        print("needs legal rows in Chinese: `--data-root` with FinanceIQ\n")
        return
    own = [one for one in known if one.chinese]
    items = [Question(item.content, item.answer, item.options) for item in (*legal.items, *(one.item for one in own))]
    embedder = CachedEmbedder(SentenceEmbedder(), folder)
    vectors = embedder.embed([item.question for item in items])

    def nearest(contents: Sequence[Content]) -> list[float]:
        rows = [question(content) for content in contents]
        cosines = embedder.embed([row.question for row in rows]) @ vectors.T
        return [
            max(
                (float(cosines[number, place]) for place, item in enumerate(items) if same_solution(row, item)),
                default=-1,
            )
            for number, row in enumerate(rows)
        ]

    least = float(np.quantile(nearest(legal.rows[:LEGAL_CHINESE]), 0.99))
    reached = sum(cosine > least for cosine in nearest([one.row for one in own]))
    characters = Decontaminator([*legal.items, *(one.item for one in own)], folder)
    found = sum(reason is not None for reason in characters.leaks([one.row for one in own]))
    print(f"one legal row in a hundred has an item with its solution at a cosine above {least:.2f}")
    print(f"paraphrases above it: {share(reached, len(own))}; found by characters: {share(found, len(own))}\n")


def question(content: Content) -> Question:
    """A row as it is compared."""
    return Question(content.question, content.answer, content.options)


def speed(corpora: Sequence[Corpus], count: int) -> None:
    """Exact and n-gram rules on many rows, and the embedder on some, first and again."""
    print("## Speed\n")
    largest = max(corpora, key=lambda corpus: len(corpus.rows) if len(corpus.items) >= SPEED_ITEMS else 0)
    rows = [row for corpus in corpora for row in corpus.rows]
    guard = Decontaminator(largest.items[:SPEED_ITEMS])
    began, used = time.perf_counter(), time.process_time()
    for row in islice(cycle(rows), count):
        guard.copied(row)
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    print(
        f"exact and n-gram: {count:,} rows against {SPEED_ITEMS:,} items in {wall:.1f} s, {count / wall:,.0f} rows/s, "
        f"{count / cpu:,.0f} a CPU second"
    )
    different = list(dict.fromkeys(row.question for row in rows))
    texts = random.Random(0).sample(different, min(EMBEDDED, len(different)))
    SentenceEmbedder().embed(texts[:1])
    with tempfile.TemporaryDirectory() as folder:
        for what in ("new", "cached"):
            embedder = CachedEmbedder(SentenceEmbedder(), Path(folder))
            began, used = time.perf_counter(), time.process_time()
            embedder.embed(texts)
            wall, cpu = time.perf_counter() - began, time.process_time() - used
            print(f"embedding, {what}: {len(texts) / wall:,.0f} rows/s, {len(texts) / cpu:,.0f} a CPU second")


def main() -> None:
    """See the docstring of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, help="folder with real rows")
    parser.add_argument("--speed-rows", type=int, default=100_000, help="rows of the timing")
    options = parser.parse_args()
    corpora = [*starter(), *(real(options.data_root) if options.data_root else ())]
    known = paraphrases()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = Decontaminator(
            {one.id: one for one in (*corpora[0].items, *(one.item for one in known))}.values(), folder
        )
        planted(corpora, folder)
        in_other_forms(corpora, folder)
        reworded(known, own)
        kept(corpora, known, own, folder)
        chinese(known, corpora, folder)
    speed(corpora, options.speed_rows)


if __name__ == "__main__":
    main()
