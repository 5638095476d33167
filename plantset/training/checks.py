"""What can be refused before anything is built: numbers, folders, classes and photos that cannot work."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from plantset.core.bounds import check_at_least, check_num_classes
from plantset.core.errors import ConfigError, DataError
from plantset.core.language import tr
from plantset.core.log import say
from plantset.core.records import Record
from plantset.core.shards import check_shards
from plantset.data.choices import MixPolicy
from plantset.models.multimodal import MultimodalModel
from plantset.training.config import TrainConfig


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
            ("--cache-gb", config.cache_gb, 0),
            ("--logit-adjustment", config.logit_adjustment, 0),
            ("--focal-gamma", config.focal_gamma, 0),
            ("--num-workers", config.num_workers, 0),
            ("--freeze-stages", config.freeze_stages, 0),
            ("--text-lora-rank", config.text_lora_rank, 0),
            ("--accumulate-steps", config.accumulate_steps, 1),
            ("--save-every", config.save_every, 0),
            ("--save-steps", config.save_steps, 0),
            ("--keep-last", config.keep_last, 0),
            ("--max-steps", config.max_steps, 0),
            ("--ema-decay", config.ema_decay, 0),
            ("--early-stopping", config.early_stopping, 0),
            ("--gradient-clip", config.gradient_clip, 0),
            ("--weight-decay", config.weight_decay, 0),
            ("--warmup-steps", config.warmup_steps, 0),
            ("--unfreeze-after", config.unfreeze_after, 0),
            ("--num-threads", config.num_threads, 1),
            ("--vision-learning-rate-ratio", config.vision_learning_rate_ratio, 0),
            ("--num-queries", config.num_queries, 1),
            ("--caption-weight", config.caption_weight, 0),
            ("--contrastive-weight", config.contrastive_weight, 0),
            ("--matching-weight", config.matching_weight, 0),
            ("--augment-strength", config.augment_strength, 0),
            ("--mixup", config.mixup, 0),
            ("--cutmix", config.cutmix, 0),
            ("--seed", config.seed, 0),
        ]
    )
    for name, prob in (("--augment-prob", config.augment_prob), ("--mix-prob", config.mix_prob)):
        if not 0 <= prob <= 1:
            raise ConfigError(tr(f"{name} is {prob}", f"{name} vaut {prob}"), tr("give 0 to 1", "donnez de 0 à 1"))
    if config.ema_decay >= 1:
        raise ConfigError(
            tr(f"--ema-decay is {config.ema_decay}", f"--ema-decay vaut {config.ema_decay}"),
            tr("give 0 (none) to below 1; usual: 0.999", "donnez de 0 (aucune) à moins de 1 ; usuel : 0,999"),
        )
    if config.label_smoothing is not None and not 0 <= config.label_smoothing < 1:
        raise ConfigError(
            tr(f"--label-smoothing is {config.label_smoothing}", f"--label-smoothing vaut {config.label_smoothing}"),
            tr("give 0 to below 1; usual: 0.1", "donnez de 0 à moins de 1 ; usuel : 0,1"),
        )
    if not 0 < config.layer_decay <= 1:
        raise ConfigError(
            tr(f"--layer-decay is {config.layer_decay}", f"--layer-decay vaut {config.layer_decay}"),
            tr("give above 0 to 1; usual: 0.65 to 0.8", "donnez de plus de 0 à 1 ; usuel : 0,65 à 0,8"),
        )
    if config.learning_rate <= 0:
        raise ConfigError(
            tr(f"--learning-rate is {config.learning_rate}", f"--learning-rate vaut {config.learning_rate}"),
            tr("give a positive number; usual: 1e-5 to 1e-3", "donnez un nombre positif ; usuel : 1e-5 à 1e-3"),
        )


def check_share(batch_size: int, num_devices: int, *, in_pairs: bool = False) -> None:
    """Refuse a batch that the devices of all processes cannot share evenly, in pairs where photos are mixed.

    Raises:
        ConfigError: naming the next sizes.
    """
    unit = 2 * num_devices if in_pairs else num_devices
    if batch_size % unit == 0:
        return
    near = max(1, batch_size // unit) * unit
    pairs = tr(" in pairs (--mixup, --cutmix)", " par paires (--mixup, --cutmix)") if in_pairs else ""
    raise ConfigError(
        tr(
            f"--batch-size {batch_size} is for all {num_devices} devices together, and cannot be shared evenly{pairs}",
            f"--batch-size {batch_size} vaut pour les {num_devices} appareils ensemble, et ne se partage pas également"
            f"{pairs}",
        ),
        tr(f"for example --batch-size {near}", f"par exemple --batch-size {near}"),
    )


def check_mixing(mixing: MixPolicy, model: MultimodalModel) -> None:
    """Refuse to mix what has no mixture: classes that are learnt as texts, boxes of features that are no map.

    Raises:
        ConfigError: naming the flag.
    """
    if model.names is not None:
        raise ConfigError(
            tr(
                "--mixup and --cutmix mix classes, and this model learns a class as a text, which has no mixture",
                "--mixup et --cutmix mélangent des classes, et ce modèle apprend la classe comme un texte, qui n'a pas"
                " de mélange",
            ),
            tr("leave them out, or give --classifier linear", "ôtez-les, ou donnez --classifier linear"),
        )
    if mixing.cutmix > 0 and model.cut.is_cacheable and model.cut.map_axes is None:
        raise ConfigError(
            tr(
                "--cutmix exchanges boxes, and the frozen part of this backbone gives tokens, no map",
                "--cutmix échange des rectangles, et la partie gelée de ce réseau donne des jetons, pas de carte",
            ),
            tr(
                "use --mixup, or train the whole tower: --no-freeze-vision --freeze-stages 0",
                "utilisez --mixup, ou entraînez toute la tour : --no-freeze-vision --freeze-stages 0",
            ),
        )


def check_class_losses(config: TrainConfig, *, has_logits: bool) -> None:
    """Refuse what shapes the loss of class logits where a class is learnt by its name, word by word, and has none.

    Raises:
        ConfigError: naming the flag.
    """
    asked = [
        flag
        for flag, value in (
            ("--class-weights", config.class_weights),
            ("--logit-adjustment", config.logit_adjustment),
            ("--focal-gamma", config.focal_gamma),
            ("--label-smoothing", config.label_smoothing),
        )
        if value
    ]
    if has_logits or not asked:
        return
    raise ConfigError(
        tr(
            f"{asked[0]} acts on class logits, and the classifier “names” learns each class by its name",
            f"{asked[0]} agit sur les logits des classes, et le classifieur « names » les apprend par leur nom",
        ),
        tr(
            f"leave {asked[0]} out (--sampling balances classes in any case), or give --classifier linear",
            f"ôtez {asked[0]} (--sampling équilibre les classes dans tous les cas), ou donnez --classifier linear",
        ),
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


def check_selection(records: Sequence[Record], selection: Sequence[Record]) -> None:
    """Refuse a val split of which no photo can say how good a model is.

    Args:
        selection: the photos of val that choose the epoch.

    Raises:
        DataError: training has photos of none of their classes.
    """
    trained = {record.class_id for record in records if record.split == "train"}
    if not trained or any(record.class_id in trained for record in selection):
        return
    asked = sorted({record.class_id for record in selection})
    shown = ", ".join(asked[:5])
    raise DataError(
        tr(
            f"no photo of val that could choose an epoch is of a class that train has; val has {shown}",
            f"aucune photo de val qui pourrait choisir une époque n'est d'une classe de train ; val a {shown}",
        ),
        tr(
            "give val the classes of train, by the same names: plantset clean makes such a split",
            "donnez à val les classes de train, sous les mêmes noms : plantset clean fait une telle partition",
        ),
    )


def check_photos(records: Sequence[Record], images_dir: Path, *, whole: bool = True) -> None:
    """Refuse a manifest that lists a photo twice or a photo that is not there: not hours later, in an epoch.

    Args:
        whole: whether shards must all be there, too; not where photos that cannot be read were left out already.

    Raises:
        DataError: naming the first and counting them.
    """
    listed = Counter(record.image_path for record in records)
    twice = [path for path, count in listed.items() if count > 1]
    if twice:
        raise DataError(
            tr(
                f"{len(twice)} photos are listed more than once; the first is {twice[0]}",
                f"{len(twice)} photos figurent plusieurs fois ; la première : {twice[0]}",
            ),
            tr(
                "keep one line of each, or make it anew: plantset clean",
                "gardez une ligne de chacune, ou refaites-le : plantset clean",
            ),
        )
    if records[0].shard_row is not None:
        if whole:
            check_shards(images_dir)
        return
    missing = [path for path in _not_listed(listed, images_dir) if not (images_dir / path).is_file()]
    if missing:
        raise DataError(
            tr(
                f"{len(missing)} photos of {len(listed)} are not under {images_dir}; the first is {missing[0]}",
                f"{len(missing)} photos sur {len(listed)} ne sont pas sous {images_dir} ; la première : {missing[0]}",
            ),
            tr(
                "bring them back, or make the manifest anew: plantset clean, then plantset map",
                "remettez-les, ou refaites le manifeste : plantset clean, puis plantset map",
            ),
        )


def _not_listed(paths: Iterable[str], folder: Path) -> list[str]:
    """Return the paths that the listings of their folders don't show: listing asks a disk far less than each file."""
    found: dict[str, set[str]] = {}
    absent: list[str] = []
    for path in paths:
        parent, _, name = path.rpartition("/")
        if parent not in found:
            found[parent] = _files_in(folder / parent)
        if name not in found[parent]:
            absent.append(path)  # or spelt in another case, which some file systems take for the same
    return absent


def _files_in(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def check_folder(folder: Path) -> None:
    """Refuse a folder for checkpoints that cannot be written, before the hours whose result it should hold.

    Raises:
        ConfigError: naming it, and why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            tr(
                f"checkpoints cannot be written to {folder}: {error.strerror}",
                f"impossible d'écrire les points de contrôle dans {folder} : {error.strerror}",
            ),
            tr("give another --checkpoint-dir", "donnez un autre --checkpoint-dir"),
        ) from error
