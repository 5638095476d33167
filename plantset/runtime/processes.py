"""Start the processes of one training on this host, as torchrun would, and hand back what the first one returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from plantset.core.errors import DeviceError, PlantsetError
from plantset.core.language import tr

_ReportT = TypeVar("_ReportT")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of a training, of which this is number `rank`; they meet at `address` of the first."""

    count: int = 1
    rank: int = 0
    address: str = ""


def start_processes(action: Callable[[], _ReportT], count: int, hosts: Hosts = Hosts()) -> _ReportT:
    """Run `action` in `count` processes of this host, each with torchrun's variables; return what the first returns.

    Args:
        action: picklable; the processes are spawned.

    Raises:
        PlantsetError: the action raised it.
        DeviceError: a process ended without an answer; its own message stands above.
    """
    alone = hosts.count == 1
    config = LaunchConfig(
        min_nodes=hosts.count,
        max_nodes=hosts.count,
        nproc_per_node=count,
        run_id="plantset",
        rdzv_backend="c10d" if alone else "static",
        rdzv_endpoint="localhost:0" if alone else hosts.address,
        rdzv_configs={} if alone else {"rank": hosts.rank},
        max_restarts=0,
        start_method="spawn",
    )
    try:
        answers = elastic_launch(config, _answer)(action)
    except ChildFailedError as error:
        raise DeviceError(
            tr(
                f"a process of the training ended early (exit status {error.get_first_failure()[1].exitcode})",
                f"un processus de l'entraînement s'est arrêté (statut {error.get_first_failure()[1].exitcode})",
            ),
            tr(
                "its own message stands above; start again with --resume auto",
                "son propre message est plus haut ; relancez avec --resume auto",
            ),
        ) from error
    except SignalException as stopped:  # the processes had it too, and have saved
        raise SystemExit(128 + stopped.sigval) from stopped
    for rank in sorted(answers):
        if isinstance(answers[rank], PlantsetError):
            raise answers[rank]
    return answers[min(answers)]  # type: ignore[no-any-return]


def _answer(action: Callable[[], object]) -> object:
    """Run the action in one of the processes: a user's mistake comes back as such, not as a traceback."""
    try:
        return action()
    except PlantsetError as error:
        return error
