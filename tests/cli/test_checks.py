"""What options may be: refused in one line, and at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App, CoercionError, Token

import blackbox_afx
from blackbox_afx.cli import main as cli
from blackbox_afx.cli.checks import Whole
from tests.transfer.test_static import sound, write

ROOT = Path(blackbox_afx.__file__).resolve().parent.parent


def commands(app: App) -> Iterator[App]:
    """Give every command and those of groups."""
    for name in app:
        if not name.startswith("-"):
            found = app[name]
            if found.default_command is None:
                yield from commands(found)
            else:
                yield found


@pytest.mark.parametrize("number", ["1.5", "1e3", "nan", "inf", "many", ""])
def test_what_is_no_whole_number_is_refused_by_all_that_count(number):
    seen = 0
    for command in commands(cli.build_app()):
        for argument in command.assemble_argument_collection():
            if argument.hint not in (int, int | None):
                continue
            seen += 1
            argument.append(Token(keyword=argument.name, value=number, source="cli"))
            with pytest.raises(CoercionError, match=f"{argument.name}.* is no whole number"):
                argument.convert()
    assert seen > 40


@pytest.mark.parametrize(("text", "number"), [("80", 80), ("80.0", 80), ("-3", -3), ("0x10", 16), ("1_000", 1000)])
def test_whole_numbers_are_taken(text, number):
    def trial(*, count: Whole = 0) -> int:
        return count

    app = App(result_action="return_value")
    app.default(trial)
    assert app(["--count", text], exit_on_error=False, print_error=False) == number


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "audio").mkdir()
    for name in ("in.wav", "reference.wav", "audio/a.wav"):
        write(folder / name, sound(24000, seconds=1.5), 24000)
    (folder / "c.safetensors").write_text("not looked at")
    (folder / "taken.afx").write_text("mine")
    (folder / "unfinished.afx.run").mkdir()
    (folder / "proxy").mkdir()
    (folder / "proxy" / "weights.safetensors").write_text("mine")
    return folder


LEARN = ["learn", "gone.vst3", "--audio", "audio", "--out", "c.afx"]
PROXY = ["proxy", "train", "gone.vst3", "--audio", "audio", "--out", "p"]
TRAIN = ["train", "small_ad", "--audio", "audio", "--out", "c.afx"]
TRANSFER = ["transfer", "in.wav", "reference.wav", "--controller", "c.safetensors", "--out", "out.wav"]
PROBE = ["probe", "/usr/lib/vst3/ZamComp.vst3"]
SYNTHETIC = ["benchmark", "synthetic", "--audio", "audio", "--controller", "c.safetensors", "--out", "s.json"]
EARLY = [
    *(
        ([*words, "--minutes", minutes], "--minutes is")
        for words in (LEARN, PROXY, TRAIN, ["demo", "--out", "demo"])
        for minutes in ("0", "-1", "nan", "inf", "0.1", "1e9")
    ),
    *(([*words[:-4], "--audio", "gone", *words[-2:]], "gone: no such folder") for words in (LEARN, PROXY, TRAIN)),
    *(([*words[:-4], "--audio", "in.wav", *words[-2:]], "is a file") for words in (LEARN, PROXY, TRAIN)),
    *(([*words, "--where", "speech"], "expected column=value") for words in (LEARN, PROXY, TRAIN)),
    *(([*words[:-2], "--out", "in.wav/c.afx"], "can't be made") for words in (LEARN, PROXY, TRAIN)),
    *(([*words[:-2], "--out", "/proc/none/c.afx"], "can't be written") for words in (LEARN, PROXY, TRAIN)),
    *(([*words, "--jobs", "0"], "--jobs 0") for words in (LEARN, PROXY, TRAIN)),
    ([*LEARN[:-2], "--out", "taken.afx"], "exists; give --force"),
    ([*LEARN[:-2], "--out", "unfinished.afx"], "holds an unfinished run"),
    ([*LEARN, "--resume"], "no unfinished run"),
    ([*LEARN, "--preset", "gone.vstpreset"], "gone.vstpreset: no such file"),
    ([*LEARN, "--proxy", "gone"], "gone"),
    ([*PROXY[:-2], "--out", "proxy"], "exists; give --force"),
    ([*PROXY, "--controller", "gone"], "gone"),
    ([*PROXY, "--examples", "0"], "--examples is 0"),
    (["proxy", "check", "gone", "--audio", "audio"], "gone"),
    (["proxy", "check", "zam_comp", "--audio", "gone"], "gone: no such folder"),
    (["proxy", "check", "zam_comp", "--audio", "audio", "--split", "dev"], "dev"),
    ([*TRANSFER, "--amount", "nan"], "amount is nan"),
    ([*TRANSFER, "--automate", "--smooth", "nan"], "--smooth nan"),
    ([*TRANSFER[:-1], "no/out.wav"], "does not exist"),
    ([*TRANSFER[:-1], "in.wav"], "is one of the inputs"),
    ([*TRANSFER[:-1], "out.xyz"], "can't write audio as '.xyz'"),
    ([*PROBE, "--out", "in.wav/profile.toml"], "can't be made"),
    ([*PROBE, "--out", "/proc/none/profile.toml"], "can't be written"),
    ([*PROBE, "--preset", "gone.vstpreset"], "gone.vstpreset: no such file"),
    (["scan", "--timeout", "nan"], "--timeout nan"),
    (["scan", "--jobs", "0"], "--jobs 0"),
    ([*SYNTHETIC[:3], "gone", *SYNTHETIC[4:]], "gone: no such folder"),
    ([*SYNTHETIC[:-1], "no/s.json"], "does not exist"),
]


def test_what_can_be_refused_at_once_is(files):
    """All in one process, so that torch or a plugin host that one of them brings in shows in the end."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from blackbox_afx.cli.main import main\n"
        f"for words in {[words for words, _ in EARLY]!r}:\n"
        "    try:\n        main(words)\n"
        "    except SystemExit as left:\n        print(left.code, file=sys.stderr)\n"
        "    heavy = [name for name in ('torch', 'pedalboard', 'dawdreamer') if name in sys.modules]\n"
        "    assert not heavy, (words, heavy)\n"
    )
    before = sorted(files.rglob("*"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=files)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(EARLY), done.stderr
    for (words, says), error, status in zip(EARLY, lines[::2], lines[1::2], strict=True):
        assert error.startswith("afx: error: "), words
        assert says in error, words
        assert status in ("1", "2"), words
    assert sorted(files.rglob("*")) == before
