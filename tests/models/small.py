"""A small model of any preset, and inputs for it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from plantset.core.vocabulary import Vocabulary
from plantset.models.build import create_multimodal_model
from plantset.models.masking import choose_hidden
from plantset.models.multimodal import ModelOutput, MultimodalModel
from tests.tiny_models import SENTENCES

SIZE_PX = 64
CLASS_NAMES = ("maize--common-rust", "tomato--early-blight", "tomato--healthy", "tomato--late-blight")
VOCABULARY = Vocabulary.train([*SENTENCES, "tomato: late blight"], languages=["en", "fr"], size=320)
NOTES = ("Les feuilles portent des taches brunes.", None, "A white downy growth.", "x")
_SETTINGS: dict[str, object] = {
    "vision_dim": 24,
    "text_dim": 20,
    "fusion_dim": 16,
    "num_attention_heads": 4,
    "num_queries": 4,
    "pretrained": False,
    "image_size": SIZE_PX,
    "text_length": 32,
    "dropout": 0.0,
    "class_names": CLASS_NAMES,
    "vocabulary": VOCABULARY,
}


def build(text_model: str, backbone: str = "test_resnet", **overrides: object) -> MultimodalModel:
    """Build the same small model each time."""
    torch.manual_seed(0)
    settings = {**_SETTINGS, **overrides}
    return create_multimodal_model(len(CLASS_NAMES), backbone, text_model, **settings)  # type: ignore[arg-type]


def photos(count: int = 4) -> torch.Tensor:
    """Return random photos, the same each time."""
    pixels = np.random.default_rng(0).integers(0, 256, size=(count, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    return torch.from_numpy(pixels)


def ask(model: MultimodalModel, pixels: torch.Tensor, notes: tuple[str | None, ...] | None) -> ModelOutput:
    """Ask about photos with their notes."""
    note = model.encode_notes(notes) if notes is not None else None
    output: ModelOutput = model(model.encode_photos(pixels), note)
    return output


def losses(model: MultimodalModel) -> dict[str, torch.Tensor]:
    """Return every loss that the model's preset trains, on four photos of four classes with their notes."""
    labels, note = torch.arange(len(NOTES)), model.encode_notes(NOTES)
    image = model.encode_photos(photos())
    output: ModelOutput = model(image, note, answer=model.names is None)
    found: dict[str, torch.Tensor] = {}
    if model.names is None:
        found["class"] = F.cross_entropy(output.logits_BC, labels)
        found["note_only"] = F.cross_entropy(model(None, note, batch_size=len(NOTES)).logits_BC, labels)
    if model.description is not None and model.text is not None:
        bank = torch.randn(len(NOTES), model.text.width, generator=torch.Generator().manual_seed(0))
        found["contrastive"] = F.cross_entropy(model.description(output.global_BG, bank), labels)
    if model.matching is not None:
        found["matching"] = F.binary_cross_entropy_with_logits(model.match_logits(output), (labels == 0).float())
    if model.captioner is not None:
        found["caption"] = model.captioner.loss(_captions(), model.caption_context(output))[0]
        if model.names is not None:
            targets = model.names.targets(labels)
            alone = model(None, note, batch_size=len(NOTES), answer=False)
            found["class_name"] = model.captioner.loss(targets, output.fused_BND)[0]
            found["note_only"] = model.captioner.loss(targets, alone.fused_BND)[0]
    if model.masking is not None and model.note_connector is not None and note is not None:
        everywhere = torch.ones(image.tokens_BNC.shape[:2], dtype=torch.bool)
        seen = (output.image_BND, image.tokens_BNC, _hide(everywhere))
        read = (model.note_connector(note.states_BTC), note.states_BTC, _hide(note.mask_BT))
        found["masked_multimodal"] = model.masking.pair_losses(model.fusion, seen, read, note.mask_BT).sum()
    return found


def _hide(mask: torch.Tensor) -> torch.Tensor:
    return choose_hidden(mask, 0.5, seed=0, epoch=0, indices_B=torch.arange(len(mask)))


def _captions() -> torch.Tensor:
    rows = [VOCABULARY.encode(text, language="fr", length=32) for text in SENTENCES[: len(NOTES)]]
    return torch.from_numpy(np.stack(rows))
