"""From a config to everything that the loop needs: data, model, losses, loaders."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plantset.core.classes import class_infos
from plantset.core.files import sha256_json
from plantset.core.options import to_json_values
from plantset.core.records import Record, class_names
from plantset.core.shards import open_photos
from plantset.core.vocabulary import CaptionVocabulary
from plantset.data.broken import skip_broken
from plantset.data.choices import AugmentPolicy, MixPolicy
from plantset.data.examples import NotePolicy, task_texts, with_distinct_texts
from plantset.data.module import (
    DataModule,
    LoaderSettings,
    caption_languages,
    needed_text_length,
    split_val_in_two,
    train_vocabulary,
)
from plantset.data.sampling import sampled_counts
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.class_titles import with_names
from plantset.models.build import create_multimodal_model, towers_of
from plantset.models.caption_choice import choose_captioner, language_model_vocabulary
from plantset.models.config import PACKAGED_VISION, CaptionerName, usual_frozen_stages
from plantset.models.decision import Calibration
from plantset.models.load import ModelCard
from plantset.models.multimodal import MultimodalModel
from plantset.models.name_scoring import class_text
from plantset.models.objectives import ClassificationLoss, balanced_class_weights, log_prior
from plantset.models.presets import PARTS, ObjectiveWeights, Stage, find_preset, preset_weights
from plantset.runtime.strategy import Strategy
from plantset.training.bank import DescriptionBank, bank_texts
from plantset.training.checks import (
    check_class_losses,
    check_classes,
    check_mixing,
    check_photos,
    check_selection,
)
from plantset.training.config import TrainConfig
from plantset.training.meter import BatchLoader
from plantset.training.step import EncodeNotes, NoteStatesCache, Objective

_PACKAGED_VISION_RATIO, _VISION_RATIO = 0.5, 0.1  # a small network moves far; a large one forgets
_LABEL_SMOOTHING = 0.1  # Szegedy et al. 2016, section 7
_HEADS_FIRST = Stage("heads first", 0.0, frozenset(PARTS) - {"vision", "text"})
_ALL_TOGETHER = Stage("all", 0.0, frozenset(PARTS))


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


def prepare_task(config: TrainConfig, *, rank: int = 0, world_size: int = 1, pin_memory: bool = False) -> Task:
    """Read the manifest, build the model, and refuse what cannot work before the first step.

    Args:
        rank, world_size: which of how many processes this is.
        pin_memory: page-locked batches, for a GPU.

    Raises:
        ConfigError, DataError, CheckpointError: with what to mend.
    """
    records, images_dir = open_photos(config.jsonl_file, config.root_dir)
    if config.skip_broken:
        records = skip_broken(records, images_dir, config.checkpoint_dir, num_workers=config.num_workers)
    check_photos(records, images_dir, whole=not config.skip_broken)
    names = class_names(records)
    check_classes(config.num_classes, names, records)
    weights = objective_weights(config)
    check_class_losses(config, has_logits=weights.classification > 0)
    captioner = choose_captioner(config.preset, config.captioner, config.text_model)
    writes = captioner != "none" and (weights.caption > 0 or weights.class_name > 0)
    vocabulary = _vocabulary(records, captioner, config.text_model) if writes else None
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
        captioner=captioner,
        text_pooling=config.text_pooling,
        class_names=names,
        class_texts=class_texts(records, names, config.language),
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
        text_lora_rank=config.text_lora_rank,
    )
    mixing = mixing_policy(config)
    if mixing is not None:
        check_mixing(mixing, model)
    data = DataModule(
        records=tuple(records),
        images_dir=images_dir,
        class_names=names,
        preprocess=model.vision.preprocess,
        vocabulary=vocabulary,
        text_length=text_length,
        augment=AugmentPolicy(config.augment, config.augment_prob, config.augment_strength),
        notes=NotePolicy() if model.note_connector is not None else None,
        loader=LoaderSettings(config.batch_size, config.num_workers, pin_memory, rank=rank, world_size=world_size),
        seed=config.seed,
        sampling=config.sampling,
        mixing=mixing,
    )
    val = data.split("val")
    selection, calibration = split_val_in_two(val, seed=config.seed)
    check_selection(records, [val[position] for position in selection])
    return Task(config, data, model, tuple(selection), tuple(calibration or selection))


def with_towers(config: TrainConfig) -> TrainConfig:
    """Return the settings with the towers that `base` stands for named one by one, as everything else reads them.

    Raises:
        ConfigError: the checkpoint cannot be read, or another vision backbone is given as well.
    """
    vision_backbone, text_model = towers_of(config.base, config.vision_backbone, config.text_model)
    return dataclasses.replace(config, vision_backbone=vision_backbone, text_model=text_model)


def _vocabulary(records: Sequence[Record], captioner: CaptionerName, text_model: str) -> CaptionVocabulary | None:
    """Return the words that the captioner writes with; None when no training photo has a text."""
    if captioner != "prefix":
        return train_vocabulary(records)
    languages = caption_languages(records)
    return language_model_vocabulary(text_model, languages) if languages else None


def class_texts(records: Sequence[Record], names: Sequence[str], language: str) -> list[str]:
    """Return the name under which the captioner learns each class, or the class id's words where it has none alone."""
    example = {record.class_id: record for record in records}
    said = {name: task_texts(record).get(("CLASSIFY", language), "") for name, record in example.items()}
    shared = Counter(said[name] for name in names)
    return [said[name] if said[name] and shared[said[name]] == 1 else class_text(name) for name in names]


def mixing_policy(config: TrainConfig) -> MixPolicy | None:
    """Return how pairs of photos are mixed; None where none ever is."""
    policy = MixPolicy(config.mixup, config.cutmix, config.mix_prob)
    return policy if policy.mixes else None


