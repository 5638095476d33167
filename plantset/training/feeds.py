"""The loaders of a task: cached features where a part of the vision tower is frozen, else photos."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from plantset.core.files import sha256_json
from plantset.data.cache import CachedLoader, CacheSpec, FeatureCache, FeatureStore
from plantset.data.dataset import BatchMaker, PhotoLoader, PhotoReader
from plantset.data.mixing import PIXEL_AXES
from plantset.data.module import TrainEpochs
from plantset.data.photos import photo_digests, photos_of
from plantset.models.multimodal import MultimodalModel
from plantset.runtime.checkpoint import sha256_tensor
from plantset.runtime.strategy import Strategy
from plantset.training.config import TrainConfig
from plantset.training.task import Task, frozen_stages

# Raise when `data.geometry` or `data.corruptions` changes what it makes: cached features of the old are then not read.
_GEOMETRY_VERSION = 4


class _Caches(NamedTuple):
    train: FeatureCache
    val: FeatureCache


class PhotoFeeds:
    """The loaders of a task."""

    def __init__(self, task: Task, strategy: Strategy) -> None:
        self._task = task
        self._val_maker = BatchMaker(task.data.examples(task.val_records, training=False))
        self._strategy = strategy

    def fill(self) -> None:
        """Fill the cache now, where there is one, and not when the first batch is asked for."""
        _ = self._caches

    @cached_property
    def _photos(self) -> TrainEpochs:
        return self._task.data.train_epochs()

    @cached_property
    def _feature_maker(self) -> BatchMaker:
        data = self._task.data
        cuts = data.mixing is not None and data.mixing.cutmix > 0
        axes = self._task.model.cut.map_axes if cuts else None
        return data.train_maker(map_axes=axes or PIXEL_AXES)

    @cached_property
    def _val_photos(self) -> PhotoLoader:
        return self._task.data.val_dataloader(keep_workers=True)

    @cached_property
    def _caches(self) -> _Caches | None:
        """The cached features; None where no part of the vision tower is frozen. All ranks ask together."""
        task, config = self._task, self._task.config
        if not task.model.cut.is_cacheable:
            return None
        root = config.cache_dir or config.checkpoint_dir / "feature_cache"
        store = FeatureStore(root, limit_gb=config.cache_gb, check_all=config.check_cache)
        with self._strategy.in_turn():  # the first fills it, the others find it
            train_cache = _open(store, task, self._strategy, is_training=True)
            return _Caches(train_cache, _open(store, task, self._strategy, is_training=False))

    def train(self, epoch: int, start: int = 0) -> PhotoLoader | CachedLoader:
        """Return the training batches of an epoch, of which `start` photos are done."""
        if self._caches is None:
            return self._photos.epoch(epoch, start=start)
        sampler = self._task.data.train_sampler(epoch=epoch, start=start)
        return CachedLoader(self._caches.train, sampler, self._feature_maker)

    def val(self) -> PhotoLoader | CachedLoader:
        """Return the val photos in order."""
        if self._caches is None:
            return self._val_photos
        sampler = self._task.data.sampler(len(self._task.val_records))
        return CachedLoader(self._caches.val, sampler, self._val_maker)


def cached_views(config: TrainConfig) -> int:
    """Return how many views of each training photo the cache holds: one, where all are alike."""
    return 1 if config.augment == "none" else config.cache_views


def _open(store: FeatureStore, task: Task, strategy: Strategy, *, is_training: bool) -> FeatureCache:
    """Return the features of a split; a photo's views are seeded by its content, so that they outlive its position."""
    data = task.data
    photos = photos_of(data.split("train" if is_training else "val"), data.images_dir)
    hashes = photo_digests(photos, store.root / "photo_hashes.json")
    reader = PhotoReader(
        photos,
        data.preprocess,
        augment=data.augment if is_training else None,
        seed=data.seed,
        photo_seeds=[int(digest[:16], 16) for digest in hashes],
    )

    @torch.no_grad()
    def encode(pixels_BHWC: Tensor) -> Tensor:
        task.model.eval()
        return task.model.vision_features(pixels_BHWC.to(strategy.device))

    num_views = cached_views(task.config) if is_training else 1
    spec = CacheSpec(_fingerprint(task, is_training), hashes, num_views, task.config.cache_dtype)
    return store.open(spec, reader, encode, data.loader)


def _fingerprint(task: Task, is_training: bool) -> str:
    """Hash what the frozen part's output depends on beside the photos."""
    model = task.model
    frozen = model.vision.state_dict() if model.vision.frozen else _frozen_state(model)
    augment = task.data.augment if is_training else None
    depends_on = {
        "weights": {name: sha256_tensor(tensor) for name, tensor in frozen.items()},
        "preprocess": dataclasses.asdict(model.vision.preprocess),
        "frozen_stages": frozen_stages(task.config),
        "augment": dataclasses.asdict(augment) if augment is not None else None,
        "seed": task.config.seed if is_training else 0,
        "geometry": _GEOMETRY_VERSION,
    }
    return sha256_json(depends_on)


def _frozen_state(model: MultimodalModel) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": tensor
        for index, module in enumerate(model.cut.frozen_modules)
        for name, tensor in module.state_dict().items()
    }
