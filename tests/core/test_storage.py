"""Places here and in a store, behind the same calls."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from plantset.core.errors import ConfigError
from plantset.core.storage import (
    absolute,
    is_remote,
    list_stored,
    read_stored,
    remove_stored,
    status_of,
    url_of,
    write_stored,
)

STORED = Path("memory://plantset-tests/photos")


@pytest.mark.parametrize("url", ["s3://bucket/a b/c.jpg", "gs://bucket/x", "memory://bucket/x"])
def test_a_url_survives_being_a_path(url: str) -> None:
    assert is_remote(Path(url))
    assert url_of(Path(url)) == url


@pytest.mark.parametrize("path", ["photos/a.jpg", "/photos/a.jpg", "C:/photos", "s3", "a:b/c"])
def test_a_local_path_is_no_url(path: str) -> None:
    assert not is_remote(Path(path))


def test_a_remote_place_does_not_depend_on_the_current_folder() -> None:
    assert absolute(Path("s3://bucket/x")) == Path("s3://bucket/x")


def test_what_is_written_is_read_listed_and_removed() -> None:
    write_stored(STORED / "a" / "1.jpg", b"one")
    write_stored(STORED / "2.jpg", b"three")

    listed = list(list_stored(STORED))

    assert [path.name for path in listed] == ["2.jpg", "1.jpg"]
    assert [path.relative_to(STORED).as_posix() for path in listed] == ["2.jpg", "a/1.jpg"]
    assert read_stored(STORED / "a" / "1.jpg") == b"one"
    assert status_of(STORED / "2.jpg").size == 5
    remove_stored(STORED / "2.jpg")
    remove_stored(STORED / "2.jpg")
    assert [path.name for path in list_stored(STORED)] == ["1.jpg"]


def test_an_absent_object_is_an_absent_file() -> None:
    with pytest.raises(FileNotFoundError):
        read_stored(STORED / "none.jpg")


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)

    with pytest.raises(ConfigError) as caught:
        read_stored(Path("gs://bucket/a.jpg"))

    assert "pip install gcsfs" in caught.value.fix
