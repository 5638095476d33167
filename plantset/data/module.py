"""Manifest -> loaders: the data side of training and evaluation in one object."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from plantset.core.bounds import check_at_least
from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.core.preprocess import PreprocessConfig
from plantset.core.records import Record, Split, class_names, iter_splits, read_meta
from plantset.core.shards import open_photos
from plantset.core.vocabulary import CaptionVocabulary, Vocabulary
from plantset.data.choices import AugmentPolicy, MixPolicy, Sampling
from plantset.data.dataset import BatchMaker, PhotoDataset, PhotoLoader, PhotoReader, start_worker
from plantset.data.examples import Examples, NotePolicy, caption_targets, task_texts, with_distinct_texts
from plantset.data.geometry import Pixels
from plantset.data.mixing import PIXEL_AXES, Mixer
from plantset.data.photos import photos_of
from plantset.data.sampler import EpochSampler, Key
from plantset.data.sampling import ClassBalance

IMAGENET_PREPROCESS = PreprocessConfig(
    image_size_px=224,
    crop_ratio=0.875,
    interpolation="bicubic",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


@dataclass(frozen=True)
class LoaderSettings:
    """How batches are read, and this process's part of them: nothing here changes the order of the photos.

    Attributes:
        batch_size: photos in a step, over all processes.
        num_workers: processes that decode photos, for each training process.
    """

    batch_size: int = 32
    num_workers: int = 2
    pin_memory: bool = False
    rank: int = 0
    world_size: int = 1


@dataclass(frozen=True)
class DataModule:
    """The photos of a manifest as train, val and test loaders of `Batch`.

    Attributes:
        records: every photo of the manifest.
        class_names: class ids in index order, over all splits.
        vocabulary: of the caption targets; None when no record has a text.
        text_length: tokens of a caption row.
        augment: random views in training; None shows each photo as evaluation does.
        sampling: how often classes are drawn in training.
        mixing: how neighbours of a training batch are mixed; None leaves each photo whole.
    """

    records: tuple[Record, ...]
    images_dir: Path
    class_names: tuple[str, ...]
    preprocess: PreprocessConfig
    vocabulary: CaptionVocabulary | None
    text_length: int
    augment: AugmentPolicy | None
    notes: NotePolicy | None
    loader: LoaderSettings
    seed: int
    sampling: Sampling = "natural"
    mixing: MixPolicy | None = None

    @property
    def num_classes(self) -> int:
        """Return how many classes the manifest has."""
        return len(self.class_names)

    def split(self, split: Split) -> tuple[Record, ...]:
        """Return the records of one split, in manifest order.

        Raises:
            DataError: the split is empty.
        """
        chosen = self._by_split.get(split)
        if chosen is None:
            counts = Counter(record.split for record in self.records)
            raise DataError(
                tr(f"the manifest has no {split} photo", f"le manifeste n'a aucune photo {split}"),
                tr(
                    f"it has {dict(counts)}; make the split: plantset clean --val-ratio 0.15 --test-ratio 0.15",
                    f"il a {dict(counts)} ; faites la partition : plantset clean --val-ratio 0.15 --test-ratio 0.15",
                ),
            )
        return chosen

    @cached_property
    def _by_split(self) -> dict[Split, tuple[Record, ...]]:
        return {split: tuple(records) for split, records in iter_splits(self.records)}

    @cached_property
    def class_counts(self) -> NDArray[np.int64]:
        """Training photos per class, (C,)."""
        return np.bincount(self._train_labels, minlength=self.num_classes)

    @cached_property
    def _train_labels(self) -> NDArray[np.int64]:
        index = {name: position for position, name in enumerate(self.class_names)}
        return np.array([index[record.class_id] for record in self.split("train")], dtype=np.int64)

    @cached_property
    def train_examples(self) -> Examples:
        """Labels, notes and caption targets of the training photos."""
        return self.examples(self.split("train"), training=True)

    def train_maker(self, *, map_axes: tuple[int, int] = PIXEL_AXES) -> BatchMaker:
        """Return what makes training batches.

        Args:
            map_axes: of rows and columns in what stands for one photo.
        """
        mixer = Mixer(self.mixing, self.seed, map_axes) if self.mixing is not None else None
        return BatchMaker(self.train_examples, mixer)

    def examples(self, records: Sequence[Record], *, training: bool) -> Examples:
        """Return labels, notes (in training only) and caption targets of these records."""
        return Examples(
            records,
            self.class_names,
            vocabulary=self.vocabulary,
            caption_length=self.text_length,
            notes=self.notes if training else None,
            seed=self.seed,
        )

    def reader(self, records: Sequence[Record], *, augment: AugmentPolicy | None = None) -> PhotoReader:
        """Return what reads these records' photos."""
        return PhotoReader(photos_of(records, self.images_dir), self.preprocess, augment=augment, seed=self.seed)

    def train_dataloader(self, *, epoch: int = 0, start: int = 0) -> PhotoLoader:
        """Return this process's part of one epoch of shuffled, augmented training batches.

        Args:
            start: samples of the epoch that were seen before.
        """
        reader = self.reader(self.split("train"), augment=self.augment)
        sampler = self.train_sampler(epoch=epoch, start=start)
        return make_loader(reader, sampler, self.train_maker(), self.loader)

    def train_epochs(self) -> TrainEpochs:
        """Return the training batches of every epoch, read by the same workers."""
        return TrainEpochs(self)

    def val_dataloader(self, *, keep_workers: bool = False) -> PhotoLoader:
        """Return the validation photos in manifest order, not augmented, without notes.

        Args:
            keep_workers: they outlive a pass, for a loader that is used after every epoch.
        """
        return self._ordered("val", keep_workers=keep_workers)

    def test_dataloader(self) -> PhotoLoader:
        """Return the test photos in manifest order, not augmented, without notes."""
        return self._ordered("test")

    def _ordered(self, split: Split, *, keep_workers: bool = False) -> PhotoLoader:
        records = self.split(split)
        maker = BatchMaker(self.examples(records, training=False))
        reader = self.reader(records)
        return make_loader(reader, self.sampler(len(records)), maker, self.loader, keep_workers=keep_workers)

    def sampler(self, num_photos: int) -> EpochSampler:
        """Return the order of the records, as this process sees it."""
        return self._sampler(num_photos, shuffle=False)

    def train_sampler(self, *, epoch: int = 0, start: int = 0) -> EpochSampler:
        """Return the order of a training epoch, of which `start` samples are done, as this process sees it."""
        balance = ClassBalance(self._train_labels, self.sampling)
        return self._sampler(len(self._train_labels), epoch=epoch, start=start, balance=balance)

    def _sampler(
        self,
        num_photos: int,
        *,
        epoch: int = 0,
        start: int = 0,
        shuffle: bool = True,
        balance: ClassBalance | None = None,
    ) -> EpochSampler:
        return EpochSampler(
            num_photos,
            self.loader.batch_size,
            seed=self.seed,
            epoch=epoch,
            shuffle=shuffle,
            start=start,
            rank=self.loader.rank,
            world_size=self.loader.world_size,
            balance=balance,
        )


