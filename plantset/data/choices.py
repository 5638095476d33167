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


@dataclass(frozen=True, slots=True)
class MixPolicy:
    """How often two photos of a batch become two mixtures, and of what kind.

    Attributes:
        mixup: alpha of the Beta distribution that shares of MixUp are drawn from; 0 for none.
        cutmix: the same for CutMix; where both are asked for, each pair draws one of them.
        prob: of a pair to be mixed at all.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    prob: float = 0.5

    @property
    def mixes(self) -> bool:
        """Return whether any pair is ever mixed."""
        return self.prob > 0 and (self.mixup > 0 or self.cutmix > 0)
