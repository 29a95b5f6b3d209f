"""Calls in processes of their own that end in time: for libraries that no bound on their input makes safe."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as OutOfTime
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

Result = TypeVar("Result")


def within(
    seconds: float, function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], warm: tuple[Any, ...]
) -> list[Result | None]:
    """Call a function with each of many arguments, several at a time, one a core.

    Args:
        seconds: wall clock of one call, after which its process is killed.
        function: importable, as are its arguments and results picklable; what it raises is raised here.
        warm: arguments of a first call in every process, which may take as long as it likes: it loads the libraries.

    Returns:
        A result for each, in order; None for a call that took too long or ended its process.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other threads
    workers = min(os.cpu_count() or 1, len(arguments))
    with ProcessPool(max_workers=workers, initializer=function, initargs=warm, context=context) as pool:
        futures = [pool.schedule(function, args=each, timeout=seconds) for each in arguments]
        return [_result(future) for future in futures]


def _result(future: Any) -> Any:
    try:
        return future.result()
    except (OutOfTime, ProcessExpired):
        return None
