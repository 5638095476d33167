"""The full state of a run as a checkpoint, and back: a resumed run goes on as if it had never stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from plantset.core.errors import CheckpointError
from plantset.core.language import tr
from plantset.core.log import say
from plantset.models.load import ModelCard, load_text_weights, load_weights, read_card, to_checkpoint
from plantset.models.multimodal import MultimodalModel
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from plantset.runtime.strategy import Strategy
from plantset.training.average import WeightAverage
from plantset.training.bank import DescriptionBank
from plantset.training.loop import Progress
from plantset.training.meter import EpochSums

BEST_NAME, LAST_NAME = "best_model.pth", "last_model.pth"


def save_state(
    path: Path,
    model: MultimodalModel,
    card: ModelCard,
    optimizer: torch.optim.Optimizer,
    strategy_state: Mapping[str, Tensor],
    progress: Progress,
    average: WeightAverage | None = None,
    bank: DescriptionBank | None = None,
) -> None:
    """Write model, optimizer, random states (of `Strategy.state`), weight average, bank and progress, atomically."""
    tensors: dict[str, Tensor] = {f"strategy.{name}": tensor for name, tensor in strategy_state.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state().items()}
    if bank is not None:
        tensors |= {f"bank.{name}": tensor for name, tensor in bank.state().items()}
    checkpoint = to_checkpoint(model, card, tensors)
    meta = {**checkpoint.meta, "progress": dataclasses.asdict(progress)}
    save_checkpoint(path, Checkpoint(meta, checkpoint.tensors))


def restore_state(
    path: Path,
    model: MultimodalModel,
    card: ModelCard,
    optimizer: torch.optim.Optimizer,
    strategy: Strategy,
    average: WeightAverage | None = None,
    bank: DescriptionBank | None = None,
) -> Progress:
    """Take back what `save_state` wrote.

    Raises:
        CheckpointError: damaged, without a training state, or of another model, data or settings.
    """
    checkpoint = load_checkpoint(path)
    progress = find_progress(path, checkpoint)
    _check_same_run(path, checkpoint, card)
    load_weights_of(model, checkpoint)
    state = optimizer.state_dict()
    for name, tensor in checkpoint.section("optimizer").items():
        index, _, slot = name.partition(".")
        state["state"].setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict(state)
    strategy.restore(checkpoint.section("strategy"))
    if average is not None:
        average.restore(checkpoint.section("average"))
    if bank is not None:
        bank.restore(checkpoint.section("bank"))
    return progress


def find_progress(path: Path, checkpoint: Checkpoint) -> Progress:
    """Return where the run of a checkpoint stood.

    Raises:
        CheckpointError: it holds a model alone, or is of an earlier version that could not go on inside an epoch.
    """
    if "progress" not in checkpoint.meta:
        raise CheckpointError(
            tr(f"{path} has no training state to go on from", f"{path} n'a pas d'état d'entraînement à reprendre"),
            tr(f"give the {LAST_NAME} of that run", f"donnez le {LAST_NAME} de cet entraînement"),
        )
    progress = dict(checkpoint.meta["progress"])
    if "sums" not in progress:
        raise CheckpointError(
            tr(f"{path} is the state of an earlier version", f"{path} est l'état d'une version antérieure"),
            tr("start from its weights: --init-checkpoint", "partez de ses poids : --init-checkpoint"),
        )
    return Progress(**{**progress, "sums": EpochSums(**progress["sums"])})


def load_weights_of(model: MultimodalModel, checkpoint: Checkpoint) -> None:
    """Load the weights of model and text tower into a model that was built with them."""
    held = checkpoint.section("text")
    text = model.text
    model.text = None  # the text tower's weights stand in a section of their own
    load_weights(model, checkpoint.section("model"))
    model.text = text
    if text is not None:
        load_text_weights(text, held)


def load_initial_weights(model: MultimodalModel, card: ModelCard, path: Path) -> None:
    """Start from an earlier model of the same architecture: its towers and fusion, the classifier's rows by class id.

    The captioner comes along when its vocabulary is the same; of another one its word ids would mean other words.

    Raises:
        CheckpointError: damaged, or of another architecture.
    """
    checkpoint = load_checkpoint(path)
    earlier_card = read_card(checkpoint)
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("text.")}
    tensors = checkpoint.section("model")
    _keep_rows_of_known_classes(tensors, own, earlier_card.class_names, card.class_names)
    if not _same_captioner(tensors, own, earlier_card, card):
        say(
            tr(
                "note: another vocabulary, the captioner starts anew",
                "note : autre vocabulaire, le rédacteur repart de zéro",
            )
        )
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("captioner.")}
        tensors |= {name: tensor for name, tensor in own.items() if name.startswith("captioner.")}
    sections = {f"model.{name}": tensor for name, tensor in tensors.items()}
    sections |= {f"text.{name}": tensor for name, tensor in checkpoint.section("text").items()}
    load_weights_of(model, Checkpoint(checkpoint.meta, sections))
    _say_classes(earlier_card.class_names, card.class_names)


# Every tensor with a place for each class, and along which axis.
_CLASS_AXES = {
    "classifier.linear.weight": 0,
    "classifier.linear.bias": 0,
    "classifier.directions_CF": 0,
    "caption_evidence.classes.weight": 1,
}


def _keep_rows_of_known_classes(
    tensors: dict[str, Tensor], own: dict[str, Tensor], earlier: tuple[str, ...], names: tuple[str, ...]
) -> None:
    """Replace what the earlier model knew of each class by the new model's own, except where the class was known."""
    for name, axis in _CLASS_AXES.items():
        if name not in tensors or name not in own:
            continue  # another architecture: loading it strictly says so
        old, merged = tensors[name].movedim(axis, 0), own[name].clone().movedim(axis, 0)
        if old.shape[1:] != merged.shape[1:]:
            continue
        for row, class_id in enumerate(names):
            if class_id in earlier:
                merged[row] = old[earlier.index(class_id)]
        tensors[name] = merged.movedim(0, axis)


