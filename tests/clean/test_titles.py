"""What codes are called in the language of messages."""

from __future__ import annotations

import pytest

from plantset.clean.thresholds import CHECK_NAMES, NOT_A_LEAF
from plantset.clean.titles import issue_title
from plantset.core.language import set_message_language


@pytest.mark.parametrize("name", [*CHECK_NAMES, NOT_A_LEAF])
def test_every_check_has_a_french_name(name: str) -> None:
    set_message_language("fr")

    assert issue_title(name) != name


def test_a_code_without_a_name_is_its_own() -> None:
    assert issue_title("new-check") == "new-check"
