"""The page in a real browser: what is pressed is what `clean` reads back."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from plantset.core.corrections import read_corrections
from plantset.evaluation.review.config import ReviewConfig
from plantset.evaluation.review.run import review
from tests.review.conftest import Answer, WriteAnswers

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

BLIGHT, MILDEW, RUST = "tomato--late-blight", "tomato--powdery-mildew", "maize--rust"
PRESS = """
<script>
const key = (name, target = document.activeElement) =>
  target.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true, cancelable: true}));
const type = (card, text) => { card.querySelector("input").value = text; key("Enter", card.querySelector("input")); };
const result = document.createElement("pre");
result.id = "result";
{ACTIONS}
result.textContent = table();
document.body.append(result);
</script>
"""


@pytest.fixture
def page(tmp_path: Path, manifest: Path, write_answers: WriteAnswers, answer: Answer) -> Path:
    """Four rust photos that the model calls otherwise, in the order of their numbers."""
    answers = [answer(f"{RUST}_val_{n}.jpg", {BLIGHT: 0.9 - n / 10, RUST: n / 100 + 0.01}) for n in range(4)]
    output = tmp_path / "review.html"
    review(ReviewConfig((write_answers(*answers),), jsonl_file=manifest, output=output))
    return output


def press(page: Path, actions: str) -> str:
    """Do what the lines of JavaScript say and return the table that the export button would save."""
    driven = page.with_name("driven.html")
    text = page.read_text(encoding="utf-8")
    driven.write_text(text.replace("</body>", PRESS.replace("{ACTIONS}", actions) + "</body>"), encoding="utf-8")
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={page.parent / 'chrome'}",
    ]
    found = subprocess.run(
        [*command, "--dump-dom", driven.as_uri()], capture_output=True, text=True, check=True, timeout=60
    )
    result = re.search(r'<pre id="result">(.*?)</pre>', found.stdout, re.DOTALL)
    assert result is not None
    return html.unescape(result[1])


def decided(page: Path, actions: str) -> dict[str, tuple[str, str]]:
    table = page.with_name("corrections.csv")
    table.write_text(press(page, actions), encoding="utf-8")
    return {Path(path).stem[-1]: (c.decision, c.new_label) for path, c in read_corrections(table).items()}


def test_each_button_writes_its_decision(page: Path) -> None:
    found = decided(
        page,
        """
        cards[0].querySelector("[data-do=keep]").click();
        cards[1].querySelector("[data-do=reject]").click();
        cards[2].querySelector(".answers button").click();
        cards[3].querySelector("input").value = "brand, \\"new\\"";
        cards[3].querySelector("[data-do=relabel]").click();
        """,
    )

    assert found == {
        "0": ("keep", "maize rust"),
        "1": ("reject", "maize rust"),
        "2": ("relabel", "tomato late-blight"),
        "3": ("relabel", 'brand, "new"'),
    }


def test_keys_decide_and_go_on_to_the_next_photo(page: Path) -> None:
    found = decided(
        page, 'key("ArrowDown", document.body); key("k"); key("x"); key("1"); type(cards[3], "tomato healthy");'
    )

    assert found == {
        "0": ("keep", "maize rust"),
        "1": ("reject", "maize rust"),
        "2": ("relabel", "tomato late-blight"),
        "3": ("relabel", "tomato healthy"),
    }


def test_a_decision_can_be_undone(page: Path) -> None:
    assert decided(page, 'cards[0].focus(); key("x"); cards[0].focus(); key("u");') == {}


def test_giving_a_photo_its_own_label_keeps_it(page: Path) -> None:
    assert decided(page, 'type(cards[0], "maize rust");') == {"0": ("keep", "maize rust")}


def test_the_name_of_a_class_stands_for_its_label(page: Path) -> None:
    found = decided(page, 'type(cards[0], "Tomato · Late blight");')

    assert found == {"0": ("relabel", "tomato late-blight")}


def test_keys_typed_into_the_field_decide_nothing(page: Path) -> None:
    assert decided(page, 'key("x", cards[0].querySelector("input"));') == {}


def test_decisions_outlive_the_page(page: Path) -> None:
    press(page, "cards[0].querySelector('[data-do=reject]').click();")

    assert decided(page, "") == {"0": ("reject", "maize rust")}


def test_the_export_button_saves_the_table(page: Path) -> None:
    table = press(
        page,
        """
        let saved = null;
        URL.createObjectURL = (blob) => { saved = blob; return "blob:none"; };
        HTMLAnchorElement.prototype.click = function () { document.title = this.download + " " + saved.size; };
        cards[0].querySelector("[data-do=keep]").click();
        document.getElementById("export").click();
        if (document.title !== "corrections.csv " + new Blob([table()]).size) throw new Error(document.title);
        """,
    )

    assert table.count("\n") == 2
