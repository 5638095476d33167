"""Flags: a config dataclass becomes a command line. The only module that knows the flag library (tyro).

A config field is written once, `option(default, en=…, fr=…)`; its name is the flag (`--target-size`), its type
the parser, its texts the help. Between defaults and flags sits `--recipe FILE.toml`.
"""

from __future__ import annotations

import dataclasses
import difflib
import shlex
import tomllib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from plantset.core.errors import ConfigError
from plantset.core.files import read_text, write_json
from plantset.core.language import tr

_ConfigT = TypeVar("_ConfigT")


def option(default: Any = dataclasses.MISSING, *, en: str, fr: str, alias: str | None = None) -> Any:
    """Declare one field of a config: its default (none means required) and its help in both languages.

    Args:
        alias: another flag for the same field, with its dashes (`--data`).
    """
    return dataclasses.field(default=default, metadata={"en": en, "fr": fr, "alias": alias})


def parse_options(config_type: type[_ConfigT], arguments: Sequence[str], *, program: str) -> _ConfigT:
    """Read the command line into a config.

    Precedence: the config's defaults, then `--recipe FILE.toml`, then flags. `--help` prints and exits 0.

    Raises:
        ConfigError: an unknown or repeated flag, a value that does not fit, a missing flag; the nearest flag is named.
    """
    rest, recipe = _take_recipe(list(arguments))
    defaults = _recipe_values(config_type, recipe) if recipe else {}
    rest = [_undashed(argument) for argument in rest]
    if not {"-h", "--help"} & set(rest):
        _check_flags(config_type, rest)
    return _parse_with_tyro(config_type, rest, defaults, program)


def option_flags(config_type: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """Return flag (with its dashes, `--no-…` twins and aliases included) -> the config field it sets."""
    flags: dict[str, dataclasses.Field[Any]] = {}
    hints = typing.get_type_hints(config_type)
    for field in dataclasses.fields(config_type):
        name = field.name.replace("_", "-")
        flags[f"--{name}"] = field
        if hints[field.name] is bool:
            flags[f"--no-{name}"] = field
        if field.metadata.get("alias"):
            flags[field.metadata["alias"]] = field
    return flags


def to_json_values(config: Any) -> dict[str, Any]:
    """Return a config as JSON-able values: paths as text, tuples as lists."""
    return {field.name: _to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}


def write_resolved(path: Path, config: Any) -> None:
    """Write the config that a run really used beside its output, as JSON."""
    write_json(path, to_json_values(config))


def command_line(verb: str, config: Any) -> str:
    """Return the command that repeats this config: the verb and each flag that differs from its default."""
    words = ["plantset", verb]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default:
            continue
        flag = field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, tuple):
            words += [f"--{flag}", *map(str, value)]
        else:
            words += [f"--{flag}", str(value)]
    return shlex.join(words)


