"""Which photos stand in which batch: a pure function of (seed, epoch, batch number)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True, slots=True)
class Key:
    """One photo's place in training: augmentation is seeded by (seed, epoch, index), never by worker."""

    epoch: int
    index: int
    is_padding: bool = False


class EpochSampler(Sampler[list[Key]]):
    """Yield the batches of one epoch; all have `batch_size` keys, the last is padded with repeats marked as such.

    Args:
        num_photos: how many photos there are, at least 1.
        shuffle: a permutation drawn from (seed, epoch); otherwise the order of the records.
        start_batch: skip this many batches, to resume inside an epoch without replaying it.
    """

    def __init__(
        self, num_photos: int, batch_size: int, *, seed: int, epoch: int = 0, shuffle: bool = True, start_batch: int = 0
    ) -> None:
        self._num_photos = num_photos
        self._batch_size = batch_size
        self._seed = seed
        self._shuffle = shuffle
        self.epoch = epoch
        self.start_batch = start_batch

    @property
    def batches_per_epoch(self) -> int:
        """Return the batches of a whole epoch, the padded one included."""
        return -(-self._num_photos // self._batch_size)

    def __len__(self) -> int:
        return self.batches_per_epoch - self.start_batch

    def __iter__(self) -> Iterator[list[Key]]:
        order = np.arange(self._num_photos)
        if self._shuffle:
            np.random.default_rng([self._seed, self.epoch]).shuffle(order)
        for batch in range(self.start_batch, self.batches_per_epoch):
            chosen = order[batch * self._batch_size : (batch + 1) * self._batch_size]
            keys = [Key(self.epoch, int(index)) for index in chosen]
            padding = self._batch_size - len(keys)
            keys += [Key(self.epoch, int(order[slot % self._num_photos]), is_padding=True) for slot in range(padding)]
            yield keys
