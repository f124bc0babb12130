"""Imports run downwards only: cli -> (startup, runtime, render, client, checks) -> plan -> (settings, facts)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "stepaudio_serve"

# Part -> the parts it may import, besides itself. `errors` is everybody's but theirs who stand alone.
ALLOWED: dict[str, set[str]] = {
    "settings": {"errors"},
    "facts": {"errors", "settings", "plan", "guard", "vllm_plugin"},  # template, guard and plugin are read as texts
    "diagnosis": {"errors"},
    "plan": {"errors", "finding", "settings", "facts", "vllm_plugin"},  # of the plugin: what it is called and supports
    "checks": {"errors", "finding", "settings", "facts", "plan", "vllm_plugin"},
    "client": {"errors", "audio"},
    "render": {"errors", "plan"},
    "runtime": {"errors", "plan", "facts", "diagnosis", "settings"},
    "pull": {"errors", "settings", "facts", "plan", "diagnosis", "finding", "runtime"},
    "startup": {"errors", "runtime", "client", "diagnosis"},
    "rehearsal": {"errors", "plan", "guard", "audio"},
    "guard": {"audio"},
    "audio": set(),
    "vllm_plugin": set(),
    "lifecycle": {
        "errors", "settings", "facts", "plan", "finding", "checks", "runtime", "startup", "diagnosis", "client", "pull",
        "vllm_plugin",
    },
    "errors": {"finding"},
    "finding": set(),
}  # fmt: skip
STAND_ALONE = ("guard", "audio", "vllm_plugin")
PARTS = sorted(item.stem for item in PACKAGE.iterdir() if item.suffix == ".py" or (item / "__init__.py").exists())


def imports(module: Path) -> set[str]:
    """The parts of ours that a module imports when it runs; imports for type checkers do not count."""
    tree = ast.parse(module.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    inside = module.relative_to(PACKAGE).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ("", *inside)[: len(inside) + 2 - node.level]
            path = [*base[1:], *(node.module or "").split(".")]
            if path == [""]:
                found |= {alias.name for alias in node.names if alias.name in PARTS}
            else:
                found.add(next(filter(None, path)))
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("stepaudio_serve.")}
    return found - {inside[0] if inside else module.stem}


def modules(part: str) -> list[Path]:
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


@pytest.mark.parametrize("part", [part for part in PARTS if part in ALLOWED])
def test_a_part_imports_only_what_is_below_it(part: str) -> None:
    upwards = {str(module.relative_to(PACKAGE)): imports(module) - ALLOWED[part] for module in modules(part)}
    assert {module: names for module, names in upwards.items() if names} == {}


def test_every_part_has_a_place() -> None:
    assert set(PARTS) - ALLOWED.keys() == {"cli", "__init__", "__main__"}


@pytest.mark.parametrize("part", [part for part in STAND_ALONE if part in PARTS])
def test_what_runs_inside_the_engine_stands_alone(part: str) -> None:
    assert all(imports(module) <= ALLOWED[part] for module in modules(part))


def test_nothing_below_imports_the_command_line() -> None:
    for part in PARTS:
        if part not in {"cli", "__main__"}:
            assert not any("cli" in imports(module) for module in modules(part))


def test_the_check_sees_imports_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    folder = tmp_path / "plan" / "chat_template"
    folder.mkdir(parents=True)
    module = folder / "x.py"
    module.write_text(
        "from ..build import make_plan\nfrom ...runtime.docker import DockerRuntime\nfrom ... import errors\n"
        "import stepaudio_serve.cli.main\nfrom stepaudio_serve.startup import watch\n"
        "if TYPE_CHECKING:\n    from ...lifecycle.up import up\n"
        "def late():\n    from ...render import run\n"
    )
    assert imports(module) == {"runtime", "errors", "cli", "startup", "render"}
