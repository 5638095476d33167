"""Fixtures that every test may use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plantset.core import storage
from plantset.core.language import set_message_language


@pytest.fixture(autouse=True)
def _language_of_the_environment() -> Iterator[None]:
    """A test that chooses a language of messages leaves none to the next, nor in the environment, as a command does."""
    asked = os.environ.get("PLANTSET_LANG")
    yield
    set_message_language(None)
    if asked is None:
        os.environ.pop("PLANTSET_LANG", None)
    else:
        os.environ["PLANTSET_LANG"] = asked


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


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server of its own process; yields its address."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()  # this process may know another test's server
    storage._open_store.cache_clear()
    storage._listings.cache_clear()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    values = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    values |= {"AWS_DEFAULT_REGION": "us-east-1", "XDG_CACHE_HOME": str(tmp_path / "cache"), "PLANTSET_LANG": "en"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield address
    finally:
        server.terminate()
        server.wait()
