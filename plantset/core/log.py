"""Progress and messages for people: everything on standard error, so that standard output stays data."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_is_muted = False  # of the process, as its standard output and error are


def mute() -> None:
    """Say nothing from now on: of several processes that do one work, one speaks. Errors are still printed."""
    global _is_muted
    _is_muted = True


def is_muted() -> bool:
    """Return whether another process speaks for this one."""
    return _is_muted


def say(message: str) -> None:
    """Print one line for a person."""
    if not _is_muted:
        print(message, file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """Print what was asked for on standard output."""
    if not _is_muted:
        print(text, flush=True)


def progress(items: Iterable[_T], *, title: str, total: int | None = None, unit: str = "it") -> Iterator[_T]:
    """Yield the items behind a progress bar with rate and time left; quiet when standard error is no terminal."""
    from tqdm import tqdm

    is_off = True if _is_muted else None  # None: off where standard error is no terminal
    yield from tqdm(items, desc=title, total=total, unit=unit, disable=is_off, leave=False, dynamic_ncols=True)
