"""What a class is called, from what it carries or from the catalogue."""

from __future__ import annotations

import pytest

from plantset.core.classes import ClassInfo
from plantset.knowledge import class_titles
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.class_titles import names_of, title_of, with_names

MILDIOU = ClassInfo("tomato--late-blight", "Tomato___Late_blight", crop="tomato", disease="late blight")


def test_a_class_straight_from_a_manifest_is_named_by_the_catalogue() -> None:
    assert names_of(MILDIOU, "fr") == ("tomate", "mildiou")


def test_a_class_that_carries_its_names_needs_no_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    (named,) = with_names([MILDIOU], load_catalogue())
    monkeypatch.setattr(class_titles, "load_catalogue", lambda: pytest.fail("the catalogue was read"))

    assert (names_of(named, "fr"), names_of(named, "en")) == (("tomate", "mildiou"), ("tomato", "late blight"))


def test_a_class_that_was_matched_to_nothing_needs_no_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_titles, "load_catalogue", lambda: pytest.fail("the catalogue was read"))

    assert title_of(ClassInfo("user--odd", "Odd leaves"), "fr") == "Odd leaves"


def test_a_class_carries_the_sources_of_its_entry() -> None:
    (named,) = with_names([MILDIOU], load_catalogue())

    assert named.sources == load_catalogue().diseases["tomato--late-blight"].sources


def test_a_class_that_the_catalogue_does_not_have_keeps_what_it_came_with() -> None:
    odd = ClassInfo("user--odd", "Odd leaves", crop="odd plant")

    assert with_names([odd], load_catalogue()) == (odd,)
