"""What a person decided comes back into the manifest, photo by photo, or is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.corrections import COLUMNS
from plantset.core.errors import DataError
from plantset.core.records import CleanRecord, read_clean_records, read_rejected, rejected_path

WritePhoto = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path, write_photo: WritePhoto) -> Path:
    """Two classes of three photos each."""
    folder = tmp_path / "photos"
    for number in range(3):
        write_photo(folder / "rust" / f"r{number}.jpg", number)
        write_photo(folder / "mildew" / f"m{number}.jpg", 10 + number)
    return folder


@pytest.fixture
def config(tmp_path: Path, photos: Path) -> CleanConfig:
    table = tmp_path / "decisions.csv"
    output = tmp_path / "out" / "clean.jsonl"
    return CleanConfig(data_dir=photos, output_file=output, num_workers=0, audit=False, corrections=(table,))


def row(photos: Path, source_path: str, old: str, new: str, decision: str) -> str:
    digest = sha256((photos / source_path).read_bytes()).hexdigest()
    return f"{source_path},{digest},{old},{new},{decision}"


def write(config: CleanConfig, *rows: str, header: str = ",".join(COLUMNS)) -> None:
    config.corrections[0].write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def records_of(config: CleanConfig) -> dict[str, CleanRecord]:
    return {record.source_path: record for record in read_clean_records(config.output_file)}


def refusal(config: CleanConfig) -> str:
    with pytest.raises(DataError) as caught:
        clean(config)
    return caught.value.problem


def test_a_relabelled_photo_changes_its_class_and_says_so(config: CleanConfig, photos: Path) -> None:
    write(config, row(photos, "rust/r0.jpg", "rust", "mildew", "relabel"))

    report = clean(config)

    record = records_of(config)["rust/r0.jpg"]
    assert (record.label, record.reviewed, record.label_before) == ("mildew", "relabel", "rust")
    assert report.corrected == {"relabel": 1}
    assert "relabelled 1" in report.summary()


def test_a_rejected_photo_is_counted_among_the_rejected(config: CleanConfig, photos: Path) -> None:
    write(config, row(photos, "rust/r0.jpg", "rust", "", "reject"))

    report = clean(config)

    rejected = read_rejected(rejected_path(config.output_file))
    assert [(record.source_path, record.reason) for record in rejected] == [("rust/r0.jpg", "corrected")]
    assert (report.found, report.kept + sum(report.rejected.values())) == (6, 6)


def test_a_kept_photo_is_marked_as_reviewed_and_nothing_else_changes(config: CleanConfig, photos: Path) -> None:
    write(config, row(photos, "rust/r0.jpg", "rust", "rust", "keep"))

    clean(config)

    marks = {path: (record.label, record.reviewed) for path, record in records_of(config).items()}
    assert marks["rust/r0.jpg"] == ("rust", "keep")
    assert [mark for path, mark in marks.items() if path != "rust/r0.jpg"] == [
        ("mildew", None), ("mildew", None), ("mildew", None), ("rust", None), ("rust", None)
    ]  # fmt: skip


def test_an_exact_copy_does_not_take_the_place_of_a_rejected_photo(config: CleanConfig, photos: Path) -> None:
    (photos / "rust" / "copy.jpg").write_bytes((photos / "rust" / "r0.jpg").read_bytes())
    write(config, row(photos, "rust/r0.jpg", "rust", "", "reject"))

    report = clean(config)

    assert not {"rust/r0.jpg", "rust/copy.jpg"} & records_of(config).keys()
    assert report.rejected == {"corrected": 2}


def test_an_exact_copy_does_not_bring_the_wrong_label_back(config: CleanConfig, photos: Path) -> None:
    (photos / "rust" / "copy.jpg").write_bytes((photos / "rust" / "r0.jpg").read_bytes())
    write(config, row(photos, "rust/r0.jpg", "rust", "mildew", "relabel"))

    report = clean(config)

    assert report.label_conflicts == ()
    assert report.rejected == {"exact-copy": 1}


def test_copies_under_two_labels_are_mended_by_relabelling_one(config: CleanConfig, photos: Path) -> None:
    (photos / "mildew" / "copy.jpg").write_bytes((photos / "rust" / "r0.jpg").read_bytes())
    write(config, row(photos, "mildew/copy.jpg", "mildew", "rust", "relabel"))

    report = clean(config)

    assert report.label_conflicts == ()


def test_a_later_table_builds_on_the_earlier(config: CleanConfig, photos: Path, tmp_path: Path) -> None:
    write(config, row(photos, "rust/r0.jpg", "rust", "mildew", "relabel"))
    second = tmp_path / "second.csv"
    lines = [",".join(COLUMNS), row(photos, "rust/r0.jpg", "mildew", "scab", "relabel")]
    second.write_text("\n".join(lines), encoding="utf-8")

    report = clean(replace(config, corrections=(*config.corrections, second)))

    record = records_of(config)["rust/r0.jpg"]
    assert (record.label, record.label_before) == ("scab", "rust")
    assert report.new_labels == ("scab",)


def test_a_relabelled_photo_stays_in_its_leafs_group(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "rust" / "leaf1_photo1.jpg", 21)
    write_photo(photos / "rust" / "leaf1_photo2.jpg", 22)
    write(config, row(photos, "rust/leaf1_photo1.jpg", "rust", "mildew", "relabel"))

    clean(config)

    records = records_of(config)
    assert records["rust/leaf1_photo1.jpg"].label == "mildew"
    assert records["rust/leaf1_photo1.jpg"].group == records["rust/leaf1_photo2.jpg"].group


def test_splits_stay_as_they_were(config: CleanConfig, photos: Path) -> None:
    clean(replace(config, corrections=(), val_ratio=0.4))
    before = {path: record.split for path, record in records_of(config).items()}
    write(config, row(photos, "rust/r0.jpg", "rust", "mildew", "relabel"))

    clean(replace(config, val_ratio=0.4))

    assert {path: record.split for path, record in records_of(config).items()} == before


def test_a_run_over_an_earlier_journal_equals_a_fresh_one(config: CleanConfig, photos: Path, tmp_path: Path) -> None:
    write(config, row(photos, "rust/r0.jpg", "rust", "mildew", "relabel"))
    clean(replace(config, corrections=()))
    fresh = replace(config, output_file=tmp_path / "fresh" / "clean.jsonl", new_splits=True)

    report = clean(replace(config, new_splits=True))
    clean(fresh)

    assert report.reused == 6
    assert config.output_file.read_bytes() == fresh.output_file.read_bytes()


def test_a_photo_called_back_from_an_excluded_class_is_kept(config: CleanConfig, photos: Path) -> None:
    write(config, row(photos, "rust/r0.jpg", "rust", "mildew", "relabel"))

    report = clean(replace(config, exclude_labels=("rust",)))

    assert records_of(config)["rust/r0.jpg"].label == "mildew"
    assert report.rejected == {"excluded-label": 2}


def test_a_photo_moved_to_an_excluded_class_is_left_out(config: CleanConfig, photos: Path) -> None:
    write(config, row(photos, "rust/r0.jpg", "rust", "unknown", "relabel"))

    report = clean(replace(config, exclude_labels=("unknown",)))

    assert report.rejected == {"excluded-label": 1}


def test_a_decision_about_a_photo_rejected_anyway_is_counted_as_idle(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "rust" / "small.jpg", 7, width=100, height=100)
    write(config, row(photos, "rust/small.jpg", "rust", "mildew", "relabel"))

    assert clean(config).corrected == {"idle": 1}


def test_a_table_saved_by_a_spreadsheet_is_read(config: CleanConfig, photos: Path) -> None:
    line = row(photos, "rust/r0.jpg", "rust", "mildew", "relabel").replace(",", ";")
    table = "\ufeff" + ";".join(COLUMNS) + "\r\n" + line + "\r\n"
    config.corrections[0].write_bytes(table.encode("utf-8"))

    clean(config)

    assert records_of(config)["rust/r0.jpg"].label == "mildew"


def test_a_missing_column_is_named(config: CleanConfig) -> None:
    write(config, header="source_path,sha256,old_label,decision")

    assert "no column 'new_label'" in refusal(config)


def test_an_unknown_column_is_named(config: CleanConfig) -> None:
    write(config, header=",".join([*COLUMNS, "remark"]))

    assert "unknown column 'remark'" in refusal(config)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("a.jpg,{sha},rust,mildew,change", "decision is 'change'"),
        ("a.jpg,{sha},rust,mildew,relabel,more", "not 5 cells"),
        ("a.jpg,{sha},rust", "not 5 cells"),
        ("a.jpg,12ab,rust,mildew,relabel", "sha256"),
        ("a.jpg,{sha},,mildew,relabel", "empty"),
        (",{sha},rust,mildew,relabel", "empty"),
        ("a.jpg,{sha},rust,rust,relabel", "another new_label"),
        ("a.jpg,{sha},rust,,relabel", "another new_label"),
        ("a.jpg,{sha},rust,mildew,keep", "contradict"),
    ],
)
def test_a_malformed_row_is_named_with_its_line(config: CleanConfig, cells: str, why: str) -> None:
    write(config, cells.format(sha="0" * 64))

    problem = refusal(config)

    assert "line 2" in problem
    assert why in problem


def test_two_decisions_for_one_photo_are_refused(config: CleanConfig, photos: Path) -> None:
    write(
        config,
        row(photos, "rust/r0.jpg", "rust", "mildew", "relabel"),
        row(photos, "rust/r0.jpg", "rust", "", "reject"),
    )

    assert "two decisions for rust/r0.jpg, lines 2 and 3" in refusal(config)


def test_two_decisions_for_two_copies_are_refused(config: CleanConfig, photos: Path) -> None:
    (photos / "rust" / "copy.jpg").write_bytes((photos / "rust" / "r0.jpg").read_bytes())
    write(
        config,
        row(photos, "rust/r0.jpg", "rust", "mildew", "relabel"),
        row(photos, "rust/copy.jpg", "rust", "", "reject"),
    )

    problem = refusal(config)

    assert "rust/r0.jpg" in problem
    assert "rust/copy.jpg" in problem


def test_a_decision_on_a_label_that_is_no_longer_so_is_refused(config: CleanConfig, photos: Path) -> None:
    write(config, row(photos, "rust/r0.jpg", "scab", "mildew", "relabel"))

    problem = refusal(config)

    assert "'scab' when it was judged" in problem
    assert "'rust' now" in problem


def test_a_decision_on_other_bytes_is_refused(config: CleanConfig) -> None:
    write(config, f"rust/r0.jpg,{'0' * 64},rust,mildew,relabel")

    assert "rust/r0.jpg has other bytes" in refusal(config)


def test_a_photo_that_is_not_there_is_named_and_where_its_bytes_are(config: CleanConfig, photos: Path) -> None:
    line = row(photos, "rust/r0.jpg", "rust", "mildew", "relabel").replace("r0.jpg", "gone.jpg")
    write(config, line)

    with pytest.raises(DataError) as caught:
        clean(config)

    assert "no photo rust/gone.jpg" in caught.value.problem
    assert "rust/r0.jpg" in caught.value.fix
