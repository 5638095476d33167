"""What a folder or a table holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.clean.scan import FoundFile, printable, scan_folder
from plantset.clean.table import TableColumns, scan_table
from plantset.core.errors import ConfigError, DataError
from plantset.core.records import read_clean_records, read_meta

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps such a name as it is")


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def only(files: list[FoundFile]) -> FoundFile:
    assert len(files) == 1
    return files[0]


@pytest.mark.parametrize(
    ("place", "label", "split", "source"),
    [
        ("rust/1.jpg", "rust", None, None),
        ("train/rust/1.jpg", "rust", "train", None),
        ("Validation/rust/1.jpg", "rust", "val", None),
        ("valid/rust/1.jpg", "rust", "val", None),
        ("test/rust/1.jpg", "rust", "test", None),
        ("village/rust/1.jpg", "rust", None, "village"),
        ("train/village/2021/rust/1.jpg", "rust", "train", "village/2021"),
        ("village/val/rust/1.jpg", "rust", "val", "village"),
        ("1.jpg", None, None, None),
        ("train/1.jpg", None, None, None),
        ("village/test/1.jpg", "test", None, "village"),
    ],
)
def test_a_place_says_class_split_and_source(
    tmp_path: Path, place: str, label: str | None, split: str | None, source: str | None
) -> None:
    touch(tmp_path / place)

    found = only(scan_folder(tmp_path))

    assert (found.label, found.split, found.source, found.source_path) == (label, split, source, place)


def test_hidden_and_foreign_files_are_found_too(tmp_path: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        touch(tmp_path / "rust" / name)

    assert [file.source_path for file in scan_folder(tmp_path)] == [
        "rust/.DS_Store",
        "rust/Thumbs.db",
        "rust/notes.txt",
    ]


def test_a_link_into_the_source_is_one_line_and_no_loop(tmp_path: Path) -> None:
    touch(tmp_path / "rust" / "1.jpg")
    (tmp_path / "rust" / "again").symlink_to(tmp_path, target_is_directory=True)

    found = scan_folder(tmp_path)

    assert [(file.source_path, file.refusal and file.refusal[0]) for file in found] == [
        ("rust/1.jpg", None),
        ("rust/again", "folder-link"),
    ]


def test_a_link_to_another_folder_of_the_source_does_not_count_its_photos_twice(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "rust" / "1.jpg")
    (tmp_path / "val").symlink_to(tmp_path / "train", target_is_directory=True)

    assert [file.source_path for file in scan_folder(tmp_path) if file.refusal is None] == ["train/rust/1.jpg"]


def test_a_linked_folder_elsewhere_is_read(tmp_path: Path) -> None:
    touch(tmp_path / "disk" / "1.jpg")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rust").symlink_to(tmp_path / "disk", target_is_directory=True)

    assert only(scan_folder(tmp_path / "data")).source_path == "rust/1.jpg"


def test_links_that_lead_to_each_other_end(tmp_path: Path) -> None:
    for name in ("disk", "data"):
        (tmp_path / name).mkdir()
    touch(tmp_path / "disk" / "1.jpg")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "data" / "rust").symlink_to(tmp_path / "disk", target_is_directory=True)

    assert [file.source_path for file in scan_folder(tmp_path / "data")] == ["rust/1.jpg", "rust/back"]


def test_a_link_to_nowhere_is_a_rejected_line(tmp_path: Path) -> None:
    (tmp_path / "rust").mkdir()
    (tmp_path / "rust" / "1.jpg").symlink_to(tmp_path / "gone.jpg")

    refusal = only(scan_folder(tmp_path)).refusal

    assert refusal is not None
    assert refusal[0] == "broken-link"


def test_a_link_to_itself_is_a_rejected_line(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").symlink_to(tmp_path / "1.jpg")

    refusal = only(scan_folder(tmp_path)).refusal

    assert refusal is not None
    assert refusal[0] == "broken-link"


@linux_only
def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")

    assert only(scan_folder(tmp_path)).refusal == ("not-an-image", "a device or a pipe")


@linux_only
def test_a_name_that_is_no_utf8_is_spelled_out(tmp_path: Path) -> None:
    touch(tmp_path / "rouille" / os.fsdecode(b"feuille\xe9.jpg"))

    found = only(scan_folder(tmp_path))

    assert found.source_path == "rouille/feuille\\xe9.jpg"
    assert found.path.exists()


@linux_only
def test_a_name_spelled_like_another_ones_bytes_stays_another(tmp_path: Path) -> None:
    for name in (b"feuille\xe9.jpg", b"feuille\\xe9.jpg", b"feuille\\\\xe9.jpg"):
        touch(tmp_path / "rouille" / os.fsdecode(name))

    assert len({file.source_path for file in scan_folder(tmp_path)}) == 3


@linux_only
@given(st.lists(st.lists(st.sampled_from([b"\xe9", b"\xc3\xa9", b"\\", b"x", b"e9", b"a"]), max_size=6), min_size=2))
def test_names_that_differ_stay_different_and_are_valid_unicode(names: list[list[bytes]]) -> None:
    raw = {b"".join(parts) for parts in names}

    spelled = {printable(os.fsdecode(name)) for name in raw}

    assert len({name.encode("utf-8") for name in spelled}) == len(raw)


def test_odd_names_are_each_one_line_of_the_manifest(tmp_path: Path, write_photo: Callable[..., Path]) -> None:
    names = [
        "two\nlines.jpg",
        "A.jpg",
        "a.jpg",
        "é" * 125 + "x.jpg",
        "x" * 251 + ".jpg",
        "trailing. ",
        "-rf",
        "✓🌿.jpg",
    ]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"feuille\xe9.jpg"))
    for seed, name in enumerate(names):
        write_photo(tmp_path / "photos" / "rust" / name, seed)
    output = tmp_path / "out" / "clean.jsonl"

    report = clean(CleanConfig(tmp_path / "photos", output_file=output, num_workers=0))

    images = [report.images_dir / record.image_path for record in read_clean_records(output)]
    assert (report.kept, len(set(images))) == (len(names), len(names))
    assert all(image.is_file() for image in images)


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_gives_label_group_split_style_and_source(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    path = table(tmp_path, "file,disease,leaf,part,style,from\na.jpg,rust,7,valid,field,village\n")

    found = only(scan_table(path, tmp_path, TableColumns("file", "disease", "leaf", "part", "style", "from")))

    assert (found.label, found.user_group, found.split, found.style, found.source) == (
        "rust",
        "7",
        "val",
        "field",
        "village",
    )


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_a_table_from_a_french_spreadsheet_is_read(tmp_path: Path, delimiter: str) -> None:
    touch(tmp_path / "a.jpg")
    path = table(tmp_path, f"\ufefffile{delimiter}maladie\r\na.jpg{delimiter}« rouille »\r\n")

    assert only(scan_table(path, tmp_path, TableColumns("file", "maladie"))).label == "« rouille »"


def test_windows_paths_in_a_table_are_understood(tmp_path: Path) -> None:
    touch(tmp_path / "rust" / "a.jpg")
    path = table(tmp_path, "file,label\nrust\\a.jpg,rust\n")

    assert only(scan_table(path, tmp_path, TableColumns("file", "label"))).source_path == "rust/a.jpg"


@pytest.mark.parametrize(
    ("cell", "reason"), [("gone.jpg", "missing-file"), ("../x.jpg", "outside-source"), ("/etc/x.jpg", "outside-source")]
)
def test_a_path_that_leads_nowhere_is_a_rejected_line(tmp_path: Path, cell: str, reason: str) -> None:
    refusal = only(
        scan_table(table(tmp_path, f"file,label\n{cell},rust\n"), tmp_path, TableColumns("file", "label"))
    ).refusal

    assert refusal is not None
    assert refusal[0] == reason


def test_one_file_under_two_labels_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    path = table(tmp_path, "file,label\na.jpg,rust\na.jpg,scab\na.jpg,rust\n")

    assert only(scan_table(path, tmp_path, TableColumns("file", "label"))).refusal == ("two-labels", "rust / scab")


def test_a_row_given_twice_counts_once(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    path = table(tmp_path, "file,label\na.jpg,rust\na.jpg,rust\n")

    assert only(scan_table(path, tmp_path, TableColumns("file", "label"))).refusal is None


def test_an_unknown_column_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file, label"):
        scan_table(table(tmp_path, "file,label\n"), tmp_path, TableColumns("path", "label"))


def test_an_unknown_split_names_its_line(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")

    with pytest.raises(DataError, match="line 2"):
        scan_table(
            table(tmp_path, "file,label,part\na.jpg,rust,holdout\n"),
            tmp_path,
            TableColumns("file", "label", split="part"),
        )


def test_a_table_without_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        scan_table(table(tmp_path, "file,label\n"), tmp_path, TableColumns("file", "label"))


@linux_only
def test_a_source_folder_whose_name_is_no_utf8_is_cleaned_and_found_again(
    tmp_path: Path, write_photo: Callable[..., Path]
) -> None:
    source, output = tmp_path / os.fsdecode(b"feuilles\xe9"), tmp_path / os.fsdecode(b"propre\xe9") / "clean.jsonl"
    for seed in range(2):
        write_photo(source / "rust" / f"{seed}.jpg", seed)

    clean(CleanConfig(source, output_file=output, num_workers=0))

    meta = read_meta(output)
    assert meta is not None
    images = output.parent / meta.images_dir
    assert all((images / record.image_path).is_file() for record in read_clean_records(output))


@linux_only
def test_the_command_speaks_of_a_folder_whose_name_is_no_utf8(tmp_path: Path, write_photo: Callable[..., Path]) -> None:
    source = tmp_path / os.fsdecode(b"feuilles\xe9")
    for seed in range(2):
        write_photo(source / "rust" / f"{seed}.jpg", seed)

    command = [sys.executable, "-m", "plantset", "clean", "--num-workers", "0"]
    done = subprocess.run(
        [*command, "--data-dir", str(source), "--output-file", os.fsdecode(b"propre\xe9.jsonl")],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},  # as in a French locale
    )

    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr.decode(errors="replace")
