"""What the sandbox costs: the same command in it and without it, in turn.

    python -m benchmarks.sandbox [--calls 30]

The command starts Python and does nothing. Prints one JSON line: the median milliseconds of a call without and with the
sandbox, their difference, and what bounds the number of processes and the memory of all of them together.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from tasks import sandbox
from tasks.control_group import kernel_binds

COMMAND = (sys.executable, "-I", "-S", "-c", "pass")


def milliseconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """See the docstring of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=30, help="calls of each kind")
    calls = parser.parse_args().calls
    if (complaint := sandbox.available()) is not None:
        sys.exit(complaint)
    plain, inside = [], []
    for _ in range(calls):
        plain.append(milliseconds(lambda: subprocess.run(COMMAND, check=True)))
        inside.append(milliseconds(lambda: sandbox.run(COMMAND, sandbox.Mounts())))
    found = {
        "calls": calls,
        "plain_ms": round(median(plain), 1),
        "sandbox_ms": round(median(inside), 1),
        "overhead_ms": round(median(inside) - median(plain), 1),
        "processes_bound_by": sandbox.process_bound(),
        "memory_bound_by": "control group" if "memory" in kernel_binds() else "supervisor",
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
