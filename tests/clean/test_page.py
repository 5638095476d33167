"""The page of a cleaning run, made of real runs on made-up photos."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from plantset.clean.config import CleanConfig
from plantset.clean.page import report_page_path
from plantset.clean.run import clean
from plantset.core.language import set_message_language

WritePhoto = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path, write_photo: WritePhoto) -> Path:
    """Two classes; one photo stands in both, one file is no photo."""
    folder = tmp_path / "photos"
    for seed in range(8):
        write_photo(folder / "ab"[seed % 2] / f"{seed}.jpg", seed)
    shutil.copy(folder / "a" / "0.jpg", folder / "b" / "twin.jpg")
    (folder / "a" / "page.jpg").write_text("<html>404</html>")
    return folder


def page_of(photos: Path, output: Path) -> str:
    config = CleanConfig(data_dir=photos, output_file=output, num_workers=0)
    clean(config)
    return report_page_path(output).read_text(encoding="utf-8")


def test_copies_under_two_labels_are_shown_as_pictures(photos: Path, tmp_path: Path) -> None:
    page = page_of(photos, tmp_path / "clean.jsonl")

    conflicts = page.split("Likely label errors")[1].split("<h2>")[0]
    assert conflicts.count("data:image/jpeg;base64,") == 2
    assert "b/twin.jpg" in conflicts


def test_label_conflicts_are_the_first_alarm(photos: Path, tmp_path: Path) -> None:
    page = page_of(photos, tmp_path / "clean.jsonl")

    tones = re.findall(r'<li class="(\w+)">', page)
    assert tones[:2] == ["main", "alarm"]


def test_refused_files_are_named_with_their_reason(photos: Path, tmp_path: Path) -> None:
    page = page_of(photos, tmp_path / "clean.jsonl")

    refused = page.split("<h2>Refused</h2>")[1].split("<h2>")[0]
    assert "a/page.jpg" in refused
    assert "html-page" in refused


def test_the_page_speaks_french(photos: Path, tmp_path: Path) -> None:
    set_message_language("fr")

    page = page_of(photos, tmp_path / "clean.jsonl")

    assert "Erreurs d&#39;étiquette probables" in page
    assert "Likely label errors" not in page


def test_the_page_needs_no_other_file(photos: Path, tmp_path: Path) -> None:
    page = page_of(photos, tmp_path / "clean.jsonl")

    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', page) == []


def test_a_class_name_can_not_change_the_page(tmp_path: Path, write_photo: WritePhoto) -> None:
    write_photo(tmp_path / "photos" / "<b>class<b>" / "1.jpg", 1)

    page = page_of(tmp_path / "photos", tmp_path / "clean.jsonl")

    assert "<b>class<b>" not in page
    assert "&lt;b&gt;class&lt;b&gt;" in page


def test_a_name_with_a_line_break_stays_one_line_of_the_summary(tmp_path: Path, write_photo: WritePhoto) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(write_photo(photos / "a" / "1.jpg", 1).parent, photos / "b")
    (photos / "b" / "1.jpg").rename(photos / "b" / "new\nline.jpg")

    said = clean(CleanConfig(data_dir=photos, output_file=tmp_path / "clean.jsonl", num_workers=0)).summary()

    assert "    a/1.jpg = b/new\\nline.jpg" in said.splitlines()
