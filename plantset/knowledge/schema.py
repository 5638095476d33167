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
    "mollusc",
    "vertebrate",
    "parasitic-plant",
    "viroid",
    "protist",
    "deficiency",
    "abiotic",
    "complex",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Organ = Literal["leaf", "stem", "root", "flower", "fruit", "grain", "tuber", "plant", "pest"]
ORGANS: tuple[Organ, ...] = get_args(Organ)
Measure = Literal["cultural", "biological", "chemical"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
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
class LookAlike:
    """What an identity is confused with, and how to tell them apart; `disease_id` is "" where it is none of ours."""

    disease_id: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalText:
    """What is said of a disease in one language, in short plain sentences.

    Attributes:
        organs: what shows on each organ, leaf first; the most telling sentence of an organ first.
        conditions: weather, soil, season and spread that favour it.
        measures: what a grower can do.
        look_alikes: how to tell it from what resembles it.
    """

    organs: Mapping[Organ, tuple[str, ...]]
    conditions: tuple[str, ...] = ()
    measures: Mapping[Measure, tuple[str, ...]] = field(default_factory=dict)
    look_alikes: tuple[LookAlike, ...] = ()

    @property
    def symptoms(self) -> tuple[str, ...]:
        """Return the sentences of every organ, leaf first."""
        return tuple(sentence for sentences in self.organs.values() for sentence in sentences)

    @property
    def management(self) -> tuple[str, ...]:
        """Return every measure: cultural, then biological, then chemical."""
        return tuple(sentence for measure in MEASURES for sentence in self.measures.get(measure, ()))

    @property
    def confused_with(self) -> tuple[str, ...]:
        """Return how to tell it from all that resembles it."""
        return tuple(sentence for look_alike in self.look_alikes for sentence in look_alike.sentences)


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
        text: language tag (BCP-47) -> what is said of it; French and English are always there.
        eppo: codes of the EPPO Global Database.
        sources: what was read for it: title, publisher, address.
        unverified: the parts for which no source was read (`conditions`, `management.chemical`, …).
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
    eppo: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

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
