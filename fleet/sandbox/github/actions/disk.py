"""The disk of a runner: empty when a job begins, gone when it has ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class File:
    """A file of a commit, with git's mode (120000 is a symbolic link)."""

    mode: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Disk:
    """The folders of one runner: `workspace` is where a checkout goes, `temp` is RUNNER_TEMP."""

    folder: Path

    @classmethod
    def new(cls, parent: Path, tools: Mapping[str, str]) -> Disk:
        """An empty disk, but for programs that the runner's image brings, by their paths under `temp`."""
        disk = cls(Path(tempfile.mkdtemp(prefix="runner-", dir=parent)))
        for folder in (disk.workspace, disk.home, disk.temp):
            folder.mkdir(parents=True)
        for name, text in tools.items():
            program = disk.temp / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(text)
            program.chmod(0o755)
        return disk

    @property
    def workspace(self) -> Path:
        """GITHUB_WORKSPACE."""
        return self.folder / "work"

    @property
    def home(self) -> Path:
        """HOME."""
        return self.folder / "home"

    @property
    def temp(self) -> Path:
        """RUNNER_TEMP."""
        return self.folder / "temp"

    def put(self, files: Mapping[str, File]) -> None:
        """Write a commit's files into the workspace."""
        for name, file in files.items():
            path = self.workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if file.mode == "120000":
                path.symlink_to(file.data.decode(errors="surrogateescape"))
            else:
                path.write_bytes(file.data)
                if file.mode == "100755":
                    path.chmod(0o755)

    def contents(self) -> Mapping[str, bytes]:
        """All files of the workspace by their paths in it; what a link leads to is not read."""
        found = sorted(path for path in self.workspace.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(self.workspace)): path.read_bytes() for path in found}

    def wipe(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder)
