"""When a run ends before its last epoch: asked to by a signal, or because its steps or its time are used up."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.runtime.contact import is_out_of_memory
from plantset.training.config import TrainConfig

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):  # noqa: N818  # no error: somebody asked
    """A signal came while the model was judged: the run is saved as it stood before."""


class StopRequest:
    """What the process was asked by a signal: the loop looks between two steps.

    Attributes:
        signal_number: of the signal that came; 0 until one does.
    """

    def __init__(self) -> None:
        self.signal_number = 0

    def receive(self, number: int, _: FrameType | None) -> None:
        """Note the signal; the second one of its kind acts as if nobody had listened."""
        self.signal_number = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Yield a request that SIGTERM (a machine that is taken away) and Ctrl-C fill in, instead of ending the process.

    Python gives signals to the main thread alone: called from another one, nothing is listened to.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Clock:
    """How much of the time that a run may take is left.

    Args:
        limit_s: seconds from `started_s` on; None is without end.
        started_s: on `time.perf_counter`.
        closing_s: of them, what comes after the last epoch and is not `reserve_s`.
    """

    def __init__(self, limit_s: float | None, started_s: float, closing_s: float = 0.0) -> None:
        self._ends_s = None if limit_s is None else started_s + limit_s - closing_s
        self.reserve_s = 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds that are left for steps: what judging and saving will take is set aside as `reserve_s`."""
        return None if self._ends_s is None else self._ends_s - self.reserve_s - time.perf_counter()


def seconds_of(duration: str | None) -> float | None:
    """Return how long "90s", "30m", "2h" or "1h30m" is; None for no limit.

    Raises:
        ConfigError: it is none of these.
    """
    if duration is None:
        return None
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", duration.strip())
    if not duration.strip() or found is None:
        raise ConfigError(
            tr(f"--max-time is {duration!r}", f"--max-time vaut {duration!r}"),
            tr("write it as 30m, 2h, 1h30m or 90s", "écrivez-le 30m, 2h, 1h30m ou 90s"),
        )
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60.0 * minutes + seconds


@contextmanager
def memory_told(config: TrainConfig) -> Iterator[None]:
    """Say which setting to change when memory runs out: torch's own words name none.

    Raises:
        ConfigError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise _out_of_memory(config) from error
        if "DataLoader worker" in str(error):
            raise _worker_gone(config) from error
        raise


def _out_of_memory(config: TrainConfig) -> ConfigError:
    half, odd = divmod(config.batch_size, 2)
    smaller = ""
    if half >= 2 and not odd:
        flags = f"--batch-size {half} --accumulate-steps {2 * config.accumulate_steps}"
        smaller = tr(
            f"the same step in half the memory: {flags}; or ", f"le même pas en moitié moins de mémoire : {flags} ; ou "
        )
    return ConfigError(
        tr(
            f"memory ran out with --batch-size {config.batch_size}",
            f"la mémoire n'a pas suffi avec --batch-size {config.batch_size}",
        ),
        smaller
        + tr(
            "--gradient-checkpointing, a smaller --image-size, or --freeze-vision",
            "--gradient-checkpointing, un --image-size plus petit, ou --freeze-vision",
        ),
    )


def _worker_gone(config: TrainConfig) -> ConfigError:
    fewer = config.num_workers // 2
    return ConfigError(
        tr(
            "a process that decodes photos was ended by the system, most often because memory or /dev/shm ran out",
            "un processus qui décode les photos a été arrêté par le système, le plus souvent faute de mémoire ou de"
            " place dans /dev/shm",
        ),
        tr(
            f"--num-workers {fewer}, or a smaller --batch-size", f"--num-workers {fewer}, ou un --batch-size plus petit"
        ),
    )
