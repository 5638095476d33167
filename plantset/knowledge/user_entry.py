"""One entry of a user's own file of diseases, whatever shape the file had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plantset.core.records import Texts


@dataclass(frozen=True, slots=True)
class UserEntry:
    """What the user says of one disease.

    Attributes:
        name: as the file has it.
        crops: as the file has them; empty where it names none.
        agent: scientific name as the file has it, or "".
        kind: what the cause is, as the file has it, or "".
        texts: language tag -> what the file says in that language.
        extra: fields that are not understood, kept as text.
    """

    name: str
    crops: tuple[str, ...] = ()
    agent: str = ""
    kind: str = ""
    texts: Mapping[str, Texts] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserFile:
    """All entries of a file, and what was odd about it.

    Attributes:
        duplicates: names that stand more than once (both entries are kept).
        unknown_fields: field name -> in how many entries it stands.
    """

    entries: tuple[UserEntry, ...] = ()
    duplicates: tuple[str, ...] = ()
    unknown_fields: Mapping[str, int] = field(default_factory=dict)
