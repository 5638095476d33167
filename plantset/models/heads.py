"""What is asked of the fused tokens: the class, and the nearest description.

Dimensions: B batch, F features, C classes, W width of a description's vector, P shared width, M descriptions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plantset.models.config import ModelConfig

_INITIAL_TEMPERATURE = 0.07  # CLIP, arXiv 2103.00020, section 2.5
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.01, 1.0  # CLIP clamps the scale at 100


class Classifier(nn.Module):
    """LayerNorm, dropout, Linear: logits over the classes."""

    def __init__(self, width: int, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, num_classes)
        nn.init.zeros_(self.linear.bias)
        nn.init.normal_(self.linear.weight, std=0.01)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return logits (B, C)."""
        logits_BC: Tensor = self.linear(self.dropout(self.norm(features_BF)))
        return logits_BC


class CosineClassifier(nn.Module):
    """LayerNorm, dropout, cosine to a learned direction of each class, over a learned temperature.

    Every class's direction has length 1, so that a class of many photos cannot answer louder than one of few
    (Gidaris and Komodakis, arXiv 1804.09458, section 3.2). The temperature is clamped as CLIP's.
    """

    def __init__(self, width: int, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.directions_CF = nn.Parameter(torch.randn(num_classes, width))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_INITIAL_TEMPERATURE)))

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return logits (B, C)."""
        seen_BF = F.normalize(self.dropout(self.norm(features_BF)), dim=-1)
        return seen_BF @ F.normalize(self.directions_CF, dim=-1).T / bounded_temperature(self.log_temperature)


class HierarchicalClassifier(nn.Module):
    """The crop first, then the disease given the crop: log p(class) = log p(crop) + log p(class | crop).

    The logits are these log-probabilities, so that their softmax is the joint distribution, and the classes of a crop
    weigh together what the crop weighs, exactly.

    Args:
        crops, classes: classifiers over K crops and C classes.
        class_crops: index of each class's crop, every one of 0..K-1 at least once.
    """

    crop_of_C: Tensor
    in_crop_KC: Tensor

    def __init__(self, crops: nn.Module, classes: nn.Module, class_crops: tuple[int, ...]) -> None:
        super().__init__()
        self.crops = crops
        self.classes = classes
        crop_of_C = torch.tensor(class_crops, dtype=torch.int64)
        self.register_buffer("crop_of_C", crop_of_C, persistent=False)
        self.register_buffer("in_crop_KC", F.one_hot(crop_of_C).T.bool(), persistent=False)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return log-probabilities (B, C), float32: their exponentials sum to 1."""
        class_BC, crop_BK = self.classes(features_BF).float(), self.crops(features_BF).float()
        within_BK = self._sum_by_crop(class_BC)
        joint_BC: Tensor = class_BC + (F.log_softmax(crop_BK, dim=-1) - within_BK)[:, self.crop_of_C]
        return joint_BC

    def crop_log_probs(self, logits_BC: Tensor) -> Tensor:
        """Return the log-probability (B, K) of each crop: what its classes weigh together."""
        return self._sum_by_crop(F.log_softmax(logits_BC.float(), dim=-1))

    def _sum_by_crop(self, logits_BC: Tensor) -> Tensor:
        return logits_BC[:, None, :].masked_fill(~self.in_crop_KC, -math.inf).logsumexp(dim=-1)


def build_classifier(config: ModelConfig, width: int) -> nn.Module:
    """Build the linear or cosine classifier that the config names, over crops and classes where it asks for both."""
    kind = CosineClassifier if config.classifier == "cosine" else Classifier
    classes = kind(width, config.num_classes, dropout=config.dropout)
    if not config.hierarchy:
        return classes
    crops = kind(width, 1 + max(config.class_crops), dropout=config.dropout)
    return HierarchicalClassifier(crops, classes, config.class_crops)


def bounded_temperature(log_temperature: Tensor) -> Tensor:
    """Return exp(log_temperature), kept within 0.01 and 1."""
    return log_temperature.exp().clamp(min=_MIN_TEMPERATURE, max=_MAX_TEMPERATURE)


class DescriptionHead(nn.Module):
    """Score photos against descriptions in one space: the description-embedding and contrastive head.

    The photo's vector is its description embedding: what the nearest text of the bank would be.
    """

    def __init__(self, image_width: int, text_width: int, shared_width: int) -> None:
        super().__init__()
        self.image = nn.Linear(image_width, shared_width)
        self.text = nn.Linear(text_width, shared_width)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_INITIAL_TEMPERATURE)))

    @property
    def temperature(self) -> Tensor:
        """Return the learned temperature, from 0.01 to 1."""
        return bounded_temperature(self.log_temperature)

    def embed_image(self, features_BF: Tensor) -> Tensor:
        """Return unit vectors (B, P)."""
        return F.normalize(self.image(features_BF), dim=-1)

    def embed_text(self, vectors_MW: Tensor) -> Tensor:
        """Return unit vectors (M, P)."""
        return F.normalize(self.text(vectors_MW), dim=-1)

    def forward(self, features_BF: Tensor, bank_MW: Tensor) -> Tensor:
        """Return similarity logits (B, M) of each photo to each description of the bank."""
        return self.embed_image(features_BF) @ self.embed_text(bank_MW).T / self.temperature


class MatchingHead(nn.Module):
    """Say whether the note is about this photo: one logit for a fused pair (FLAVA, arXiv 2112.04482, section 3.2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, 1)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return logits (B,): positive means the note fits."""
        logits_B1: Tensor = self.linear(self.norm(features_BF))
        return logits_B1.squeeze(-1)
