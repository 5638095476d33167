"""Who may import whom: the table of ARCHITECTURE.md, lazy imports and `module:name` addresses included."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = {"core", "clean", "knowledge", "data", "models", "runtime"}
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "demo": {"core"},
    "encoders": {"core"},
    "runtime": {"core"},
    "clean": {"core"},
    "knowledge": {"core"},
    "models": {"core", "encoders", "runtime"},
    "data": {"core", "knowledge"},
    "evaluation": STAGES,
    "training": STAGES | {"evaluation"},
    "inference": STAGES,
    "road": STAGES | {"training", "evaluation", "inference"},
    "cli": {"core"},
}
TORCH_FREE_LAYERS = {"core", "demo", "clean", "knowledge", "road", "cli"}
TORCH = {"torch", "torchvision", "timm", "transformers", "torch_xla", "torch_tpu"}
HOMES = {"torch_xla": "plantset.runtime.xla", "torch_tpu": "plantset.runtime.tpu", "tyro": "plantset.core.options"}
ADDRESS = re.compile(r"(plantset(?:\.\w+)+):(\w+)")


def statements(tree: ast.AST) -> set[str]:
    """Return every name that import statements name, in functions and under TYPE_CHECKING too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names}
    return names


def addresses(tree: ast.AST) -> set[str]:
    """Return every `module:name` text as `module.name`: what cli and the scripts import when asked."""
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {text.replace(":", ".") for text in texts if ADDRESS.fullmatch(text)}


def layer(name: str) -> str:
    return name.split(".")[1] if name.startswith("plantset.") else ""


FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in ("plantset", "script_plantset")
    for path in sorted((ROOT / top).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
STATEMENTS = {name: statements(tree) for name, tree in TREES.items()}
IMPORTS = {name: STATEMENTS[name] | addresses(TREES[name]) for name in FILES}
OURS = [name for name in FILES if layer(name)]
SCRIPTS = [name for name in FILES if name.startswith("script_plantset.")]
TORCH_FREE = [
    name
    for name, path in FILES.items()
    if (layer(name) in TORCH_FREE_LAYERS or path.stem in ("__init__", "__main__", "config", "presets"))
    and path.stem != "embeddings"
]


@pytest.mark.parametrize("name", [name for name in OURS if name != "plantset.__main__"])
def test_a_module_imports_only_the_layers_below(name: str) -> None:
    allowed = MAY_IMPORT[layer(name)] | {layer(name)} | ({"encoders"} if name.endswith(".embeddings") else set())
    wanted = STATEMENTS[name] if name == "plantset.cli" else IMPORTS[name]

    assert {layer(target) for target in wanted if layer(target)} - {"__version__"} <= allowed


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_the_command_and_one_layer(name: str) -> None:
    assert len({layer(target) for target in IMPORTS[name] if layer(target)} - {"cli"}) == 1


def test_nothing_of_the_library_imports_the_scripts() -> None:
    assert not [name for name in OURS if any(target.startswith("script_plantset") for target in IMPORTS[name])]


@pytest.mark.parametrize("name", FILES)
def test_imports_are_absolute(name: str) -> None:
    assert not [target for target in STATEMENTS[name] if target.startswith(".")]


@pytest.mark.parametrize("name", TORCH_FREE)
def test_a_torch_free_module_does_not_import_torch(name: str) -> None:
    assert not {target.partition(".")[0] for target in IMPORTS[name]} & TORCH


@pytest.mark.parametrize(("package", "home"), HOMES.items())
def test_a_package_is_known_to_one_module_only(package: str, home: str) -> None:
    assert {name for name in FILES if package in {t.partition(".")[0] for t in IMPORTS[name]}} <= {home}


def test_no_module_imports_itself_by_a_detour() -> None:
    below = {
        name: {module for target in IMPORTS[name] for module in (target, target.rpartition(".")[0])} - {name}
        for name in FILES
        if name not in ("plantset", "plantset.__main__")
    }
    while leaves := [name for name, targets in below.items() if not targets & below.keys()]:
        for name in leaves:
            del below[name]

    assert not below
