"""Runs the operator's git: their identity, hooks, signing and configuration count, their shell's GIT_DIR does not."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from fleet.provider import ProviderError

LONGEST_QUOTE = 1000
"""Characters of what git or a hook said that an error repeats."""

_NAMES_ANOTHER_REPOSITORY = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_DIR",
        "GIT_GLOB_PATHSPECS",
        "GIT_GRAFT_FILE",
        "GIT_ICASE_PATHSPECS",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_LITERAL_PATHSPECS",
        "GIT_NAMESPACE",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""Variables that point git at a repository or change how it reads paths: what a hook of another repository that
runs us would leave behind. Source: `git rev-parse --local-env-vars`, without the configuration, which is the
operator's."""


class GitError(ProviderError):
    """git refused; `said` is its own text."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


@dataclass(frozen=True, slots=True)
class Git:
    """git in one folder; `index` stands in for the folder's index, `held` are descriptors its children keep open."""

    folder: Path
    index: Path | None = None
    held: tuple[int, ...] = ()

    def on_index(self, index: Path) -> Git:
        """The same git with another index file."""
        return replace(self, index=index)

    def ask(self, *arguments: str, given: bytes = b"") -> bytes:
        """What a git command prints; raises GitError when it fails."""
        done = self.run(*arguments, given=given)
        if done.returncode != 0:
            said = done.stderr.decode(errors="backslashreplace")
            raise GitError(f"git {arguments[0]} failed in {self.folder}: {quote(said)}", said)
        return done.stdout

    def line(self, *arguments: str) -> str:
        """The one line that a git command prints, as text."""
        return os.fsdecode(self.ask(*arguments)).removesuffix("\n")

    def says_yes(self, *arguments: str) -> bool:
        """The answer of a command that ends with 0 for yes and 1 for no; raises GitError for anything else."""
        done = self.run(*arguments)
        if done.returncode not in (0, 1):
            said = done.stderr.decode(errors="backslashreplace")
            raise GitError(f"git {arguments[0]} failed in {self.folder}: {quote(said)}", said)
        return done.returncode == 0

    def run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a git command whose output is read by us, so in the C locale."""
        try:
            return subprocess.run(
                self._command(arguments),
                input=given,
                capture_output=True,
                env=self._environment() | {"LC_ALL": "C"},
                pass_fds=self.held,
                check=False,
            )
        except OSError as error:
            raise _cannot_run(error) from None

    def run_with_hooks(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a git command that starts hooks: in the operator's locale, without input.

        Output goes to files, because a program that a hook leaves running would keep a pipe open for ever. An interrupt
        from the terminal, which every process there gets, leaves the commit alone: fleet finishes what it has begun.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, _uninterrupted():
            try:
                done = subprocess.run(
                    self._command(arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=self._environment(),
                    pass_fds=self.held,
                    check=False,
                )
            except OSError as error:
                raise _cannot_run(error) from None
            return subprocess.CompletedProcess(done.args, done.returncode, _whole(out), _whole(err))

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return ["git", "-C", os.fspath(self.folder), *arguments]

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in _NAMES_ANOTHER_REPOSITORY}
        environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": ":"}
        if self.index is not None:
            environment["GIT_INDEX_FILE"] = os.fspath(self.index)
        return environment


def quote(said: str) -> str:
    """What a program said, as part of one sentence: lines joined, control characters escaped, the end of it if long."""
    lines = (line.strip() for line in said.splitlines())
    text = " / ".join(line for line in lines if line)
    text = "".join(_visible(character) for character in text)
    return text if len(text) <= LONGEST_QUOTE else "…" + text[-LONGEST_QUOTE:]


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs"}
    return character.encode("unicode_escape").decode() if hidden else character


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Programs that are started meanwhile inherit a blocked SIGINT; git would take an ignored one back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _cannot_run(error: OSError) -> ProviderError:
    if isinstance(error, FileNotFoundError):
        return ProviderError("a local checkout needs the git command, and it is not on PATH; install git")
    return ProviderError(f"the git command cannot be run: {error.strerror}")
