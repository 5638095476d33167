"""Model <-> checkpoint, and the loaded model that evaluation and inference ask.

What travels: architecture, preprocessing, class names, vocabulary, calibration, training flags and all weights. A
frozen packaged text tower alone does not (470 MB that every installation has): it is named with its fingerprint,
and refused when the installed one differs; where adapters learn beside it, they travel alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from plantset import __version__
from plantset.core.classes import ClassInfo, class_info_from_json
from plantset.core.errors import CheckpointError
from plantset.core.language import tr
from plantset.core.preprocess import PreprocessConfig
from plantset.core.vocabulary import CaptionVocabulary, Task, vocabulary_from_json
from plantset.encoders.lora import plain_name
from plantset.encoders.registry import (
    build_text_encoder_from,
    build_vision_encoder_from,
    text_architecture,
    vision_architecture,
)
from plantset.encoders.text import TextEncoder, is_adapter
from plantset.encoders.vision import VisionTokens
from plantset.models.captioner import Captioner
from plantset.models.config import model_config_from_json
from plantset.models.decision import Calibration, calibration_from_json
from plantset.models.generation import GREEDY, Decoding
from plantset.models.multimodal import ModelOutput, MultimodalModel, NoteStates
from plantset.models.prefix import PrefixCaptioner
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint
from plantset.runtime.devices import DeviceName, find_device

_T = TypeVar("_T")


@dataclass(frozen=True)
class ModelCard:
    """What a model needs to be used, beside its weights.

    Attributes:
        classes: what is known of each class, in index order.
        language: in which it describes by default.
        vocabulary: of the captioner; None without one.
        training: the resolved settings that it was trained with.
        data: counts and fingerprint of what it was trained on.
    """

    classes: tuple[ClassInfo, ...]
    language: str
    vocabulary: CaptionVocabulary | None
    calibration: Calibration
    training: Mapping[str, Any]
    data: Mapping[str, Any]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class ids in index order."""
        return tuple(info.class_id for info in self.classes)


def to_checkpoint(model: MultimodalModel, card: ModelCard, extra: Mapping[str, Tensor] | None = None) -> Checkpoint:
    """Return all that evaluate and infer need; `extra` adds tensors of a full training state."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items() if not name.startswith("text.")}
    text_spec = None
    if model.text is not None:
        text_spec = text_architecture(model.text)
        if not is_referenced(model):
            text_spec["fingerprint"] = None  # its weights travel: the package's are not asked for
        tensors |= {f"text.{name}": tensor for name, tensor in _held_text(model.text, is_referenced(model)).items()}
    meta = {
        "plantset_version": __version__,
        "model": dataclasses.asdict(model.config),
        "vision": vision_architecture(model.vision),
        "text": text_spec,
        "text_width": model.text.width if model.text is not None else 0,
        "classes": [dataclasses.asdict(info) for info in card.classes],
        "language": card.language,
        "vocabulary": card.vocabulary.to_json() if card.vocabulary is not None else None,
        "calibration": dataclasses.asdict(card.calibration),
        "training": dict(card.training),
        "data": dict(card.data),
    }
    return Checkpoint(meta, tensors | dict(extra or {}))


def is_referenced(model: MultimodalModel) -> bool:
    """Return whether the text tower's own weights are packaged and frozen: a checkpoint names them, and holds none."""
    text = model.text
    return text is not None and text.fingerprint is not None and (text.frozen or text.lora_rank > 0)


def _held_text(text: TextEncoder, is_referenced: bool) -> dict[str, Tensor]:
    """Return what a checkpoint holds of the text tower: of one that it names, the adapters alone."""
    return {name: tensor for name, tensor in text.state_dict().items() if not is_referenced or is_adapter(name)}


def read_card(checkpoint: Checkpoint) -> ModelCard:
    """Return the card of a checkpoint."""
    meta = checkpoint.meta
    return ModelCard(
        classes=tuple(map(class_info_from_json, meta["classes"])),
        language=meta["language"],
        vocabulary=vocabulary_from_json(meta["vocabulary"]) if meta["vocabulary"] is not None else None,
        calibration=_restore(calibration_from_json, meta["calibration"]),
        training=meta["training"],
        data=meta["data"],
    )


