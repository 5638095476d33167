"""What XLA counted so far: programs compiled, values brought to the host, operations it left to the host."""

from __future__ import annotations

from typing import NamedTuple

import torch_xla.debug.metrics as metrics


class Counts(NamedTuple):
    """How often, since the process began."""

    compiled: int
    fetched: int
    left_to_host: int


def counts() -> Counts:
    """Return what was counted so far."""
    fetched = metrics.metric_data("TransferFromDeviceTime")
    fallbacks = (name for name in metrics.counter_names() if name.startswith("aten::"))
    return Counts(
        metrics.counter_value("UncachedCompile") or 0,
        fetched[0] if fetched else 0,
        sum(metrics.counter_value(name) for name in fallbacks),
    )
