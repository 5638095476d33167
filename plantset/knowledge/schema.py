"""What an agronomist knows of a crop and of a disease, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal[
    "healthy",
    "fungus",
    "oomycete",
    "bacterium",
    "virus",
    "phytoplasma",
    "alga",
    "nematode",
    "insect",
    "mite",
    "deficiency",
    "abiotic",
    "complex",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ANY_CROP = "any"
HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Crop:
    """One crop and its names.

    Attributes:
        crop_id: kebab-case English, the left part of its diseases' ids.
        name: language tag -> common name, lower case, singular where usage allows.
        fr_gender: "f" or "m" of the French name, for articles.
        fr_plural: True when the French name is a plural (agrumes).
        scientific: scientific name.
        also: other names in any language: the tree's name, spellings seen in the wild.
    """

    crop_id: str
    name: Mapping[str, str]
    fr_gender: Literal["f", "m"]
    scientific: str
    fr_plural: bool = False
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalText:
    """What is said of a disease in one language, in short plain sentences.

    Attributes:
        symptoms: colour, shape and place; the most telling sentence first.
        management: what a grower can do.
        confused_with: how to tell it from its look-alikes.
    """

    symptoms: tuple[str, ...]
    management: tuple[str, ...]
    confused_with: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disease:
    """One identity: a crop with a disease, pest, virus, deficiency or disorder, or the crop's healthy state.

    Attributes:
        disease_id: `crop--disease`, or `any--…` for what holds on several or unnamed crops.
        crop_id: its crop, or "any".
        name: language tag -> name without the crop's.
        also: names that mean this disease once the crop is known.
        alone: names that mean this disease even when no crop is named.
        agents: scientific names of the cause, the accepted one first; a lone genus stands for all its species.
        kind: what the cause is.
        hosts: of an `any--…` identity, the crops that it holds for; empty means every crop.
        text: language tag -> what is said of it.
    """

    disease_id: str
    crop_id: str
    name: Mapping[str, str]
    kind: Kind
    text: Mapping[str, LocalText]
    also: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @property
    def agent(self) -> str:
        """Return the accepted scientific name, or an empty text where nothing living is the cause."""
        return self.agents[0] if self.agents else ""

    def holds_for(self, crop_id: str) -> bool:
        """Return whether this identity's text is true on that crop."""
        return self.crop_id == crop_id or (self.crop_id == ANY_CROP and (not self.hosts or crop_id in self.hosts))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All identities and crops; the ids are sorted."""

    crops: Mapping[str, Crop]
    diseases: Mapping[str, Disease]
    symbols: Mapping[str, str] = field(default_factory=dict)

    def get(self, disease_id: str) -> Disease | None:
        """Return the identity, or None where the catalogue has none of that id."""
        return self.diseases.get(disease_id)

    def crop_of(self, disease: Disease) -> Crop | None:
        """Return the crop of an identity; None for `any--…`."""
        return self.crops.get(disease.crop_id)
