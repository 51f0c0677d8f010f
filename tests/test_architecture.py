"""Layers point down only; SDKs stay with their one owner and out of start-up; and every module has its place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = [
    {"fleet"},
    {"fleet.diagnostics"},
    {"fleet.errors"},
    {
        "fleet.model",
        "fleet.reference",
        "fleet.terminal",
        "fleet.files",
        "fleet.gitblob",
        "fleet.branch",
    },
    {
        "fleet.runner",
        "fleet.secrets",
        "fleet.report",
        "fleet.each",
        "fleet.http",
        "fleet.site",
        "fleet.markdown",
        "fleet.proposal",
        "fleet.workflow_commands",
    },
    {"fleet.oci_auth"},
    {"fleet.oci"},
    {"fleet.provider"},
    {
        "fleet.plugins",
        "fleet.pace",
        "fleet.values",
        "fleet.commit_message",
        "fleet.journal",
        "fleet.render",
    },
    {"fleet.world", "fleet.difference", "fleet.resolution", "fleet.templates"},
    {"fleet.config", "fleet.state", "fleet.sites", "fleet.plan"},
    {"fleet.state_branch", "fleet.group_commit"},
    {"fleet.tenure", "fleet.builds", "fleet.issuing", "fleet.preflight"},
    {"fleet.posting", "fleet.plan_difference", "fleet.reviewed"},
    {"fleet.retirement"},
    {
        "fleet.store",
        "fleet.git_store",
        "fleet.selection",
        "fleet.services",
        "fleet.sharing",
        "fleet.sources",
        "fleet.importers",
        "fleet.workflow_file",
    },
    {
        "fleet.state_place",
        "fleet.images",
        "fleet.policy",
        "fleet.show_json",
        "fleet.plan_file",
        "fleet.show",
        "fleet.apply",
    },
    {"fleet.proposal_text"},
    {"fleet.blame", "fleet.tracks", "fleet.wants", "fleet.hub_targets", "fleet.run", "fleet.progress"},
    {"fleet.obstacles", "fleet.proposals", "fleet.rotation", "fleet.withdrawal", "fleet.tag_meanings"},
    {"fleet.planning", "fleet.credentials", "fleet.credential_plans"},
    {"fleet.login_proofs"},
    {"fleet.drift"},
    {"fleet.show_drift", "fleet.events", "fleet.told"},
    {"fleet.show_markdown"},
    {"fleet.telling"},
    {"fleet.telling_github"},
    {"fleet.commands"},
    {"fleet.cli"},
    {"fleet.__main__"},
]
"""Every module of the core (a package counts as one), from the bottom up; each imports only from layers below it."""

OUTSIDE = ("fleet.sandbox", "fleet.testing")
"""Outside of the layer rule: nothing but the command line may import the sandbox, and nothing the contract suite."""

OWNERS = {"github": "fleet_github", "boto3": "fleet_ecr", "google": "fleet_google", "azure": "fleet_acr"}
"""The one provider that may import each SDK."""


def modules(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str | None:
    """The module or package of the core that a dotted name belongs to."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "fleet" else None


def layer_of(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


CORE = [(name, path) for name, path in modules(ROOT / "fleet") if not name.startswith(OUTSIDE)]


def test_every_core_module_has_a_place_in_the_layers_and_a_paragraph_in_the_docs() -> None:
    rooms = {room(name) for name, _ in CORE}
    assert rooms == set().union(*LAYERS)
    text = (ROOT / "docs/architecture.md").read_text()
    assert [name for name in sorted(map(str, rooms)) if f"`{name}`" not in text] == []


@pytest.mark.parametrize(("name", "path"), CORE)
def test_layers_point_down(name: str, path: Path) -> None:
    here = str(room(name))
    known = set().union(*LAYERS)
    for imported in imports(path):
        there = room(imported)
        if there is None or there not in known or there == here or there == "fleet":
            continue
        assert layer_of(there) < layer_of(here), f"{name} imports {imported}"


@pytest.mark.parametrize(("name", "path"), CORE)
def test_the_core_imports_no_provider_no_sdk_and_no_sandbox(name: str, path: Path) -> None:
    for imported in imports(path):
        first = imported.partition(".")[0]
        assert not first.startswith("fleet_"), f"{name} imports {imported}"
        assert first not in OWNERS, f"{name} imports {imported}"
        assert not imported.startswith("fleet.testing"), f"{name} imports {imported}"
        if not name.startswith("fleet.commands"):
            assert not imported.startswith("fleet.sandbox"), f"{name} imports {imported}"


PROVIDERS = [(name.removeprefix("providers."), path) for name, path in modules(ROOT / "providers")]


@pytest.mark.parametrize(("name", "path"), PROVIDERS)
def test_a_provider_imports_the_contract_itself_and_its_own_sdk(name: str, path: Path) -> None:
    package = name.partition(".")[0]
    for imported in imports(path):
        first = imported.partition(".")[0]
        if first == "fleet":
            assert imported.startswith("fleet.provider"), f"{name} imports {imported}"
        elif first.startswith("fleet_"):
            assert first == package, f"{name} imports {imported}"
        assert OWNERS.get(first, package) == package, f"{name} imports {imported}"


@pytest.mark.parametrize("command", ["--help", "version", "plan --help"])
def test_starting_up_imports_nothing_from_outside(command: str) -> None:
    script = (
        "import sys; from fleet.cli import main\n"
        f"try: main({command.split()!r})\n"
        "except SystemExit: pass\n"
        "print([m for m in ('pydantic', 'yaml', 'rich', 'httpx', 'github', 'typing') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_only_the_edge_catches_everything() -> None:
    broad = [
        f"{path}:{node.lineno}"
        for _, path in [*CORE, *PROVIDERS]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
        and not any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
    ]
    assert broad == []


@pytest.mark.parametrize(("name", "path"), [*CORE, *PROVIDERS])
def test_functions_fit_on_a_screen(name: str, path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = [item for item in node.body if not isinstance(item, ast.Expr) or item is not node.body[0]]
            length = (node.end_lineno or 0) - (body[0].lineno if body else node.lineno) + 1
            assert length <= 50, f"{name}.{node.name} has {length} lines"
            assert len(node.args.args) + len(node.args.kwonlyargs) <= 7, f"{name}.{node.name} takes too many arguments"
