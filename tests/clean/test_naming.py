"""Names of cleaned images."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from plantset.clean.facts import PART_SUFFIX
from plantset.clean.naming import image_names


def test_the_suffix_is_kept_so_that_no_two_collide() -> None:
    assert image_names(["a/b.png", "a/b.jpg"]) == ["a/b.png.jpg", "a/b.jpg.jpg"]


def test_twins_by_case_get_two_names_on_any_system() -> None:
    first, second = image_names(["rust/A.jpg", "rust/a.jpg"])

    assert first == "rust/A.jpg.jpg"
    assert second.casefold() != first.casefold()


def test_twins_by_unicode_form_get_two_names() -> None:
    composed, decomposed = "é.jpg", unicodedata.normalize("NFD", "é.jpg")

    first, second = image_names([composed, decomposed])

    assert unicodedata.normalize("NFC", first) != unicodedata.normalize("NFC", second)


def test_a_name_of_255_bytes_leaves_room_for_the_suffix() -> None:
    (name,) = image_names(["é" * 125 + "x.jpg"])

    assert len(name.encode()) <= 230


def test_two_long_names_that_differ_at_the_end_stay_two() -> None:
    first, second = image_names(["x" * 240 + "1.jpg", "x" * 240 + "2.jpg"])

    assert first != second


def test_characters_that_windows_refuses_are_replaced() -> None:
    assert image_names(['ru:st/a?b\n"c".jpg']) == ["ru_st/a_b__c_.jpg.jpg"]


LONGEST_NAME_BYTES = 255  # ext4, APFS and NTFS alike


@given(
    st.lists(st.text(st.characters(exclude_characters="/\x00", codec="utf-8"), min_size=60, max_size=255), min_size=2)
)
def test_every_name_fits_the_disk_while_it_is_written_too(parts: list[str]) -> None:
    sources = ["/".join(parts), "/".join(parts).swapcase()]

    names = image_names(sorted(set(sources)))

    longest = max(len((part + PART_SUFFIX).encode()) for name in names for part in name.split("/"))
    assert longest <= LONGEST_NAME_BYTES


@given(
    st.lists(st.text(st.characters(exclude_characters="/\x00", codec="utf-8"), min_size=1, max_size=300), unique=True)
)
def test_names_never_collide_and_do_not_depend_on_order(sources: list[str]) -> None:
    names = image_names(sources)

    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(sources)
    assert image_names(sources[::-1]) == names[::-1]
