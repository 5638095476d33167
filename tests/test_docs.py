"""The pages say what is true: trees, flags, and no flag without effect."""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from plantset.cli import VERBS, load_object
from plantset.core.options import option_flags

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "script_plantset" / "README.md"]
    if page.name != "CHANGELOG.md"
)
TREES = [ROOT / "README.md", ROOT / "README.en.md", ROOT / "script_plantset" / "README.md"]
PROGRAMS = {
    "data_cleaner.py": "clean",
    "text_mapper.py": "map",
    "train.py": "train",
    "evaluate.py": "evaluate",
    "infer.py": "infer",
    "scaler_tpu.py": "scale-tpu",
}
EVERYWHERE = {"--help", "--lang", "--recipe", "--version"}
# DESIGN §2: the flags that existing users type
CONTRACT = {
    "clean": "--data-dir --min-size --target-size --output-file --labels-csv --image-column --label-column "
    "--group-column --split-column --images-dir --test-ratio --fix-leaks",
    "map": "--diseases-json --dataset-jsonl --output-file --language",
    "train": "--jsonl-file --root-dir --num-classes --vision-backbone --text-model --epochs --batch-size "
    "--mixed-precision --checkpoint-dir --preset --learning-rate --weight-decay --warmup-steps --class-weights "
    "--image-size --text-length --vision-dim --text-dim --fusion-dim --num-attention-heads --num-attention-layers "
    "--pretrained --no-pretrained --freeze-vision --freeze-text --gradient-checkpointing --gradient-clip --num-workers "
    "--device --seed --language --log-dir --resume --init-checkpoint --save-every --early-stopping",
    "evaluate": "--checkpoint --jsonl-file --root-dir --num-classes --output-dir --split --reference-texts",
    "infer": "--checkpoint --num-classes --image --text --top-k --generate-description --output",
    "run": "--photos --diseases-json",
}
CONTRACT["scale-tpu"] = CONTRACT["train"] + " --tpu-cores"
DEFAULTS = {
    ("clean", "min_size"): 256,
    ("clean", "target_size"): 512,
    ("clean", "output_file"): Path("dataset_clean.jsonl"),
    ("map", "output_file"): Path("multimodal_dataset.jsonl"),
    ("map", "language"): "fr",
    ("train", "checkpoint_dir"): Path("checkpoints"),
    ("scale-tpu", "tpu_cores"): 8,
    ("evaluate", "output_dir"): Path("evaluation_results"),
    ("evaluate", "split"): "val",
    ("infer", "top_k"): 5,
}


def flags_of(verb: str) -> dict[str, str]:
    return option_flags(load_object(VERBS[verb].config))


@pytest.mark.parametrize(("verb", "flag"), [(verb, flag) for verb, flags in CONTRACT.items() for flag in flags.split()])
def test_a_flag_of_the_contract_exists(verb: str, flag: str) -> None:
    assert flag in flags_of(verb)


@pytest.mark.parametrize(("verb", "field_name"), DEFAULTS)
def test_a_default_of_the_contract_holds(verb: str, field_name: str) -> None:
    config = load_object(VERBS[verb].config)

    assert config.__dataclass_fields__[field_name].default == DEFAULTS[verb, field_name]


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_is_explained_in_both_languages(verb: str) -> None:
    fields = dataclasses.fields(load_object(VERBS[verb].config))

    assert [field.name for field in fields if len(field.metadata["en"]) < 5 or len(field.metadata["fr"]) < 5] == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_help_text_is_translated_and_not_repeated(verb: str) -> None:
    fields = dataclasses.fields(load_object(VERBS[verb].config))

    assert [field.name for field in fields if field.metadata["en"] == field.metadata["fr"]] == []
    assert [field.name for field in fields if "%%" in field.metadata["en"] + field.metadata["fr"]] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_acts(verb: str) -> None:
    """A field that no module but its config reads is a flag without effect."""
    address = VERBS[verb].config.partition(":")[0]
    layer = ROOT / Path(*address.split(".")[:2])
    read = set().union(*(attributes_read(path) for path in layer.rglob("*.py") if path.name != "config.py"))

    assert sorted(set(flags_of(verb).values()) - read) == []


@cache
def attributes_read(path: Path) -> frozenset[str]:
    """Return the names that a file reads from something called config (`config.seed`, `self.config.seed`)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if owner.strip("_").endswith(("config", "options", "settings")):
                found.add(node.attr)
    return frozenset(found)


def test_the_command_reference_is_what_help_says() -> None:
    result = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("page", TREES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_tree_names_what_is_there(page: Path) -> None:
    missing = [entry for entry in tree_entries(page) if not (ROOT / entry).exists()]

    assert missing == []


@pytest.mark.parametrize("page", TREES[:2], ids=lambda page: page.name)
def test_a_tree_leaves_no_layer_out(page: Path) -> None:
    packages = {f"plantset/{path.parent.name}" for path in (ROOT / "plantset").glob("*/__init__.py")}

    assert packages - set(tree_entries(page)) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_on_a_page_uses_flags_that_exist(page: Path) -> None:
    unknown = [
        (verb, word)
        for verb, words in commands_on(page)
        for word in words
        if word.startswith("--") and word.partition("=")[0] not in EVERYWHERE | set(flags_of(verb))
    ]

    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_flag_named_on_a_page_exists(page: Path) -> None:
    known = EVERYWHERE | {flag for verb in VERBS for flag in flags_of(verb)} | {"--check", "--constraint", "--editable"}
    named = set(re.findall(r"`(--[a-z][a-z-]*)", page.read_text(encoding="utf-8")))

    assert sorted(named - known) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]

    assert broken == []


def test_the_make_targets_on_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"`?make ([a-z]+)\b`", page.read_text(encoding="utf-8"))}

    assert sorted(named - targets) == []


def tree_entries(page: Path) -> list[str]:
    """Return the paths that the page's tree names: indentation (or box lines) gives the folder."""
    tree = next(block for block in code_blocks(page) if re.search(r"^\w+/", block, re.MULTILINE))
    entries: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in tree.splitlines():
        match = re.match(r"([ │├└─]*)([\w.\-]+/?)(?=\s|$)", line)
        if not match or len(match[1]) > 12:
            continue
        indent, name = len(match[1]), match[2]
        parents = [parent for parent in parents if parent[0] < indent]
        entries.append("/".join([*(parent for _, parent in parents), name.rstrip("/")]))
        if name.endswith("/"):
            parents.append((indent, name.rstrip("/")))
    return entries


def commands_on(page: Path) -> list[tuple[str, list[str]]]:
    """Return (verb, words) of each plantset command or script that a page's code blocks and spans show."""
    code = [*code_blocks(page), *re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))]
    lines = [line for block in code for line in block.replace("\\\n", " ").splitlines()]
    found = []
    for line in lines:
        words = (
            shlex.split(line.replace("…", ""), comments=True) if line.count('"') % 2 == 0 and "'" not in line else []
        )
        for index, word in enumerate(words):
            after = words[index + 1] if index + 1 < len(words) else ""
            if word == "plantset" and after in VERBS:
                found.append((after, words[index + 2 :]))
            elif Path(word).name in PROGRAMS:
                found.append((PROGRAMS[Path(word).name], words[index + 1 :]))
    return found


def code_blocks(page: Path) -> list[str]:
    """Return what stands between the fences of a page."""
    return page.read_text(encoding="utf-8").split("\n```")[1::2]
