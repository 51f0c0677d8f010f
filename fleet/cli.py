"""The command line: Terraform's names and spelling, and the one place where errors become exit codes.

Starting up imports next to nothing: each command's module is imported when it runs. Options are accepted as `-x=y`,
`-x y`, `--x=y` and `--x y`. Results go to standard output; progress, warnings and errors to standard error. Longer than
most modules, because it is one table of commands and options.
"""

from __future__ import annotations

import argparse
import gc
import sys

from fleet import __version__
from fleet.errors import ExitCode, FleetError

TYPE_CHECKING = False  # `typing` is not imported for it: `fleet version` pays for every import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

DESCRIPTION = "Declarative fleet manager for JupyterHub images: describe the hubs in fleet.yaml, plan, apply."

EPILOG = "exit codes: 0 ok, 1 error, 2 changes present, 3 applied in part, 4 refused by policy, 5 stale, 6 locked, \
7 budget reached, 64 bad command line"


class _Parser(argparse.ArgumentParser):
    """A parser that ends with 64 for a bad command line: argparse's own 2 means `changes present` here."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how, add_help=False, allow_abbrev=False)
        self.add_argument("-h", "-help", "--help", action="help", help="show this help and exit")

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"Error: {message}\nRun '{self.prog} --help' for the options.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    # Importing and planning build much and drop little: the collector would walk the growing heap for nothing.
    collecting = gc.isenabled()
    gc.disable()
    options = parse(arguments)
    try:
        return _run(options)
    except FleetError as error:
        _report(error, options)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return ExitCode.ERROR
    except KeyboardInterrupt:
        print("Interrupted; nothing was being written.", file=sys.stderr)  # noqa: T201
        return ExitCode.INTERRUPTED
    finally:
        if collecting:
            gc.enable()


def _run(options: argparse.Namespace) -> int:
    if options.chdir:
        import os

        try:
            os.chdir(options.chdir)
        except OSError as error:
            raise FleetError(f"-chdir={options.chdir}: {error.strerror}") from None
    from importlib import import_module

    command = import_module(f"fleet.commands.{options.module}")
    return int(command.run(options))


def _report(error: FleetError, options: argparse.Namespace) -> None:
    from fleet.report import error_lines
    from fleet.terminal import write

    write(error_lines(error), sys.stderr, no_color=getattr(options, "no_color", False))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read a command line; ends the process with 64 for a bad one."""
    parser = _Parser(prog="fleet", description=DESCRIPTION, epilog=EPILOG)
    _option(parser, "chdir", metavar="DIR", help="change to this folder first")
    parser.add_argument("-version", "--version", action="version", version=f"fleet {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    _add_plan(commands)
    _add_apply(commands)
    _add_drift(commands)
    _add_credentials(commands)
    _add_show(commands)
    _add_ci(commands)
    _add_small(commands)
    return parser.parse_args(arguments)


def _add_plan(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "plan", "show what apply would change")
    _add_planning(parser)
    _option(parser, "out", metavar="FILE", help="write the plan to a file for `fleet apply FILE`")
    _flag(parser, "detailed-exitcode", help="exit with 2 when there are changes")
    _add_telling(parser)


def _add_apply(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "apply", "make the world as fleet.yaml says, or carry out a saved plan")
    parser.add_argument("plan_file", metavar="PLANFILE", nargs="?", help="carry out exactly this plan, without asking")
    _add_planning(parser)
    _flag(parser, "auto-approve", help="do not ask before writing")
    _option(parser, "lock-timeout", metavar="SECONDS", type=_seconds, default=0.0, help="wait this long for the lock")
    _option(parser, "expect-plan", metavar="HASH", help="write only if this is still the plan, as it was reviewed")
    _option(
        parser, "resolutions", metavar="PLANFILE", help="the reviewed plan's file: its builds are used, no newer ones"
    )
    _option(
        parser,
        "on-stale",
        choices=["skip", "replan", "fail"],
        default="skip",
        help="what becomes of the rest when something moved: go on, plan it again, or begin nothing more (skip)",
    )
    _add_telling(parser)


def _add_drift(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "drift", "say what moved in the world since fleet last applied (exit 2)")
    _fleet_file(parser)
    _option(parser, "max-requests", metavar="N", type=_positive, help="end cleanly (exit 7) after this many requests")
    _option(parser, "deadline", metavar="SECONDS", type=_seconds, help="end cleanly (exit 7) after this time")
    _add_without(parser)
    _flag(parser, "no-color", help="no colours")
    _add_telling(parser)
    parser.set_defaults(target=[], exclude=[], refresh=True)


def _add_ci(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "ci", "what a fleet repository's workflows need")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=_Parser)
    init = actions.add_parser("init", help="write the workflow of a fleet repository", description="Write it.")
    init.add_argument("host", metavar="HOST", choices=["github"], help="where the repository lives: github")
    _fleet_file(init)
    _option(
        init,
        "action",
        dest="reference",
        metavar="OWNER/REPO@SHA",
        required=True,
        help="the repository of fleet, pinned by commit",
    )
    _option(init, "branch", metavar="NAME", default="main", help="the default branch (main)")
    _add_without(init)
    _flag(init, "overwrite", help="replace a workflow that says something else")
    init.set_defaults(action="init")
    reviewed = actions.add_parser(
        "reviewed", help="find the plan that the merged pull request showed", description="Find it."
    )
    _fleet_file(reviewed)
    reviewed.set_defaults(action="reviewed")


