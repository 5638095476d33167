"""Low-rank adapters on a text tower's attention: under one per cent of its weights learn, the rest stay as they are.

LoRA (Hu et al., arXiv 2106.09685, equation 3): W x becomes W x + (alpha / r) B A x with A random and B zero, so that
the first step starts from the pretrained tower. All projections of attention are adapted, queries, keys, values and
output alike: of one budget of weights the paper's table 5 finds that the best spread, with W_q and W_v alone as good.
Departures: alpha is 2 r, and A is drawn uniformly (Kaiming), as `peft` does and most of its users.

The layers are `peft`'s (Apache-2.0; it brings `accelerate` and `psutil`): it knows GPT-2's transposed Conv1D as well as
Linear layers and changes the model in place, so that the tower keeps its class, its config and its names. It is an
extra, since a model without adapters needs none of the three.
"""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.encoders.text import TextEncoder, is_adapter

_ATTENTION = re.compile("attn|attention", re.IGNORECASE)
_BASE = ".base_layer."  # peft keeps the pretrained weight of an adapted layer under this name
_ALPHA_PER_RANK = 2


def add_adapters(encoder: TextEncoder, rank: int) -> TextEncoder:
    """Freeze the tower's own weights and put adapters that learn beside those of its attention; returns the tower.

    Args:
        rank: r, at least 1.

    Raises:
        ConfigError: `peft` is not installed, or the tower's attention has no layer that can be adapted.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise _not_installed() from error
    from transformers.pytorch_utils import Conv1D

    layers = {
        name: module
        for name, module in encoder.model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and any(map(_ATTENTION.search, name.split(".")))
    }
    if not layers:
        raise _no_attention(encoder.name)
    settings: Any = LoraConfig(
        r=rank,
        lora_alpha=_ALPHA_PER_RANK * rank,
        target_modules=list(layers),
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in layers.values()),
    )
    inject_adapter_in_model(settings, encoder.model)
    encoder.lora_rank = rank
    for name, weight in encoder.named_parameters():  # the head of one that writes stands outside the model
        weight.requires_grad_(is_adapter(name))
    return encoder


def plain_name(name: str) -> str:
    """Return the name that a pretrained weight has in the tower without adapters."""
    return name.replace(_BASE, ".")


def _not_installed() -> ConfigError:
    return ConfigError(
        tr("--text-lora-rank needs the package peft", "--text-lora-rank demande le paquet peft"),
        tr("run: pip install 'plantset[lora]'", "lancez : pip install 'plantset[lora]'"),
    )


def _no_attention(name: str) -> ConfigError:
    return ConfigError(
        tr(
            f"the text model {name} has no attention layer that an adapter fits",
            f"le modèle de texte {name} n'a pas de couche d'attention à laquelle un adaptateur convienne",
        ),
        tr(
            "leave --text-lora-rank out, or choose BERT, RoBERTa, E5, DeBERTa, GPT-2, LLaMA, Qwen for --text-model",
            "ne donnez pas --text-lora-rank, ou choisissez BERT, RoBERTa, E5, DeBERTa, GPT-2, LLaMA, Qwen pour"
            " --text-model",
        ),
    )
