"""What a process says when the others are gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from plantset.core.errors import DeviceError
from plantset.core.language import tr

_ALLOCATION_WORDS = ("can't allocate memory", "RESOURCE_EXHAUSTED")  # of torch's CPU allocator, and of XLA


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: torch says so in several ways."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALLOCATION_WORDS)


@contextmanager
def contact(rank: int) -> Iterator[None]:
    """Turn what a failed exchange between processes raises into an error for the user; no memory is another matter.

    Raises:
        DeviceError: another process ended or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:  # gloo and NCCL raise it and its subclasses, `torch.distributed.DistError` among them
        if is_out_of_memory(error):
            raise
        reason = _first_sentence(str(error)) or type(error).__name__
        raise DeviceError(
            tr(
                f"process {rank} lost the other processes: {reason}",
                f"le processus {rank} a perdu les autres processus : {reason}",
            ),
            tr(
                "one of them ended: its own message stands above; start again with --resume auto",
                "l'un d'eux s'est arrêté : son propre message est plus haut ; relancez avec --resume auto",
            ),
        ) from error


def _first_sentence(message: str) -> str:
    """Return what torch says first, without the place in its sources."""
    return re.sub(r"^\[[^\]]*\]\s*", "", message.strip()).splitlines()[0].split(". ")[0] if message.strip() else ""
