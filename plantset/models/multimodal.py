"""The vision-language model: two towers, token-level fusion, four heads.

The class's description is a target (captioner) and a bank (description head). It is never an input: the one text
that the classifier reads is the grower's own note.

Dimensions: B batch, H and W pixels, N image tokens, T note tokens, L caption tokens, D fusion width, F classifier
features, C classes, M descriptions in the bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn

from plantset.encoders.embed import embed_texts, pool_photo
from plantset.encoders.stages import StageCut
from plantset.encoders.text import TextEncoder, pool_mean
from plantset.encoders.vision import VisionEncoder, VisionTokens, normalize
from plantset.models.attention import sincos_positions_2d
from plantset.models.captioner import Captioner
from plantset.models.config import ModelConfig
from plantset.models.connector import LinearConnector
from plantset.models.fusion import CrossAttentionFusion
from plantset.models.heads import Classifier, DescriptionHead, MatchingHead


@dataclass(frozen=True, slots=True)
class NoteStates:
    """The text tower's token states of a batch of notes (B, T, width) and which tokens are real (B, T)."""

    states_BTC: Tensor
    mask_BT: Tensor

    def rows(self, rows_K: Tensor) -> NoteStates:
        """Return the notes of these rows, in this order."""
        return NoteStates(self.states_BTC[rows_K], self.mask_BT[rows_K])


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What one pass gives.

    Attributes:
        logits_BC: class logits, not calibrated.
        features_BF: what the classifier reads: pooled photo, fused photo, fused note.
        image_BND: image tokens before fusion: what the captioner looks at, so that a note cannot dictate its text.
        global_BG: pooled photo alone: what is compared with the descriptions, so that a note cannot pick the text.
    """

    logits_BC: Tensor
    features_BF: Tensor
    image_BND: Tensor
    global_BG: Tensor


class MultimodalModel(nn.Module):
    """Towers, connectors, fusion and heads.

    The text tower is attached, not built in: a photo without a note needs none, so that a loaded model builds it
    only when a note is given.

    Args:
        text_width: of the text tower's states; 0 builds a model that takes no notes and has no description head.
        vocabulary_size: of the captioner; 0 builds none.
        frozen_stages: stages of the vision tower that stay as they are.
    """

    def __init__(
        self,
        config: ModelConfig,
        vision: VisionEncoder,
        *,
        text_width: int,
        vocabulary_size: int = 0,
        frozen_stages: int = 0,
    ) -> None:
        super().__init__()
        width = config.fusion_dim
        self.config = config
        self.vision = vision.to(memory_format=torch.channels_last)  # convolutions are 1.5 times as fast on a CPU
        self.text: TextEncoder | None = None
        self.cut = StageCut(vision, frozen_stages)
        self.image_connector = LinearConnector(vision.width, config.vision_dim, width, dropout=config.dropout)
        self.fusion = CrossAttentionFusion(
            width, config.num_attention_heads, config.num_attention_layers, dropout=config.dropout
        )
        self.no_image = nn.Parameter(torch.randn(width) * 0.02)
        self.no_image_global = nn.Parameter(torch.zeros(vision.width))
        self.global_norm = nn.LayerNorm(vision.width)
        self.image_norm = nn.LayerNorm(width)
        self.note_norm = nn.LayerNorm(width)
        self.classifier = Classifier(vision.width + 2 * width, config.num_classes, dropout=config.dropout)
        self.note_connector: LinearConnector | None = None
        self.description: DescriptionHead | None = None
        self.matching: MatchingHead | None = None
        self.captioner: Captioner | None = None
        if text_width:
            self.note_connector = LinearConnector(text_width, config.text_dim, width, dropout=config.dropout)
            self.description = DescriptionHead(vision.width, text_width, config.shared_dim)
            self.matching = MatchingHead(2 * width)
        if vocabulary_size and config.caption_layers:
            self.captioner = Captioner(
                vocabulary_size,
                config.caption_length,
                image_width=width,
                width=width,
                num_heads=config.num_attention_heads,
                num_layers=config.caption_layers,
                dropout=config.dropout,
            )

    def train(self, mode: bool = True) -> Self:
        """Follow `mode`, except for what is frozen."""
        super().train(mode)
        for module in self.cut.frozen_modules:
            module.eval()
        return self

    def vision_features(self, pixels_BHWC: Tensor) -> Tensor:
        """Return what the frozen part of the vision tower makes of uint8 photos: constant, so it may be cached."""
        pixels = normalize(pixels_BHWC.permute(0, 3, 1, 2), self.vision.preprocess)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return self.cut.frozen_part(pixels)

    def vision_tokens(self, features_B: Tensor) -> VisionTokens:
        """Return the tower's tokens from the frozen part's output."""
        if features_B.ndim == 4:
            features_B = features_B.contiguous(memory_format=torch.channels_last)
        return self.cut.trained_part(features_B)

    def encode_photos(self, pixels_BHWC: Tensor | None, features_B: Tensor | None = None) -> VisionTokens:
        """Return the vision tower's tokens of uint8 photos (B, H, W, 3), from cached features where there are any."""
        if features_B is None:
            assert pixels_BHWC is not None
            features_B = self.vision_features(pixels_BHWC)
        return self.vision_tokens(features_B)

    def encode_notes(self, notes: Sequence[str | None]) -> NoteStates | None:
        """Return the attached text tower's states; None when no photo has a note or the model takes none."""
        if self.note_connector is None or not any(notes):
            return None
        assert self.text is not None, "attach the text tower first"
        ids, mask = self.text.tokenizer.encode([note or "" for note in notes], self.config.note_length)
        ids, mask = ids.to(self.no_image.device), mask.to(self.no_image.device)
        return NoteStates(self.text(ids, mask), mask)

    def encode_descriptions(self, texts: Sequence[str]) -> Tensor:
        """Return the text tower's vectors (M, width) of whole descriptions: the bank."""
        assert self.text is not None, "attach the text tower first"
        return torch.from_numpy(embed_texts(self.text, texts)).to(self.no_image.device)

    def forward(self, image: VisionTokens | None, note: NoteStates | None, *, batch_size: int = 0) -> ModelOutput:
        """Fuse what is there and answer.

        Args:
            image: None asks the note alone; then `batch_size` rows are answered from a learned "no photo" token.
            note: None, or rows without a real token, ask the photo alone.
        """
        image_BND, global_BG = self._image_inputs(image, batch_size)
        note_BTD = None
        if note is not None and self.note_connector is not None:
            note_BTD = self.note_connector(note.states_BTC)
        fused = self.fusion(image_BND, note_BTD, note.mask_BT if note is not None else None)
        features = torch.cat(
            [
                global_BG,
                self.image_norm(fused.image_BND.mean(dim=1)),
                self.note_norm(pool_mean(fused.note_BTD, fused.note_mask_BT)),
            ],
            dim=-1,
        )
        return ModelOutput(self.classifier(features), features, image_BND, global_BG)

    def match_logits(self, output: ModelOutput) -> Tensor:
        """Return (B,) logits of "the note is about this photo", from the fused parts of the features."""
        assert self.matching is not None
        return cast(Tensor, self.matching(output.features_BF[:, self.vision.width :]))

    def set_gradient_checkpointing(self, enabled: bool) -> None:
        """Recompute the towers' activations in the backward pass: less memory, about a third more time."""
        self.vision.set_grad_checkpointing(enabled)
        self.cut.gradient_checkpointing = enabled
        if self.text is not None:
            self.text.set_grad_checkpointing(enabled)

    def _image_inputs(self, image: VisionTokens | None, batch_size: int) -> tuple[Tensor, Tensor]:
        if image is None:
            no_image: Tensor = self.no_image.expand(batch_size, 1, -1)
            return no_image, self.global_norm(self.no_image_global).expand(batch_size, -1)
        height, width = image.grid
        positions = sincos_positions_2d(height, width, self.config.fusion_dim).to(image.tokens_BNC)
        tokens_BND = self.image_connector(image.tokens_BNC) + positions
        return tokens_BND, self.global_norm(pool_photo(image))
