"""BatchNorm over all processes: the statistics of the whole batch, not of each process's chunk.

torch's own SyncBatchNorm runs on GPUs only and replaces modules that others hold. Here the layers stay, and their
forward pass in training takes sums over all ranks; the result is that of one process with the whole batch.

Dimensions: N photos and places, C channels.
"""

from __future__ import annotations

from types import MethodType
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from plantset.core.errors import DeviceError
from plantset.core.language import tr
from plantset.runtime.contact import contact


def share_batch_norms(model: nn.Module) -> None:
    """Let every BatchNorm of the model take its training statistics over all processes.

    Raises:
        DeviceError: a layer is of a kind that does something else besides.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            _check_kind(name, module)
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]  # a copied model gets its own


def _check_kind(name: str, module: _BatchNorm) -> None:
    if type(module).forward is not _BatchNorm.forward and not _acts(module):
        raise DeviceError(
            tr(
                f"the layer {name} ({type(module).__name__}) cannot be computed over several processes",
                f"la couche {name} ({type(module).__name__}) ne peut pas être calculée sur plusieurs processus",
            ),
            tr(
                "train in one process, freeze that part (--freeze-stages), or choose another --vision-backbone",
                "entraînez en un seul processus, gelez cette partie (--freeze-stages), ou choisissez un autre "
                "--vision-backbone",
            ),
        )


def _acts(module: nn.Module) -> bool:
    """Return whether it is timm's BatchNorm with dropout and activation behind it (`timm.layers.BatchNormAct2d`)."""
    return isinstance(module, nn.BatchNorm2d) and hasattr(module, "drop") and hasattr(module, "act")


def _forward(self: Any, values: Tensor) -> Tensor:
    if not self.training:
        return cast(Tensor, type(self).forward(self, values))
    normal = _normalize(self, values)
    return cast(Tensor, self.act(self.drop(normal))) if _acts(self) else normal


def _normalize(layer: Any, values: Tensor) -> Tensor:
    """Normalise by the mean and the biased variance over all ranks, in float32, and update the running statistics."""
    inner = values.float()
    others = [axis for axis in range(inner.ndim) if axis != 1]
    shape = [1, -1] + [1] * (inner.ndim - 2)
    count = torch.tensor([float(inner.numel() // inner.shape[1])], device=inner.device)
    sums = _SumOverRanks.apply(torch.cat([inner.sum(others), count]))
    total = sums[-1].detach()
    mean_C = sums[:-1] / total
    centred = inner - mean_C.view(shape)
    variance_C = _SumOverRanks.apply(centred.square().sum(others)) / total  # two passes: no cancellation
    if layer.track_running_stats:
        _update(layer, mean_C.detach(), variance_C.detach() * total / (total - 1))
    result = centred * torch.rsqrt(variance_C + layer.eps).view(shape)
    if layer.affine:
        result = result * layer.weight.view(shape) + layer.bias.view(shape)
    return cast(Tensor, result.to(values.dtype))


@torch.no_grad()
def _update(layer: Any, mean_C: Tensor, unbiased_variance_C: Tensor) -> None:
    layer.num_batches_tracked.add_(1)
    share = layer.momentum if layer.momentum is not None else 1.0 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean_C.to(layer.running_mean), share)
    layer.running_var.lerp_(unbiased_variance_C.to(layer.running_var), share)


class _SumOverRanks(torch.autograd.Function):
    """The sum over all ranks; its gradient is the sum of their gradients, for their losses are parts of one."""

    @staticmethod
    def forward(_: Any, part: Tensor) -> Tensor:
        return _sum(part)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _sum(gradient)


def _sum(part: Tensor) -> Tensor:
    total = part.contiguous().clone()
    with contact(dist.get_rank()):
        dist.all_reduce(total)
    return total
