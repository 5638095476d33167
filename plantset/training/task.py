"""From a config to everything that the loop needs: data, model, losses, loaders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plantset.core.bounds import check_at_least, check_num_classes
from plantset.core.errors import ConfigError, DataError
from plantset.core.files import sha256_file, sha256_json
from plantset.core.language import tr
from plantset.core.log import say
from plantset.core.records import Record, class_names, find_images_dir, read_records
from plantset.data.cache import CachedLoader, CacheSpec, FeatureCache, open_cache
from plantset.data.dataset import BatchMaker, photo_paths
from plantset.data.examples import NotePolicy, caption_targets
from plantset.data.module import DataModule, LoaderSettings, needed_text_length, split_val_in_two, train_vocabulary
from plantset.models.build import create_multimodal_model
from plantset.models.config import PACKAGED_VISION
from plantset.models.multimodal import MultimodalModel
from plantset.models.objectives import ClassificationLoss, balanced_class_weights, log_prior
from plantset.models.presets import ObjectiveWeights, preset_weights
from plantset.runtime.checkpoint import sha256_tensor
from plantset.runtime.strategy import Strategy
from plantset.training.config import TrainConfig
from plantset.training.loop import BatchLoader
from plantset.training.step import EncodeNotes, NoteStatesCache, Objective

# Of 1,057 real test photos 88.5 % are named right so; logistic regression on the frozen tower names 83.8 % (make real).
_PACKAGED_FROZEN_STAGES = 3
_PACKAGED_VISION_RATIO, _VISION_RATIO = 0.5, 0.1  # a small network moves far; a large one forgets
_MAX_BANK_TEXTS = 8  # of a class: where every photo has a text of its own, more cost minutes and say the same
_GEOMETRY_VERSION = 1  # raise when `data.geometry` changes what it makes: cached features of the old are then not read


@dataclass(frozen=True)
class Task:
    """A model and what it is trained and judged on.

    Attributes:
        selection: positions in the val records that choose the best epoch.
        calibration: positions in the val records that temperature and thresholds are fitted on.
    """

    config: TrainConfig
    data: DataModule
    model: MultimodalModel
    selection: tuple[int, ...]
    calibration: tuple[int, ...]

    @property
    def val_records(self) -> tuple[Record, ...]:
        """The val photos, in manifest order."""
        return self.data.split("val")


def prepare_task(config: TrainConfig, *, rank: int = 0, world_size: int = 1) -> Task:
    """Read the manifest, build the model, and refuse what cannot work before the first step.

    Args:
        rank, world_size: which of how many processes this is.

    Raises:
        ConfigError, DataError, CheckpointError: with what to mend.
    """
    check_share(config.batch_size, world_size)
    records = read_records(config.jsonl_file)
    images_dir = find_images_dir(config.jsonl_file, records, config.root_dir)
    names = class_names(records)
    check_classes(config.num_classes, names, records)
    weights = objective_weights(config)
    writes = config.captioner != "none" and (weights.caption > 0 or weights.class_name > 0)
    vocabulary = train_vocabulary(records) if writes else None
    text_length = needed_text_length(records, vocabulary, limit=config.text_length)
    torch.manual_seed(config.seed)
    model = create_multimodal_model(
        len(names),
        config.vision_backbone,
        config.text_model,
        config.vision_dim,
        config.text_dim,
        config.fusion_dim,
        config.num_attention_heads,
        config.num_attention_layers,
        config.gradient_checkpointing,
        preset=config.preset,
        connector=config.connector,
        num_queries=config.num_queries,
        fusion=config.fusion,
        classifier=config.classifier,
        hierarchy=config.hierarchy,
        captioner=config.captioner,
        class_names=names,
        vocabulary=vocabulary,
        language=config.language,
        pretrained=config.pretrained,
        vision_weights=config.vision_weights,
        image_size=config.image_size,
        note_length=config.note_length,
        text_length=text_length,
        dropout=config.dropout,
        freeze_vision=config.freeze_vision,
        freeze_stages=frozen_stages(config),
        freeze_text=config.freeze_text,
    )
    data = DataModule(
        records=tuple(records),
        images_dir=images_dir,
        class_names=names,
        preprocess=model.vision.preprocess,
        vocabulary=vocabulary,
        text_length=text_length,
        augment=True,
        notes=NotePolicy() if model.note_connector is not None else None,
        loader=LoaderSettings(
            config.batch_size, config.num_workers, config.device == "cuda", rank=rank, world_size=world_size
        ),
        seed=config.seed,
    )
    selection, calibration = split_val_in_two(data.split("val"), seed=config.seed)
    return Task(config, data, model, tuple(selection), tuple(calibration or selection))


def objective_weights(config: TrainConfig) -> ObjectiveWeights:
    """Return the weights of the losses: what was asked for, else the preset's."""
    asked = {
        "caption": config.caption_weight,
        "contrastive": config.contrastive_weight,
        "matching": config.matching_weight,
    }
    return preset_weights(config.preset, asked)


