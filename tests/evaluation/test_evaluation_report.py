from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from plantset.core.language import Language, set_message_language
from plantset.core.page import percent, typeset
from plantset.core.records import find_images_dir, read_records
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.intervals import Estimate
from plantset.evaluation.measure import evaluate_model
from plantset.evaluation.output import write_evaluation
from plantset.evaluation.report import points
from plantset.evaluation.results import EvaluationResults, GroupCheck
from plantset.evaluation.verdict import percent_with_interval, write_verdict

from .conftest import ColourModel


@pytest.fixture(autouse=True)
def _any_language() -> Iterator[None]:
    yield
    set_message_language(None)


@pytest.fixture
def results(colour_config: EvaluateConfig) -> EvaluationResults:
    records = read_records(colour_config.jsonl_file)
    images_dir = find_images_dir(colour_config.jsonl_file, records, None)
    return evaluate_model(ColourModel(), records, images_dir, colour_config).results


def render(config: EvaluateConfig, language: Language, model: ColourModel | None = None) -> str:
    set_message_language(language)
    records = read_records(config.jsonl_file)
    evaluation = evaluate_model(
        model or ColourModel(), records, find_images_dir(config.jsonl_file, records, None), config
    )
    write_evaluation(config.output_dir, evaluation)
    return (config.output_dir / "report.html").read_text(encoding="utf-8")


def tones(results: EvaluationResults) -> dict[str, str]:
    set_message_language("en")
    return {sentence.text: sentence.tone for sentence in write_verdict(results)}


class _Balance(HTMLParser):
    """Every tag that opens closes, in order."""

    VOID = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_page_is_whole_and_needs_nothing_beside_itself(colour_config: EvaluateConfig, language: Language) -> None:
    page = render(colour_config, language)

    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    assert "{{" not in page
    assert "{%" not in page
    assert len(parser.addresses) == 5  # four plots and the photo of the one confusion
    assert all(address.startswith("data:image/") for address in parser.addresses)
    assert f'<html lang="{language}">' in page


def test_the_page_fits_a_phone(colour_config: EvaluateConfig) -> None:
    assert 'name="viewport" content="width=device-width' in render(colour_config, "fr")


def test_the_verdict_comes_before_any_picture_or_table(colour_config: EvaluateConfig) -> None:
    page = render(colour_config, "fr")

    assert 0 < page.index('class="main"') < min(page.index("<img"), page.index("<table"))


def test_the_french_page_speaks_french(colour_config: EvaluateConfig) -> None:
    page = render(colour_config, "fr")

    words = re.sub(r"<[^>]+>|data:[^\"]+", " ", page[page.index("<body>") :])
    assert "93,8\u202f%" in words
    assert not re.search(r"\b(the|photos of|leaves|accuracy is)\b", words)


def test_the_selection_split_is_named(colour_config: EvaluateConfig) -> None:
    assert "selection split" in render(colour_config, "en")
    assert "jeu de sélection" in render(colour_config, "fr")


def test_a_leak_is_a_red_line(colour_config: EvaluateConfig) -> None:
    page = render(colour_config, "en", ColourModel(note_weight=50.0))

    assert re.search(r'<li class="alarm">The note alone beats the photo alone', page)


def test_a_page_without_notes_and_captions_says_why(colour_config: EvaluateConfig) -> None:
    page = render(colour_config, "en", ColourModel(takes_notes=False, languages=()))

    assert "the model takes no grower" in page
    assert "the model writes none" in page


def test_text_from_the_manifest_cannot_become_markup(colour_config: EvaluateConfig, tmp_path: Path) -> None:
    references = tmp_path / "references.jsonl"
    photo = next(row for row in read_records(colour_config.jsonl_file) if row.split == "val").image_path
    line = f'{{"image_path": "{photo}", "references": ["<script>alert(1)</script>"]}}\n'
    references.write_text(line, encoding="utf-8")

    page = render(dataclasses.replace(colour_config, reference_texts=references), "en")

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_small_sample_is_warned_of(results: EvaluationResults) -> None:
    assert any("Small sample (8 leaves)" in text and tone == "warning" for text, tone in tones(results).items())


def test_leaves_seen_in_training_are_an_alarm(results: EvaluationResults) -> None:
    leaking = dataclasses.replace(results, groups=GroupCheck(False, 0, 3))

    assert any(
        "3 photos show leaves that training also saw" in text
        for text, tone in tones(leaking).items()
        if tone == "alarm"
    )


def test_scores_on_training_photos_are_an_alarm(results: EvaluationResults) -> None:
    trained = dataclasses.replace(results, split="train")

    assert any("photos it learnt from" in text for text, tone in tones(trained).items() if tone == "alarm")


def test_a_model_worse_than_a_constant_is_an_alarm(results: EvaluationResults) -> None:
    scores = dataclasses.replace(results.classification, accuracy=Estimate(0.2))
    poor = dataclasses.replace(results, classification=scores)

    alarms = [text for text, tone in tones(poor).items() if tone == "alarm"]
    assert any("commonest class" in text for text in alarms)
    assert any("wrong more often than right" in text for text in alarms)


def test_one_error_in_sixteen_is_said_so(results: EvaluationResults) -> None:
    assert any("one wrong answer in 16" in text for text in tones(results))


def test_numbers_are_written_as_their_language_writes_them() -> None:
    estimate = Estimate(0.842, 0.79, 0.8805)

    set_message_language("fr")
    assert percent_with_interval(estimate) == "84,2\u202f% (79,0\u202f% à 88,0\u202f%)"
    set_message_language("en")
    assert percent_with_interval(estimate) == "84.2% (79.0% to 88.0%)"
    assert percent(0.5, 0) == "50%"


def test_french_signs_do_not_start_a_line() -> None:
    set_message_language("fr")

    assert typeset("Sûr ? « Oui » : 80 %") == "Sûr\u202f? «\u00a0Oui\u00a0»\u00a0: 80\u202f%"


def test_english_is_left_as_it_is() -> None:
    set_message_language("en")

    assert typeset("80 % ?") == "80 % ?"


def test_differences_are_signed_points() -> None:
    set_message_language("en")

    assert points(Estimate(-0.051, -0.1, 0.002)) == "−5.1 (−10.0 to +0.2)"


def test_the_scores_by_crop_call_each_crop_as_the_reader_does(colour_config: EvaluateConfig) -> None:
    page = render(colour_config, "fr")

    by_crop = page.split("Par culture")[1].split("</table>")[0]
    assert "<th>tomate</th>" in by_crop
    assert "<th>tomato</th>" not in by_crop


def test_the_style_of_photos_is_called_as_the_reader_does(colour_config: EvaluateConfig) -> None:
    page = render(colour_config, "fr")

    assert "<th>champ</th>" in page
    assert "<th>laboratoire</th>" in page
