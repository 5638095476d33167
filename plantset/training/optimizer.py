"""Which parameter learns how fast, and which decays."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_NEVER_DECAYED = ("positions", "words", "no_note", "no_image", "log_temperature")


def build_optimizer(
    model: nn.Module, *, learning_rate: float, vision_ratio: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters: the vision tower at its own rate, no decay on vectors.

    Norms, biases, positions, embeddings and temperatures never decay. A frozen parameter is in no group.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = parameter.ndim > 1 and not any(part in _NEVER_DECAYED for part in name.split("."))
        groups.setdefault((name.startswith("vision."), decays), []).append(parameter)
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
