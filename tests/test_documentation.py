"""What README and docs say can be done: links lead somewhere, commands and their options exist, Python compiles."""

from __future__ import annotations

import ast
import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import blackbox_afx
from blackbox_afx.cli.main import COMMANDS

ROOT = Path(blackbox_afx.__file__).resolve().parent.parent
PAGES = [
    page
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/**/*.md",
        "*/README.md",
        "demo/audio/README.md",
        "*/*/CARD.md",
    )
    for page in sorted(ROOT.glob(pattern))
    if ".venv" not in page.parts
]
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="the pages are only in a checkout")


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^[ ]*```{language}\n(.*?)^[ ]*```", text, flags=re.MULTILINE | re.DOTALL)


def typed_commands(page: Path) -> list[list[str]]:
    """Give the `afx` commands of a page's blocks, split as a shell would; comments and prompts removed."""
    found = []
    for block in fenced(page.read_text(encoding="utf-8"), "[a-z]*"):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if line.startswith("afx "):
                found.append(shlex.split(line, comments=True)[1:])
    return found


@functools.cache
def help_of(*command: str) -> str:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from blackbox_afx.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in typed_commands(page):
        assert words[0] in COMMANDS, f"afx {words[0]}"
        command = [words[0]]
        if re.search(r"Usage: afx \S+ COMMAND", help_of(words[0])):
            command.append(words[1])
        known = help_of(*command)
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert re.search(rf"{re.escape(option)}\b", known), f"afx {' '.join(words)}: no {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_parses(page: Path) -> None:
    for block in fenced(page.read_text(encoding="utf-8"), "python"):
        ast.parse(block if not block.startswith(" ") else "if True:\n" + block)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name == "paper.md"])
def test_tables_say_what_their_files_say(page):
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from fill_tables import fill
    finally:
        sys.path.pop(0)
    text = page.read_text(encoding="utf-8")
    assert fill(text, page.parent) == text, f"python scripts/fill_tables.py {page.relative_to(ROOT)}"
    assert fill(re.sub(r"(<!-- table: .+\n\|.+\n)", r"\1| 0 |\n", text), page.parent) == text
