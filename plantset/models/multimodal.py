"""The vision-language model: two towers, a connector, token-level fusion, heads and a captioner.

The class's description is a target (captioner) and a bank (description head). It is never an input: the one text
that the classifier reads is the grower's own note.

Dimensions: B batch, H and W pixels, N image tokens, T note tokens, L caption tokens, D fusion width, F classifier
features, C classes, M descriptions in the bank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn

from plantset.encoders.embed import embed_texts, pool_photo
from plantset.encoders.language import LanguageModel
from plantset.encoders.stages import StageCut
from plantset.encoders.text import TextEncoder
from plantset.encoders.vision import VisionEncoder, VisionTokens, normalize
from plantset.models.captioner import Captioner, CaptionEvidence
from plantset.models.config import ModelConfig
from plantset.models.connector import LinearConnector, build_image_connector
from plantset.models.fusion import Fused, build_fusion
from plantset.models.heads import DescriptionHead, MatchingHead, build_classifier
from plantset.models.masking import MaskedModelling
from plantset.models.name_scoring import NameScorer
from plantset.models.pooling import NotePooling
from plantset.models.prefix import PrefixCaptioner
from plantset.models.presets import PARTS, Part

_PARTS: dict[str, Part] = {
    "vision": "vision",
    "text": "text",
    "image_connector": "connector",
    "note_connector": "connector",
    "no_image": "connector",
    "fusion": "fusion",
    "captioner": "captioner",
    "caption_evidence": "captioner",
}  # all others are heads

_ALL_ROWS = slice(None)


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
        logits_BC: class logits, not calibrated; (B, 0) when no answer was asked for.
        features_BF: what the classifier reads: pooled photo, fused photo, fused note; (B, 0) where names are scored.
        image_BND: image tokens before fusion, which no note has touched.
        fused_BND: image tokens after fusion: what a text looks at that the note may change, such as the class's name.
        global_BG: pooled photo alone: what is compared with the descriptions, so that a note cannot pick the text.
    """

    logits_BC: Tensor
    features_BF: Tensor
    image_BND: Tensor
    fused_BND: Tensor
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
        self.image_connector = build_image_connector(config, vision.width, vision.grid)
        self.fusion = build_fusion(config)
        self.no_image = nn.Parameter(torch.randn(width) * 0.02)
        self.note_connector: LinearConnector | None = None
        self.description: DescriptionHead | None = None
        self.matching: MatchingHead | None = None
        self.captioner: Captioner | PrefixCaptioner | None = None
        self.caption_evidence: CaptionEvidence | None = None
        self.names: NameScorer | None = None
        self.masking: MaskedModelling | None = None
        self._learnable: frozenset[str] | None = None
        self._resting: frozenset[Part] = frozenset()
        self._build_answer(vision.width, width)
        if text_width:
            self.note_connector = LinearConnector(text_width, config.text_dim, width, dropout=config.dropout)
            if config.description:
                self.description = DescriptionHead(vision.width, text_width, config.shared_dim)
            if config.matching:
                self.matching = MatchingHead(2 * width)
        if config.masking:
            self.masking = MaskedModelling(width, vision.width, text_width, vision.grid)
        if vocabulary_size and config.captioner == "prefix":
            self.captioner = PrefixCaptioner(
                config.caption_length, image_width=width, text_width=text_width, num_prompts=config.caption_prompts
            )
        elif vocabulary_size and config.caption_layers and config.captioner == "decoder":
            self.captioner = Captioner(
                vocabulary_size,
                config.caption_length,
                image_width=width,
                width=width,
                num_heads=config.num_attention_heads,
                num_layers=config.caption_layers,
                dropout=config.dropout,
            )
        if self.captioner is not None and config.caption_evidence and config.classifier != "names":
            self.caption_evidence = CaptionEvidence(vision.width, config.num_classes, width)

    def _build_answer(self, vision_width: int, width: int) -> None:
        """Build what turns fused tokens into logits: pooled features and a classifier, or the scorer of names."""
        if self.config.classifier == "names":
            self.names = NameScorer(self.config.class_name_ids)
            return
        # LayerNorm divides its gradient by its size: on a tiny model 2.9 from zeros, 0.33 from 0.02, 0.033 from 0.2,
        # where the other "no photo" token's is 0.17; from zeros, gradient clipping would answer to this vector alone.
        self.no_image_global = nn.Parameter(torch.randn(vision_width) * 0.2)
        self.global_norm = nn.LayerNorm(vision_width)
        self.image_norm = nn.LayerNorm(width)
        self.note_pooling = NotePooling(width, self.config.text_pooling)
        self.note_norm = nn.LayerNorm(width)
        self.classifier = build_classifier(self.config, vision_width + 2 * width)

    def attach_text(self, text: TextEncoder | None) -> None:
        """Read notes, and write where the captioner is "prefix", with this tower from now on."""
        self.text = text
        if isinstance(self.captioner, PrefixCaptioner):
            assert isinstance(text, LanguageModel)
            self.captioner.attach(text)

    @staticmethod
    def part_of(name: str) -> Part:
        """Return the part that a parameter or module of this name belongs to."""
        return _PARTS.get(name.partition(".")[0], "heads")

    def train_parts(self, parts: frozenset[Part]) -> None:
        """Let only these parts learn from now on; what was frozen when the model was built stays frozen.

        The other parts rest: no gradient, and evaluation mode whatever `train` says.
        """
        if self._learnable is None:
            self._learnable = frozenset(name for name, weight in self.named_parameters() if weight.requires_grad)
        for name, weight in self.named_parameters():
            weight.requires_grad_(name in self._learnable and self.part_of(name) in parts)
        self._resting = frozenset(PARTS) - parts
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Follow `mode`, except for what is frozen."""
        super().train(mode)
        resting = [module for name, module in self.named_children() if self.part_of(name) in self._resting]
        for module in [*self.cut.frozen_modules, *resting]:
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
        return self.read_notes(notes) if self.note_connector is not None and any(notes) else None

    def read_notes(self, notes: Sequence[str | None]) -> NoteStates:
        """Return the attached text tower's states, whether any photo has a note or not: always the same computation."""
        assert self.text is not None, "attach the text tower first"
        ids, mask = self.text.tokenizer.encode([note or "" for note in notes], self.config.note_length)
        ids, mask = ids.to(self.no_image.device), mask.to(self.no_image.device)
        return NoteStates(self.text(ids, mask), mask)

    def encode_descriptions(self, texts: Sequence[str]) -> Tensor:
        """Return the text tower's vectors (M, width) of whole descriptions: the bank."""
        assert self.text is not None, "attach the text tower first"
        return torch.from_numpy(embed_texts(self.text, texts)).to(self.no_image.device)

    def forward(
        self, image: VisionTokens | None, note: NoteStates | None, *, batch_size: int = 0, answer: bool = True
    ) -> ModelOutput:
        """Fuse what is there and answer.

        Args:
            image: None asks the note alone; then `batch_size` rows are answered from a learned "no photo" token.
            note: None, or rows without a real token, ask the photo alone.
            answer: False leaves the logits out, which cost a pass of the captioner where names are scored.
        """
        image_BND = self._image_tokens(image, batch_size)
        note_BTD = None
        if note is not None and self.note_connector is not None:
            note_BTD = self.note_connector(note.states_BTC)
        fused = self.fusion(image_BND, note_BTD, note.mask_BT if note is not None else None)
        nothing = image_BND.new_zeros(image_BND.shape[0], 0)
        if self.names is not None:
            assert isinstance(self.captioner, Captioner)
            logits_BC = self.names(self.captioner, fused.image_BND) if answer else nothing
            return ModelOutput(logits_BC, nothing, image_BND, fused.image_BND, nothing)
        global_BG = self._global_features(image, batch_size)
        features = self._features(global_BG, fused)
        logits_BC = self.classifier(features) if answer else nothing
        return ModelOutput(logits_BC, features, image_BND, fused.image_BND, global_BG)

    def caption_context(self, output: ModelOutput, rows: slice = _ALL_ROWS) -> Tensor:
        """Return what the captioner looks at in these rows: image tokens, pooled photo, and the classes seen in it.

        All of it from the photo alone, so that a note cannot dictate the text. The classes are the classifier's, taken
        as they are: the captioner learns to follow them, not to change them.
        """
        image_BND = output.image_BND[rows]
        if self.caption_evidence is None:
            return image_BND
        global_BG = output.global_BG[rows]
        with torch.no_grad():
            logits_BC = self.classifier(self._features(global_BG, self.fusion(image_BND, None, None)))
            probs_BC = logits_BC.float().softmax(dim=-1).to(image_BND.dtype)
        evidence_BND: Tensor = self.caption_evidence(image_BND, global_BG, probs_BC)
        return evidence_BND

    @property
    def num_context_tokens(self) -> int:
        """How many tokens the captioner looks at: those of a photo, and what stands beside them."""
        photo_1NC = torch.zeros(1, math.prod(self.vision.grid), self.vision.width, device=self.no_image.device)
        with torch.no_grad():
            image_1ND: Tensor = self.image_connector(photo_1NC, self.vision.grid)
        return image_1ND.shape[1] + (2 if self.caption_evidence is not None else 0)

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

    def _image_tokens(self, image: VisionTokens | None, batch_size: int) -> Tensor:
        if image is None:
            return self.no_image.expand(batch_size, 1, -1)
        image_BND: Tensor = self.image_connector(image.tokens_BNC, image.grid)
        return image_BND

    def _global_features(self, image: VisionTokens | None, batch_size: int) -> Tensor:
        if image is None:
            return cast(Tensor, self.global_norm(self.no_image_global).expand(batch_size, -1))
        return cast(Tensor, self.global_norm(pool_photo(image)))

    def _features(self, global_BG: Tensor, fused: Fused) -> Tensor:
        image_BD = fused.image_BND.mean(dim=1) if fused.summary_BD is None else fused.summary_BD
        note_BD = self.note_pooling(fused.note_BTD, fused.note_mask_BT)
        return torch.cat([global_BG, self.image_norm(image_BD), self.note_norm(note_BD)], dim=-1)
