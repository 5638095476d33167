"""Flags: what people type becomes a config, and a mistake gets an answer in their language."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.core.errors import ConfigError, DataError
from plantset.core.language import set_message_language
from plantset.core.options import (
    Section,
    command_line,
    option,
    option_flags,
    parse_options,
    to_json_values,
    write_resolved,
)


@dataclass(frozen=True)
class LeafConfig:
    """Every type that a flag may have."""

    data_dir: Path = option(en="the photos", fr="les photos")
    size_px: int = option(512, en="longer side", fr="grand côté", alias="--size")
    learning_rate: float = option(1e-3, en="step", fr="pas")
    clip: float | None = option(None, en="gradient limit", fr="limite du gradient")
    mixed_precision: bool = option(False, en="half precision", fr="demi-précision")
    augment: bool = option(True, en="vary photos", fr="varier les photos")
    compile: bool | None = option(None, en="compile", fr="compiler")
    language: Literal["fr", "en"] = option("fr", en="texts", fr="textes")
    rungs: Literal[1, 2, 4] = option(2, en="rungs", fr="échelons")
    mean: tuple[float, float, float] = option((0.5, 0.5, 0.5), en="mean", fr="moyenne")
    columns: tuple[str, ...] = option((), en="columns", fr="colonnes")
    note: str = option("", en="the note", fr="la note")
    resume: Path | None = option(None, en="continue", fr="reprendre")


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    set_message_language("en")
    yield
    set_message_language(None)


def parse(*words: str) -> LeafConfig:
    return parse_options(LeafConfig, words, program="plantset leaf", description="look at a leaf")


def mistake(*words: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse("--data-dir", "photos", *words)
    return caught.value


def test_what_is_not_given_keeps_its_default() -> None:
    assert parse("--data-dir", "photos") == LeafConfig(data_dir=Path("photos"))


@pytest.mark.parametrize(
    ("words", "field_name", "value"),
    [
        (["--size-px", "256"], "size_px", 256),
        (["--size-px=256"], "size_px", 256),
        (["--size_px", "256"], "size_px", 256),
        (["--size", "256"], "size_px", 256),
        (["--size-px", "-1"], "size_px", -1),
        (["--learning-rate", "-1e-4"], "learning_rate", -1e-4),
        (["--learning-rate", "3"], "learning_rate", 3.0),
        (["--clip", "1"], "clip", 1.0),
        (["--clip", "none"], "clip", None),
        (["--mixed-precision"], "mixed_precision", True),
        (["--mixed-precision", "true"], "mixed_precision", True),
        (["--mixed-precision=false"], "mixed_precision", False),
        (["--no-augment"], "augment", False),
        (["--augment", "False"], "augment", False),
        (["--compile"], "compile", True),
        (["--no-compile"], "compile", False),
        (["--language", "en"], "language", "en"),
        (["--rungs", "4"], "rungs", 4),
        (["--mean", "-1", "0", "2.5"], "mean", (-1.0, 0.0, 2.5)),
        (["--columns", "crop", "label"], "columns", ("crop", "label")),
        (["--columns"], "columns", ()),
        (["--note", "taches brunes, halo jaune"], "note", "taches brunes, halo jaune"),
        (["--note", "-12 °C cette nuit"], "note", "-12 °C cette nuit"),
        (["--note=--help"], "note", "--help"),
        (["--note", ""], "note", ""),
        (["--resume", "last model.pth"], "resume", Path("last model.pth")),
    ],
)
def test_a_typed_value_reaches_its_field(words: list[str], field_name: str, value: object) -> None:
    config = parse("--data-dir", "photos", *words)

    assert getattr(config, field_name) == value
    assert type(getattr(config, field_name)) is type(value)


@pytest.mark.parametrize(
    ("words", "problem", "fix"),
    [
        (["--sise-px", "3"], "unknown flag --sise-px", "did you mean --size-px?"),
        (["--zzzz"], "unknown flag --zzzz", "All flags with their meaning: --help"),
        (["--size-px", "big"], "--size-px is 'big'", "expected: a whole number"),
        (["--size-px", "2.5"], "--size-px is '2.5'", "expected: a whole number"),
        (["--learning-rate", "nan"], "--learning-rate is 'nan'", "expected: a number"),
        (["--size-px"], "--size-px needs a value", "give a whole number"),
        (["--size-px", "--augment"], "--size-px needs a value", "give a whole number"),
        (["--language", "frr"], "--language frr is not a choice", "did you mean fr? choices: fr, en"),
        (["--rungs", "3"], "--rungs 3 is not a choice", "choices: 1, 2, 4"),
        (["--mean", "1", "2"], "--mean is '1 2'", "expected: 3 numbers"),
        (["--mean", "1", "2", "three"], "--mean is 'three'", "expected: 3 numbers"),
        (["--mixed-precision=maybe"], "--mixed-precision is 'maybe'", "expected: --mixed-precision, --no-mixed"),
        (["--size-px", "1", "--size", "2"], "--size-px is given twice", "keep one"),
        (["photo.jpg"], "'photo.jpg' belongs to no flag", "write --flag value"),
        (["--recipe"], "--recipe needs a file", "recipes/NAME.toml"),
    ],
)
def test_a_mistyped_line_says_what_and_what_instead(words: list[str], problem: str, fix: str) -> None:
    error = mistake(*words)

    assert error.problem == problem
    assert fix in error.fix


def test_a_missing_flag_is_named() -> None:
    with pytest.raises(ConfigError, match="--data-dir must be given"):
        parse("--size-px", "3")


@pytest.mark.parametrize(
    ("words", "problem", "fix"),
    [
        (["--sise-px", "3"], "option inconnue --sise-px", "vouliez-vous dire --size-px ?"),
        (["--size-px", "big"], "--size-px vaut « big »", "attendu : un nombre entier"),
        (["--language", "french"], "--language french n'est pas un choix possible", "choix : fr, en"),
        (["photo.jpg"], "« photo.jpg » ne se rattache à aucune option", "écrivez --option valeur"),
    ],
)
def test_a_mistake_is_answered_in_french(words: list[str], problem: str, fix: str) -> None:
    set_message_language("fr")

    error = mistake(*words)

    assert error.problem == problem
    assert fix in error.fix


def test_a_bare_word_stands_for_the_positional_field() -> None:
    config = parse_options(LeafConfig, ["--size-px", "3", "photos"], program="leaf", positional="data_dir")

    assert config == LeafConfig(data_dir=Path("photos"), size_px=3)


def test_a_recipe_stands_between_defaults_and_flags(tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text('size-px = 64\nlearning_rate = 1\ncolumns = ["a", "b"]\nresume = "m.pth"\n', encoding="utf-8")

    config = parse("--data-dir", "photos", "--recipe", str(recipe), "--size-px", "96")

    assert config == LeafConfig(
        data_dir=Path("photos"), size_px=96, learning_rate=1.0, columns=("a", "b"), resume=Path("m.pth")
    )


def test_a_recipe_may_give_a_required_flag(tmp_path: Path) -> None:
    recipe = tmp_path / "where.toml"
    recipe.write_text('data_dir = "photos"\n', encoding="utf-8")

    assert parse(f"--recipe={recipe}").data_dir == Path("photos")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("sise_px = 3", "unknown setting 'sise_px'"),
        ('size_px = "3"', "size_px is '3'"),
        ("size_px = true", "size_px is 'True'"),
        ("augment = 1", "augment is '1'"),
        ('language = "de"', "language is 'de'"),
        ("mean = [1.0, 2.0]", "mean is"),
        ('columns = "a"', "columns is 'a'"),
        ("[train]\nsize_px = 3", "unknown setting 'train'"),
        ("size_px = ", "is not valid TOML"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(content, encoding="utf-8")

    error = mistake("--recipe", str(recipe))

    assert "r.toml" in error.problem
    assert problem in error.problem


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.toml"):
        parse("--data-dir", "photos", "--recipe", str(tmp_path / "nowhere.toml"))


def test_help_teaches_each_flag_in_french(capsys: pytest.CaptureFixture[str]) -> None:
    set_message_language("fr")

    with pytest.raises(SystemExit) as stopped:
        parse("--help")

    page = capsys.readouterr().out
    assert stopped.value.code == 0
    assert "utilisation : plantset leaf --data-dir CHEMIN [options]" in page
    assert "grand côté" in page
    assert "(par défaut : 512)" in page
    assert "usage" not in page


def test_help_puts_the_fields_of_each_class_under_its_section(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True)
    class Photo:
        section: ClassVar[Section] = Section("photo", "photo")
        size: int = option(1, en="side", fr="côté")

    @dataclass(frozen=True)
    class Light:
        section: ClassVar[Section] = Section("light", "lumière")
        flash: bool = option(False, en="flash", fr="éclair")

    @dataclass(frozen=True)
    class Whole(Light, Photo):
        colour: str = option("green", en="colour", fr="couleur")

    with pytest.raises(SystemExit):
        parse_options(Whole, ["--help"], program="shoot")

    page = capsys.readouterr().out
    shown = [page.index(text) for text in ("photo:", "--size", "light:", "--flash", "flags:", "--colour")]
    assert shown == sorted(shown)


def test_a_line_of_help_never_starts_with_a_colon(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class LongConfig:
        size: int = option(1, en="-", fr="mot " * 12 + ": suite « guillemet » ; fin ?")

    set_message_language("fr")
    starts = set()

    for columns in range(40, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit):
            parse_options(LongConfig, ["--help"], program="long")
        starts |= {line.strip()[:1] for line in capsys.readouterr().out.splitlines()}

    assert not starts & set(":;?!»")


def test_every_spelling_of_a_flag_leads_to_its_field() -> None:
    flags = option_flags(LeafConfig)

    assert flags["--size"] == flags["--size-px"] == "size_px"
    assert flags["--no-augment"] == "augment"
    assert "--no-size-px" not in flags


def test_the_resolved_config_is_readable_json(tmp_path: Path) -> None:
    config = LeafConfig(data_dir=Path("é"), columns=("a",))

    write_resolved(tmp_path / "c.json", config)

    assert '"data_dir": "é"' in (tmp_path / "c.json").read_text(encoding="utf-8")
    assert to_json_values(config)["columns"] == ["a"]


def test_a_type_that_no_flag_can_have_is_our_mistake() -> None:
    @dataclass(frozen=True)
    class BadConfig:
        sizes: dict[str, int] = option(dataclasses.MISSING, en="-", fr="-")

    with pytest.raises(TypeError, match="sizes"):
        parse_options(BadConfig, [], program="bad")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).filter(lambda text: text != "none")
names = texts.filter(lambda text: text.lower() != "none" and Path(text) != Path() and "/" not in text)


@given(
    st.builds(
        LeafConfig,
        data_dir=names.map(Path),
        size_px=st.integers(-(10**9), 10**9),
        learning_rate=st.floats(allow_nan=False, allow_infinity=False),
        clip=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        mixed_precision=st.booleans(),
        augment=st.booleans(),
        compile=st.sampled_from([None, True, False]),
        language=st.sampled_from(["fr", "en"]),
        rungs=st.sampled_from([1, 2, 4]),
        mean=st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3),
        columns=st.lists(st.sampled_from(["crop", "label", "split"]), max_size=3).map(tuple),
        note=texts,
        resume=st.none() | names.map(Path),
    )
)
def test_the_printed_command_line_gives_the_same_config_back(config: LeafConfig) -> None:
    verb, *words = shlex.split(command_line("leaf", config))[1:]

    assert verb == "leaf"
    assert parse(*words) == config
