"""Class names as one tree: the same likelihoods as name by name."""

from __future__ import annotations

import pytest
import torch

from plantset.core.vocabulary import END_ID, PAD_ID
from plantset.models.captioner import Captioner
from plantset.models.name_scoring import NameScorer, class_name_ids, class_text
from tests.models.small import CLASS_NAMES, VOCABULARY

NAMES = ((2, 3, 7, 8, END_ID), (2, 3, 7, END_ID), (2, 3, 7, 8, 9, END_ID), (2, 3, 10, END_ID))


@pytest.fixture
def captioner() -> Captioner:
    torch.manual_seed(0)
    built = Captioner(23, 12, image_width=10, width=16, num_heads=4, num_layers=2)
    with torch.no_grad():
        for weight in built.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return built.eval()


def _image(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 4, 10, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_a_score_is_the_mean_log_likelihood_of_the_name_and_its_end(captioner: Captioner) -> None:
    expected = torch.zeros(3, len(NAMES))
    for label, ids in enumerate(NAMES):
        log_probs = captioner(torch.tensor([ids] * 3)[:, :-1], _image()).log_softmax(dim=-1)
        steps = [log_probs[:, position - 1, ids[position]] for position in range(2, len(ids))]
        expected[:, label] = torch.stack(steps).mean(dim=0)

    torch.testing.assert_close(NameScorer(NAMES)(captioner, _image()), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_scoring_is_the_same_in_one_pass_and_in_many(captioner: Captioner, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = NameScorer(NAMES)
    at_once = scorer(captioner, _image())

    monkeypatch.setattr("plantset.models.name_scoring._MAX_NODES", 1)

    torch.testing.assert_close(scorer(captioner, _image()), at_once, rtol=1e-5, atol=1e-6)


def test_names_share_the_nodes_of_their_beginnings() -> None:
    scorer = NameScorer(NAMES)

    assert scorer.ids_M.tolist() == [2, 3, 7, 8, 9, 10]
    assert scorer.positions_M.tolist() == [0, 1, 2, 3, 4, 2]
    assert scorer.allowed_MM[5].tolist() == [True, True, False, False, False, True]


def test_the_captioner_learns_the_padded_name_of_each_label() -> None:
    rows = NameScorer(NAMES).targets(torch.tensor([1, 0]))

    assert rows.tolist() == [[2, 3, 7, END_ID, PAD_ID, PAD_ID], [2, 3, 7, 8, END_ID, PAD_ID]]


def test_a_name_is_written_as_words_after_its_task_and_language() -> None:
    ids = class_name_ids(VOCABULARY, [class_text(name) for name in CLASS_NAMES], "fr")

    assert all(list(row[:2]) == VOCABULARY.prompt_ids("fr", "CLASSIFY") for row in ids)
    assert VOCABULARY.decode(ids[3][2:]) == "tomato: late blight"


def test_no_two_class_ids_have_one_text() -> None:
    assert class_text("a--b-c") != class_text("a-b--c")
