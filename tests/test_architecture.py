"""Who may import whom. The arrows are the design; this test is their guard."""

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED: dict[str, set[str]] = {
    "hub.protocol": set(),
    "hub.domain": set(),
    "hub.store": {"hub.domain"},
    "hub.bus": set(),
    "hub.services": {"hub.domain", "hub.store", "hub.bus", "hub.dial"},
    "hub.sockets": {"hub.protocol", "hub.services", "hub.bus", "hub.domain", "hub.client_address"},
    "hub.api": {"hub.services", "hub.domain", "hub.client_address"},
    "hub.client_address": set(),
    "hub.dial": set(),
    "hub.interrupt": set(),
    "hub.conformance": {"hub.protocol", "hub.domain"},
    "device_agent": {"hub.protocol", "hub.dial", "hub.interrupt"},
}
AGENT_PACKAGES = {"websockets"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def package(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "hub" else parts[0]


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_imports_only_what_the_design_allows(layer: str) -> None:
    place = ROOT / layer.replace(".", "/")
    for path in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
        for name in imports(path):
            if name.split(".")[0] in ("hub", "device_agent") and name not in ("hub", "device_agent"):
                assert package(name) in ALLOWED[layer] | {layer}, f"{path} imports {name}"


def test_nobody_imports_the_composition_root_but_the_programs() -> None:
    importers = {path.name for path in (ROOT / "hub").rglob("*.py") if "hub.app" in imports(path)}
    assert importers == {"command_line.py", "demo.py"}


def test_nobody_imports_the_conformance_kit_but_the_command_line() -> None:
    kit = ROOT / "hub/conformance"
    others = [path for folder in ("hub", "device_agent") for path in (ROOT / folder).rglob("*.py")]
    importers = {
        path.name
        for path in others
        if kit not in path.parents and any(name.startswith("hub.conformance") for name in imports(path))
    }
    assert importers == {"command_line.py"}


def test_the_agent_needs_websockets_and_the_standard_library_alone() -> None:
    for folder in ("device_agent", "hub/protocol"):
        for path in (*(ROOT / folder).rglob("*.py"), ROOT / "hub/dial.py", ROOT / "hub/interrupt.py"):
            tops = {name.split(".")[0] for name in imports(path)}
            extra = tops - set(sys.stdlib_module_names) - {"hub", "device_agent", "orjson"} - AGENT_PACKAGES
            assert not extra, f"{path} needs {extra}"
    assert (ROOT / "hub" / "__init__.py").read_text() == ""


def modules() -> dict[str, Path]:
    paths = [path for folder in ("hub", "device_agent") for path in (ROOT / folder).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def modules_named(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of ours that a file imports anywhere, also for the type checker alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names)


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = modules()
    try:
        TopologicalSorter({name: set(modules_named(path, known)) - {name} for name, path in known.items()}).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:hub|device_agent|tests|config)/[\w./-]+)`", text)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []
