"""From a folder to the page and back: what is decided on the page is what the next clean does."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.photo import encode_jpeg
from plantset.core.records import read_clean_records
from plantset.evaluation.review.config import ReviewConfig
from plantset.evaluation.review.run import review
from plantset.knowledge.config import MapConfig
from plantset.knowledge.run import map_texts
from tests.clean.conftest import leaf_like

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_decisions_of_the_page_change_the_next_manifest(tmp_path: Path) -> None:
    for number in range(4):
        for label in ("Tomato late blight", "Tomato, healthy"):
            path = tmp_path / "photos" / label / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_jpeg(leaf_like(hash_of(label, number))))
    config = CleanConfig(tmp_path / "photos", output_file=tmp_path / "clean.jsonl", num_workers=0, audit=False)
    clean(config)
    manifest = tmp_path / "mapped.jsonl"
    map_texts(MapConfig(dataset_jsonl=config.output_file, output_file=manifest))
    records = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    predictions = tmp_path / "predictions.jsonl"
    predictions.write_text("\n".join(map(answer, records)), encoding="utf-8")
    page = tmp_path / "review.html"
    review(ReviewConfig((predictions,), jsonl_file=manifest, output=page))

    table = tmp_path / "corrections.csv"
    table.write_text(exported(page), encoding="utf-8")
    report = clean(CleanConfig(**{**vars(config), "corrections": (table,)}))

    moved = [record for record in read_clean_records(config.output_file) if record.label_before]
    assert report.corrected == {"relabel": 1, "reject": 1}
    assert [(record.source_path, record.label) for record in moved] == [("Tomato, healthy/0.jpg", "Tomato late blight")]


def hash_of(label: str, number: int) -> int:
    return 10 * len(label) + number


def answer(record: dict[str, str]) -> str:
    """Take the first two healthy leaves for late blight."""
    wrong = record["source_path"] in ("Tomato, healthy/0.jpg", "Tomato, healthy/1.jpg")
    prob = 0.9 - 0.1 * int(record["source_path"][-5])
    listed = [{"class_id": "tomato--late-blight" if wrong else record["class_id"], "probability": prob}]
    row = {"image_path": record["image_path"], "class_id": record["class_id"], "decision": "answer", "top5": listed}
    return json.dumps(row)


def exported(page: Path) -> str:
    """Take the model's answer for the first photo and reject the second, as the page's own buttons do."""
    script = """<script>
    cards[0].querySelector(".answers button").click();
    cards[1].querySelector("[data-do=reject]").click();
    const result = document.createElement("pre"); result.id = "result"; result.textContent = table();
    document.body.append(result);
    </script></body>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={page.parent / 'chrome'}",
    ]
    dom = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])
