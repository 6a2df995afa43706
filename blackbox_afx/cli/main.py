"""The entry point of `afx`: which commands there are, and how a failure is told.

Conventions: exit status 0 done, 1 failed, 2 wrong use, 130 interrupted, 141 nobody reads our output any more.
A failure is one line on stderr that starts with ``afx: error:``; a traceback only where AFX_DEBUG=1 is set.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from textwrap import dedent, indent

from cyclopts import App
from cyclopts.exceptions import CycloptsError
from cyclopts.help import format_usage

from blackbox_afx import __version__
from blackbox_afx.cli.console import note, one_line, say
from blackbox_afx.errors import AfxError, UsageError, nearest

COMMANDS = {
    "demo": ("blackbox_afx.cli.demo:demo", "The main job on shipped clips and built-in effects."),
    "scan": ("blackbox_afx.cli.scan:scan", "Audit the plugins on this machine, each in isolation."),
    "probe": ("blackbox_afx.cli.probe:probe", "Audit one plugin and write its profile."),
    "learn": ("blackbox_afx.cli.learn:learn", "Learn a style controller for plugins from a folder of audio."),
    "train": ("blackbox_afx.cli.train:train", "Train what a recipe says: a controller, or a proxy."),
    "proxy": ("blackbox_afx.cli.proxy:app", "Train networks that imitate plugins, and check them."),
    "transfer": ("blackbox_afx.cli.transfer:transfer", "Give a recording the sound of a reference."),
    "match": ("blackbox_afx.cli.match:match", "Give a recording the sound of a reference with any plugin, untrained."),
    "export": ("blackbox_afx.cli.export:export", "Write a result as a project, preset or table for a DAW."),
    "benchmark": ("blackbox_afx.cli.benchmark:app", "Measure, on recordings that nothing was learned from."),
    "list": (
        "blackbox_afx.cli.list:list_shelf",
        "Show the plugins, proxies, recipes, controllers and methods there are.",
    ),
    "copy": (
        "blackbox_afx.cli.copy:copy",
        "Copy a shipped plugin, proxy, recipe or controller to change it.",
    ),
}
"""Name, where it lies, and its line in `afx --help`; the line stands here so that help imports no command."""


def build_app() -> App:
    """Make the program with all its commands, none of them imported yet."""
    app = App(
        name="afx",
        help="Style controllers for real audio plugins.",
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, (target, summary) in COMMANDS.items():
        app.command(target, name=name, help=summary)
    app.command(version, name="version")
    return app


def version() -> None:
    """Print the version."""
    say(__version__)


def run(arguments: Sequence[str]) -> int:
    """Run one command and let its errors through.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``afx`` on the command line.

    Returns
    -------
    int
        The exit status.
    """
    app = build_app()
    arguments = list(arguments)
    first = arguments[0] if arguments else "--help"
    if not first.startswith("-") and first not in [*COMMANDS, "version"]:
        # cyclopts would import every command, and torch with some of them, to word this.
        raise UsageError(f"no command is called '{first}'; {nearest(first, [*COMMANDS, 'version'])} (see `afx --help`)")
    if wants_help(app, arguments):
        print_help(app, arguments)
        return 0
    result = app(arguments, exit_on_error=False, print_error=False)
    return result if isinstance(result, int) else 0


def wants_help(app: App, arguments: list[str]) -> bool:
    """Say whether help is asked for, by a flag or by giving nothing."""
    before_dashes = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return not arguments or any(flag in before_dashes for flag in app.help_flags)


def print_help(app: App, arguments: list[str]) -> None:
    """Print a command's help, then its example."""
    tokens = [token for token in arguments if token not in app.help_flags]
    chain, apps, _ = app.parse_commands(tokens)
    command = apps[-1]
    if command is not app and command.default_command is not None:
        command.usage = usage_of(str(format_usage(app, chain, execution_path=apps)), chain, command)
    if len(apps) > 1 and apps[1].name[0] in COMMANDS:
        # The one line above serves `afx --help`; the command's own page shows its whole docstring.
        module = sys.modules[COMMANDS[apps[1].name[0]][0].partition(":")[0]]
        apps[1].help = None if apps[1].default_command else inspect.cleandoc(module.__doc__ or "")
    app.help_print(tokens)
    text = EXAMPLE if command is app else example_of(command)
    if text:
        say("Example\n" + indent(text, "  "))


def usage_of(text: str, chain: Sequence[str], command: App) -> str:
    """Word a line of usage with the arguments first, by name, and what may be left out last.

    Parameters
    ----------
    text : str
        As cyclopts words it: what must be given, ``[OPTIONS]``, arguments, of which it calls any number ``[ARGS...]``.
    chain : sequence of str
        The command's names.
    command : App
    """
    head, options, arguments = text.strip().partition("[OPTIONS]")
    start = " ".join(["afx", *chain])
    takes = getattr(command.default_command, "__afx_takes__", "") or arguments.strip()
    return " ".join(
        filter(None, ["Usage:", start, takes, head.removeprefix("Usage: ").removeprefix(start).strip(), options])
    )


def example_of(command: App) -> str:
    """Give a command's example; of a group, those of its commands."""
    if command.default_command is None:
        flags = (*command.help_flags, *command.version_flags)
        return "\n".join(filter(None, (example_of(command[name]) for name in command if name not in flags)))
    return dedent(getattr(command.default_command, "__afx_example__", "")).strip("\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `afx` and leave with its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        ``sys.argv[1:]`` by default.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = os.environ.get("AFX_DEBUG", "") not in ("", "0")
    try:
        status = run(arguments)
        sys.stdout.flush()
    except AfxError as error:
        status = fail(str(error), error.exit_status, debug)
    except CycloptsError as error:
        command = " ".join(["afx", *(error.command_chain or ())])
        status = fail(f"{one_line(error)} (see `{command} --help`)", 2, debug)
    except KeyboardInterrupt:
        note("afx: interrupted")
        status = 130
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except Exception as error:
        what = f"{type(error).__name__}: {one_line(error)}"
        hint = "please report it; AFX_DEBUG=1 shows the traceback"
        status = fail(f"internal error, {what} ({hint})", 1, debug)
    raise SystemExit(status)


def fail(message: str, status: int, debug: bool) -> int:
    """Print an error in one line, or with its traceback when debugging."""
    if debug:
        import traceback

        traceback.print_exc()
    note("afx: error:", one_line(message))
    return status


EXAMPLE = """\
$ afx demo --minutes 2
...
$ afx probe /usr/lib/vst3/ZamComp.vst3 --out profile.toml
$ afx learn zam_eq2 zam_comp --audio recordings/ --minutes 20 --out mine.safetensors
$ afx transfer take.wav reference.wav --controller mine.safetensors --out result.wav"""


if __name__ == "__main__":
    main()
