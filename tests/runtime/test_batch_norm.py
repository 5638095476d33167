"""BatchNorm over all processes: with one process it is BatchNorm (two are in test_distributed.py)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
import torch.distributed as dist
from torch import Tensor, nn

from plantset.core.errors import DeviceError
from plantset.runtime.batch_norm import share_batch_norms

IMAGES = torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(0)) * 3 + 2


@pytest.fixture(autouse=True)
def alone(tmp_path: Path) -> Iterator[None]:
    """A world of one process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def _layers() -> dict[str, tuple[nn.Module, Tensor]]:
    return {
        "images": (nn.BatchNorm2d(4), IMAGES),
        "rows": (nn.BatchNorm1d(4), IMAGES[:, :, 0, 0]),
        "cumulative": (nn.BatchNorm2d(4, momentum=None), IMAGES),
        "not affine": (nn.BatchNorm2d(4, affine=False), IMAGES),
        "nothing tracked": (nn.BatchNorm2d(4, track_running_stats=False), IMAGES),
        "timm's, with activation": (timm.layers.BatchNormAct2d(4), IMAGES),
        "channels last": (nn.BatchNorm2d(4), IMAGES.to(memory_format=torch.channels_last)),
    }


@pytest.mark.parametrize("kind", _layers())
def test_outputs_gradients_and_running_statistics_are_batch_norms(kind: str) -> None:
    layer, values = _layers()[kind]
    shared = copy.deepcopy(layer)
    share_batch_norms(shared)
    seen = []

    for each in (layer, shared):
        entered = values.clone().requires_grad_()
        for _ in range(2):
            result = each(entered)
        (result * torch.arange(result.numel()).reshape(result.shape).sin()).sum().backward()
        seen.append([result, entered.grad, *(p.grad for p in each.parameters()), *each.buffers()])

    for expected, got in zip(*seen, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_in_evaluation_it_uses_its_running_statistics() -> None:
    layer = nn.BatchNorm2d(4)
    layer(IMAGES)
    layer.eval()
    expected = layer(IMAGES)

    share_batch_norms(layer)

    assert torch.equal(layer(IMAGES), expected)


def test_a_copy_of_the_model_computes_with_its_own_weights() -> None:
    model = nn.Sequential(nn.BatchNorm2d(4))
    share_batch_norms(model)
    copied = copy.deepcopy(model)

    with torch.no_grad():
        copied[0].weight.fill_(0.0)

    assert not copied(IMAGES).any()
    assert model(IMAGES).any()


def test_half_precision_stays_half_and_is_normalised_in_single() -> None:
    layer = nn.BatchNorm2d(4)
    share_batch_norms(layer)

    result = layer((IMAGES * 1000).half())  # squares of 3000 are no number in half precision

    assert result.dtype == torch.float16
    torch.testing.assert_close(result.float().mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-3, rtol=0)


class _Noisy(nn.BatchNorm2d):
    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values) + 1.0


def test_a_layer_that_does_something_else_besides_is_refused_by_its_name() -> None:
    with pytest.raises(DeviceError, match="stem"):
        share_batch_norms(nn.ModuleDict({"stem": _Noisy(4)}))