def build_from_checkpoint(checkpoint: Checkpoint) -> MultimodalModel:
    """Rebuild the model without its text tower (`attach_text` adds it); needs no network.

    Raises:
        CheckpointError: the weights do not fit the architecture that the checkpoint names.
    """
    meta = checkpoint.meta
    card = read_card(checkpoint)
    model = MultimodalModel(
        _restore(model_config_from_json, meta["model"]),
        build_vision_encoder_from(meta["vision"], load_packaged=False),
        text_width=meta["text_width"],
        vocabulary_size=len(card.vocabulary) if card.vocabulary is not None else 0,
    )
    load_weights(model, checkpoint.section("model"))
    return model


def _restore(read: Callable[[Mapping[str, Any]], _T], values: Mapping[str, Any]) -> _T:
    try:
        return read(values)
    except ValueError as error:
        raise CheckpointError(
            tr(
                f"the checkpoint's model has parts that this version does not know: {error}",
                f"le modèle du point de contrôle a des parties que cette version ne connaît pas : {error}",
            ),
            tr("install the plantset version that wrote it", "installez la version de plantset qui l'a écrit"),
        ) from error


def attach_text(model: MultimodalModel, checkpoint: Checkpoint) -> None:
    """Build the text tower that the checkpoint names or holds, frozen, and attach it to the model."""
    held = checkpoint.section("text")
    text = build_text_encoder_from(checkpoint.meta["text"], load_packaged=all(map(is_adapter, held)))
    load_text_weights(text, held)
    model.attach_text(text.freeze().to(model.no_image.device))


def load_text_weights(text: TextEncoder, held: Mapping[str, Tensor]) -> None:
    """Load what a checkpoint holds of a text tower: all of it, its adapters alone, or nothing.

    A tower with adapters also takes the weights of the same tower without: they go under them, and the adapters stay
    as they are.

    Raises:
        CheckpointError: they are of another tower, or of adapters that this one does not have.
    """
    if not held:
        return
    own = text.state_dict()
    rank = _lora_rank(held)
    if rank not in (0, text.lora_rank):
        raise _other_rank(rank, text.lora_rank)
    if text.lora_rank and not rank:
        named = {plain_name(name): name for name in own if not is_adapter(name)}
        held = {named.get(name, name): tensor for name, tensor in held.items()}
        held |= {name: tensor for name, tensor in own.items() if is_adapter(name)}
    elif all(map(is_adapter, held)):
        held = {name: tensor for name, tensor in own.items() if not is_adapter(name)} | dict(held)
    load_weights(text, held)


def _lora_rank(held: Mapping[str, Tensor]) -> int:
    return next((len(tensor) for name, tensor in held.items() if ".lora_A." in name), 0)


def _other_rank(rank: int, own: int) -> CheckpointError:
    return CheckpointError(
        tr(
            f"the checkpoint's text tower has adapters of rank {rank}, this one of rank {own} (0: none)",
            f"la tour de texte du point de contrôle a des adaptateurs de rang {rank}, celle-ci de rang {own}"
            " (0 : aucun)",
        ),
        tr(f"give --text-lora-rank {rank}", f"donnez --text-lora-rank {rank}"),
    )


