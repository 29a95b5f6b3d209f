"""The rows that the reference system (FT-Dojo, arXiv 2603.01712) validates and tests on.

Each of its sub-datasets is divided alone: the first `min(100, n // 2)` rows are for validation, the last ones for the
test, after a shuffle with NumPy's `default_rng(42).permutation` (what `datasets.shuffle(seed=42)` does), or in the
order of the file. Both protocols test on these rows.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

MOST = 100
SEED = 42


def reference_split(
    sets: Mapping[str, Sequence[str]], order: Literal["shuffled", "in_order"]
) -> tuple[set[str], set[str]]:
    """Ids of the validation and of the test rows; a row of two sub-datasets may be in both.

    Args:
        sets: ids of each sub-dataset, in the order of the file.
    """
    validation: set[str] = set()
    test: set[str] = set()
    for ids in sets.values():
        places = np.random.default_rng(SEED).permutation(len(ids)) if order == "shuffled" else range(len(ids))
        ordered = [ids[place] for place in places]
        part = min(MOST, len(ids) // 2)
        validation.update(ordered[:part])
        test.update(ordered[len(ids) - part :])
    return validation, test
