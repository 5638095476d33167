"""Hidden tokens: a fixed share, a function of (seed, epoch, index), predicted from the others alone."""

from __future__ import annotations

import math

import pytest
import torch

from plantset.models.fusion import EncoderFusion
from plantset.models.masking import IMAGE_RATIO, MaskedModelling, choose_hidden
from plantset.models.objectives import masked_losses

EVERYWHERE = torch.ones(3, 25, dtype=torch.bool)


def hidden(indices: list[int], *, seed: int = 0, epoch: int = 0) -> torch.Tensor:
    return choose_hidden(
        EVERYWHERE[: len(indices)], IMAGE_RATIO, seed=seed, epoch=epoch, indices_B=torch.tensor(indices)
    )


@pytest.fixture
def fusion() -> EncoderFusion:
    torch.manual_seed(0)
    return EncoderFusion(16, 2, 1).eval()


@pytest.fixture
def masking() -> MaskedModelling:
    torch.manual_seed(1)
    return MaskedModelling(16, 12, 10, (5, 5)).eval()


def test_the_same_number_of_tokens_is_hidden_in_each_photo() -> None:
    assert hidden([4, 9, 11]).sum(dim=1).tolist() == [10, 10, 10]


def test_what_is_hidden_depends_on_the_photo_and_not_on_its_place_in_the_batch() -> None:
    assert torch.equal(hidden([4, 9, 11])[2], hidden([11])[0])


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}])
def test_another_seed_or_epoch_hides_other_tokens(other: dict[str, int]) -> None:
    assert not torch.equal(hidden([4]), hidden([4], **other))


def test_only_real_tokens_of_a_note_are_hidden_and_at_least_one() -> None:
    mask = torch.tensor([[True, True, False, False], [False, False, True, True], [False] * 4])

    chosen = choose_hidden(mask, 0.15, seed=0, epoch=0, indices_B=torch.arange(3))

    assert chosen.sum(dim=1).tolist() == [1, 1, 0]
    assert not (chosen & ~mask).any()


def test_the_loss_is_one_minus_the_cosine_of_the_hidden_tokens() -> None:
    predicted = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [5.0, 5.0]]])
    target = torch.tensor([[[0.0, 2.0], [3.0, 3.0], [-1.0, 0.0]]])

    loss = masked_losses(predicted, target, torch.tensor([[True, True, False]]))

    assert float(loss) == pytest.approx((1.0 + 1.0 - math.sqrt(0.5)) / 2)


def test_a_row_without_a_hidden_token_has_no_loss_and_no_gradient() -> None:
    predicted = torch.randn(1, 3, 2, requires_grad=True)

    loss = masked_losses(predicted, torch.randn(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool))
    loss.sum().backward()

    assert loss.tolist() == [0.0]
    assert torch.equal(predicted.grad, torch.zeros(1, 3, 2))


def test_no_gradient_flows_into_the_target() -> None:
    target = torch.randn(1, 3, 2, requires_grad=True)

    loss = masked_losses(torch.randn(1, 3, 2, requires_grad=True), target, torch.ones(1, 3, dtype=torch.bool))
    loss.sum().backward()

    assert target.grad is None


def test_what_a_hidden_image_token_was_cannot_be_read_anywhere(fusion: EncoderFusion, masking: MaskedModelling) -> None:
    image, targets = torch.randn(1, 25, 16), torch.randn(1, 25, 12)
    chosen = hidden([4])
    changed = torch.where(chosen[..., None], torch.randn(1, 25, 16), image)

    loss = masking.image_losses(fusion, image, targets, chosen)

    assert torch.equal(masking.image_losses(fusion, changed, targets, chosen), loss)


def test_a_visible_image_token_helps_to_predict_the_hidden_ones(
    fusion: EncoderFusion, masking: MaskedModelling
) -> None:
    image = torch.randn(1, 25, 16, requires_grad=True)
    chosen = hidden([4])

    masking.image_losses(fusion, image, torch.randn(1, 25, 12), chosen).sum().backward()

    reached = image.grad.abs().sum(dim=-1) > 0  # type: ignore[union-attr]
    assert torch.equal(reached, ~chosen)


def test_the_pair_lets_the_photo_help_the_note(fusion: EncoderFusion, masking: MaskedModelling) -> None:
    image, note = torch.randn(1, 25, 16, requires_grad=True), torch.randn(1, 6, 16)
    nothing, mask = torch.zeros(1, 25, dtype=torch.bool), torch.ones(1, 6, dtype=torch.bool)
    hidden_note = torch.tensor([[False, True, False, False, False, False]])

    masking.pair_losses(
        fusion, (image, torch.randn(1, 25, 12), nothing), (note, torch.randn(1, 6, 10), hidden_note), mask
    ).sum().backward()

    assert (image.grad.abs().sum(dim=-1) > 0).all()  # type: ignore[union-attr]


def test_the_image_loss_alone_leaves_the_note_head_without_a_gradient(
    fusion: EncoderFusion, masking: MaskedModelling
) -> None:
    masking.image_losses(fusion, torch.randn(1, 25, 16), torch.randn(1, 25, 12), hidden([4])).sum().backward()

    silent = {name.split(".")[0] for name, weight in masking.named_parameters() if weight.grad is None}
    assert silent == {"note_mask", "note_head"}


def test_hidden_tokens_can_be_learnt_from_the_visible_ones(fusion: EncoderFusion, masking: MaskedModelling) -> None:
    torch.manual_seed(2)
    kind = torch.randint(0, 2, (32,))
    image = torch.randn(2, 16)[kind][:, None].expand(-1, 25, -1)  # all of a photo's tokens are alike
    targets = torch.randn(2, 12)[kind][:, None].expand(-1, 25, -1)
    chosen = choose_hidden(
        torch.ones(32, 25, dtype=torch.bool), IMAGE_RATIO, seed=0, epoch=0, indices_B=torch.arange(32)
    )
    optimizer = torch.optim.Adam([*fusion.parameters(), *masking.parameters()], lr=1e-2)

    for _ in range(60):
        loss = masking.image_losses(fusion, image, targets, chosen).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert loss.item() < 0.05