def load_weights(model: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load strictly: no tensor missing, none left over, all of the right shape.

    Raises:
        CheckpointError: they are of another model.
    """
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise CheckpointError(
            tr(
                f"the checkpoint's weights are of another model: {first[0].strip()}",
                f"les poids du point de contrôle sont d'un autre modèle : {first[0].strip()}",
            ),
            tr(
                "use the plantset version that wrote it, or train again",
                "utilisez la version de plantset qui l'a écrit, ou recommencez l'entraînement",
            ),
        ) from error


class LoadedModel:
    """A trained model, ready to be asked; deterministic, in evaluation mode.

    Args:
        checkpoint: of `runtime.checkpoint.load_checkpoint`.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self._checkpoint = checkpoint
        self.device = device
        self.card = read_card(checkpoint)
        self.model = build_from_checkpoint(checkpoint).to(device).eval()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class ids in index order."""
        return self.card.class_names

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """What training knew of each class, in index order."""
        return self.card.classes

    @property
    def digest(self) -> str:
        """The digest of the checkpoint that it was read from; empty for one that was not."""
        return self._checkpoint.digest

    @property
    def plantset_version(self) -> str:
        """The version that trained it."""
        return str(self._checkpoint.meta["plantset_version"])

    @property
    def language(self) -> str:
        """The language in which the model describes by default."""
        return self.card.language

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which the model can describe; empty without a captioner."""
        return self.card.vocabulary.languages if self.card.vocabulary is not None else ()

    @property
    def calibration(self) -> Calibration:
        """Temperature and thresholds."""
        return self.card.calibration

    @property
    def temperature(self) -> float:
        """What logits are divided by before softmax."""
        return self.card.calibration.temperature

    @property
    def preprocess(self) -> PreprocessConfig:
        """Geometry and normalisation of the photos."""
        return self.model.vision.preprocess

    @property
    def image_size_px(self) -> int:
        """Side of the square input."""
        return self.preprocess.image_size_px

    @property
    def takes_notes(self) -> bool:
        """Whether a grower's note can be given."""
        return self.model.note_connector is not None

    @torch.no_grad()
    def encode_photos(self, pixels_BHWC: Tensor) -> Tensor:
        """Return the vision tower's tokens (B, P + N, width) of uint8 photos: the costly part of an answer."""
        seen = self.model.encode_photos(pixels_BHWC.to(self.device))
        return seen.tokens_BNC if seen.prefix_BPC is None else torch.cat([seen.prefix_BPC, seen.tokens_BNC], dim=1)

    @torch.no_grad()
    def predict_tokens(self, tokens_BKC: Tensor | None, notes: Sequence[str | None] | None) -> Tensor:
        """Return logits (B, C), float32 on the CPU, not calibrated.

        Args:
            tokens_BKC: of `encode_photos`; None asks the notes alone.
            notes: None asks the photos alone. They are used as given: mask names first (`knowledge.notes`).
        """
        return self._answer(tokens_BKC, notes).logits_BC.float().cpu()

    @torch.no_grad()
    def answer_photos(self, tokens_BKC: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits, what the classifier reads of the photo alone), float32 on the CPU, from one pass."""
        output = self._answer(tokens_BKC, None)
        return output.logits_BC.float().cpu(), output.features_BF.float().cpu()

    def _answer(self, tokens_BKC: Tensor | None, notes: Sequence[str | None] | None) -> ModelOutput:
        states = self._note_states(notes) if notes is not None and any(notes) else None
        batch_size = len(notes) if notes is not None else 0
        output: ModelOutput = self.model(self._seen(tokens_BKC), states, batch_size=batch_size)
        return output

    def predict_batch(self, pixels_BHWC: Tensor | None, notes: Sequence[str | None] | None = None) -> Tensor:
        """Return logits (B, C) of uint8 photos with their notes; see `predict_tokens`."""
        return self.predict_tokens(None if pixels_BHWC is None else self.encode_photos(pixels_BHWC), notes)

    @torch.no_grad()
    def caption_tokens(
        self, tokens_BKC: Tensor, language: str, *, task: Task = "DESCRIBE", decoding: Decoding = GREEDY
    ) -> list[str]:
        """Write the text that is asked for, a description by default, of each photo from its tokens.

        Raises:
            CheckpointError: the model has no captioner, or was not trained in that language or for that task.
            ConfigError: settings of decoding that exclude each other.
        """
        vocabulary = self._vocabulary(language, task)
        ids = self._captioner.generate(
            self._caption_context(tokens_BKC), vocabulary.prompt_ids(language, task), decoding=decoding
        )
        return [vocabulary.decode(row) for row in ids.tolist()]

    def caption_batch(self, pixels_BHWC: Tensor, language: str) -> list[str]:
        """Write a description of each uint8 photo; see `caption_tokens`."""
        return self.caption_tokens(self.encode_photos(pixels_BHWC), language)

    @torch.no_grad()
    def caption_nll_tokens(self, tokens_BKC: Tensor, texts: Sequence[str], language: str) -> tuple[float, int, int]:
        """Return (negative log-likelihood in nats, tokens, UTF-8 bytes) of these texts together, each given its photo.

        Of a text longer than the captioner's row all three count what the row holds.
        """
        vocabulary = self._vocabulary(language)
        length = self.model.config.caption_length
        rows = torch.from_numpy(np.stack([vocabulary.encode(text, language=language, length=length) for text in texts]))
        total, words = self._captioner.loss(rows.to(self.device), self._caption_context(tokens_BKC))
        held = sum(len(vocabulary.held(text, length).encode()) for text in texts)
        return float(total), int(words), held

    @property
    def compares_texts(self) -> bool:
        """Whether photos and texts have vectors in one space: the head that scores photos against descriptions."""
        return self.model.description is not None

    @torch.no_grad()
    def photo_vectors(self, tokens_BKC: Tensor) -> Tensor:
        """Return unit vectors (B, P) of photos, float32 on the CPU, to be compared with those of texts."""
        assert self.model.description is not None
        seen = self.model(self._seen(tokens_BKC), None, answer=False)
        vectors_BP: Tensor = self.model.description.embed_image(seen.global_BG)
        return vectors_BP.float().cpu()

    @torch.no_grad()
    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (M, P) of texts, float32 on the CPU; builds the text tower."""
        assert self.model.description is not None
        self._attach_text()
        vectors_MP: Tensor = self.model.description.embed_text(self.model.encode_descriptions(texts))
        return vectors_MP.float().cpu()

    @property
    def _captioner(self) -> Captioner | PrefixCaptioner:
        captioner = self.model.captioner
        assert captioner is not None
        if isinstance(captioner, PrefixCaptioner):
            self._attach_text()
        return captioner

    def _caption_context(self, tokens_BKC: Tensor) -> Tensor:
        return self.model.caption_context(self.model(self._seen(tokens_BKC), None, answer=False))

    def _seen(self, tokens_BKC: Tensor | None) -> VisionTokens | None:
        if tokens_BKC is None:
            return None
        vision = self.model.vision
        split = vision.num_prefix_tokens
        return VisionTokens(tokens_BKC[:, split:], vision.grid, tokens_BKC[:, :split] if split else None)

    def _note_states(self, notes: Sequence[str | None]) -> NoteStates | None:
        if self.takes_notes:
            self._attach_text()
        return self.model.encode_notes(notes)

    def _attach_text(self) -> None:
        """Build the text tower on the first text: photos alone need none."""
        if self.model.text is None:
            attach_text(self.model, self._checkpoint)

    def _vocabulary(self, language: str, task: Task = "DESCRIBE") -> CaptionVocabulary:
        if self.card.vocabulary is None or language not in self.languages:
            known = ", ".join(self.languages) or tr("none", "aucune")
            raise CheckpointError(
                tr(f"this model does not describe in '{language}'", f"ce modèle ne décrit pas en « {language} »"),
                tr(f"languages it knows: {known}", f"langues qu'il connaît : {known}"),
            )
        if task not in self.card.vocabulary.tasks:
            raise CheckpointError(
                tr(f"this model was not trained for the task {task}", f"ce modèle n'a pas appris la tâche {task}"),
                tr("train again: plantset train", "recommencez l'entraînement : plantset train"),
            )
        return self.card.vocabulary


def load_model(checkpoint_path: Path, device: DeviceName = "cpu") -> LoadedModel:
    """Load a trained model in evaluation mode.

    Raises:
        CheckpointError: the file is absent, damaged or of another program.
        DeviceError: the device is not there.
    """
    return LoadedModel(load_checkpoint(checkpoint_path), find_device(device))
