"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from plantset.core.language import set_message_language


@pytest.fixture(autouse=True)
def _language_of_the_environment() -> Iterator[None]:
    """A test that chooses a language of messages leaves none to the next."""
    yield
    set_message_language(None)


@pytest.fixture(scope="session")
def plantdata_dir() -> Path:
    """The folder of licensed real photos; absent on a user's machine."""
    folder = os.environ.get("PLANTSET_PHOTOS")
    if not folder:
        pytest.skip("PLANTSET_PHOTOS is not set: no real photos on this machine")
    return Path(folder)


@pytest.fixture(scope="session")
def plantdata_odd_dir(plantdata_dir: Path) -> Path:
    """The folder of odd and broken files beside the real photos."""
    folder = plantdata_dir.parent / "plantdata_odd"
    if not folder.is_dir():
        pytest.skip(f"{folder.name} does not stand beside the photos")
    return folder
