"""What each process of test_distributed.py runs: `python -m tests.runtime.two_ranks SCENE FOLDER`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from plantset.cli import EXIT_MISTAKE
from plantset.core.errors import PlantsetError
from plantset.runtime.distributed import DistributedStrategy
from plantset.runtime.launch import launch
from plantset.runtime.strategy import Strategy

GLOBAL_BATCH, STEPS, CLASSES = 16, 20, 3
LEARNING_RATE = {"sgd": 0.05, "adamw": 1e-4}


class SmallNet(nn.Module):
    """A convolution with BatchNorm, a part that some photos reach, and one that none reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, bias=False)  # one before BatchNorm has no gradient but noise
        self.norm = nn.BatchNorm2d(4)
        self.classifier = nn.Linear(4, CLASSES)
        self.rare = nn.Linear(4, CLASSES)
        self.unused = nn.Linear(4, 4)

    def forward(self, pixels: Tensor, is_rare: Tensor) -> Tensor:
        features = self.norm(self.convolution(pixels)).relu().mean(dim=(2, 3))
        logits: Tensor = self.classifier(features)
        return logits + self.rare(features) * is_rare[:, None] if is_rare.any() else logits


def train(
    strategy: Strategy, optimizer_name: str, *, micro_batches: int = 1, trains_norm: bool = True
) -> tuple[dict[str, Tensor], list[float]]:
    """Return the weights after a run and the loss of each of its steps, over all ranks.

    Every second step, the first half of the batch alone reaches the rare part: with two ranks, one of them.
    """
    torch.manual_seed(strategy.rank)  # rank 0's weights become everybody's
    model = SmallNet()
    strategy.prepare(model)
    model.norm.train(trains_norm)
    kind: Any = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[optimizer_name]
    optimizer = kind(model.parameters(), lr=LEARNING_RATE[optimizer_name], weight_decay=0.1)
    losses = []
    for step in range(STEPS):
        chunk = [part.chunk(strategy.world_size)[strategy.rank] for part in batch_of(step)]
        window = list(zip(*(part.chunk(micro_batches) for part in chunk), strict=True))
        denominator = strategy.reduce_sum({"class": chunk[2].sum()})["class"]
        total = torch.zeros(())
        for number, (pixels, labels, weights, is_rare) in enumerate(window):
            losses_B = F.cross_entropy(model(pixels, is_rare), labels, reduction="none")
            loss = (losses_B * weights).sum() / denominator
            strategy.backward(loss, is_boundary=number == micro_batches - 1)
            total += loss.detach()
        strategy.step(optimizer, model.parameters(), 1.0)
        losses.append(strategy.fetch(strategy.reduce_sum({"loss": total}))["loss"])
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}, losses


def batch_of(step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return pixels, labels, weights and rarity of a whole batch; every fifth step ends in five rows of padding."""
    generator = torch.Generator().manual_seed(step)
    pixels = torch.randn(GLOBAL_BATCH, 3, 8, 8, generator=generator)
    labels = torch.randint(CLASSES, (GLOBAL_BATCH,), generator=generator)
    rows = torch.arange(GLOBAL_BATCH)
    weights = (rows < (GLOBAL_BATCH - 5 if step % 5 == 4 else GLOBAL_BATCH)).float()
    return pixels, labels, weights, (rows < GLOBAL_BATCH // 2) & (step % 2 == 0)


def exchange(strategy: Strategy, folder: Path) -> dict[str, Any]:
    """Use every rendezvous once and return what this rank saw."""
    rank = strategy.rank
    values = {"a": torch.tensor(rank + 1.0), "b": torch.tensor(10)}
    in_another_order = dict(sorted(values.items(), reverse=rank == 1))
    seen: dict[str, Any] = {
        "sums": strategy.fetch(strategy.reduce_sum(in_another_order)),
        "rows": strategy.gather_rows(torch.arange(6 * (1 - rank)).reshape(-1, 3)),
        "flags": (strategy.any_rank(False), strategy.any_rank(rank == 1)),
    }
    with strategy.in_turn():
        seen["found"] = (folder / "made").exists()
        time.sleep(0.2)  # long enough for the other to look too soon, if it could
        (folder / "made").touch()
    strategy.on_main(lambda: _write(folder / "by_main", rank))
    seen["by_main"] = (folder / "by_main").read_text(encoding="utf-8")
    return seen


def random_numbers(strategy: Strategy) -> dict[str, Any]:
    """Return the random state, what was drawn after it, after taking it back, and after taking back one process's."""
    state = strategy.state()
    drawn = torch.rand(4)
    strategy.restore(state)
    again = torch.rand(4)
    strategy.restore({"cpu_rng": state["cpu_rng"]})
    return {"state": state, "drawn": drawn, "again": again, "from_one": torch.rand(4)}


def overflow(strategy: Strategy, waiting: object) -> dict[str, Any]:
    """Take one fp16 step in which rank 1 alone has an infinite gradient, and one in which nobody has."""
    half = DistributedStrategy(strategy.device, "fp16", waiting)  # type: ignore[arg-type]
    model = nn.Linear(3, 1, bias=False)
    half.prepare(model)
    before = model.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    half.backward(model(torch.ones(1, 3)).sum() * (float("inf") if half.rank == 1 else 1.0))
    half.step(optimizer, model.parameters(), 0.5)
    skipped, scale = model.weight.detach().clone(), half.state()["loss_scale"].clone()
    half.backward(model(torch.ones(1, 3)).sum() * 1000)
    half.step(optimizer, model.parameters(), 0.5)
    return {"moved": skipped - before, "scale": scale, "update": skipped - model.weight.detach()}


def whole(strategy: Strategy, folder: Path) -> None:
    """Train in three ways and try every exchange."""
    results: dict[str, Any] = {name: train(strategy, name) for name in LEARNING_RATE}
    results["accumulated"] = train(strategy, "sgd", micro_batches=2, trains_norm=False)
    results["exchange"] = exchange(strategy, folder)
    results["random"] = random_numbers(strategy)
    results["overflow"] = overflow(strategy, dist.new_group(backend="gloo"))
    torch.save(results, folder / f"rank{strategy.rank}.pt")


def dying(strategy: Strategy, _: Path) -> None:
    """Rank 1 ends without a word between two exchanges."""
    for step in range(1000):
        if strategy.rank == 1 and step == 3:
            os._exit(9)
        strategy.reduce_sum({"loss": torch.ones(())})


def failing(strategy: Strategy, folder: Path) -> None:
    """Rank 0 cannot write."""
    strategy.on_main(lambda: _write(folder / "absent" / "file", 0))


SCENES: dict[str, Callable[[Strategy, Path], None]] = {"whole": whole, "dying": dying, "failing": failing}


def main(scene: str, folder: str) -> int:
    try:
        with launch("cpu", mixed_precision=False) as strategy:
            SCENES[scene](strategy, Path(folder))
    except PlantsetError as error:
        print(error.problem, error.fix, sep="\n", file=sys.stderr)
        return EXIT_MISTAKE
    return 0


def _write(path: Path, rank: int) -> None:
    path.write_text(str(rank), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
