"""A backbone cut in two: a frozen first part, whose output is constant and may be cached, and the part that learns.

Dimensions: B photos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.encoders.vision import VisionEncoder, VisionTokens


@dataclass(frozen=True)
class _Step:
    """One stretch of the network: how it computes, which modules it owns and which parameters stand outside of any."""

    compute: Callable[[Tensor], Tensor]
    modules: Sequence[nn.Module]
    parameters: Sequence[nn.Parameter] = ()


class StageCut:
    """The two parts of a vision tower.

    Attributes:
        gradient_checkpointing: whether the trained stages recompute their activations in the backward pass.

    Args:
        encoder: the tower; its frozen modules stop learning here.
        frozen_stages: stages from the input on that stay as they are, the stem included; 0 freezes nothing.

    Raises:
        ConfigError: the backbone has fewer stages, or is of a family that cannot be cut.
    """

    def __init__(self, encoder: VisionEncoder, frozen_stages: int = 0) -> None:
        self._encoder = encoder
        self.gradient_checkpointing = False
        self._steps = _steps_of(encoder, frozen_stages) if frozen_stages else []
        self._frozen = self._steps[: frozen_stages + 1] if frozen_stages else []  # the stem is the first step
        for module in self.frozen_modules:
            module.requires_grad_(False)
        for parameter in [parameter for step in self._frozen for parameter in step.parameters]:
            parameter.requires_grad_(False)

    @property
    def frozen_modules(self) -> list[nn.Module]:
        """The modules that must stay in evaluation mode: BatchNorm would drift otherwise."""
        return [module for step in self._frozen for module in step.modules]

    @property
    def trained_modules(self) -> list[nn.Module]:
        """The modules that `trained_part` calls, one after the other: stretches of the network, or all of it."""
        if self._encoder.frozen:
            return []
        if not self._frozen:
            return [self._encoder]
        calls = [step.compute for step in self._steps[len(self._frozen) :]]
        return [call for call in calls if isinstance(call, nn.Module)]

    @property
    def is_cacheable(self) -> bool:
        """Whether a part of the tower is frozen, so that its output is worth keeping."""
        return self._encoder.frozen or bool(self._frozen)

    @cached_property
    def map_axes(self) -> tuple[int, int] | None:
        """Axes of rows and columns in one photo's features; None where they are tokens, in a row."""
        side = self._encoder.preprocess.image_size_px
        pixels_BCHW = torch.zeros(1, 3, side, side, device=next(self._encoder.parameters()).device)
        was_training = self._encoder.training
        self._encoder.eval()
        with torch.no_grad():
            features_B = self.frozen_part(pixels_BCHW)
        self._encoder.train(was_training)
        if features_B.ndim != 4:
            return None
        return (0, 1) if self._encoder.frozen and self._encoder.is_channels_last(features_B) else (1, 2)

    def frozen_part(self, pixels_BCHW: Tensor) -> Tensor:
        """Return what the frozen part makes of normalised photos; the photos themselves where nothing is frozen."""
        if self._encoder.frozen:
            return self._encoder.features(pixels_BCHW)
        features = pixels_BCHW
        for step in self._frozen:
            features = step.compute(features)
        return features

    def trained_part(self, features_B: Tensor) -> VisionTokens:
        """Return the tower's tokens from `frozen_part`'s output."""
        if self._encoder.frozen:
            return self._encoder.as_tokens(features_B)
        if not self._frozen:
            return self._encoder(features_B)  # type: ignore[no-any-return]
        for step in self._steps[len(self._frozen) :]:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                features_B = torch.utils.checkpoint.checkpoint(step.compute, features_B, use_reentrant=False)
            else:
                features_B = step.compute(features_B)
        return self._encoder.as_tokens(features_B)


def _steps_of(encoder: VisionEncoder, frozen_stages: int) -> list[_Step]:
    """Return stem, stages and last layers of the families that can be cut."""
    model: Any = encoder.model
    if hasattr(model, "conv_stem") and hasattr(model, "blocks") and hasattr(model, "bn2"):  # EfficientNet
        steps = [_chain(model.conv_stem, model.bn1), *map(_chain, model.blocks), _chain(model.conv_head, model.bn2)]
    elif hasattr(model, "layer4") and hasattr(model, "maxpool"):  # ResNet
        stem = _chain(model.conv1, model.bn1, model.act1, model.maxpool)
        steps = [stem, *(_chain(getattr(model, f"layer{number}")) for number in range(1, 5))]
    elif hasattr(model, "stem") and hasattr(model, "stages") and hasattr(model, "norm_pre"):  # ConvNeXt
        steps = [_chain(model.stem), *map(_chain, model.stages), _chain(model.norm_pre)]
    elif hasattr(model, "patch_embed") and hasattr(model, "blocks") and hasattr(model, "_pos_embed"):  # ViT
        steps = [_vit_stem(model), *map(_chain, model.blocks), _chain(model.norm)]
    else:
        raise ConfigError(
            tr(
                f"the stages of {encoder.name} cannot be frozen one by one",
                f"les étapes de {encoder.name} ne peuvent pas être gelées une à une",
            ),
            tr(
                "use --freeze-vision (the whole tower) or --freeze-stages 0",
                "utilisez --freeze-vision (toute la tour) ou --freeze-stages 0",
            ),
        )
    last = len(steps) - 2
    if not 0 <= frozen_stages <= last:
        raise ConfigError(
            tr(f"--freeze-stages is {frozen_stages}", f"--freeze-stages vaut {frozen_stages}"),
            tr(f"{encoder.name} takes 0 to {last}", f"{encoder.name} accepte de 0 à {last}"),
        )
    return steps


def _chain(*modules: nn.Module) -> _Step:
    return _Step(nn.Sequential(*modules), modules)


def _vit_stem(model: Any) -> _Step:
    def compute(pixels: Tensor) -> Tensor:
        tokens: Tensor = model.norm_pre(model.patch_drop(model._pos_embed(model.patch_embed(pixels))))
        return tokens

    loose = [model.pos_embed, getattr(model, "cls_token", None), getattr(model, "reg_token", None)]
    modules = [model.patch_embed, model.pos_drop, model.patch_drop, model.norm_pre]
    return _Step(compute, modules, [parameter for parameter in loose if parameter is not None])
