"""The delivery: layout, mess, determinism, and folders that are not ours."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from plantset.core.errors import ConfigError
from plantset.core.photo import PhotoError, decode_photo
from plantset.demo.config import DemoDataConfig
from plantset.demo.crops import CROPS
from plantset.demo.data import make_demo_data
from plantset.demo.diseases import CLASSES
from tests.demo.conftest import Drawing, draw

SMALL = DemoDataConfig(photos_per_class=2, photos_per_leaf=1, size_px=96, workers=1)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "demo_data.config.json")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def files(drawing: Drawing) -> list[Path]:
    return [path for path in (drawing.folder / "leaves").rglob("*") if path.is_file()]


def test_the_same_seed_draws_the_same_bytes_with_one_worker_or_two(tmp_path: Path) -> None:
    make_demo_data(replace(SMALL, run_dir=tmp_path / "one"))
    make_demo_data(replace(SMALL, run_dir=tmp_path / "two", workers=2))

    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_another_seed_draws_other_photos(tmp_path: Path) -> None:
    make_demo_data(replace(SMALL, run_dir=tmp_path / "one"))
    make_demo_data(replace(SMALL, run_dir=tmp_path / "other", seed=1))

    one, other = (
        {digest for name, digest in digests(tmp_path / folder).items() if re.search(r"/leaf\d+_photo1\.jpg$", name)}
        for folder in ("one", "other")
    )
    assert one
    assert not one & other


def test_drawing_again_replaces_what_was_drawn(tmp_path: Path) -> None:
    make_demo_data(replace(SMALL, run_dir=tmp_path, photos_per_class=4))
    make_demo_data(replace(SMALL, run_dir=tmp_path))
    again = digests(tmp_path)
    make_demo_data(replace(SMALL, run_dir=tmp_path / "fresh"))

    assert again == digests(tmp_path / "fresh")


def test_files_that_the_demo_did_not_write_are_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "leaves").mkdir()
    (tmp_path / "leaves" / "mine.jpg").write_bytes(b"mine")

    with pytest.raises(ConfigError, match="leaves"):
        make_demo_data(replace(SMALL, run_dir=tmp_path))

    assert (tmp_path / "leaves" / "mine.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("setting", "flag"),
    [
        ({"photos_per_class": 1}, "--photos-per-class"),
        ({"photos_per_leaf": 2}, "--photos-per-leaf"),
        ({"size_px": 32}, "--size-px"),
        ({"val_ratio": 1.5}, "--val-ratio"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path: Path, setting: dict[str, int], flag: str) -> None:
    with pytest.raises(ConfigError, match=flag):
        make_demo_data(replace(SMALL, run_dir=tmp_path, **setting))


def test_six_crops_or_more_and_eighteen_classes_or_more(drawing: Drawing) -> None:
    assert len({row["disease_id"].split("--")[0] for row in drawing.rows}) >= 6
    assert len({row["disease_id"] for row in drawing.rows}) >= 18


def test_every_crop_has_healthy_leaves_and_diseases() -> None:
    counts = Counter(demo_class.crop for demo_class in CLASSES)
    healthy = {demo_class.crop for demo_class in CLASSES if demo_class.symptom is None}

    assert healthy == set(CROPS)
    assert min(counts.values()) >= 3


def test_a_leaf_is_photographed_several_times_in_one_split_only(drawing: Drawing) -> None:
    places: dict[int, set[str]] = {}
    for row in drawing.rows:
        places.setdefault(row["leaf"], set()).add(row["source_path"].rpartition("/")[0])

    assert all(len(where) == 1 for where in places.values())
    assert Counter(Counter(row["leaf"] for row in drawing.rows).values()) == {3: len(places)}


def test_file_names_carry_the_leafs_number(drawing: Drawing) -> None:
    for row in drawing.rows:
        named = re.fullmatch(r"leaf(\d{4})_photo\d\.jpg", Path(row["source_path"]).name)
        assert named is not None
        assert int(named[1]) == row["leaf"]


def test_two_photos_of_one_leaf_share_the_leaf_and_nothing_else(drawing: Drawing) -> None:
    first, second = drawing.rows[0], drawing.rows[1]

    assert first["leaf"] == second["leaf"]
    assert first["scene"]["turn"] != second["scene"]["turn"]


def test_the_report_counts_the_files(drawing: Drawing) -> None:
    assert drawing.report.files == len(files(drawing))


def test_as_many_files_are_broken_as_the_report_says(drawing: Drawing) -> None:
    broken = 0
    for path in files(drawing):
        try:
            decode_photo(path)
        except PhotoError:
            broken += 1

    assert broken == drawing.report.mess.broken


def test_exact_copies_and_two_labels_are_as_many_as_the_report_says(drawing: Drawing) -> None:
    healthy_files = [path for path in files(drawing) if not path.name.startswith("IMG_")]
    seen = Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in healthy_files)
    in_class = Counter((path.parent, hashlib.sha256(path.read_bytes()).hexdigest()) for path in healthy_files)

    assert sum(in_class.values()) - len(in_class) == drawing.report.mess.exact_copies
    assert len(in_class) - len(seen) == drawing.report.mess.two_labels


def test_thumbnails_are_too_small_and_nothing_else_is(drawing: Drawing) -> None:
    small = [path for path in files(drawing) if path.name.endswith("_thumb.jpg")]
    for path in small:
        with Image.open(path) as image:
            assert min(image.size) < 160

    assert len(small) == drawing.report.mess.too_small


def test_augmented_files_are_marked_as_people_mark_them(drawing: Drawing) -> None:
    assert sum(path.name.startswith("aug_") for path in files(drawing)) == drawing.report.mess.augmented


def test_turned_photos_show_upright_only_with_their_tag(drawing: Drawing) -> None:
    turned = 0
    for row in drawing.rows:
        with Image.open(drawing.folder / "leaves" / row["source_path"]) as image:
            turned += image.getexif().get(0x0112, 1) != 1

    assert turned == drawing.report.mess.turned


def test_folder_names_are_accented_truncated_and_double_spaced() -> None:
    names = [demo_class.folder for demo_class in CLASSES]

    assert any("ï" in name for name in names)
    assert any("  " in name for name in names)
    assert "Maize northern leaf blig" in names


def test_both_splits_hold_every_class(drawing: Drawing) -> None:
    held = {(row["source_path"].split("/")[0], row["disease_id"]) for row in drawing.rows}

    assert len(held) == 2 * len(CLASSES)


def test_the_contact_sheet_shows_every_class(drawing: Drawing) -> None:
    with Image.open(drawing.folder / "contact_sheet.jpg") as sheet:
        assert sheet.size == (7 * 192 + 4, 4 * 212 + 4)


def test_drawing_does_not_import_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from plantset.demo import run, data; import plantset.demo.drawing;"
        " sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_of_other_settings_is_repeatable_from_its_config(drawing: Drawing, tmp_path: Path) -> None:
    from plantset.core.files import read_json

    settings = read_json(drawing.folder / "demo_data.config.json")
    again = draw(
        tmp_path, photos_per_class=settings["photos_per_class"], size_px=settings["size_px"], seed=settings["seed"]
    )

    assert digests(again.folder) == digests(drawing.folder)
