"""Carries tasks out on dask: a cluster of this machine's processes, or any by its address."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from counterpoise.domain.errors import DataError
from counterpoise.lab.running import Request
from counterpoise.lab.sweep.evaluating import Prepared, evaluate
from counterpoise.lab.sweep.grid import Task
from counterpoise.lab.sweep.results import Results, Row

#: A scheduler that has not answered after this is not there, seconds.
CONNECT_SECONDS_MAX: Final = 20


def carry_out(
    prepared: Prepared,
    request: Request,
    tasks: Sequence[Task],
    results: Results,
    *,
    workers: int,
    scheduler: str | None,
    told: Callable[[Row], None],
) -> int:
    """Run the tasks that have no result yet; return how many there were.

    Each result is on disk before `told` hears of it. With one worker and no scheduler everything
    happens here. Raises DataError where the scheduler cannot be reached.
    """
    left = [task for task in tasks if task.key not in results.rows]
    if not left:
        return 0
    if scheduler is None and workers <= 1:
        for task in left:
            row = evaluate(prepared, request, task)
            results.add(row)
            told(row)
        return len(left)
    with _client(workers, scheduler) as client:
        from distributed import as_completed

        # Sent to every worker once; tasks carry only their own numbers.
        data = client.scatter(prepared, broadcast=True)
        futures = client.map(
            evaluate,
            [data] * len(left),
            [request] * len(left),
            left,
            key=[task.key for task in left],
        )
        for _, row in as_completed(futures, with_results=True):
            results.add(row)
            told(row)
    return len(left)


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS_MAX)
        except (OSError, TimeoutError, ValueError) as unreachable:
            raise DataError(f"--scheduler {scheduler}: {unreachable}") from unreachable
        with client:
            yield client
        return
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
