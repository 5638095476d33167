"""Progress and messages for people: everything on standard error, so that standard output stays data."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")


def say(message: str) -> None:
    """Print one line for a person."""
    print(message, file=sys.stderr, flush=True)


def progress(items: Iterable[_T], *, title: str, total: int | None = None, unit: str = "it") -> Iterator[_T]:
    """Yield the items behind a progress bar with rate and time left; quiet when standard error is no terminal."""
    from tqdm import tqdm

    yield from tqdm(items, desc=title, total=total, unit=unit, disable=None, leave=False, dynamic_ncols=True)
