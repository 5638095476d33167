"""Which files a run leaves, and which of them a restart goes on from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from plantset.core.errors import CheckpointError
from plantset.core.language import tr
from plantset.core.log import say
from plantset.models.load import ModelCard, to_checkpoint
from plantset.models.multimodal import MultimodalModel
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from plantset.runtime.strategy import Strategy
from plantset.training.average import WeightAverage
from plantset.training.bank import DescriptionBank
from plantset.training.loop import Progress
from plantset.training.state import BEST_NAME, LAST_NAME, find_progress, restore_state, save_state

_EPOCH_PATTERN = "epoch_[0-9]*.pth"


@dataclass(frozen=True)
class Saver:
    """Writes a run's checkpoints, from the main process alone; all ranks call its methods.

    Attributes:
        bank: of descriptions, whose vectors are part of the state where they move.
        save_every: epochs between two states that are kept beside the last; 0 keeps none.
        keep_last: how many of those are kept, the newest; 0 keeps all.
    """

    folder: Path
    model: MultimodalModel
    card: ModelCard
    optimizer: torch.optim.Optimizer
    strategy: Strategy
    average: WeightAverage | None
    bank: DescriptionBank | None = None
    save_every: int = 0
    keep_last: int = 0

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the model has the weights that are judged and kept."""
        return nullcontext() if self.average is None else self.average.applied()

    def save_epoch(self, progress: Progress, *, is_kept: bool) -> None:
        """Write what an epoch leaves: the model if it is kept, the state to go on from, every so often a second one."""
        state = self.strategy.state()
        self.strategy.on_main(lambda: self._write_epoch(progress, state, is_kept))

    def save(self, progress: Progress) -> None:
        """Write where the run stands inside an epoch."""
        state = self.strategy.state()
        self.strategy.on_main(lambda: self._write_state(LAST_NAME, progress, state))

    def resume(self, asked: str) -> Progress:
        """Take up the run where its newest whole state stands; a fresh start where `auto` finds none at all.

        Args:
            asked: a path, or `auto` for what lies in the folder.

        Raises:
            CheckpointError: damaged, or of another model, data or settings.
        """
        for torn in self.folder.glob(".*.pth.*.tmp"):  # what a killed save had begun
            torn.unlink(missing_ok=True)
        path = self._newest_whole() if asked == "auto" else Path(asked)
        if path is None:
            return Progress()  # the first start of a job that is always started with --resume auto
        progress = restore_state(path, self.model, self.card, self.optimizer, self.strategy, self.average, self.bank)
        self.strategy.on_main(lambda: _bring_best(path.parent / BEST_NAME, self.folder / BEST_NAME, progress))
        say(
            tr(
                f"going on after epoch {progress.epoch}, step {progress.step}, from {path.name}",
                f"reprise après l'époque {progress.epoch}, pas {progress.step}, depuis {path.name}",
            )
        )
        return progress

    def _write_epoch(self, progress: Progress, state: Mapping[str, Tensor], is_kept: bool) -> None:
        if is_kept:
            with self.averaged():
                save_checkpoint(self.folder / BEST_NAME, to_checkpoint(self.model, self.card))
        self._write_state(LAST_NAME, progress, state)
        if self.save_every and progress.epoch % self.save_every == 0:
            self._write_state(f"epoch_{progress.epoch:03d}.pth", progress, state)
            if self.keep_last:
                for old in self._kept_epochs(progress.epoch)[: -self.keep_last]:
                    old.unlink()

    def _kept_epochs(self, newest: int) -> list[Path]:
        """Return the states of --save-every up to an epoch, in order; later ones are of an earlier run."""
        numbered = sorted((int(path.stem.removeprefix("epoch_")), path) for path in self.folder.glob(_EPOCH_PATTERN))
        return [path for number, path in numbered if number <= newest]

    def _write_state(self, name: str, progress: Progress, state: Mapping[str, Tensor]) -> None:
        save_state(self.folder / name, self.model, self.card, self.optimizer, state, progress, self.average, self.bank)

    def _newest_whole(self) -> Path | None:
        """Return the state that is furthest on; damaged ones are named and passed over.

        Raises:
            CheckpointError: there are states, and all are damaged.
        """
        found: list[tuple[int, Path]] = []
        damaged: list[CheckpointError] = []
        for path in self._states():
            try:
                found.append((find_progress(path, load_checkpoint(path)).step, path))
            except CheckpointError as error:
                damaged.append(error)
                say(tr(f"passed over: {error.problem}", f"laissé de côté : {error.problem}"))
            else:
                if path.name == LAST_NAME:
                    return path  # written after every other
        if damaged and not found:
            raise damaged[0]
        return max(found)[1] if found else None

    def _states(self) -> Iterator[Path]:
        yield from (path for path in [self.folder / LAST_NAME] if path.exists())
        yield from sorted(self.folder.glob(_EPOCH_PATTERN), reverse=True)


def _bring_best(earlier: Path, path: Path, progress: Progress) -> None:
    """Take the kept model along when a run goes on in another folder: a later epoch need not replace it."""
    if progress.kept_epoch >= 0 and path.resolve() != earlier.resolve():
        kept: Checkpoint = load_checkpoint(earlier)
        save_checkpoint(path, kept)
