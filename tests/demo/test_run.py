"""The demo as a sequence of commands: which, in what order, and what stops it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from plantset.cli import VERBS, load_object
from plantset.core.options import parse_options
from plantset.core.records import ManifestMeta, Record, Texts, write_manifest
from plantset.demo import run
from plantset.demo.config import DemoConfig

VERB_OF = {"data_cleaner": "clean", "text_mapper": "map", "train": "train", "evaluate": "evaluate", "infer": "infer"}


@pytest.fixture
def mapped(tmp_path: Path) -> DemoConfig:
    """A run folder as it is once the photos are mapped: two photos of val, one of them sick."""
    records = [
        Record("val/a.jpg", "Mango healthy", "val", text="vert", class_id="mango--healthy"),
        Record(
            "val/b.jpg",
            "Mango anthracnose",
            "val",
            text="taches",
            class_id="mango--anthracnose",
            texts={"fr": Texts("taches", ("taches noires irrégulières",))},
        ),
    ]
    meta = ManifestMeta("images", ("mango--anthracnose", "mango--healthy"), 0, "plantset map")
    write_manifest(tmp_path / "multimodal_dataset.jsonl", records, meta)
    (tmp_path / "images" / "val").mkdir(parents=True)
    for record in records:
        (tmp_path / "images" / record.image_path).touch()
    return DemoConfig(run_dir=tmp_path, photos_per_class=2)


def stages(*scripts: tuple[str, list[str]]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, lambda _, words=words: words) for name, words in scripts)


def arguments_of(script: str, config: DemoConfig) -> Sequence[str]:
    return dict(run._STAGES)[script](config)


def test_the_scripts_run_in_the_documented_order() -> None:
    assert [script for script, _ in run._STAGES] == ["data_cleaner", "text_mapper", "train", "evaluate", "infer"]


@pytest.mark.parametrize("script", VERB_OF)
def test_every_command_has_only_flags_that_its_verb_knows(mapped: DemoConfig, script: str) -> None:
    config_type = load_object(VERBS[VERB_OF[script]].config)

    parsed = parse_options(config_type, list(arguments_of(script, mapped)), program=script)

    assert isinstance(parsed, config_type)


def test_the_commands_keep_to_the_run_folder(mapped: DemoConfig) -> None:
    words = [word for script in VERB_OF for word in arguments_of(script, mapped)]
    paths = [Path(word) for word in words if "/" in word or word.endswith((".json", ".jsonl", ".pth"))]

    assert paths
    assert all(path.is_relative_to(mapped.run_dir) for path in paths)


def test_the_number_of_classes_is_that_of_the_mapped_photos(mapped: DemoConfig) -> None:
    words = list(arguments_of("train", mapped))

    assert words[words.index("--num-classes") + 1] == "2"


def test_the_model_is_asked_about_a_sick_leaf_with_a_growers_note(mapped: DemoConfig) -> None:
    words = list(arguments_of("infer", mapped))

    assert words[words.index("--image") + 1] == str(mapped.run_dir / "images" / "val" / "b.jpg")
    assert words[words.index("--text") + 1] == "taches noires irrégulières"


def test_a_failing_stage_stops_the_demo_with_its_own_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    scripts = stages(("data_cleaner", ["--help"]), ("text_mapper", ["--no-such-flag"]), ("infer", ["--help"]))
    monkeypatch.setattr(run, "_STAGES", scripts)

    report = run.demo(DemoConfig(run_dir=tmp_path, photos_per_class=2))

    assert report.exit_code == 2
    assert [stage.name for stage in report.stages] == ["demo-data", "data_cleaner", "text_mapper"]
    assert "--no-such-flag" in capfd.readouterr().err


def test_each_command_is_printed_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "_STAGES", stages(("data_cleaner", ["--help"])))

    report = run.demo(DemoConfig(run_dir=tmp_path, photos_per_class=2))

    printed = capfd.readouterr().err
    assert printed.index("$ python -m script_plantset.data_cleaner --help") < printed.index("--min-size")
    assert report.exit_code == 0


def test_some_refused_inputs_do_not_stop_the_demo() -> None:
    report = run.DemoReport(Path("demo_run"), (run.StageResult("infer", 1.0, 3, "done"),))

    assert report.exit_code == 0


def test_the_table_ends_with_the_paths_to_look_at() -> None:
    report = run.DemoReport(Path("demo_run"), (run.StageResult("infer", 61.0, 0, "7 photos"),))

    lines = report.summary().splitlines()
    assert any(line.split() == ["infer", "61", "s", "7", "photos"] for line in lines)
    assert Path(lines[-1].strip()).parts[0] == "demo_run"
