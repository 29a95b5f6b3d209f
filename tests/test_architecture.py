"""The house rules that a machine can check: imports and what they do, sizes, names, docstrings, the map."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("graph", "roles", "memory", "eval", "tasks")
"""From the top down; a room imports only rooms that stand after it."""
HEAVY = {"torch", "transformers", "peft", "trl", "vllm"}
HEAVY_ALLOWED = ("eval/engines/", "eval/decoding.py", "eval/precision.py", "roles/recipes/sft.py")
"""Modules of child processes, which may load them when they are imported."""
LONGEST = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
MACHINE_PATH = re.compile(r"""["'\s(=](?:/home/|/root/|/Users/|/work/|/mnt/|/data/)\w""")

SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in (ROOT / "run_graph.py", *SOURCES)]
LIGHT = [name for name in NAMES if not name.startswith(HEAVY_ALLOWED)]


def tree(name: str) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def module_of(name: str) -> str:
    """`graph/report/__init__.py` as `graph.report`."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(nodes: list[ast.stmt], *, deep: bool) -> Iterator[str]:
    """Names of imported modules; without `deep` only of imports that run when the module is loaded."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif deep or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            yield from imports(inner, deep=deep)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A copy of the five rooms and the settings, to break."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "data", "facts"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over a checkout."""
    line = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_import_linter_accepts_the_rooms_and_refuses_a_violation(scratch: Path) -> None:
    """The contract of `pyproject.toml` holds, and would notice if it did not."""
    assert "1 kept, 0 broken" in lint(scratch).stdout
    path = scratch / "tasks" / "text.py"
    path.write_text(path.read_text() + "\n\ndef late() -> None:\n    import graph.budget\n")
    broken = lint(scratch)
    assert broken.returncode != 0
    assert "tasks.text -> graph.budget" in broken.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_room_imports_only_rooms_below(name: str) -> None:
    """Also inside functions. `run_graph.py` stands above all rooms."""
    room = name.partition("/")[0]
    allowed = ROOMS[ROOMS.index(room) :] if room in ROOMS else ROOMS
    found = {imported.partition(".")[0] for imported in imports(tree(name).body, deep=True)} & set(ROOMS)
    assert found <= set(allowed)
    if room == "tasks":
        assert found <= {"tasks"}


@pytest.mark.parametrize("name", NAMES)
def test_rooms_are_imported_by_their_modules(name: str) -> None:
    """`from eval.x import y`: a bare `import eval` would shadow the built-in function."""
    bare = [alias.name for node in ast.walk(tree(name)) if isinstance(node, ast.Import) for alias in node.names]
    assert not set(bare) & set(ROOMS)


@pytest.mark.parametrize("name", LIGHT)
def test_heavy_libraries_load_only_in_modules_of_child_processes(name: str) -> None:
    """Elsewhere they may be imported inside functions at most."""
    assert not {imported.partition(".")[0] for imported in imports(tree(name).body, deep=False)} & HEAVY


SPY = """
import importlib, os, sys
root, names = sys.argv[1], sys.argv[2:]
read = []

def spy(original):
    def wrapped(self, *arguments):
        frame = sys._getframe(1)
        while frame and frame.f_code.co_filename.endswith(("os.py", "<frozen os>", "_collections_abc.py",
                                                           "<frozen _collections_abc>")):
            frame = frame.f_back
        if frame and frame.f_code.co_filename.startswith(root) and "site-packages" not in frame.f_code.co_filename:
            read.append(f"{frame.f_code.co_filename}: {arguments}")
        return original(self, *arguments)
    return wrapped

kind = type(os.environ)
for name in ("__getitem__", "__iter__"):
    setattr(kind, name, spy(getattr(kind, name)))
for name in names:
    importlib.import_module(name)
heavy = {"torch", "transformers", "peft", "trl", "vllm"} & set(sys.modules)
if read or heavy:
    sys.exit(f"environment read: {read}; loaded: {sorted(heavy)}")
"""


def load(modules: list[str], folder: Path, checkout: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Import modules in a fresh process, in a folder that becomes its home."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(checkout),
                   "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    line = [sys.executable, "-c", SPY, str(checkout), *modules]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_importing_has_no_effect(tmp_path: Path) -> None:
    """Every light module: prints nothing, reads no environment, writes no file, loads no heavy library."""
    done = load([module_of(name) for name in LIGHT], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("import os; HOME = os.environ.get('HOME')", "environment read"),
        ("import os; HOME = os.environ['HOME']", "environment read"),
        ("import os; HOME = os.getenv('HOME')", "environment read"),
        ("import torch", "loaded: ['torch"),
    ],
)
def test_the_check_of_imports_is_not_blind(line: str, complaint: str, tmp_path: Path) -> None:
    """A planted module with a side effect is found."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "planted.py").write_text(line + "\n")
    done = load(["planted"], tmp_path, tmp_path / "code")
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_modules_are_short(name: str) -> None:
    """Most stay under 250 lines; none may pass 400."""
    assert len((ROOT / name).read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("name", NAMES)
def test_module_names_say_something(name: str) -> None:
    """No `utils`, and no folder of that kind."""
    assert not {part.lower() for part in Path(name).with_suffix("").parts} & VAGUE


def undocumented(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Public functions, classes and methods without a docstring."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, f"{node.name}.")


@pytest.mark.parametrize("name", [name for name in NAMES if (ROOT / name).stat().st_size])
def test_everything_public_is_documented(name: str) -> None:
    """Modules, functions, classes, methods."""
    assert ast.get_docstring(tree(name)), "the module has no docstring"
    assert list(undocumented(tree(name).body)) == []


def map_of_the_tree() -> set[str]:
    """The files that the tree in AGENTS.md names."""
    named: set[str] = set()
    room = ""
    for line in (ROOT / "AGENTS.md").read_text().partition("## The tree")[2].splitlines():
        if found := re.match(r"( {4,6})(\S+) {2,}\S", line):
            indent, name = found.groups()
            if len(indent) == 4:
                room = name if name.endswith("/") else ""
            named.add(name if len(indent) == 4 else room + name)
    return named


def test_agents_md_names_every_source_file() -> None:
    """With a phrase each; and it names no file that is gone."""
    named = map_of_the_tree()
    sources = {name for name in NAMES if (ROOT / name).stat().st_size}
    assert sorted(sources - named) == []
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("folder", [*ROOMS, "tests", "run_graph.py"])
def test_no_path_of_one_machine(folder: str) -> None:
    """A path of one computer has no place in the code; tests may invent some, but not name this checkout."""
    place = ROOT / folder
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    hits = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if str(ROOT) in line or (folder != "tests" and MACHINE_PATH.search(line))
    ]
    assert hits == []


def test_tests_are_found_under_one_name_each() -> None:
    """Without `__init__.py` (it would shadow the rooms) the base names of test files must differ."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert [path for path in files if path.name == "__init__.py"] == []
    names = [path.name for path in files if path.name != "conftest.py"]
    assert len(names) == len(set(names))