def _same_captioner(
    tensors: dict[str, Tensor], own: dict[str, Tensor], earlier_card: ModelCard, card: ModelCard
) -> bool:
    """Return whether both have a captioner of the same shape and words, or neither has one."""
    shapes = [
        {name: tensor.shape for name, tensor in part.items() if name.startswith("captioner.")}
        for part in (tensors, own)
    ]
    words = [known.vocabulary and known.vocabulary.to_json() for known in (earlier_card, card)]
    return shapes[0] == shapes[1] and words[0] == words[1]


def _say_classes(earlier: tuple[str, ...], names: tuple[str, ...]) -> None:
    kept = len(set(names) & set(earlier))
    added = ", ".join(sorted(set(names) - set(earlier)))
    removed = ", ".join(sorted(set(earlier) - set(names)))
    say(
        tr(
            f"classes kept: {kept}; added: {added or 'none'}; removed: {removed or 'none'}",
            f"classes gardées : {kept} ; ajoutées : {added or 'aucune'} ; retirées : {removed or 'aucune'}",
        )
    )


def _check_same_run(path: Path, checkpoint: Checkpoint, card: ModelCard) -> None:
    """Refuse to go on with other classes, other data or settings that change the result."""
    differing = [
        name
        for name, value in card.training.items()
        if name not in _FREE_TO_CHANGE and checkpoint.meta["training"].get(name) != value
    ]
    if read_card(checkpoint).class_names != card.class_names:
        differing.insert(0, "classes")
    if checkpoint.meta["data"].get("fingerprint") != card.data.get("fingerprint"):
        differing.insert(0, tr("the photos", "les photos"))
    if differing:
        raise CheckpointError(
            tr(
                f"{path} is of another run: {', '.join(differing)} differ",
                f"{path} est d'un autre entraînement : {', '.join(differing)} diffèrent",
            ),
            tr(
                "use the same data and settings, give another output folder, or start from its weights: "
                "--init-checkpoint",
                "reprenez les mêmes données et réglages, donnez un autre dossier de sortie, ou partez de ses poids : "
                "--init-checkpoint",
            ),
        )


_FREE_TO_CHANGE = {
    "resume",
    "checkpoint_dir",
    "cache_dir",
    "cache_gb",
    "check_cache",
    "log_dir",
    "log_to",
    "compile",
    "num_workers",
    "num_threads",
    "device",
    "tpu_cores",
    "shard_parameters",
    "save_every",
    "save_steps",
    "keep_last",
    "max_time",
    "dry_run",
    "early_stopping",
    "root_dir",
    "jsonl_file",
    "num_classes",
}
