"""Which parameter learns how fast, and which decays."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

# Positions and tokens that a transformer holds as bare parameters of more than one dimension, by their usual names.
_NEVER_DECAYED = ("pos_embed", "cls_token", "reg_token", "dist_token", "relative_position_bias_table")


def build_optimizer(
    model: nn.Module, *, learning_rate: float, vision_ratio: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters: the vision tower at its own rate, no decay on vectors.

    Norms, biases, positions, embeddings and temperatures never decay. A frozen parameter is in no group.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_vector = parameter.ndim < 2 or id(parameter) in embeddings or name.split(".")[-1] in _NEVER_DECAYED
        groups.setdefault((name.startswith("vision."), not is_vector), []).append(parameter)
    settings: list[dict[str, Any]] = [
        {
            "params": parameters,
            "lr": learning_rate * (vision_ratio if is_vision else 1.0),
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (is_vision, decays), parameters in sorted(groups.items())
    ]
    for group in settings:
        group["initial_lr"] = group["lr"]
    return torch.optim.AdamW(settings, lr=learning_rate, weight_decay=weight_decay)


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to its own rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
