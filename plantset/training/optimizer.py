"""Which parameter learns how fast, which decays, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import timm.optim
import torch
from timm.models import group_parameters
from torch import nn

from plantset.training.config_learning import OptimizerName

_VISION = "vision."
_BACKBONE = "vision.model."  # timm's own names of layers begin behind it
_SGD_MOMENTUM = 0.9


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """How the parameters learn.

    Attributes:
        name: adamw (Loshchilov and Hutter, arXiv 1711.05101), sgd with Nesterov momentum, lion (Chen et al.,
            arXiv 2302.06675) or nadamw; torch's and timm's own.
        learning_rate: of the new parts, at its peak.
        vision_ratio: the vision tower's learning rate as a share of it.
        layer_decay: each layer of the vision tower learns at this share of the rate of the layer above it (as in
            BEiT, arXiv 2106.08254, appendix H); 1 lets all learn alike.
    """

    learning_rate: float
    vision_ratio: float = 1.0
    weight_decay: float = 0.0
    name: OptimizerName = "adamw"
    layer_decay: float = 1.0


class _Group(NamedTuple):
    is_vision: bool
    depth: int  # layers between this one and the top of the vision tower
    decays: bool


def build_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Return the optimizer over the trainable parameters: the vision tower at its own rates, no decay on vectors.

    Weights of layers decay; norms, biases, embeddings, and whatever a module holds bare (positions, class tokens,
    queries, temperatures) never do. A frozen parameter is in no group.
    """
    unlike_weights = _never_decayed(model)
    depths = _depths(model) if settings.layer_decay < 1 else {}
    groups: dict[_Group, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim >= 2 and name.endswith("weight") and id(parameter) not in unlike_weights
            group = _Group(name.startswith(_VISION), depths.get(name, 0), decays)
            groups.setdefault(group, []).append(parameter)
    listed: list[dict[str, Any]] = []
    for group, parameters in sorted(groups.items()):
        ratio = settings.vision_ratio * settings.layer_decay**group.depth if group.is_vision else 1.0
        rate = settings.learning_rate * ratio
        decay = settings.weight_decay if group.decays else 0.0
        listed.append({"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay})
    return _create(listed, settings)


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to its own rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _create(groups: list[dict[str, Any]], settings: OptimizerSettings) -> torch.optim.Optimizer:
    if settings.name == "adamw":
        # never fused on a CPU: torch 2.14's kernel pairs weights with the wrong gradients where their memory formats
        # differ, as they do behind a channels_last input (a test holds it)
        return torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    optimizer: torch.optim.Optimizer = timm.optim.create_optimizer_v2(
        groups,
        opt=settings.name,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        **({"momentum": _SGD_MOMENTUM} if settings.name == "sgd" else {}),
    )
    return optimizer


def _never_decayed(model: nn.Module) -> set[int]:
    """Return ids of the embeddings, and of what the vision tower's own author says should not decay."""
    chosen = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    backbone = _backbone(model)
    if backbone is not None and hasattr(backbone, "no_weight_decay"):
        named = dict(backbone.named_parameters())
        names: set[str] = backbone.no_weight_decay()  # type: ignore[operator]  # timm's models have it as a method
        chosen |= {id(named[name]) for name in names if name in named}
    return chosen


def _depths(model: nn.Module) -> dict[str, int]:
    """Return how many layers of the vision tower lie above each of its parameters, by timm's own account."""
    backbone = _backbone(model)
    if backbone is None:
        return {}
    layers = group_parameters(backbone, backbone.group_matcher(coarse=False), reverse=True)  # type: ignore[operator]
    top = max(layers.values())
    return {_BACKBONE + name: top - layer for name, layer in layers.items()}


def _backbone(model: nn.Module) -> nn.Module | None:
    vision = getattr(model, "vision", None)
    return getattr(vision, "model", None)
