"""`plantset train` that is gone after so many steps: `python -m tests.training.stopped STEPS train …` (0: runs on)."""

from __future__ import annotations

import os
import sys
from typing import Any

from plantset.cli import main
from plantset.runtime.local import LocalStrategy


def end_after(steps: int) -> None:
    """End this process without a word when it has taken so many steps."""
    taken = iter(range(1, 10_000))
    original = LocalStrategy.step

    def step(self: LocalStrategy, *arguments: Any) -> None:
        original(self, *arguments)
        if next(taken) == steps:
            os._exit(0)

    LocalStrategy.step = step  # type: ignore[method-assign]


if __name__ == "__main__":
    end_after(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
