"""Photos from disk, decoded by `core.photo` and cut by `data.geometry`, as keys ask for them."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from plantset.core.errors import DataError
from plantset.core.preprocess import PreprocessConfig
from plantset.core.shards import ShardPhotos
from plantset.core.vocabulary import PAD_ID
from plantset.data.batch import Batch
from plantset.data.choices import AugmentPolicy
from plantset.data.examples import Examples
from plantset.data.geometry import Pixels, augment_photo, fit_photo, least_side_px
from plantset.data.mixing import Mixer, neighbours
from plantset.data.photos import Photos, decode_source
from plantset.data.sampler import Key

_VIEW_STREAM = 0
_NO_NOTE: tuple[None, int] = (None, -1)


class PhotoReader:
    """Read one photo as a model input; picklable, so that worker processes can have it.

    Args:
        augment: random views seeded by (seed, epoch, index); None is the one fixed view.
        photo_seeds: numbers that seed each photo's views in place of its index, which others joining it would change.
    """

    def __init__(
        self,
        photos: Photos | Sequence[Path],
        preprocess: PreprocessConfig,
        *,
        augment: AugmentPolicy | None = None,
        seed: int = 0,
        photo_seeds: Sequence[int] | None = None,
    ) -> None:
        self._photos = photos
        self._preprocess = preprocess
        self._augment = augment
        self._seed = seed
        self._photo_seeds = photo_seeds

    def read(self, key: Key) -> Pixels:
        """Return (S, S, 3) uint8.

        Raises:
            PhotoError: the file is missing, broken or no photo; nothing stands in for it.
        """
        return self._view(key, self._photos[key.index])

    def read_many(self, keys: Sequence[Key]) -> list[Pixels]:
        """Return the views of several photos, asking a store for all of them at once.

        Raises:
            PhotoError: as for one.
            DataError: the store does not answer.
        """
        if isinstance(self._photos, ShardPhotos) and self._photos.is_remote:
            found = self._photos.fetch([key.index for key in keys])
            return [self._view(key, source) for key, source in zip(keys, found, strict=True)]
        return [self.read(key) for key in keys]

    def _view(self, key: Key, source: Path | bytes) -> Pixels:
        if self._augment is None:
            return fit_photo(decode_source(self._photos, key.index, source).pixels, self._preprocess)
        least_px = least_side_px(self._preprocess)
        pixels = decode_source(self._photos, key.index, source, least_side_px=least_px).pixels
        photo = key.index if self._photo_seeds is None else self._photo_seeds[key.index]
        words = [self._seed, _VIEW_STREAM, key.epoch, photo]
        rng = np.random.default_rng([*words, key.repeat] if key.repeat else words)
        return augment_photo(pixels, self._preprocess, rng, self._augment)


class PhotoDataset(Dataset[tuple[Key, Pixels | DataError]]):
    """Key -> (key, view): what DataLoader's workers run.

    A broken photo travels back as the error that it is: DataLoader turns one that is raised in a worker into a
    RuntimeError with a traceback, and its user would not see which file to mend. `PhotoLoader` raises it.
    """

    def __init__(self, reader: PhotoReader) -> None:
        self._reader = reader

    def __getitem__(self, key: Key) -> tuple[Key, Pixels | DataError]:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[Key]) -> list[tuple[Key, Pixels | DataError]]:
        """Return the photos of a batch, which DataLoader then asks for at once; the first broken one alone."""
        try:
            return list(zip(keys, self._reader.read_many(keys), strict=True))
        except DataError as error:
            return [(keys[0], error)]


class PhotoLoader(DataLoader[Batch]):
    """A DataLoader that raises a worker's `DataError` as such, in the process that asked."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yield the batches.

        Raises:
            PhotoError: a file is missing, broken or no photo.
            DataError: a store does not answer.
        """
        for batch in super().__iter__():
            if isinstance(batch, DataError):
                raise batch
            yield batch


def start_worker(_: int) -> None:
    """Prepare a worker process: one thread, and Ctrl-C left to the main process, which finishes its step first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


class BatchMaker:
    """Collate (key, view) pairs with what `Examples` has for them.

    Args:
        mixer: mixes neighbours of a batch; None leaves every photo whole.
    """

    def __init__(self, examples: Examples, mixer: Mixer | None = None) -> None:
        self._examples = examples
        self._mixer = mixer

    def __call__(self, items: Sequence[tuple[Key, Pixels | DataError]]) -> Batch | DataError:
        """Collate what DataLoader's workers read; the first broken photo stands for its whole batch."""
        views: list[Pixels] = []
        for _, view in items:
            if isinstance(view, DataError):
                return view
            views.append(view)
        return self.make([key for key, _ in items], pixels_BHWC=torch.from_numpy(np.stack(views)))

    def make(
        self, keys: Sequence[Key], *, pixels_BHWC: Tensor | None = None, features_B: Tensor | None = None
    ) -> Batch:
        """Return the batch of these keys around pixels or cached features."""
        indices = np.array([key.index for key in keys], dtype=np.int64)
        labels_B = torch.from_numpy(self._examples.labels_N[indices])
        shares_B = None if self._mixer is None else self._mixer.mix(keys, _given(pixels_BHWC, features_B))
        is_whole = [True] * len(keys) if shares_B is None else (shares_B == 0).tolist()
        notes = [self._examples.note(key) if whole else _NO_NOTE for key, whole in zip(keys, is_whole, strict=True)]
        captions: NDArray[np.int64] = np.stack([self._examples.caption(key) for key in keys])
        captions[np.logical_not(is_whole)] = PAD_ID
        return Batch(
            indices_B=torch.from_numpy(indices),
            pixels_BHWC=pixels_BHWC,
            features_B=features_B,
            labels_B=labels_B,
            notes=tuple(note for note, _ in notes),
            note_labels_B=torch.tensor([label for _, label in notes]),
            caption_ids_BT=torch.from_numpy(captions),
            weights_B=torch.tensor([0.0 if key.is_padding else 1.0 for key in keys]),
            epoch=keys[0].epoch,
            other_labels_B=None if shares_B is None else neighbours(labels_B),
            other_shares_B=shares_B,
        )


def _given(pixels_BHWC: Tensor | None, features_B: Tensor | None) -> Tensor:
    given = features_B if pixels_BHWC is None else pixels_BHWC
    assert given is not None, "a batch is of photos or of their features"
    return given
