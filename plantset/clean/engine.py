"""The pool: many photos at once, in processes that never import torch, with bounded memory.

A worker that dies (a decoder that crashes, memory that runs out) doesn't end the run: the photos that were in its hands
are tried again one by one, and the one that kills a second time is refused as `decoder-crash`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import cv2

from plantset.clean.facts import Job, Outcome, Refusal, measure
from plantset.core.errors import DataError
from plantset.core.language import tr

_CHUNK_PHOTOS, _CHUNK_BYTES = 64, 1 << 20  # small photos go by the dozen, large ones one by one
_UNKNOWN_BYTES = _CHUNK_BYTES // 16
_CHUNKS_AHEAD = 3  # for each worker: enough that none waits, few enough that a kill wastes little
_WORTH_A_POOL = 200  # starting workers costs about a second, as much as this many photos

_T = TypeVar("_T")
Measure = Callable[[Job], Outcome]
_Chunk = list[int]


def default_workers(job_count: int) -> int:
    """Return one worker for each core this process may use, or 0 when so few photos aren't worth a pool."""
    if job_count < _WORTH_A_POOL:
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure_all(jobs: Sequence[Job], num_workers: int | None, work: Measure = measure) -> Iterator[tuple[int, Outcome]]:
    """Yield (index of the job, its outcome) as they come: the order depends on the workers, the outcomes don't.

    Args:
        num_workers: processes; 0 works in this one; None is one for each core.
        work: what is done with each job; importable by name, because workers are spawned.
    """
    workers = default_workers(len(jobs)) if num_workers is None else num_workers
    if workers == 0:
        for index, job in enumerate(jobs):
            yield index, work(job)
        return
    waiting = deque(split_in_chunks(jobs))
    while waiting:
        suspects: list[int] = []
        yield from _run_pool(jobs, waiting, suspects, workers, work)
        yield from _one_by_one(jobs, deque(suspects), work)


def split_in_chunks(jobs: Sequence[Job]) -> list[list[int]]:
    """Return the indices of the jobs in runs of about one megabyte of source, so that handing over costs little."""
    chunks: list[_Chunk] = []
    held = _CHUNK_BYTES
    for index, job in enumerate(jobs):
        if held >= _CHUNK_BYTES or len(chunks[-1]) == _CHUNK_PHOTOS:
            chunks.append([])
            held = 0
        chunks[-1].append(index)
        held += _UNKNOWN_BYTES if job.source_bytes is None else job.source_bytes
    return chunks


def run_alone(work: Callable[..., _T], *arguments: Any) -> _T:
    """Return what the work returns; it is done in a process of its own, whose imports and memory end with it.

    Args:
        work: importable by name, because the process is spawned.

    Raises:
        DataError: the process was killed, most likely because memory ran out; else what the work raises.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=follow_parent) as pool:
        try:
            return pool.submit(work, *arguments).result()
        except BrokenProcessPool as error:
            raise DataError(
                tr("a process that looks at photos was killed", "un processus qui regarde les photos a été tué"),
                tr(
                    "free some memory, then run again: only the rest is done",
                    "libérez de la mémoire, puis relancez : seul le reste sera fait",
                ),
            ) from error


def follow_parent() -> None:
    """Make this process end when its parent does: a killed parent can't stop it, and it would go on for hours."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run_pool(
    jobs: Sequence[Job], waiting: deque[_Chunk], suspects: list[int], workers: int, work: Measure
) -> Iterator[tuple[int, Outcome]]:
    """Work until nothing waits or a worker dies; then `suspects` are the jobs that may have killed it."""
    running: dict[Future[list[Outcome]], _Chunk] = {}
    with _pool(workers) as pool:
        try:
            while (waiting and not suspects) or running:
                while waiting and not suspects and len(running) < workers * _CHUNKS_AHEAD:
                    chunk = waiting.popleft()
                    running[_submit(pool, [jobs[index] for index in chunk], work)] = chunk
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    chunk = running.pop(future)
                    try:
                        outcomes = future.result()
                    except BrokenProcessPool:
                        suspects.extend(chunk)
                        continue
                    yield from zip(chunk, outcomes, strict=True)
        except BrokenProcessPool:  # from submit: the chunk was not taken
            suspects.extend([*chunk, *(index for held in running.values() for index in held)])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_by_one(jobs: Sequence[Job], suspects: deque[int], work: Measure) -> Iterator[tuple[int, Outcome]]:
    """Do each suspect alone in a worker, so that the one that kills it is known."""
    while suspects:
        with _pool(1) as pool:
            while suspects:
                index = suspects.popleft()
                try:
                    yield index, _submit(pool, [jobs[index]], work).result()[0]
                except BrokenProcessPool:
                    yield index, Refusal("decoder-crash", "the decoder crashed on this file")
                    break


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)


def _submit(pool: ProcessPoolExecutor, jobs: list[Job], work: Measure) -> Future[list[Outcome]]:
    """Submit with Ctrl-C held back: a worker that this starts inherits that, and can't be stopped while it imports."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return pool.submit(_measure_chunk, jobs, work)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_measure_chunk, jobs, work)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process ends its workers
    cv2.setNumThreads(1)
    follow_parent()


def _measure_chunk(jobs: list[Job], work: Measure) -> list[Outcome]:
    return [work(job) for job in jobs]
