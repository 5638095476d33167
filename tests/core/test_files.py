"""Files are whole or absent."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from plantset.core.errors import DataError
from plantset.core.files import (
    atomic_path,
    read_json,
    read_json_lines,
    read_text,
    sha256_file,
    sha256_json,
    write_json,
    write_json_lines,
    write_text,
)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(b"old")

    with pytest.raises(RuntimeError):
        _write_half(path)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_makes_the_folders_above(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "héé\n")

    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "héé\n".encode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no mode bits")
def test_a_written_file_has_the_rights_that_the_user_gives_to_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()

    write_text(tmp_path / "ours", "x")

    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_json_lines_come_back_with_their_numbers(tmp_path: Path) -> None:
    rows = [{"label": "été"}, {"label": "b"}]

    count = write_json_lines(tmp_path / "m.jsonl", iter(rows))

    assert count == 2
    assert list(read_json_lines(tmp_path / "m.jsonl")) == [(1, rows[0]), (2, rows[1])]


def test_a_line_separator_inside_a_text_does_not_cut_the_line(tmp_path: Path) -> None:
    rows = [{"text": "one\u2028two\u0085three"}]

    write_json_lines(tmp_path / "m.jsonl", rows)

    assert [row for _, row in read_json_lines(tmp_path / "m.jsonl")] == rows


def test_nan_is_refused_because_json_has_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "m.json", {"loss": float("nan")})

    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize(
    ("content", "where"),
    [('{"a": 1}\n{"a": ', "line 2"), ('{"a": 1}\n\n[1]\n', "line 3")],
)
def test_a_bad_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, where: str) -> None:
    monkeypatch.setenv("PLANTSET_LANG", "en")
    (tmp_path / "m.jsonl").write_text(content, encoding="utf-8")

    with pytest.raises(DataError, match=f"m.jsonl {where}"):
        list(read_json_lines(tmp_path / "m.jsonl"))


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')

    assert read_json(tmp_path / "d.json") == {"a": 1}


def test_a_file_that_is_not_utf8_gets_a_command_that_mends_it(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_bytes("été".encode("cp1252"))

    with pytest.raises(DataError) as caught:
        read_text(tmp_path / "d.json")

    assert "iconv -f WINDOWS-1252 -t UTF-8 d.json" in caught.value.fix


def test_the_hash_of_a_file_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1

    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_hash_of_settings_does_not_depend_on_their_order() -> None:
    assert sha256_json({"a": 1, "b": "é"}) == sha256_json({"b": "é", "a": 1})
    assert sha256_json({"a": 1}) != sha256_json({"a": 2})


def _write_half(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the n")
        raise RuntimeError


@pytest.mark.skipif(os.name == "nt", reason="there a file name is UTF-16")
def test_a_file_name_that_is_no_utf8_comes_back_from_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"feuille\xe9.jpg")

    write_json(tmp_path / "one.json", {"path": name})
    write_json_lines(tmp_path / "lines.jsonl", [{"path": name}])

    assert read_json(tmp_path / "one.json") == {"path": name}
    assert list(read_json_lines(tmp_path / "lines.jsonl")) == [(1, {"path": name})]


@pytest.mark.skipif(os.name == "nt", reason="there a file name is UTF-16")
def test_file_names_that_differ_in_one_odd_byte_have_different_fingerprints() -> None:
    assert sha256_json(os.fsdecode(b"\xe9")) != sha256_json(os.fsdecode(b"\xe8"))
    assert sha256_json(os.fsdecode(b"\xe9")) != sha256_json(r"\udce9")
