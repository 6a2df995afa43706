"""The exporters' suite finds what it looks for; formats are found by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.export import EXPORTERS, Exported, Exporter, export, exporter
from blackbox_afx.session import Session
from blackbox_afx.testing import check_exporter
from blackbox_afx.testing.exporters import example_session


class Careless:
    """Writes the session's name, and leaves out one duty."""

    name = "careless"
    suffix = ".txt"
    experimental = False

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.formats = frozenset(
            {"vst3", "vst2", "lv2", "faust", "builtin"} - ({"faust"} if fault == "silent" else set())
        )

    def write(
        self,
        session: Session,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        latency: str = "shift",
        **options: Any,
    ) -> Exported:
        path = Path(path)
        if options and self.fault != "options":
            raise UsageError(f"unknown: {', '.join(options)}")
        if path.exists() and not force and self.fault != "force":
            raise OutputError(f"{path} exists")
        try:
            path.write_text(session.name, encoding="ascii" if self.fault == "names" else "utf-8")
        except OSError as error:
            raise OutputError(str(error)) from None
        if self.fault == "litter":
            path.with_suffix(".part").write_text("")
        return Exported(path=path.with_suffix(".gone") if self.fault == "path" else path)


def test_a_careful_exporter_conforms(tmp_path: Path) -> None:
    """The suite asks for no more than the protocol."""
    check_exporter(Careless(), folder=tmp_path)


@pytest.mark.parametrize("fault", ["force", "litter", "path", "names", "options", "silent"])
def test_every_fault_is_found(tmp_path: Path, fault: str) -> None:
    """Writing over, litter, wrong paths, ASCII only, unknown options taken, plugins dropped without a word."""
    with pytest.raises((AssertionError, UnicodeEncodeError)):
        check_exporter(Careless(fault), folder=tmp_path)


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_every_format_is_there(name: str) -> None:
    """The table names classes that exist and are called so."""
    found = exporter(name)
    assert isinstance(found, Exporter)
    assert found.name == name


def test_unknown_formats_and_options_are_named(tmp_path: Path) -> None:
    """Near names are offered; a tempo that is none is refused."""
    session = example_session(tmp_path)
    with pytest.raises(UsageError, match="did you mean 'ardour'"):
        export(session, "ardur", tmp_path / "x")
    with pytest.raises(UsageError, match="shift or none"):
        export(session, "json", tmp_path / "x.session.json", latency="later")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="beats"):
        export(session, "json", tmp_path / "x.session.json", bpm=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input.wav", "render.wav"]