def _fields(config_type: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(config_type)


def _undashed(argument: str) -> str:
    """Accept `--data_dir` for `--data-dir`, as argparse scripts often did."""
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else argument


def _take_recipe(arguments: list[str]) -> tuple[list[str], Path | None]:
    for index, argument in enumerate(arguments):
        if argument == "--recipe":
            if index + 1 == len(arguments):
                raise ConfigError(
                    tr("--recipe needs a file", "--recipe attend un fichier"), "--recipe recipes/NAME.toml"
                )
            return arguments[:index] + arguments[index + 2 :], Path(arguments[index + 1])
        if argument.startswith("--recipe="):
            return arguments[:index] + arguments[index + 1 :], Path(argument.removeprefix("--recipe="))
    return arguments, None


def _recipe_values(config_type: type[Any], recipe: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(read_text(recipe))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            tr(f"{recipe} is not valid TOML: {error}", f"{recipe} n'est pas du TOML valide : {error}"),
            tr("mend the recipe", "corrigez la recette"),
        ) from error
    hints = typing.get_type_hints(config_type)
    return {
        name.replace("-", "_"): _fit_recipe_value(recipe, hints, name.replace("-", "_"), value)
        for name, value in values.items()
    }


def _fit_recipe_value(recipe: Path, hints: dict[str, Any], name: str, value: Any) -> Any:
    if name not in hints:
        near = difflib.get_close_matches(name, hints, n=1)
        raise ConfigError(
            tr(f"{recipe}: unknown setting '{name}'", f"{recipe} : réglage inconnu « {name} »"),
            tr(f"did you mean '{near[0]}'?", f"vouliez-vous dire « {near[0]} » ?")
            if near
            else tr(f"known: {', '.join(hints)}", f"connus : {', '.join(hints)}"),
        )
    plain = _plain_type(hints[name])
    if plain is Path and isinstance(value, str):
        return Path(value)
    if plain is float and type(value) is int:
        return float(value)
    if isinstance(value, list):
        return tuple(value)
    choices = typing.get_args(plain) if typing.get_origin(plain) is Literal else None
    fits = value in choices if choices else not isinstance(plain, type) or type(value) is plain
    if not fits:
        expected = ", ".join(map(str, choices)) if choices else getattr(plain, "__name__", str(plain))
        raise ConfigError(
            tr(f"{recipe}: '{name}' is {value!r}", f"{recipe} : « {name} » vaut {value!r}"),
            tr(f"expected: {expected}", f"attendu : {expected}"),
        )
    return value


def _check_flags(config_type: type[Any], arguments: list[str]) -> None:
    """Name an unknown flag, a value outside its choices and a number that is none, before tyro's own wording."""
    flags = option_flags(config_type)
    hints = typing.get_type_hints(config_type)
    seen: set[str] = set()
    for index, argument in enumerate(arguments):
        if not argument.startswith("--") or argument == "--":
            continue
        flag, equals, value = argument.partition("=")
        if flag not in flags:
            raise _unknown_flag(flag, flags)
        field = flags[flag]
        if field.name in seen:
            raise ConfigError(
                tr(f"{flag} is given twice", f"{flag} est donné deux fois"), tr("keep one", "gardez-en un")
            )
        seen.add(field.name)
        following = arguments[index + 1] if index + 1 < len(arguments) else None
        _check_value(flag, hints[field.name], value if equals else following)
    missing = [
        f"--{field.name.replace('_', '-')}"
        for field in dataclasses.fields(config_type)
        if field.default is dataclasses.MISSING and field.name not in seen
    ]
    if missing:
        raise ConfigError(
            tr(f"{', '.join(missing)} must be given", f"il manque {', '.join(missing)}"),
            tr("all flags with their meaning: --help", "toutes les options et leur sens : --help"),
        )


def _unknown_flag(flag: str, flags: dict[str, Any]) -> ConfigError:
    near = difflib.get_close_matches(flag, flags, n=1, cutoff=0.5)
    return ConfigError(
        tr(f"unknown flag {flag}", f"option inconnue {flag}"),
        tr(f"did you mean {near[0]}? All flags: --help", f"vouliez-vous dire {near[0]} ? Toutes les options : --help")
        if near
        else tr("all flags with their meaning: --help", "toutes les options et leur sens : --help"),
    )


def _check_value(flag: str, annotation: Any, value: str | None) -> None:
    plain = _plain_type(annotation)
    if plain is bool:
        return
    if value is None or value.startswith("--"):
        raise ConfigError(
            tr(f"{flag} needs a value", f"{flag} attend une valeur"),
            tr("see --help for what it means", "voyez --help pour son sens"),
        )
    if typing.get_origin(plain) is Literal:
        choices = [str(choice) for choice in typing.get_args(plain)]
        if value not in choices:
            near = difflib.get_close_matches(value, choices, n=1)
            meant = tr(f"did you mean {near[0]}? ", f"vouliez-vous dire {near[0]} ? ") if near else ""
            raise ConfigError(
                tr(f"{flag} {value} is not a choice", f"{flag} {value} n'est pas un choix possible"),
                meant + tr(f"choices: {', '.join(choices)}", f"choix : {', '.join(choices)}"),
            )
    if plain in (int, float):
        try:
            plain(value)
        except ValueError:
            wanted = tr("a whole number", "un nombre entier") if plain is int else tr("a number", "un nombre")
            raise ConfigError(
                tr(f"{flag} is '{value}'", f"{flag} vaut « {value} »"),
                tr(f"give {wanted}", f"donnez {wanted}"),
            ) from None


def _plain_type(annotation: Any) -> Any:
    """Return `int` for `int | None`, and everything else as it is."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        inner = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        return inner[0] if len(inner) == 1 else annotation
    return annotation


def _parse_with_tyro(
    config_type: type[_ConfigT], arguments: list[str], defaults: dict[str, Any], program: str
) -> _ConfigT:
    import tyro

    hints = typing.get_type_hints(config_type)
    specs: list[Any] = []
    for field in _fields(config_type):
        default = defaults.get(field.name, field.default)
        text = tr(field.metadata["en"], field.metadata["fr"])
        aliases = [field.metadata["alias"]] if field.metadata.get("alias") else None
        annotation: Any = _annotated(hints[field.name], tyro.conf.arg(help=text, aliases=aliases))
        specs.append((field.name, annotation, dataclasses.field(default=default)))
    specs.sort(key=lambda spec: spec[2].default is not dataclasses.MISSING)
    flat = dataclasses.make_dataclass(config_type.__name__, specs)
    parsed: Any = tyro.cli(
        flat,
        prog=program,
        description=_description(config_type),
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return config_type(**{field.name: getattr(parsed, field.name) for field in _fields(config_type)})


def _annotated(annotation: Any, metadata: Any) -> Any:
    return typing.Annotated[annotation, metadata]


def _description(config_type: type[Any]) -> str:
    texts = getattr(config_type, "DESCRIPTION", None)
    return tr(texts["en"], texts["fr"]) if texts else (config_type.__doc__ or "")


def _to_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value