class TrainEpochs:
    """The training batches, epoch after epoch, from workers that live as long as this.

    A worker takes seconds to start; it knows nothing of epochs, because each key carries its own.
    """

    def __init__(self, data: DataModule) -> None:
        self._data = data
        self._order = _CurrentEpoch(data.train_sampler())
        records = data.split("train")
        self._loader = make_loader(
            data.reader(records, augment=data.augment),
            self._order,
            data.train_maker(),
            data.loader,
            keep_workers=True,
        )

    def epoch(self, epoch: int, *, start: int = 0) -> PhotoLoader:
        """Return the batches of an epoch, of which `start` samples are done; end with one before asking the next."""
        self._order.current = self._data.train_sampler(epoch=epoch, start=start)
        return self._loader


class _CurrentEpoch(Sampler[list[Key]]):
    """The batches of the epoch at hand: a loader keeps its sampler for life."""

    def __init__(self, current: EpochSampler) -> None:
        self.current = current

    def __len__(self) -> int:
        return len(self.current)

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.current)


def create_data_module(
    jsonl_file: str | Path,
    root_dir: str | Path | None = None,
    batch_size: int = 32,
    image_size: int = 224,
    text_length: int = 128,
    augment: bool = True,
    num_workers: int = 2,
    pin_memory: bool = False,
    *,
    preprocess: PreprocessConfig | None = None,
    notes: bool = True,
    vocabulary: CaptionVocabulary | None = None,
    seed: int = 0,
) -> DataModule:
    """Read a manifest and return its loaders.

    Args:
        jsonl_file: what `map` wrote, any JSONL with image_path, label, split and text, or a folder that `shard` wrote.
        root_dir: the images folder; by default the one that the manifest names.
        batch_size: photos in a batch; the last one of an epoch is padded with photos of weight 0.
        image_size: side of the square input in pixels.
        text_length: tokens of a caption target.
        augment: random crops, orientations and light in training.
        num_workers: processes that decode photos; 0 decodes in this one.
        pin_memory: page-locked batches, for a GPU.
        preprocess: the backbone's own geometry; by default ImageNet's at `image_size`.
        notes: give half of the training photos a grower's note.
        vocabulary: of the caption targets; by default trained on them.

    Raises:
        DataError: the manifest or its photos cannot be read.
        ConfigError: a number is out of range.
    """
    check_at_least(
        [
            ("batch_size", batch_size, 1),
            ("image_size", image_size, 1),
            ("text_length", text_length, 1),
            ("num_workers", num_workers, 0),
        ]
    )
    path = Path(jsonl_file)
    records, images_dir = open_photos(path, Path(root_dir) if root_dir is not None else None)
    if preprocess is None:
        preprocess = _resized(IMAGENET_PREPROCESS, image_size)
    return DataModule(
        records=tuple(records),
        images_dir=images_dir,
        class_names=_classes_of(path, records),
        preprocess=preprocess,
        vocabulary=vocabulary or train_vocabulary(records),
        text_length=text_length,
        augment=AugmentPolicy() if augment else None,
        notes=NotePolicy() if notes else None,
        loader=LoaderSettings(batch_size, num_workers, pin_memory),
        seed=seed,
    )


