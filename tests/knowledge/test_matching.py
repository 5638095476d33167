"""Names that look alike but differ, in both languages; cut, misspelt and dressed-up names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.matching import Matcher

_RIGHT = [
    ("Tomato___Late_blight", "tomato--late-blight"),
    ("tomato|late_blight", "tomato--late-blight"),
    ("Tomato  leaf mold", "tomato--leaf-mold"),
    ("LATE BLIGHT (TOMATO)", "tomato--late-blight"),
    ("late_blight_tomato_2", "tomato--late-blight"),
    ("Late blight of potato", "potato--late-blight"),
    ("Mildiou de la tomate", "tomato--late-blight"),
    ("Mildiou de la pomme de terre", "potato--late-blight"),
    ("Mildiou de la vigne", "grape--downy-mildew"),
    ("Mildiou de l'oignon", "onion--downy-mildew"),
    ("Éclairage précoce de la tomate", "tomato--early-blight"),
    ("Tomate : alternariose", "tomato--early-blight"),
    ("Rouille orangée du caféier", "coffee--leaf-rust"),
    ("Cercosporiose noire du bananier", "banana--black-sigatoka"),
    ("Mosaïque du manioc", "cassava--mosaic-disease"),
    ("striure du maïs", "maize--streak-virus"),
    ("Gommose des agrumes", "citrus--gummosis"),
    ("Cashew gumosis", "cashew--gummosis"),
    ("Citrus Haunglongbing", "citrus--greening"),
    ("Orange___Haunglongbing_(Citrus_greening)", "citrus--greening"),
    ("Mango Scooty Mould", "mango--sooty-mould"),
    ("Tomato___Terticulium wilt", "tomato--verticillium-wilt"),
    ("Alluim_Purple blotch", "onion--purple-blotch"),
    ("Corn_(maize)___Cercospora_leaf_spot Gray_leaf_spot", "maize--gray-leaf-spot"),
    ("Pepper__bell___Bacterial_spot", "pepper--bacterial-spot"),
    ("Pepper,_bell___Bacterial_spot", "pepper--bacterial-spot"),
    ("Tomato__Tomato_YellowLeaf__Curl_Virus", "tomato--yellow-leaf-curl-virus"),
    ("Grape___Esca_(Black_Measles)", "grape--esca"),
    ("Cherry_(including_sour)___Powdery_mildew", "cherry--powdery-mildew"),
    ("Cherry tomato leaf mold", "tomato--leaf-mold"),
    ("Tomato  septoria leaf sp", "tomato--septoria-leaf-spot"),
    ("Maize northern leaf blig", "maize--northern-leaf-blight"),
    ("Anthracnose (Colletotrichum orbiculare (Berk. & Mo", "any--anthracnose"),
    ("Early blight (Alternaria solani)", "any--early-blight"),
    ("Tomato (Phytophthora infestans)", "tomato--late-blight"),
    ("Phytophthora infestans", "any--late-blight"),
    ("Venturia inaequalis", "apple--scab"),
    ("Potato early blihgt", "potato--early-blight"),
    ("Strawberry leaf scorh", "strawberry--leaf-scorch"),
    ("Squash Powdery mildew leaf", "squash--powdery-mildew"),
    ("Tomato mold leaf", "tomato--leaf-mold"),
    ("grape leaf black rot", "grape--black-rot"),
    ("Apple rust leaf", "apple--cedar-apple-rust"),
    ("citrus blackspot", "citrus--black-spot"),
    ("RedRot sugarcane", "sugarcane--red-rot"),
    ("Tomato aphids", "any--aphids"),
    ("Tomato iron deficiency", "any--iron-deficiency"),
    ("carence en fer du maïs", "any--iron-deficiency"),
    ("  Fe ", "any--iron-deficiency"),
    ("Plante saine de tomate", "tomato--healthy"),
    ("Tomate - saine", "tomato--healthy"),
    ("Bacterial canker of tomato", "tomato--bacterial-canker"),
    ("bacterial spot of peach", "peach--bacterial-spot"),
    ("coffee red spider mite", "any--spider-mites"),
    ("tomato mosiac", "tomato--mosaic-virus"),
    ("ToMV", "tomato--mosaic-virus"),
    ("Tomato___Late_blight (copy)", "tomato--late-blight"),
    ("Late blight", "any--late-blight"),
    ("Striure du maïs (maize streak virus)", "maize--streak-virus"),
    ("Rouille rouge de l'anacardier (cashew red rust)", "cashew--red-rust"),
]
_REFUSED = [
    "blight",
    "spot",
    "rot",
    "late",
    "Leaf spot",
    "Leaf blight",
    "Bacterial spot",
    "Bacterial blight",
    "Bacterial canker",
    "Mosaic",
    "Mosaic virus",
    "Gummosis",
    "Rust",
    "Rouille",
    "Mildiou",
    "Brown spot",
    "healthy",
    "Feuille saine",
    "Unhealthy tomato",
    "Tomato leaf",
    "tomato",
    "corn blight",
    "Tomato bacterial",
    "Potato late",
    "Onion late blight",
    "Apple leaf blight",
    "esca tomato",
    "peach bacterial canker",
    "Dragonfruit anthracnose",
    "Tea leaf blight",
    "tea red scab",
    "Early blight (Alternaria porri)",
    "Tomato late blight early blight",
    "Beetles and  leafhoppers",
    "Background_without_leaves",
    "A",
    "b",
    "green",
    "CM",
    "日本",
    "",
    "---",
    "maladie",
]


@pytest.mark.parametrize(("label", "expected"), _RIGHT)
def test_a_dressed_up_name_finds_its_disease(matcher: Matcher, label: str, expected: str) -> None:
    assert matcher.match(label).disease_id == expected


@pytest.mark.parametrize("label", _REFUSED)
def test_a_name_that_says_too_little_or_contradicts_itself_is_refused(matcher: Matcher, label: str) -> None:
    match = matcher.match(label)

    assert match.disease_id is None
    assert match.score == 0.0


@pytest.mark.parametrize(
    ("label", "crop_id", "expected"),
    [
        ("healthy", "banana", "banana--healthy"),
        ("Rust", "sugarcane", "sugarcane--rust"),
        ("Rust", "coffee", "coffee--leaf-rust"),
        ("Bacterial spot", "peach", "peach--bacterial-spot"),
        ("Leaf miner", "coffee", "coffee--leaf-miner"),
        ("Leaf miner", "cucumber", "any--leaf-miners"),
        ("Late blight", "onion", None),
        ("Sigatoka", "tomato", None),
        ("Potato late blight", "tomato", "potato--late-blight"),
        ("blight", "maize", None),
        ("rust", "apple", "apple--cedar-apple-rust"),
        ("rust", "a crop of nobody", None),
        ("common rust", None, None),
        ("northern leaf blight", None, None),
    ],
)
def test_the_crop_of_the_context_serves_labels_that_name_none(
    matcher: Matcher, label: str, crop_id: str | None, expected: str | None
) -> None:
    assert matcher.match(label, crop_id).disease_id == expected


def test_a_refused_label_carries_its_candidates(matcher: Matcher) -> None:
    match = matcher.match("Bacterial spot")

    assert match.how == "ambiguous"
    assert {"tomato--bacterial-spot", "pepper--bacterial-spot", "peach--bacterial-spot"} <= dict(
        match.candidates
    ).keys()


def test_candidates_of_a_label_with_a_crop_are_of_that_crop(matcher: Matcher) -> None:
    match = matcher.match("Tomato bacterial")

    assert match.crop_id == "tomato"
    assert all(candidate.startswith(("tomato--", "any--")) for candidate, _ in match.candidates)


def test_a_known_word_is_never_mended_into_another(matcher: Matcher) -> None:
    match = matcher.match("Potato dry root")  # one letter from "dry rot", a disease of potato

    assert match.disease_id is None


def test_an_entrys_agent_that_belongs_to_another_disease_refuses_the_name(matcher: Matcher) -> None:
    match = matcher.match_entry("Early blight", "tomato", "Phytophthora infestans")

    assert match.how == "agent-conflict"


def test_an_entry_without_a_known_name_is_found_by_crop_and_agent(matcher: Matcher) -> None:
    match = matcher.match_entry("Maladie du feuillage sec", "tomato", "Alternaria solani")

    assert match.disease_id == "tomato--early-blight"


def test_the_carrier_of_a_virus_is_not_its_agent(matcher: Matcher) -> None:
    match = matcher.match_entry("Yellow leaf curl virus", "tomato", "Begomovirus transmis par Bemisia tabaci")

    assert match.disease_id == "tomato--yellow-leaf-curl-virus"


@pytest.mark.parametrize(
    ("name", "crop_id"),
    [
        ("Corn_(maize)", "maize"),
        ("pepper_bell", "pepper"),
        ("caféier", "coffee"),
        ("Pommes de terre", "potato"),
        ("tomatoes", "tomato"),
        ("dragonfruit", None),
    ],
)
def test_a_crop_is_found_by_any_of_its_names(matcher: Matcher, name: str, crop_id: str | None) -> None:
    assert matcher.find_crop(name) == crop_id


@pytest.mark.parametrize("disease_id", sorted(load_catalogue().diseases))
def test_every_identity_is_found_by_its_crop_and_names_in_both_languages(matcher: Matcher, disease_id: str) -> None:
    catalogue = load_catalogue()
    disease = catalogue.diseases[disease_id]
    crop = catalogue.crop_of(disease)

    for language, name in disease.name.items():
        label = f"{crop.name[language]}___{name}" if crop else name
        assert matcher.match(label).disease_id == disease_id


@given(st.text(max_size=60))
def test_any_text_gives_a_match_or_a_refusal_with_a_reason(label: str) -> None:
    match = _MATCHER.match(label)

    assert match.how
    assert (match.disease_id is None) == (match.score == 0.0)


@given(st.sampled_from(sorted(load_catalogue().diseases)), st.sampled_from(["upper", "lower", "title", "swapcase"]))
def test_case_changes_nothing(disease_id: str, how: str) -> None:
    catalogue = load_catalogue()
    disease = catalogue.diseases[disease_id]
    crop = catalogue.crop_of(disease)
    label = f"{crop.name['en']} {disease.name['en']}" if crop else disease.name["en"]

    assert _MATCHER.match(getattr(label, how)()).disease_id == _MATCHER.match(label).disease_id


_MATCHER = Matcher(load_catalogue())
