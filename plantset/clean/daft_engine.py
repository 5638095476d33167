"""The same photos as a Daft job: on this machine, or on a Ray cluster.

Daft runs the function of `engine` in processes of its own and streams the outcomes back. A process that dies ends
Daft's whole query (0.7.26 says so with a RuntimeError); what has not come back is asked for again. After two queries
in a row that brought nothing, the local engine does the rest and finds the photo that kills.

Each query runs in a child process: a query that ends early leaves threads behind in Daft 0.7.26, which crash Python
when it ends (signal 11), and that must not become the exit status of the user's command.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any

import cv2

from plantset.clean.engine import Measure, default_workers, follow_parent, measure_all
from plantset.clean.facts import Job, Outcome, measure
from plantset.core.errors import ConfigError, PlantsetError
from plantset.core.language import tr
from plantset.core.log import say

_BATCH = 16
_MANY = 1 << 30  # enough photos for a worker on each core
_FRUITLESS_QUERIES = 2
_DEATH = "closed the connection unexpectedly"


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error on its way to the main process."""

    kind: type[Exception]
    words: tuple[str, ...]


def measure_with_daft(
    jobs: Sequence[Job], num_workers: int | None, address: str | None, work: Measure = measure
) -> Iterator[tuple[int, Outcome]]:
    """Yield (index of the job, its outcome) as they come, like `engine.measure_all`.

    Args:
        num_workers: processes; None is one for each core of this machine.
        address: of a Ray cluster; None runs on this machine.
        work: what is done with each job; importable by name.

    Raises:
        ConfigError: daft (or ray, with an address) isn't installed.
    """
    if not jobs:
        return
    _check_packages(address)
    waiting = dict(enumerate(jobs))
    workers = num_workers or default_workers(_MANY)
    fruitless = 0
    while waiting and fruitless < _FRUITLESS_QUERIES:
        before = len(waiting)
        for index, outcome in _query(dict(waiting), workers, address, work):
            del waiting[index]
            yield index, outcome
        fruitless = fruitless + 1 if len(waiting) == before else 0
    rest = list(waiting)
    if rest:
        for position, outcome in measure_all([waiting[index] for index in rest], 1, work):
            yield rest[position], outcome


def measure_batch(_worker: object, jobs: Any) -> list[bytes]:
    """Do the pickled jobs of one Daft batch; what a user can mend comes back as a value, not as Daft's error."""
    cv2.setNumThreads(1)
    done: list[bytes] = []
    for packed in jobs.to_pylist():
        job, work = pickle.loads(packed)
        try:
            done.append(pickle.dumps(work(job)))
        except PlantsetError as error:
            done.append(pickle.dumps(_Failure(type(error), (error.problem, error.fix))))
    return done


def _check_packages(address: str | None) -> None:
    if find_spec("daft") is None:
        raise ConfigError(
            tr("--engine daft needs the package daft", "--engine daft a besoin du paquet daft"),
            "pip install 'plantset[daft]'",
        )
    if address is not None and find_spec("ray") is None:
        raise ConfigError(
            tr("--daft-address needs the package ray", "--daft-address a besoin du paquet ray"),
            "pip install 'daft[ray]'",
        )


def _query(
    waiting: Mapping[int, Job], workers: int, address: str | None, work: Measure
) -> Iterator[tuple[int, Outcome]]:
    """Run one query over what waits; when a process dies it ends early, after a word to the user."""
    context = multiprocessing.get_context("spawn")
    inbox, outbox = context.Pipe(duplex=False)
    process = context.Process(target=_send_outcomes, args=(outbox, dict(waiting), workers, address, work))
    process.start()
    outbox.close()
    try:
        while (message := inbox.recv()) is not None:
            if isinstance(message, _Failure):
                raise message.kind(*message.words)
            yield message
    except EOFError:  # Daft, or one of its workers
        say(
            tr(
                "a Daft worker died; the photos that did not come back are done again",
                "un processus de Daft est mort ; les photos qui ne sont pas revenues sont refaites",
            )
        )
    finally:
        inbox.close()
        process.kill()  # it has said all it had to say, or is to say no more
        process.join()


def _send_outcomes(
    outbox: Connection, waiting: Mapping[int, Job], workers: int, address: str | None, work: Measure
) -> None:
    """Run one query in this process of its own, and send each outcome, then None; nothing more when a worker dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends this one
    follow_parent()
    try:
        for index, packed in _rows(waiting, workers, address, work):
            outcome = pickle.loads(packed)
            outbox.send(outcome if isinstance(outcome, _Failure) else (index, outcome))
        outbox.send(None)
    except RuntimeError as error:
        if _DEATH not in str(error):
            outbox.send(_Failure(RuntimeError, (str(error),)))


def _rows(waiting: Mapping[int, Job], workers: int, address: str | None, work: Measure) -> Iterator[tuple[int, bytes]]:
    os.environ.setdefault("DO_NOT_TRACK", "true")  # Daft would report its use
    import daft

    if address is not None:  # else Daft takes its native runner
        daft.set_runner_ray(address, noop_if_initialized=True)
    batch = daft.method.batch(return_dtype=daft.DataType.binary(), batch_size=_BATCH)(measure_batch)
    worker = daft.cls(type("PhotoWorker", (), {"measure": batch}), use_process=True, max_concurrency=workers)()
    table = {"index": list(waiting), "job": [pickle.dumps((job, work)) for job in waiting.values()]}
    frame = daft.from_pydict(table).select("index", worker.measure(daft.col("job")).alias("outcome"))
    for row in frame.iter_rows():
        yield row["index"], row["outcome"]
