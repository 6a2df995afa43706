"""The map holds: imports point one way, light things stay light, the wheel holds what git holds."""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import blackbox_afx

PACKAGE = Path(blackbox_afx.__file__).resolve().parent
ROOT = PACKAGE.parent

# Rooms, highest first; a room may import from the rooms below its own line and from its own line.
FLOORS = [
    {"cli"},
    {"benchmark"},
    {"train", "transfer", "export"},
    {"proxies", "grads", "dsp", "networks", "losses", "metrics", "data", "plot"},
    {"plugins"},
    {"features", "session", "audio", "types", "errors", "shelf"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
ANYWHERE = {"testing", "", "__version__"}  # the public suites for other projects; the package itself
IN_WORKERS = ["transfer.foretold", "transfer.refine", "train.responses", "train.impulses"]
"""Modules of higher rooms that jobs call."""
TORCH_FREE = ["plugins", "features", "audio", "session", "types", "errors", "shelf"]


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST, path: Path) -> Iterator[str]:
    """Give the dotted names that a module imports, inside functions too, but not for type checkers only."""
    package = [PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        else:
            yield from imports(node, path)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_downwards(path: Path) -> None:
    """No room imports from a room above it, not even inside a function."""
    here = room_of(path)
    if here in ("__init__", "testing"):  # the public names, and suites that reach every floor
        return
    assert here in LEVEL, f"{here} is a new room: say in FLOORS on which floor it lies"
    for name in imports(ast.parse(path.read_text(encoding="utf-8")), path):
        parts = name.split(".")
        if parts[0] != PACKAGE.name or len(parts) < 2 or parts[1] in ANYWHERE:
            continue
        assert parts[1] in LEVEL, f"{name}: {parts[1]} is on no floor"
        assert LEVEL[parts[1]] >= LEVEL[here], f"{path.name} in {here} imports {name} from a floor above"


def run_python(code: str, cwd: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def test_plugin_side_never_loads_torch(tmp_path: Path) -> None:
    """Workers import all of these: none brings torch in, by any way."""
    names = [
        ".".join([PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        for path in modules()
        if room_of(path) in TORCH_FREE
    ] + [f"{PACKAGE.name}.{name}" for name in IN_WORKERS]
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n"
    assert run_python(prelude() + code + "print('torch' in sys.modules)", tmp_path) == "False"


def test_importing_the_package_is_light(tmp_path: Path) -> None:
    """Neither torch, nor a plugin host, nor numpy comes with `import blackbox_afx`."""
    heavy = ["torch", "numpy", "scipy", "pedalboard", "dawdreamer", "matplotlib"]
    code = f"import sys, blackbox_afx\nprint([name for name in {heavy!r} if name in sys.modules])"
    assert run_python(prelude() + code, tmp_path) == "[]"


def test_help_is_light(tmp_path: Path) -> None:
    """`afx --help` imports no command."""
    code = (
        "import sys\nfrom blackbox_afx.cli.main import run\nrun(['--help'])\n"
        "print([name for name in sys.modules if name.startswith('blackbox_afx.cli.')"
        " and name.rpartition('.')[2] not in ('main', 'console')])\n"
        "print([name for name in ('torch', 'pedalboard', 'dawdreamer') if name in sys.modules])"
    )
    assert run_python(prelude() + code, tmp_path).splitlines()[-2:] == ["[]", "[]"]


def prelude() -> str:
    """Make a new interpreter find the package that is under test, wherever it lies."""
    return f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"


def test_public_names_exist() -> None:
    assert sorted({*blackbox_afx.PUBLIC, "__version__"}) == sorted(blackbox_afx.__all__)
    for name in blackbox_afx.__all__:
        assert getattr(blackbox_afx, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = blackbox_afx.Nonsense


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the sdist, and from it the wheel, as a release does."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a checkout can be built and compared with git")
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


def in_git(*folders: str) -> set[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.splitlines() if (ROOT / name).is_file()}


def test_wheel_holds_what_git_holds(built: tuple[Path, Path]) -> None:
    """Content folders and code arrive whole, and nothing that git ignores comes along."""
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    shipped = {f"blackbox_afx/_shipped/{name}" for name in in_git("plugins", "proxies", "train")}
    shipped |= {name.replace("demo/audio/", "blackbox_afx/_shipped/demo/") for name in in_git("demo/audio")}
    assert names == shipped | in_git("blackbox_afx")


def test_sdist_holds_the_tests_and_no_rubbish(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert in_git("tests", "scripts", "blackbox_afx") <= names
    assert not [name for name in names if name.endswith((".ckpt", ".pyc")) or ".venv" in name]
    assert built[0].stat().st_size < 60e6
