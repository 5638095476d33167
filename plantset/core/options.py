"""Flags: a config dataclass becomes a command line. The only module that knows the flag library (tyro).

A config field is written once, `option(default, en=…, fr=…)`; its name is the flag (`--target-size`), its type
the parser, its texts the help. Between defaults and flags sits `--recipe FILE.toml`.
"""

from __future__ import annotations

import dataclasses
import shlex
import sys
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from plantset.core.errors import ConfigError
from plantset.core.files import read_text, write_json
from plantset.core.flags import Flag, Section, flag_names, read_flags, recipe_value, split_arguments, suggestion
from plantset.core.language import tr
from plantset.core.storage import url_of
from plantset.core.usage import help_page

__all__ = [
    "Section",
    "command_line",
    "option",
    "option_flags",
    "parse_options",
    "to_json_values",
    "write_resolved",
]
_ConfigT = TypeVar("_ConfigT")


def option(default: Any = dataclasses.MISSING, *, en: str, fr: str, alias: str | None = None) -> Any:
    """Declare one field of a config: its default (none means required) and its help in both languages.

    Args:
        alias: another flag for the same field, with its dashes (`--data`).
    """
    return dataclasses.field(default=default, metadata={"en": en, "fr": fr, "alias": alias})


def parse_options(
    config_type: type[_ConfigT],
    arguments: Sequence[str],
    *,
    program: str,
    description: str = "",
    positional: str | None = None,
) -> _ConfigT:
    """Read the command line into a config.

    Precedence: the config's defaults, then `--recipe FILE.toml`, then flags. `--help` prints and exits 0.

    Args:
        positional: the field that a word without a flag stands for (`plantset run PHOTOS`).

    Raises:
        ConfigError: an unknown or repeated flag, a value that does not fit, a missing flag; the nearest flag is named.
        DataError: the recipe cannot be read.
    """
    flags = read_flags(config_type)
    if {"-h", "--help"} & set(arguments):
        print(help_page(program, description, flags, positional=positional))
        sys.exit(0)
    rest, recipe = _take_recipe(list(arguments))
    settings = _recipe_values(flags, recipe) if recipe else {}
    given = split_arguments(flags, rest, positional=positional)
    _check_required(flags, {*given, *settings})
    parsed = _parse_with_tyro(config_type, flags, given, settings, program)
    return config_type(**parsed)


def option_flags(config_type: type[Any]) -> dict[str, str]:
    """Return flag (with its dashes, `--no-…` twins and aliases included) -> the name of the field it sets."""
    return {name: flag.field_name for name, flag in flag_names(read_flags(config_type)).items()}


def to_json_values(config: Any) -> dict[str, Any]:
    """Return a config as JSON-able values: paths as text, tuples as lists."""
    return {field.name: _to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}


def write_resolved(path: Path, config: Any) -> None:
    """Write the config that a run really used beside its output, as JSON."""
    write_json(path, to_json_values(config))


def command_line(verb: str, config: Any) -> str:
    """Return the command that repeats this config: the verb and each flag that differs from its default."""
    words = ["plantset", verb]
    for flag in read_flags(type(config)):
        value = getattr(config, flag.field_name)
        if not flag.required and value == flag.default:
            continue
        if isinstance(value, bool):
            words.append(flag.name if value else flag.negation or flag.name)
        elif isinstance(value, tuple):
            words += [flag.name, *map(str, value)]
        else:
            word = url_of(value) if isinstance(value, Path) else str(value)
            words += [f"{flag.name}={word}"] if word.startswith("--") else [flag.name, word]
    return shlex.join(words)


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


def _recipe_values(flags: Sequence[Flag], recipe: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(read_text(recipe))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            tr(f"{recipe} is not valid TOML: {error}", f"{recipe} n'est pas du TOML valide : {error}"),
            tr("mend the recipe", "corrigez la recette"),
        ) from error
    by_field = {flag.field_name: flag for flag in flags}
    settings: dict[str, Any] = {}
    for name, value in values.items():
        field_name = name.replace("-", "_")
        if field_name not in by_field:
            raise _unknown_setting(recipe, name, list(by_field))
        settings[field_name] = recipe_value(by_field[field_name], value, where=str(recipe))
    return settings


def _unknown_setting(recipe: Path, name: str, known: list[str]) -> ConfigError:
    near = suggestion(name, known)
    return ConfigError(
        tr(f"{recipe}: unknown setting '{name}'", f"{recipe} : réglage inconnu « {name} »"),
        tr(f"did you mean '{near}'?", f"vouliez-vous dire « {near} » ?")
        if near
        else tr(f"known: {', '.join(known)}", f"connus : {', '.join(known)}"),
    )


def _check_required(flags: Sequence[Flag], given: set[str]) -> None:
    missing = [flag.name for flag in flags if flag.required and flag.field_name not in given]
    if missing:
        raise ConfigError(
            tr(f"{', '.join(missing)} must be given", f"il manque {', '.join(missing)}"),
            tr("all flags with their meaning: --help", "toutes les options et leur sens : --help"),
        )


def _parse_with_tyro(
    config_type: type[Any],
    flags: Sequence[Flag],
    given: Mapping[str, tuple[str, ...]],
    settings: Mapping[str, Any],
    program: str,
) -> dict[str, Any]:
    """Turn the checked words into typed values; what was not given comes from the recipe or the defaults."""
    import tyro

    hints = typing.get_type_hints(config_type)
    specs = [(flag.field_name, hints[flag.field_name]) for flag in flags if flag.field_name in given]
    wanted = dataclasses.make_dataclass(config_type.__name__, specs)
    words: list[str] = []
    for flag in flags:
        values = given.get(flag.field_name)
        if values is None:
            continue
        # `--name=value` keeps a value that starts with a dash from being read as a flag
        words += [f"{flag.name}={values[0]}"] if len(values) == 1 else [flag.name, *values]
    parsed: Any = tyro.cli(
        wanted, prog=program, args=words, config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff)
    )
    return {**settings, **{name: getattr(parsed, name) for name, _ in specs}}


def _to_json(value: Any) -> Any:
    if isinstance(value, Path):
        return url_of(value)
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value
