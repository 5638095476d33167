"""What spoils a training view: each kind does what it says, as often and as far as the policy says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from plantset.data import corruptions
from plantset.data.choices import AugmentPolicy
from plantset.data.corruptions import Pixels, add_noise, blur, compress, corrupt_view, expose, shrink


def _view(seed: int = 0, side: int = 64) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, size=(side, side, 3), dtype=np.uint8)


def test_a_blurred_point_has_the_asked_width() -> None:
    """A bright point becomes a Gaussian: its second moment is the square of the standard deviation."""
    view = np.zeros((101, 101, 3), np.uint8)
    view[50, 50] = 255
    wide = cv2.GaussianBlur(np.float32(view[:, :, 0]), (0, 0), 2.02)

    spread = blur(view, 0.02)[:, :, 0].astype(float)

    assert np.abs(spread - wide).max() <= 0.51


def test_shrinking_by_two_averages_blocks_and_keeps_the_size() -> None:
    view = np.repeat(np.repeat(np.array([[40, 200], [200, 40]], np.uint8), 32, 0), 32, 1)[:, :, None].repeat(3, 2)

    small = shrink(view, 2)

    assert small.shape == view.shape
    assert small[8, 8].tolist() == [40, 40, 40]


def test_grain_is_grey_and_as_strong_as_asked() -> None:
    view = np.full((128, 128, 3), 128, np.uint8)

    grain = add_noise(view, 10.0, np.random.default_rng(0)).astype(float) - 128

    assert np.ptp(grain, axis=2).max() == 0
    assert grain.std() == pytest.approx(10.0, rel=0.03)


def test_exposure_multiplies_the_light_up_to_white() -> None:
    view = np.array([[[10, 100, 250]]], np.uint8)

    assert expose(view, 1.5).tolist() == [[[15, 150, 255]]]


def test_a_lower_quality_takes_more_away() -> None:
    view = cv2.GaussianBlur(_view(), (0, 0), 2)

    losses = [np.abs(compress(view, quality).astype(float) - view).mean() for quality in (90, 40, 10)]

    assert losses == sorted(losses)


def test_a_probability_of_zero_spoils_nothing() -> None:
    view = _view()

    assert np.array_equal(corrupt_view(view, AugmentPolicy("strong", prob=0.0), np.random.default_rng(0)), view)


def test_each_kind_comes_as_often_as_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = dict.fromkeys("abc", 0)

    def counting(name: str) -> object:
        def corruption(view: Pixels, _amount: float, _rng: np.random.Generator) -> Pixels:
            counts[name] += 1
            return view

        return corruption

    monkeypatch.setattr(corruptions, "_IN_ORDER", tuple(counting(name) for name in counts))
    rng = np.random.default_rng(0)
    for _ in range(2000):
        corrupt_view(_view(side=2), AugmentPolicy("strong", prob=0.3), rng)

    assert [count / 2000 for count in counts.values()] == pytest.approx([0.3] * 3, abs=0.03)


def test_half_the_strength_goes_half_as_far(monkeypatch: pytest.MonkeyPatch) -> None:
    amounts: list[float] = []
    monkeypatch.setattr(corruptions, "_IN_ORDER", (lambda view, amount, _: amounts.append(amount) or view,))
    for seed in range(200):
        for strength in (1.0, 0.5):
            policy = AugmentPolicy("strong", prob=1.0, strength=strength)
            corrupt_view(_view(side=2), policy, np.random.default_rng(seed))

    assert np.allclose(np.array(amounts[1::2]) * 2, amounts[::2])
    assert 0.45 < np.mean(amounts[::2]) < 0.55