def frozen_stages(config: TrainConfig) -> int:
    """Return how many stages of the vision tower stay as they are: what was asked for, else what suits the backbone."""
    if config.freeze_stages is not None:
        return config.freeze_stages
    return _PACKAGED_FROZEN_STAGES if config.vision_backbone == PACKAGED_VISION and config.pretrained else 0


def vision_learning_rate_ratio(config: TrainConfig) -> float:
    """Return the vision tower's share of the learning rate: what was asked for, else what suits the backbone."""
    if config.vision_learning_rate_ratio is not None:
        return config.vision_learning_rate_ratio
    return _PACKAGED_VISION_RATIO if config.vision_backbone == PACKAGED_VISION else _VISION_RATIO


def check_numbers(config: TrainConfig) -> None:
    """Refuse numbers out of range before anything is read.

    Raises:
        ConfigError: naming the flag.
    """
    check_at_least(
        [
            ("--epochs", config.epochs, 1),
            ("--batch-size", config.batch_size, 2),
            ("--cache-views", config.cache_views, 1),
            ("--num-workers", config.num_workers, 0),
            ("--freeze-stages", config.freeze_stages, 0),
            ("--save-every", config.save_every, 0),
            ("--early-stopping", config.early_stopping, 0),
            ("--gradient-clip", config.gradient_clip, 0),
            ("--weight-decay", config.weight_decay, 0),
            ("--warmup-steps", config.warmup_steps, 0),
            ("--num-threads", config.num_threads, 1),
            ("--vision-learning-rate-ratio", config.vision_learning_rate_ratio, 0),
            ("--num-queries", config.num_queries, 1),
            ("--caption-weight", config.caption_weight, 0),
            ("--contrastive-weight", config.contrastive_weight, 0),
            ("--matching-weight", config.matching_weight, 0),
            ("--seed", config.seed, 0),
        ]
    )
    if not 0 <= config.label_smoothing < 1:
        raise ConfigError(
            tr(f"--label-smoothing is {config.label_smoothing}", f"--label-smoothing vaut {config.label_smoothing}"),
            tr("give 0 to below 1; usual: 0.1", "donnez de 0 à moins de 1 ; usuel : 0.1"),
        )
    if config.learning_rate <= 0:
        raise ConfigError(
            tr(f"--learning-rate is {config.learning_rate}", f"--learning-rate vaut {config.learning_rate}"),
            tr("give a positive number; usual: 1e-5 to 1e-3", "donnez un nombre positif ; usuel : 1e-5 à 1e-3"),
        )


