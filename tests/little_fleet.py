"""A small fleet on disk for tests: `fleet.yaml` and a values repository, both easy to change."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

COMMON = """\
jupyterhub:
  singleuser:
    image:
      name: HOST/example/climate   # shared by two hubs
      tag: aaaaaaaaaaaa
    profileList:
      - display_name: Standard
        profile_options:
          image:
            choices:
              plain: {display_name: Plain}
              ml:
                display_name: ML (2026.01.30)
                kubespawner_override:
                  image: HOST/pangeo/ml-notebook:2026.01.30
"""

OWN = """\
jupyterhub:
  singleuser:
    image: {name: HOST/example/climate, tag: aaaaaaaaaaaa}
"""

TAGS = {
    "example/climate": ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd"],
    "pangeo/ml-notebook": ["2026.01.30", "2026.04.29"],
}
"""What the registry at HOST holds."""

FILES = {"common.yaml": COMMON, "one.yaml": "{}\n", "two.yaml": "jupyterhub: {}\n", "three.yaml": OWN}


def git(folder: Path, *arguments: str) -> str:
    """What a git command in a folder prints."""
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class LittleFleet:
    """`document` is fleet.yaml as data; `save` writes it down."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder
        self.host = host
        self.infrastructure = folder / "infrastructure"
        self.write_files(FILES)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "An Operator")
        self.git("config", "user.email", "operator@example.org")
        self.commit("The hubs as they are")
        self.document: dict[str, Any] = {
            "version": 1,
            "name": "example",
            "images": {
                "climate": {"upstream": f"{host}/example/climate"},
                "ml": {"upstream": f"{host}/pangeo/ml-notebook"},
            },
            "hubs": {name: self._hub(name, files) for name, files in self._files_of().items()},
        }
        self.save()

    @staticmethod
    def _files_of() -> dict[str, list[str]]:
        return {"one": ["common.yaml", "one.yaml"], "two": ["common.yaml", "two.yaml"], "three": ["three.yaml"]}

    @staticmethod
    def _hub(name: str, files: list[str]) -> dict[str, Any]:
        return {
            "url": f"https://{name}.example.org",
            "labels": {"wave": "staging" if name == "one" else "prod"},
            "values": {"path": "infrastructure", "files": files},
            "slots": {"default": {"image": "climate", "track": "aaaaaaaaaaaa"}},
        }

    def save(self) -> None:
        """Write fleet.yaml from the document."""
        (self.folder / "fleet.yaml").write_text(yaml.safe_dump(self.document, sort_keys=False))

    def track(self, tag: str, *hubs: str, slot: str = "default", image: str = "climate") -> None:
        """Have slots of hubs (all of them unless named) follow a tag."""
        for hub in hubs or tuple(self.document["hubs"]):
            self.document["hubs"][hub]["slots"][slot] = {"image": image, "track": tag}
        self.save()

    def write_files(self, files: Mapping[str, str]) -> None:
        """Write values files into the working tree."""
        for name, text in files.items():
            path = self.infrastructure / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("HOST", self.host))

    def commit(self, message: str) -> None:
        """Commit the working tree."""
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", message)

    def git(self, *arguments: str) -> str:
        """What a git command in the values repository prints."""
        return git(self.infrastructure, *arguments)

    def commits(self) -> int:
        """How many commits the values repository has."""
        return int(self.git("rev-list", "--count", "HEAD"))

    @property
    def climate(self) -> str:
        """The full name of the image `climate`."""
        return f"{self.host}/example/climate"

    def at_head(self, name: str) -> str:
        """A values file as committed."""
        return self.git("show", f"HEAD:{name}") + "\n"

    def changed_lines(self) -> list[str]:
        """The lines that the last commit took away and put in."""
        diff = self.git("show", "--unified=0", "--format=", "HEAD")
        return [text for text in diff.splitlines() if text[:1] in "+-" and text[:3] not in ("+++", "---")]