def _add_telling(parser: argparse.ArgumentParser) -> None:
    _option(
        parser,
        "format",
        choices=["text", "markdown", "github"],
        default="text",
        help="text, Markdown, or all that GitHub Actions takes: annotations, summary, outputs, comment (text)",
    )
    _flag(parser, "json", help="as JSON lines, in Terraform's envelope")
    _option(
        parser, "comment", metavar="NUMBER", type=_positive, help="with -format=github: comment on this pull request"
    )


def _add_without(parser: argparse.ArgumentParser) -> None:
    _option(
        parser,
        "without",
        metavar="REGISTRY",
        action="append",
        default=[],
        help="a registry whose login this run lacks: what it holds is not read; may be given often",
    )


def _add_credentials(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "credentials", "list or prove the credentials that builds push with, or replace them")
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=["list", "check", "rotate", "revoke"],
        help="list them, worst first (list, the default), prove them, replace them by newer, or revoke them at once",
    )
    _flag(parser, "json", help="list, check: as JSON")
    _option(parser, "older-than", metavar="DAYS", type=_days, help="rotate: only those that are this old, such as 90d")
    _flag(parser, "auto-approve", help="rotate, revoke: do not ask before writing")
    _option(parser, "lock-timeout", metavar="SECONDS", type=_seconds, default=0.0, help="wait this long for the lock")
    _add_selection(parser)
    parser.set_defaults(refresh=True, plan_file=None, on_stale="skip")


def _add_show(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "show", "show a saved plan")
    parser.add_argument("plan_file", metavar="PLANFILE", help="a file that `fleet plan -out` wrote")
    _flag(parser, "json", help="as one JSON document, in Terraform's names")
    _flag(parser, "no-color", help="no colours")


def _add_small(commands: argparse._SubParsersAction[_Parser]) -> None:
    validate = _command(commands, "validate", "check fleet.yaml, without network or credentials")
    _fleet_file(validate)
    _flag(validate, "json", help="as Terraform's diagnostics document")
    _option(
        validate, "format", choices=["text", "github"], default="text", help="text, or annotations of GitHub (text)"
    )
    _flag(validate, "no-color", help="no colours")
    _command(commands, "schema", "print the JSON Schema of fleet.yaml")
    importer = _command(commands, "import", "print a fleet.yaml for an existing configuration", module="import_")
    importer.add_argument("layout", metavar="LAYOUT", choices=["2i2c"], help="how the configuration is laid out: 2i2c")
    importer.add_argument("path", metavar="PATH", help="its folder")
    unlock = _command(commands, "force-unlock", "take the lease on the state from a run that is dead", "force_unlock")
    unlock.add_argument("run", metavar="RUN", help="the run that holds it, as the message of exit code 6 names it")
    _fleet_file(unlock)
    _flag(unlock, "force", help="do not ask first")
    _flag(unlock, "no-color", help="no colours")
    sandbox = _command(commands, "sandbox", "services on loopback to try everything out with")
    sandbox.add_argument(
        "action",
        choices=["up", "down", "status", "visit"],
        help="start it, stop it, say whether it is up, or start a user's server on one of its hubs",
    )
    sandbox.add_argument("hub", nargs="?", metavar="HUB", help="the hub to visit")
    _option(sandbox, "choice", metavar="CHOICE", help="the image to choose there (the default one)")
    _option(sandbox, "folder", metavar="DIR", default=".demo", help="where it keeps everything (.demo)")
    _option(sandbox, "registry", metavar="NAME", help="where its images live (quay); a wrong name lists all")
    _option(
        sandbox, "port", metavar="PORT", type=_positive, default=8400, help="the first of its five or six ports (8400)"
    )
    version = _command(commands, "version", "print the version")
    _flag(version, "json", help="as JSON")


def _add_planning(parser: argparse.ArgumentParser) -> None:
    _add_selection(parser)
    _option(
        parser, "refresh", metavar="BOOL", type=_boolean, default=True, help="false: make no network request (offline)"
    )


def _add_selection(parser: argparse.ArgumentParser) -> None:
    _fleet_file(parser)
    selector = "ADDRESS, hub:NAME, image:NAME or label:KEY=VALUE, with globs; may be given often"
    _option(parser, "target", metavar="SELECTOR", action="append", default=[], help=f"only these: {selector}")
    _option(parser, "exclude", metavar="SELECTOR", action="append", default=[], help=f"all but these: {selector}")
    _add_without(parser)
    _option(parser, "max-requests", metavar="N", type=_positive, help="end cleanly (exit 7) after this many requests")
    _option(parser, "deadline", metavar="SECONDS", type=_seconds, help="end cleanly (exit 7) after this time")
    _flag(parser, "no-color", help="no colours")


def _fleet_file(parser: argparse.ArgumentParser) -> None:
    _option(parser, "file", metavar="FILE", default="fleet.yaml", help="the fleet file (fleet.yaml)")


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    purpose: str,
    module: str | None = None,
) -> _Parser:
    parser = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
    parser.set_defaults(module=module or name)
    return parser


def _option(parser: argparse.ArgumentParser, name: str, **how: Any) -> None:
    parser.add_argument(f"-{name}", f"--{name}", **how)


def _flag(parser: argparse.ArgumentParser, name: str, help: str) -> None:  # noqa: A002
    parser.add_argument(f"-{name}", f"--{name}", action="store_true", help=help)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _days(text: str) -> int:
    if not (text.endswith("d") and text[:-1].isdecimal() and 0 < int(text[:-1]) < 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, such as 90d")
    return int(text[:-1])


def _seconds(text: str) -> float:
    """Seconds, or as Terraform writes durations: 30s, 5m, 1h."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: write 90, 90s, 5m or 1h")
    return seconds
