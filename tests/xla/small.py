"""A small network and its steps through a `Strategy`: seconds to compile, for what needs no whole model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor, nn

from plantset.runtime.local import LocalStrategy
from plantset.runtime.strategy import Strategy

STEPS, BATCH = 12, 16


@dataclass
class Photos:
    """A batch as a strategy moves it."""

    pixels_BCHW: Tensor
    labels_B: Tensor
    notes: tuple[str, ...] = field(default=("", ""))

    def to(self, device: torch.device) -> Photos:
        return Photos(self.pixels_BCHW.to(device), self.labels_B.to(device))


class Net(nn.Module):
    """A convolution with BatchNorm and two layers that share a weight."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.wide = nn.Linear(8, 8192)  # large enough to be cut over the devices
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8192, 3)

    def features(self, pixels: Tensor) -> Tensor:
        return self.norm(self.convolution(pixels)).relu().mean(dim=(2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = self.second(self.first(self.features(pixels)).relu()).relu()
        logits: Tensor = self.head(self.dropout(self.wide(hidden).relu()))
        return logits


def batch_of(step: int) -> Photos:
    generator = torch.Generator().manual_seed(step)
    pixels = torch.randn(BATCH, 3, 8, 8, generator=generator)
    return Photos(pixels, torch.randint(3, (BATCH,), generator=generator))


def steps(strategy: Strategy, *, max_norm: float = 0.1, dropout: float = 0.0) -> dict[str, Any]:
    """Take a few steps of gradient descent; return each loss, the weights at the end and the running statistics."""
    torch.manual_seed(0)
    net = Net(dropout)
    strategy.prepare(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    losses = []
    for batch in strategy.wrap_loader(map(batch_of, range(STEPS))):
        with strategy.autocast():
            loss = F.cross_entropy(net(batch.pixels_BCHW).float(), batch.labels_B)
        strategy.backward(loss)
        strategy.step(optimizer, net.parameters(), max_norm)
        losses.append(loss.detach())
    fetched = strategy.fetch({str(number): loss for number, loss in enumerate(losses)})
    return {
        "losses": list(fetched.values()),
        "bias": net.head.bias.detach().cpu().tolist(),
        "running_mean": net.norm.running_mean.cpu().tolist(),  # type: ignore[union-attr]
        "is_tied": net.first.weight is net.second.weight,
    }


def on_this_cpu() -> dict[str, Any]:
    """Take them without XLA."""
    return steps(LocalStrategy(torch.device("cpu")))


def through_xla() -> dict[str, Any]:
    """Take them through XLA in every way, and look at what it counts and draws."""
    from plantset.runtime.xla import open_xla

    with open_xla(mixed_precision=False) as strategy:
        answer: dict[str, Any] = {"devices": strategy.num_devices, "plain": steps(strategy)}
        answer["dropped"] = [steps(strategy, dropout=0.5)["losses"] for _ in range(2)]
        answer["drawn"] = _drawn(strategy)
        answer["recomputed"] = _recomputed(strategy)
        answer["counted"] = _counted(strategy)
    with open_xla(mixed_precision=False, shard_parameters=True) as strategy:
        answer["sharded"] = {**steps(strategy), "sharding": _sharding(strategy)}
    with open_xla(mixed_precision=True) as strategy:
        answer["bf16"] = steps(strategy)
    return answer


def _drawn(strategy: Strategy) -> list[list[float]]:
    """Return what dropout leaves of a row of ones on each device, after the same seed twice."""
    state = strategy.state()
    rows = []
    for _ in range(2):
        strategy.restore(state)
        for ones in strategy.wrap_loader([Photos(torch.ones(8, 64), torch.ones(8))]):
            kept = F.dropout(ones.pixels_BCHW, 0.5)
        rows.append(kept.cpu().tolist())
    assert rows[0] == rows[1], "the same seed, other numbers"
    return rows[0]  # type: ignore[no-any-return]


def _recomputed(strategy: Strategy) -> dict[str, Any]:
    """Return the gradients of a part behind inputs without one, kept and computed again, and XLA's program."""
    import torch_xla

    torch.manual_seed(0)
    net = Net()
    strategy.prepare(net)
    (batch,) = strategy.wrap_loader([batch_of(0)])
    gradients, barriers = [], 0
    for again in (False, True):
        net.zero_grad()
        features = (
            torch.utils.checkpoint.checkpoint(net.features, batch.pixels_BCHW, use_reentrant=False)
            if again
            else net.features(batch.pixels_BCHW)
        )
        features.square().sum().backward()
        gradient = net.convolution.weight.grad
        assert gradient is not None
        if again:
            barriers = torch_xla._XLAC._get_xla_tensors_hlo([gradient]).count("opt-barrier")
        gradients.append(gradient.cpu().flatten().tolist())
    return {"gradients": gradients, "barriers": barriers}


def _counted(strategy: Strategy) -> dict[str, Any]:
    """Return what XLA counted over steps as they should be, and over steps that each do what they should not."""
    from tests.xla.counters import counts

    torch.manual_seed(0)
    net = Net()
    strategy.prepare(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    found: dict[str, Any] = {}

    def run(name: str, looks: bool = False, rows: int = BATCH) -> None:
        before = counts()
        for batch in strategy.wrap_loader(map(batch_of, range(4))):
            loss = F.cross_entropy(net(batch.pixels_BCHW[:rows]), batch.labels_B[:rows])
            strategy.backward(loss)
            strategy.step(optimizer, net.parameters(), 1.0)
            if looks:
                assert loss.item() > 0
        after = counts()
        found[name] = [now - then for now, then in zip(after, before, strict=True)]

    run("warm-up")
    run("usual")
    run("looks at the loss", looks=True)
    run("another shape", rows=8)
    return found


def _sharding(strategy: Strategy) -> dict[str, str]:
    """Return how a large and a small parameter lie on the devices."""
    import torch_xla

    net = Net()
    strategy.prepare(net)
    return {
        name: str(torch_xla._XLAC._get_xla_sharding_spec(parameter))
        for name, parameter in net.named_parameters()
        if name in ("wide.weight", "norm.bias")
    }