def objective_weights(config: TrainConfig) -> ObjectiveWeights:
    """Return the weights of the losses: what was asked for, else the preset's."""
    asked = {
        "caption": config.caption_weight,
        "contrastive": config.contrastive_weight,
        "matching": config.matching_weight,
    }
    return preset_weights(config.preset, asked, config.classifier)


def frozen_stages(config: TrainConfig) -> int:
    """Return how many stages of the vision tower stay as they are: what was asked for, else what suits the backbone."""
    if config.freeze_stages is not None:
        return config.freeze_stages
    return usual_frozen_stages(config.vision_backbone) if config.pretrained else 0


def vision_learning_rate_ratio(config: TrainConfig) -> float:
    """Return the vision tower's share of the learning rate: what was asked for, else what suits the backbone."""
    if config.vision_learning_rate_ratio is not None:
        return config.vision_learning_rate_ratio
    return _PACKAGED_VISION_RATIO if config.vision_backbone == PACKAGED_VISION else _VISION_RATIO


def build_card(task: Task) -> ModelCard:
    """Return what is stored beside the weights; not calibrated yet."""
    records = task.data.records
    photos = [f"{record.split}|{record.class_id}|{record.sha256 or record.image_path}" for record in records]
    texts = sorted(
        f"{record.class_id}|{task_}|{language}|{text}"
        for record in with_distinct_texts(records)
        for (task_, language), text in task_texts(record).items()
    )
    return ModelCard(
        classes=with_names(class_infos(task.data.records), load_catalogue()),
        language=task.config.language,
        vocabulary=task.data.vocabulary if task.model.captioner is not None else None,
        calibration=Calibration(),
        training=to_json_values(task.config),
        data={
            "fingerprint": sha256_json([photos, texts]),
            "num_train": len(task.data.split("train")),
            "num_val": len(task.val_records),
        },
    )


def stage_of(config: TrainConfig, epoch: int) -> Stage:
    """Return what learns in an epoch: what was asked for, or the preset's stage that the epoch's middle lies in."""
    if config.unfreeze_after is not None:
        return _HEADS_FIRST if epoch < config.unfreeze_after else _ALL_TOGETHER
    stages = find_preset(config.preset).stages
    done, middle = 0.0, (epoch + 0.5) / config.epochs
    for stage in stages:
        done += stage.share_of_epochs
        if middle < done:
            return stage
    return stages[-1]


def build_objective(task: Task, bank: DescriptionBank | None = None) -> Objective:
    """Return the losses: logit-adjusted cross-entropy, captions, and the bank of descriptions of `build_bank`."""
    config = task.config
    counts_C = torch.from_numpy(sampled_counts(task.data.class_counts, config.sampling))
    adjustment = config.logit_adjustment
    if adjustment is None:
        adjustment = 0.0 if config.class_weights else 1.0  # either mends the imbalance, both overdo it
    classification = ClassificationLoss(
        label_smoothing=_LABEL_SMOOTHING if config.label_smoothing is None else config.label_smoothing,
        class_weights_C=balanced_class_weights(counts_C) if config.class_weights else None,
        log_prior_C=adjustment * log_prior(counts_C) if adjustment else None,
        focal_gamma=config.focal_gamma,
    )
    if bank is None:
        return Objective(classification, None, None, objective_weights(config), config.seed)
    return Objective(classification, bank.vectors_MW, bank.labels_M, objective_weights(config), config.seed)


def build_bank(task: Task) -> DescriptionBank | None:
    """Return the descriptions that photos are compared with; None without a text tower or without a description."""
    texts = bank_texts(task.data.split("train"), task.data.class_names)
    return DescriptionBank(task.model, texts) if task.model.text is not None and texts else None


def note_encoder(task: Task) -> EncodeNotes:
    """Return the model's own note encoder, or a lookup when the text tower is frozen and its states never change."""
    model = task.model
    if model.text is None:
        return model.encode_notes
    if not model.text.frozen:
        return model.read_notes
    return NoteStatesCache(model, task.data.train_examples.all_notes)


def labels_of(task: Task, records: Sequence[Record]) -> NDArray[np.int64]:
    """Return the class index of each record."""
    index = {name: position for position, name in enumerate(task.data.class_names)}
    return np.array([index[record.class_id] for record in records], dtype=np.int64)


def val_answers(
    model: MultimodalModel,
    loader: BatchLoader,
    strategy: Strategy,
    check: Callable[[], None] = lambda: None,
    *,
    with_features: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits (N, C) and classifier features (N, F) of the val photos in order, from the photos alone.

    Args:
        check: called before each batch; what it raises ends the judging.
        with_features: False returns (N, 0) of them: of many photos they are most of the memory.
    """
    model.eval()
    rows: list[Tensor] = []
    indices: list[Tensor] = []
    weights: list[Tensor] = []
    with torch.no_grad(), strategy.autocast():
        for batch in strategy.wrap_loader(loader):
            check()
            image = model.encode_photos(batch.pixels_BHWC, batch.features_B)
            output = model(image, None)
            wanted = [output.logits_BC, output.features_BF] if with_features else [output.logits_BC]
            rows.append(torch.cat(wanted, dim=1).float())
            num_classes = output.logits_BC.shape[1]
            indices.append(batch.indices_B)
            weights.append(batch.weights_B)
    answers, order, weight = (strategy.gather_rows(torch.cat(parts)).cpu() for parts in (rows, indices, weights))
    is_photo = weight > 0  # each photo once: the repeats that fill the last batch stay out, here and not on the device
    in_order = answers[is_photo][torch.argsort(order[is_photo])].numpy()
    return in_order[:, :num_classes], in_order[:, num_classes:]
