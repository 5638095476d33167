"""What can be chosen of the data side, by name; without NumPy, so that `--help` stays instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CacheDtype = Literal["fp16", "fp32"]
Sampling = Literal["natural", "sqrt", "balanced"]
Augment = Literal["none", "light", "strong"]


@dataclass(frozen=True, slots=True)
class AugmentPolicy:
    """How the views that training sees differ from the photo; colours never turn.

    Attributes:
        kind: none is the view that evaluation sees; light crops, turns and changes the light a little; strong also
            spoils some views as cameras and messengers do (`data.corruptions`).
        prob: of each kind of spoiling in a strong view.
        strength: how far spoiling goes at most; 1 blurs by up to 1.6 % of the side, and so on.
    """

    kind: Augment = "light"
    prob: float = 0.25
    strength: float = 1.0