def check_share(batch_size: int, world_size: int) -> None:
    """Refuse a batch that the processes cannot share evenly.

    Raises:
        ConfigError: naming the next sizes.
    """
    if batch_size % world_size:
        near = max(1, batch_size // world_size) * world_size
        raise ConfigError(
            tr(
                f"--batch-size {batch_size} is for all {world_size} processes together, and cannot be shared evenly",
                f"--batch-size {batch_size} vaut pour les {world_size} processus ensemble, et ne se partage pas"
                " également",
            ),
            tr(f"for example --batch-size {near}", f"par exemple --batch-size {near}"),
        )


def check_classes(asked: int | None, names: Sequence[str], records: Sequence[Record]) -> None:
    """Refuse a class count that contradicts the data; say which classes of val have no training photo.

    Raises:
        ConfigError: `asked` is not the number of classes, which are listed.
        DataError: there is only one class.
    """
    check_num_classes(asked, names)
    if len(names) < 2:
        raise DataError(
            tr(f"the manifest has only one class: {names[0]}", f"le manifeste n'a qu'une classe : {names[0]}"),
            tr("a classifier needs at least two", "un classifieur en demande au moins deux"),
        )
    trained = {record.class_id for record in records if record.split == "train"}
    unseen = sorted({record.class_id for record in records if record.split == "val"} - trained)
    if unseen:
        say(
            tr(
                f"note: {len(unseen)} classes of val have no training photo: {', '.join(unseen)}",
                f"note : {len(unseen)} classes de val n'ont aucune photo d'entraînement : {', '.join(unseen)}",
            )
        )


def build_objective(task: Task) -> Objective:
    """Return the losses: logit-adjusted cross-entropy, captions, and the bank of descriptions."""
    config, model = task.config, task.model
    counts_C = torch.from_numpy(task.data.class_counts)
    classification = ClassificationLoss(
        label_smoothing=config.label_smoothing,
        class_weights_C=balanced_class_weights(counts_C) if config.class_weights else None,
        log_prior_C=None if config.class_weights else log_prior(counts_C),  # either mends the imbalance, both overdo it
    )
    bank_MW, bank_labels_M = None, None
    texts = _bank_texts(task.data)
    if model.text is not None and texts:
        bank_MW = model.encode_descriptions([text for text, _ in texts])
        bank_labels_M = torch.tensor([label for _, label in texts], device=bank_MW.device)
    return Objective(classification, bank_MW, bank_labels_M, objective_weights(config))


def note_encoder(task: Task) -> EncodeNotes:
    """Return the model's own note encoder, or a lookup when the text tower is frozen and its states never change."""
    model = task.model
    if model.text is None or not model.text.frozen:
        return model.encode_notes
    examples = task.data.examples(task.data.split("train"), training=True)
    return NoteStatesCache(model, examples.all_notes)


class PhotoFeeds:
    """The loaders of a task: from the feature cache where a part of the vision tower is frozen, else from photos."""

    def __init__(self, task: Task, strategy: Strategy) -> None:
        self._task = task
        self._train_maker = BatchMaker(task.data.examples(task.data.split("train"), training=True))
        self._val_maker = BatchMaker(task.data.examples(task.val_records, training=False))
        self._train_cache: FeatureCache | None = None
        self._val_cache: FeatureCache | None = None
        if task.model.cut.is_cacheable:
            with strategy.in_turn():  # the first fills it, the others find it
                self._train_cache = _open(task, strategy, "train", num_views=task.config.cache_views)
                self._val_cache = _open(task, strategy, "val", num_views=1)

    def train(self, epoch: int) -> BatchLoader:
        """Return one epoch of training batches."""
        if self._train_cache is None:
            return self._task.data.train_dataloader(epoch=epoch)
        sampler = self._task.data.sampler(len(self._task.data.split("train")), epoch=epoch)
        return CachedLoader(self._train_cache, sampler, self._train_maker)

    def val(self) -> BatchLoader:
        """Return the val photos in order."""
        if self._val_cache is None:
            return self._task.data.val_dataloader()
        sampler = self._task.data.sampler(len(self._task.val_records), shuffle=False)
        return CachedLoader(self._val_cache, sampler, self._val_maker)


def _open(task: Task, strategy: Strategy, split: str, *, num_views: int) -> FeatureCache:
    records = task.data.split("train" if split == "train" else "val")
    is_training = split == "train"
    root = task.config.cache_dir or task.config.checkpoint_dir / "feature_cache"

    @torch.inference_mode()
    def encode(pixels_BHWC: Tensor) -> Tensor:
        task.model.eval()
        return task.model.vision_features(pixels_BHWC.to(strategy.device))

    return open_cache(
        root,
        CacheSpec(_fingerprint(task, is_training), tuple(_photo_hashes(task.data, records)), num_views),
        task.data.reader(records, augment=is_training),
        BatchMaker(task.data.examples(records, training=False)),
        encode,
        task.data.loader,
    )


def _fingerprint(task: Task, is_training: bool) -> str:
    """Hash what the frozen part's output depends on beside the photos."""
    model = task.model
    frozen = model.vision.state_dict() if model.vision.frozen else _frozen_state(model)
    weights = {name: sha256_tensor(tensor) for name, tensor in frozen.items()}
    seed = task.config.seed if is_training else 0
    preprocess = dataclasses.asdict(model.vision.preprocess)
    return sha256_json([weights, preprocess, frozen_stages(task.config), is_training, seed, _GEOMETRY_VERSION])


def _frozen_state(model: MultimodalModel) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": tensor
        for index, module in enumerate(model.cut.frozen_modules)
        for name, tensor in module.state_dict().items()
    }


