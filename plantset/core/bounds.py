"""Numbers that settings may have: one wording for every stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from plantset.core.errors import ConfigError
from plantset.core.language import tr


def check_at_least(limits: Iterable[tuple[str, float | None, float]]) -> None:
    """Refuse the first (name, value, least) whose value is under its least; a value of None was not given.

    Raises:
        ConfigError: naming the flag or keyword.
    """
    for name, value, least in limits:
        if value is not None and value < least:
            raise ConfigError(
                tr(f"{name} is {value}", f"{name} vaut {value}"),
                tr(f"give at least {least}", f"donnez au moins {least}"),
            )


def check_num_classes(asked: int | None, names: Sequence[str]) -> None:
    """Refuse a number of classes that is not the number there is; the classes are listed.

    Raises:
        ConfigError: `asked` is given and is not `len(names)`.
    """
    if asked is None or asked == len(names):
        return
    listed = ", ".join(names)
    raise ConfigError(
        tr(
            f"--num-classes is {asked}, there are {len(names)} classes: {listed}",
            f"--num-classes vaut {asked}, il y a {len(names)} classes : {listed}",
        ),
        tr(f"leave --num-classes out, or give {len(names)}", f"ôtez --num-classes, ou donnez {len(names)}"),
    )
