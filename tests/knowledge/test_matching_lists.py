"""Lists of names as people write them, judged by a person: what is found is right, and little is missed."""

from __future__ import annotations

import pytest

from plantset.knowledge.matching import Matcher
from plantset.knowledge.schema import Catalogue
from tests.knowledge.name_lists import Name, answer, read_names

_LISTS = ("adversarial.tsv", "held_out.tsv", "third.tsv")


@pytest.mark.parametrize(
    "name", [name for file in _LISTS for name in read_names(file)], ids=lambda name: f"{name.label}-{name.crop}"
)
def test_a_name_of_the_lists_is_right_or_rightly_refused(matcher: Matcher, catalogue: Catalogue, name: Name) -> None:
    found = answer(matcher, name)

    assert name.judge(found, catalogue) in ("right", "refused")