def _photo_hashes(data: DataModule, records: Sequence[Record]) -> list[str]:
    """Return a hash of each photo's file; the manifest's is of the source, which is the same at any target size."""
    return [sha256_file(path) for path in photo_paths(records, data.images_dir)]


def _bank_texts(data: DataModule) -> list[tuple[str, int]]:
    """Return distinct (description, class) pairs of the training photos, a few of each class, in a stable order."""
    texts: dict[str, set[str]] = {}
    for record in data.split("train"):
        texts.setdefault(record.class_id, set()).update(caption_targets(record).values())
    pairs: list[tuple[str, int]] = []
    for label, name in enumerate(data.class_names):
        ordered = sorted(texts.get(name, ()))
        step = max(1, -(-len(ordered) // _MAX_BANK_TEXTS))
        pairs += [(text, label) for text in ordered[::step]]
    return pairs


def labels_of(task: Task, records: Sequence[Record]) -> NDArray[np.int64]:
    """Return the class index of each record."""
    index = {name: position for position, name in enumerate(task.data.class_names)}
    return np.array([index[record.class_id] for record in records], dtype=np.int64)


def val_logits(model: MultimodalModel, loader: BatchLoader, strategy: Strategy) -> NDArray[np.float32]:
    """Return the logits (N, C) of the val photos in order, from the photos alone: of all ranks, on each."""
    return val_answers(model, loader, strategy)[0]


def val_answers(
    model: MultimodalModel, loader: BatchLoader, strategy: Strategy
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits (N, C) and classifier features (N, F) of the val photos in order; see `val_logits`."""
    model.eval()
    rows: list[Tensor] = []
    indices: list[Tensor] = []
    with torch.inference_mode(), strategy.autocast():
        for batch in strategy.wrap_loader(loader):
            is_photo_B = batch.weights_B > 0  # each photo once: the repeats that fill the last batch stay out
            image = model.encode_photos(batch.pixels_BHWC, batch.features_B)
            output = model(image, None)
            rows.append(torch.cat([output.logits_BC, output.features_BF], dim=1)[is_photo_B].float())
            num_classes = output.logits_BC.shape[1]
            indices.append(batch.indices_B[is_photo_B.to(batch.indices_B.device)])
    answers, order = strategy.gather_rows(torch.cat(rows)).cpu(), strategy.gather_rows(torch.cat(indices)).cpu()
    in_order = answers[torch.argsort(order)].numpy()
    return in_order[:, :num_classes], in_order[:, num_classes:]
