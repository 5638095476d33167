"""What a person would write under one photo, in French and English, from what its masks show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.demo.diseases import DemoClass, Wording
from plantset.demo.foliage import Leaf

Spot = Literal["margin", "midrib", "tip", "base", "spread"]
Size = Literal["small", "medium", "large"]

_LEAST_LESION_PX = 4
_CRUMB_RATIO = 0.03
_CROPS_FR = {
    "tomato": "de tomate",
    "potato": "de pomme de terre",
    "maize": "de maïs",
    "cassava": "de manioc",
    "cashew": "d'anacardier",
    "groundnut": "d'arachide",
    "mango": "de manguier",
}
_PLACES_FR: dict[Spot, str] = {
    "margin": "surtout près du bord",
    "midrib": "surtout le long de la nervure centrale",
    "tip": "surtout vers la pointe",
    "base": "surtout vers la base",
    "spread": "un peu partout sur le limbe",
}
_PLACES_EN: dict[Spot, str] = {
    "margin": "mostly near the margin",
    "midrib": "mostly along the midrib",
    "tip": "mostly towards the tip",
    "base": "mostly towards the base",
    "spread": "all over the blade",
}
_SIZES_FR: dict[Size, str] = {"small": "de petite taille", "medium": "de taille moyenne", "large": "de grande taille"}
_SIZES_EN: dict[Size, str] = {"small": "small", "medium": "medium-sized", "large": "large"}


@dataclass(frozen=True, slots=True)
class Findings:
    """What the masks of one photo show.

    Attributes:
        share: diseased over leaf area, 0..1.
        count: separate lesions of at least 4 pixels and 3 % of the largest one; less is a crumb of another.
        size: of the median lesion, by its diameter over the side of a square with the leaf's area:
            small below 0.05, large from 0.14.
        place: where on the blade, beside an even spread.
    """

    share: float
    count: int
    size: Size
    place: Spot


def find_place(leaf: Leaf, diseased: NDArray[np.bool_]) -> Spot:
    """Say where on the blade the disease is, against where the blade's tissue is."""
    if not diseased.any():
        return "spread"
    tissue = leaf.tissue > 0.5
    outward = float(np.abs(leaf.across[diseased]).mean() - np.abs(leaf.across[tissue]).mean())
    forward = float(leaf.along[diseased].mean() - leaf.along[tissue].mean())
    if abs(outward) > 0.11 and abs(outward) >= abs(forward):
        return "margin" if outward > 0 else "midrib"
    if abs(forward) > 0.11:
        return "tip" if forward > 0 else "base"
    return "spread"


