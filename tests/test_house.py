"""The rules of the house that no linter has a switch for."""

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import relulens

pytestmark = pytest.mark.house

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "relulens").rglob("*.py"))
PYTHON = [
    path
    for room in ("src", "tests", "scripts", "examples", "benchmarks")
    for path in sorted((ROOT / room).rglob("*.py"))
]
BANNED_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "core", "base"}
# Packages with one door: where alone they may be imported.
DOORS = {
    "highspy": "numerics/",
    "scipy.optimize": "numerics/",
    "onnx": "importers/onnx",
    "onnxruntime": "importers/",
    "matplotlib": "plot/",
    "joblib": "survey/",
    "dask": "survey/",
    "ray": "survey/",
    "click": "cli/",
    "rich": "cli/",
    "jinja2": "report/",
    "torch.export": "importers/",
    "numba": "numerics/kernels/",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def source_name(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "relulens").as_posix()


def is_kernel(path: Path) -> bool:
    return "numerics/kernels" in path.as_posix()


def imported_names(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def long_functions(tree: ast.AST, limit: int) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, kinds) and code_lines(node) > limit
    ]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count lines without the docstring."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= first.end_lineno - first.lineno + 1
    return lines


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_a_file_is_short_and_named_after_one_concept(path):
    assert path.stem.strip("_") not in BANNED_NAMES
    if not is_kernel(path):
        assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=source_name)
def test_functions_are_short(path):
    if not is_kernel(path):
        assert long_functions(ast.parse(path.read_text()), 60) == []


@pytest.mark.parametrize("path", SOURCES, ids=source_name)
def test_dependencies_come_in_by_their_door(path):
    names = imported_names(ast.parse(path.read_text()))
    where = source_name(path)
    wrong = {
        name
        for name in names
        for package, door in DOORS.items()
        if (name == package or name.startswith(f"{package}."))
        and not where.startswith(door)
    }
    assert wrong == set()


@pytest.mark.parametrize("path", SOURCES, ids=source_name)
def test_nothing_reads_the_environment_or_takes_what_it_does_not_know(path):
    tree = ast.parse(path.read_text())
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "hasattr" not in calls
    assert not {"os.environ", "os.getenv"} & imported_names(tree)
    assert "os.environ" not in path.read_text()


def test_modules_import_each_other_in_no_circle():
    graph = {module_of(path): imported_modules(path) for path in SOURCES}
    done: set[str] = set()

    def visit(module: str, open_: tuple[str, ...]) -> None:
        assert module not in open_, f"circle: {' -> '.join((*open_, module))}"
        if module in done:
            return
        for other in sorted(graph[module] & graph.keys()):
            visit(other, (*open_, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> set[str]:
    """Return what a file needs to be imported: not what only types or calls need."""
    tree = ast.parse(path.read_text())
    plain = [
        node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    return {name for node in plain for name in imported_names(node)} - {module_of(path)}


@pytest.mark.parametrize("name", relulens.__all__)
def test_every_public_name_exists_and_is_documented(name):
    assert inspect.getdoc(getattr(relulens, name))


def test_the_type_checker_sees_the_names_that_are_loaded_on_first_use():
    tree = ast.parse((ROOT / "src/relulens/__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: f"{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {n: m for n, m in seen.items() if m != "relulens"} == relulens._HOMES
    assert {n for n, m in seen.items() if m == "relulens"} == set(relulens._ROOMS)


def test_importing_the_package_loads_nothing_slow():
    code = (
        "import relulens, sys; sys.exit(bool({'torch', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", relulens.__all__)
def test_every_public_name_is_in_the_documentation(name):
    assert f"relulens.{name}\n" in (ROOT / "docs/api.md").read_text().replace("`", "\n")


@pytest.mark.parametrize("name", relulens.__all__)
def test_results_are_frozen_values_that_compare_by_identity(name):
    function = getattr(relulens, name)
    if not inspect.isfunction(function):
        pytest.skip("not a function, so it has no result")
    for part in parts_of(typing.get_type_hints(function)["return"]):
        if dataclasses.is_dataclass(part):
            settings = part.__dataclass_params__
            assert settings.frozen, f"{part.__name__} can be changed"
            assert not settings.eq, f"{part.__name__} compares arrays"
            assert "__slots__" in vars(part), f"{part.__name__} takes any attribute"


def parts_of(annotation: object) -> list[object]:
    """Return a type and the types inside it, such as those of a list."""
    inside = [part for arg in typing.get_args(annotation) for part in parts_of(arg)]
    return [annotation, *inside]


def tracked_text() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kinds = {".py", ".md", ".toml", ".txt", ".cff", ".html", ".js", ".css", ".bib", ""}
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in kinds and path.is_file()]


def test_no_tracked_file_names_a_place_on_one_machine():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no list of tracked files")
    places = re.compile(r"(?<![\w.~-])/(?:work|tmp|root|home|Users|farm|mnt)/[\w.]")
    found = [
        f"{name_of(path)}:{number}: {line.strip()[:80]}"
        for path in tracked_text()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if places.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("document", ["docs/operations.md", "README.md"])
def test_the_table_of_operations_is_the_registry_s(document):
    done = subprocess.run(
        [sys.executable, "scripts/operations_table.py", "--check", document],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
