"""The page of a mapping, made of real runs on small manifests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from plantset.core.language import set_message_language
from plantset.core.records import CleanRecord, ManifestMeta, write_manifest
from plantset.knowledge.config import MapConfig
from plantset.knowledge.page import how_title, report_page_path
from plantset.knowledge.run import map_texts

Page = Callable[..., str]


@pytest.fixture
def page_of(tmp_path: Path) -> Page:
    """Map photos of these labels and return the page."""

    def make(*labels: str, **settings: object) -> str:
        clean = tmp_path / "dataset_clean.jsonl"
        records = [
            CleanRecord(
                image_path=f"{index}.jpg",
                label=label,
                split="train",
                original_size=(300, 200),
                size=(300, 200),
                sha256=f"{index:064x}",
                phash=f"{index:016x}",
                group=str(index),
                source_path=f"photos/{index}.jpg",
            )
            for index, label in enumerate(labels)
        ]
        write_manifest(clean, records, ManifestMeta("images", tuple(sorted(set(labels))), 0, "clean"))
        output = tmp_path / "multi.jsonl"
        map_texts(MapConfig(dataset_jsonl=clean, output_file=output, **settings))  # type: ignore[arg-type]
        return report_page_path(output).read_text(encoding="utf-8")

    return make


def test_a_refused_label_stands_with_its_reason_and_candidates(page_of: Page) -> None:
    page = page_of("Tomato late blight", "Bacterial spot")

    to_decide = page.split("<h2>To decide</h2>")[1].split("<h2>")[0]
    assert "Bacterial spot" in to_decide
    assert "it can mean several diseases" in to_decide
    assert "tomato--bacterial-spot" in to_decide


def test_a_matched_label_stands_with_the_rule_that_found_it(page_of: Page) -> None:
    page = page_of("Tomato late blight", "Potato early blight")

    matched = page.split("<h2>Matched</h2>")[1].split("<h2>")[0]
    assert "tomato--late-blight" in matched
    assert "its name" in matched


def test_with_nothing_open_there_is_nothing_to_decide(page_of: Page) -> None:
    page = page_of("Tomato late blight", "Potato early blight")

    assert "To decide" not in page


def test_the_probe_stands_beside_chance(page_of: Page) -> None:
    page = page_of(*["Tomato late blight", "Potato early blight"] * 4)

    probe = page.split("give the disease away?")[1].split("<h2>")[0]
    assert "50.0%" in probe


def test_a_class_shows_its_text_and_its_notes(page_of: Page) -> None:
    page = page_of("Tomato late blight", "Potato early blight")

    texts = page.split("<h2>The texts</h2>")[1]
    assert texts.count("notes made for training") == 2


def test_words_of_the_user_are_counted_by_crop(page_of: Page, tmp_path: Path) -> None:
    own = tmp_path / "maladies.json"
    fields = {"culture": "tomate", "symptômes": "Des plaques brunes sur les feuilles."}
    own.write_text(json.dumps({"Mildiou": fields}), encoding="utf-8")

    page = page_of("Tomato late blight", "Potato early blight", diseases_json=own)

    row = page.split("<h2>By crop</h2>")[1].split("<th>tomato</th>")[1].split("</tr>")[0]
    assert re.findall(r">(\d+)<", row) == ["1", "1", "1"]


def test_the_page_speaks_french_and_names_crops_in_french(page_of: Page) -> None:
    set_message_language("fr")

    page = page_of("Tomato late blight", "Potato early blight")

    assert "pomme de terre" in page.split("<h2>Par culture</h2>")[1].split("<h2>")[0]


def test_a_label_can_not_change_the_page(page_of: Page) -> None:
    page = page_of("<script>alert(1)</script>", "Tomato late blight")

    assert "<script>" not in page


def test_a_code_without_words_is_its_own() -> None:
    assert how_title("new-rule") == "new-rule"