def make_loader(
    reader: PhotoReader,
    sampler: Iterable[list[Key]],
    collate: Callable[[Sequence[tuple[Key, Pixels | DataError]]], Any],
    settings: LoaderSettings,
    *,
    keep_workers: bool = False,
) -> PhotoLoader:
    """Return a loader whose batches do not depend on the number of workers, and that draws no number of torch's own.

    Args:
        collate: makes a batch of what the workers read; `BatchMaker` in training and evaluation.
        keep_workers: they outlive an epoch, for a loader that is used again.
    """
    workers = settings.num_workers
    return PhotoLoader(
        PhotoDataset(reader),  # type: ignore[arg-type]  # torch types a loader by the dataset's items, not by collate
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=settings.pin_memory,
        multiprocessing_context="spawn" if workers else None,  # the same on Linux, macOS and Windows
        prefetch_factor=4 if workers else None,
        persistent_workers=keep_workers and workers > 0,
        worker_init_fn=start_worker,
        generator=torch.Generator(),  # of its own: else each pass takes a number from the one that dropout draws from
    )


def photo_batches(
    records: Sequence[Record],
    images_dir: Path,
    preprocess: PreprocessConfig,
    batch_size: int,
    num_workers: int = 0,
) -> Iterator[tuple[list[Record], Tensor]]:
    """Yield (records, uint8 BHWC) in order, the last batch as short as it is: for evaluation and inference."""
    settings = LoaderSettings(batch_size, num_workers)
    sampler = EpochSampler(len(records), batch_size, seed=0, shuffle=False)
    examples = Examples(
        records, sorted({r.class_id for r in records}), vocabulary=None, caption_length=1, notes=None, seed=0
    )
    reader = PhotoReader(photos_of(records, images_dir), preprocess)
    for batch in make_loader(reader, sampler, BatchMaker(examples), settings):
        real = int(batch.weights_B.sum())
        assert batch.pixels_BHWC is not None
        yield [records[int(index)] for index in batch.indices_B[:real]], batch.pixels_BHWC[:real]


def caption_languages(records: Sequence[Record]) -> list[str]:
    """Return the languages of the training photos' descriptions; none when no training photo has one."""
    train = with_distinct_texts(record for record in records if record.split == "train")
    return sorted({language for record in train for language in caption_targets(record)})


def train_vocabulary(records: Sequence[Record]) -> Vocabulary | None:
    """Learn the captioner's vocabulary from the training targets; None when no training photo has a text."""
    languages = caption_languages(records)
    if not languages:
        return None
    train = with_distinct_texts(record for record in records if record.split == "train")
    texts = {text for record in train for text in task_texts(record).values()}
    return Vocabulary.train(texts, languages=languages)


def needed_text_length(records: Sequence[Record], vocabulary: CaptionVocabulary | None, *, limit: int) -> int:
    """Return the length of the longest caption row, at most `limit`: padding that no text reaches only costs time."""
    if vocabulary is None:
        return limit
    texts = {text for record in with_distinct_texts(records) for text in task_texts(record).values()}
    return min(limit, max(map(vocabulary.count, texts), default=limit))


def split_val_in_two(records: Sequence[Record], *, seed: int) -> tuple[list[int], list[int]]:
    """Split positions of val records into (selection, calibration), groups kept whole, classes balanced.

    Selection and early stopping see one half, temperature and thresholds are fitted on the other.
    """
    by_class: dict[str, dict[str, list[int]]] = {}
    seen: dict[str, str] = {}
    for position, record in enumerate(records):
        group = record.group or f"photo:{record.image_path}"
        home = seen.setdefault(group, record.class_id)  # a group over two classes stays whole, with its first class
        by_class.setdefault(home, {}).setdefault(group, []).append(position)
    halves: tuple[list[int], list[int]] = ([], [])
    rng = np.random.default_rng([seed, 7])
    turn = 0
    for _, groups in sorted(by_class.items()):
        names = sorted(groups)
        rng.shuffle(names)
        for name in names:
            halves[turn % 2].extend(groups[name])
            turn += 1  # carried over from class to class: odd classes do not all favour one half
    return sorted(halves[0]), sorted(halves[1])


def _classes_of(path: Path, records: Sequence[Record]) -> tuple[str, ...]:
    """Return the class ids in index order; the sidecar's list must agree with the records."""
    found = class_names(records)
    meta = read_meta(path)
    if meta is not None and set(meta.classes) != set(found):
        missing = sorted(set(found) ^ set(meta.classes))[:5]
        raise DataError(
            tr(
                f"{path} and its .meta.json disagree about the classes: {', '.join(missing)}",
                f"{path} et son .meta.json ne s'accordent pas sur les classes : {', '.join(missing)}",
            ),
            tr("make both anew: plantset map", "refaites les deux : plantset map"),
        )
    return found


def _resized(preprocess: PreprocessConfig, image_size_px: int) -> PreprocessConfig:
    return dataclasses.replace(preprocess, image_size_px=image_size_px)
