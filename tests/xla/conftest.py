"""Scenes in processes of their own, two at a time, begun together and waited for by the tests that ask."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.xla.scenes import SCENES, Answer, run_scene


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("torch_xla") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="torch_xla is not installed: make test-xla"))


@pytest.fixture(scope="session")
def xla_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every scene finds the same photos and the same text model."""
    from tests.xla.trainings import base_config

    folder = tmp_path_factory.mktemp("xla")
    base_config(folder)
    return folder


@pytest.fixture(scope="session")
def scenes(xla_folder: Path) -> Iterator[dict[str, Future[Answer]]]:
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run_scene, xla_folder, *scene) for name, scene in SCENES.items()}


@pytest.fixture(scope="session")
def answer(scenes: dict[str, Future[Answer]]) -> Callable[[str], Answer]:
    """Return a function: name of a scene -> what its process answered."""
    return lambda name: scenes[name].result()
