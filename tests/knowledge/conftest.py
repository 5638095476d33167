"""One matcher for all tests of this layer: building it is pure and matching has no state that tests could share."""

from __future__ import annotations

import pytest

from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.matching import Matcher
from plantset.knowledge.schema import Catalogue


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="session")
def matcher(catalogue: Catalogue) -> Matcher:
    return Matcher(catalogue)
