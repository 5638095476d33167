"""Which photos stand in which batch: a pure function of (seed, epoch, samples seen).

The order of the data, over any number of processes
---------------------------------------------------
An epoch is one permutation of the photos, drawn from (seed, epoch) alone. A batch is the next `batch_size` photos of
it, over all processes together; of these the process of rank r takes the r-th contiguous chunk of
`batch_size / world_size`. So the photos of step n are the same whatever the number of processes, and a run may go on
with another number of them, at any batch: its position is (seed, epoch, samples seen), which knows no process.
"""

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
    """Yield this process's part of each batch of one epoch.

    All parts have the same size: the last batch is filled up with repeats marked as padding, at its end.

    Args:
        num_photos: how many photos there are, at least 1.
        batch_size: photos in a step, over all processes; a multiple of `world_size`.
        shuffle: a permutation drawn from (seed, epoch); otherwise the order of the records.
        start: samples of this epoch that were seen before, to go on inside an epoch without replaying it.

    Raises:
        ValueError: the batch cannot be shared out evenly, or a number is out of its range.
    """

    def __init__(
        self,
        num_photos: int,
        batch_size: int,
        *,
        seed: int,
        epoch: int = 0,
        shuffle: bool = True,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(f"{batch_size} photos a batch cannot be shared evenly by {world_size} processes")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size} processes")
        if num_photos < 1 or not 0 <= start <= num_photos:
            raise ValueError(f"{start} of {num_photos} photos seen")
        self._num_photos = num_photos
        self._batch_size = batch_size
        self._seed = seed
        self._shuffle = shuffle
        self._rank = rank
        self._share = batch_size // world_size
        self.epoch = epoch
        self.start = start

    def __len__(self) -> int:
        """Return how many batches are still to come, the padded one included."""
        return -(-(self._num_photos - self.start) // self._batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        order = np.arange(self._num_photos)
        if self._shuffle:
            np.random.default_rng([self._seed, self.epoch]).shuffle(order)
        for batch in range(len(self)):
            first = self.start + batch * self._batch_size + self._rank * self._share
            yield [self._key(order, slot) for slot in range(first, first + self._share)]

    def _key(self, order: np.ndarray[tuple[int], np.dtype[np.int64]], slot: int) -> Key:
        return Key(self.epoch, int(order[slot % self._num_photos]), is_padding=slot >= self._num_photos)