def read_masks(leaf_mask: NDArray[np.uint8], lesion_mask: NDArray[np.uint8], place: Spot) -> Findings:
    """Count and measure the lesions of one photo."""
    leaf_area = int(np.count_nonzero(leaf_mask))
    _, _, stats, _ = cv2.connectedComponentsWithStats(lesion_mask, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if len(areas):
        areas = areas[areas >= max(_LEAST_LESION_PX, _CRUMB_RATIO * int(areas.max()))]
    diameter = 2 * float(np.sqrt(np.median(areas) / np.pi)) if len(areas) else 0.0
    relative = diameter / float(np.sqrt(leaf_area))
    return Findings(
        share=float(np.count_nonzero(lesion_mask)) / leaf_area,
        count=len(areas),
        size="small" if relative < 0.05 else "medium" if relative < 0.14 else "large",
        place=place,
    )


def describe(demo_class: DemoClass, findings: Findings, rng: np.random.Generator) -> dict[str, str]:
    """Return {"fr": …, "en": …}: two or three sentences that are true of this photo."""
    opening, closing = int(rng.integers(3)), int(rng.integers(3))
    crop = demo_class.crop
    if demo_class.symptom is None:
        return {"fr": _healthy_fr(_CROPS_FR[crop], opening, closing), "en": _healthy_en(crop, opening, closing)}
    return {
        "fr": _sick_fr(_CROPS_FR[crop], demo_class.fr, findings, opening, closing),
        "en": _sick_en(crop, demo_class.en, findings, opening, closing),
    }


def share_words(share: float, language: Literal["fr", "en"]) -> str:
    """Return the share of the leaf in words: exact to 1 % below 10 %, to 5 % above."""
    percent = 100 * share
    if percent < 1:
        return "moins de 1 %" if language == "fr" else "less than 1%"
    rounded = round(percent) if percent < 10 else 5 * round(percent / 5)
    return f"environ {rounded} %" if language == "fr" else f"about {rounded}%"


def count_words(count: int, language: Literal["fr", "en"]) -> str:
    """Return how many: exact up to 12, to five up to 50, to ten up to 100, then "more than 100"."""
    if count <= 12:
        return str(count)
    if count > 100:
        return "plus de 100" if language == "fr" else "more than 100"
    rounded = 5 * round(count / 5) if count <= 50 else 10 * round(count / 10)
    return f"environ {rounded}" if language == "fr" else f"about {rounded}"


def _healthy_fr(crop: str, opening: int, closing: int) -> str:
    starts = (f"Feuille {crop} saine", f"Feuille {crop} sans symptôme visible", f"Cette feuille {crop} paraît saine")
    ends = (
        "limbe vert uniforme, nervures nettes, aucune tache.",
        "le vert est régulier et le limbe entier ; 0 % de surface atteinte.",
        "ni tache, ni pustule, ni décoloration.",
    )
    return f"{starts[opening]} : {ends[closing]}"


def _healthy_en(crop: str, opening: int, closing: int) -> str:
    starts = (
        f"Healthy {crop} leaf",
        f"{crop.capitalize()} leaf without visible symptoms",
        f"This {crop} leaf looks healthy",
    )
    ends = (
        "evenly green blade, clear veins, no spot.",
        "the green is even and the blade whole; 0% of its area is affected.",
        "no spot, no pustule, no discolouration.",
    )
    return f"{starts[opening]}: {ends[closing]}"


def _sick_fr(crop: str, word: Wording, findings: Findings, opening: int, closing: int) -> str:
    share = share_words(findings.share, "fr")
    seen = _lesions_fr(word, findings)
    starts = (f"Feuille {crop} : {seen}", f"Sur cette feuille {crop}, {seen}", f"Feuille {crop} présentant {seen}")
    detail = f", {_agree_fr(word, findings)}" if word.detail else ""
    ends = (
        f"{share[0].upper()}{share[1:]} de la surface est atteinte.",
        f"La surface malade est d'{share}." if share.startswith("environ") else f"La surface malade : {share}.",
        f"Surface atteinte : {share}.",
    )
    return f"{starts[opening]}{detail}, {_PLACES_FR[findings.place]}. {ends[closing]}"


def _sick_en(crop: str, word: Wording, findings: Findings, opening: int, closing: int) -> str:
    share = share_words(findings.share, "en")
    seen = _lesions_en(word, findings)
    article = "An" if crop[0] in "aeiou" else "A"
    starts = (f"{crop.capitalize()} leaf: {seen}", f"On this {crop} leaf, {seen}", f"{article} {crop} leaf with {seen}")
    detail = f", {word.detail}" if word.detail else ""
    ends = (
        f"{share[0].upper()}{share[1:]} of the area is affected.",
        f"The diseased area is {share}.",
        f"Area affected: {share}.",
    )
    return f"{starts[opening]}{detail}, {_PLACES_EN[findings.place]}. {ends[closing]}"


def _lesions_fr(word: Wording, findings: Findings) -> str:
    if not word.many:
        return word.one
    if findings.count == 1:
        return f"{'une' if word.feminine else 'un'} {word.one}, {_SIZES_FR[findings.size]}"
    return f"{count_words(findings.count, 'fr')} {word.many}, {_SIZES_FR[findings.size]}"


def _lesions_en(word: Wording, findings: Findings) -> str:
    if not word.many:
        return word.one
    if findings.count == 1:
        return f"one {_SIZES_EN[findings.size]} {word.one}"
    return f"{count_words(findings.count, 'en')} {_SIZES_EN[findings.size]} {word.many}"


def _agree_fr(word: Wording, findings: Findings) -> str:
    """Put the detail's leading participle in the singular when there is one lesion."""
    if not word.many or findings.count != 1:
        return word.detail
    head, space, rest = word.detail.partition(" ")
    return (head.removesuffix("s") if head.endswith("es") else head) + space + rest
