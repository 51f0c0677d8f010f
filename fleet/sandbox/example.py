"""The example fleet's world: its file, a values repository as an operator would keep it, and three hubs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from fleet.sandbox.hub.settings import ConfiguratorService, HubSettings, Node, ValuesFiles

FOLDER = ".demo"
"""Where the example's fleet.yaml says that the sandbox keeps everything."""

PORT = 8400
"""The first port in the example's files: Quay's. GitHub and the hubs have those that follow."""

GITHUB_PORT, FIRST_HUB_PORT, REGISTRY_PORT = 1, 2, 5
"""How far after Quay's port they are; the last is that of a registry of another type, where there is one."""

_REGISTRIES = re.compile(r"^registries:\n(?: .*\n)+", re.MULTILINE)
_ADDRESS = re.compile(rf"127\.0\.0\.1:({PORT // 10})(\d)")

UPSTREAM = {
    "climate/climate-image": ("9be04c1f77aa",),
    "pangeo/ml-notebook": ("2026.01.30", "2026.04.29"),
}
"""Images that somebody else built, and their tags."""

_COMMON = """\
# What all hubs of the climate cluster share.
jupyterhub:
  singleuser:
    profileList:
      - display_name: Standard
        default: true
        profile_options: &images
          image:
            display_name: Image
            choices:
              climate: &climate
                display_name: Climate
                default: true
              ml:
                display_name: "Pangeo, machine learning"
                kubespawner_override:
                  image: 127.0.0.1:8400/pangeo/ml-notebook:2026.01.30   # one line for every hub and profile below
      - display_name: Large
        profile_options: *images
"""

_STAGING = """\
jupyterhub:
  singleuser:
    image:
      name: 127.0.0.1:8400/climate/climate-image
      tag: '9be04c1f77aa'   # built on somebody's laptop
"""

_PROD = """\
jupyterhub:
  hub:
    image:
      name: quay.io/example/hub   # the hub's own image: never fleet's business
      tag: '4.3'
  singleuser:
    image: {name: 127.0.0.1:8400/climate/climate-image, tag: 9be04c1f77aa}
"""

_FILES = {
    "config/common.values.yaml": _COMMON,
    "config/staging.values.yaml": _STAGING,
    "config/prod.values.yaml": _PROD,
}


def fleet_file(port: int = PORT) -> str:
    """The example's fleet.yaml for a sandbox on `port`: the one at the root of a checkout, or the package's copy."""
    packaged = resources.files("fleet.sandbox") / "fleet.yaml"
    own = packaged if packaged.is_file() else Path(__file__).parents[2] / "fleet.yaml"
    return at_port(own.read_text(encoding="utf-8"), port)


def fleet_file_with(name: str, entry: Mapping[str, Any], port: int = PORT) -> str:
    """The same as a file in the sandbox's folder, with another registry for the images: its name and its block."""
    text = fleet_file(port).replace(f"{FOLDER}/", "").replace("registry: quay", f"registry: {name}")
    block = yaml.safe_dump({"registries": {name: dict(entry)}}, sort_keys=False, width=120)
    title = f"# The example fleet, with its images in {name}.\n"
    return title + _REGISTRIES.sub(lambda _: block, text[text.index("version:") :])


def at_port(text: str, port: int) -> str:
    """A text with the sandbox's addresses moved to the ports from `port` on."""
    return _ADDRESS.sub(lambda found: f"127.0.0.1:{port + int(found[2])}", text)


def hubs(folder: Path, port: int, node: Node) -> Mapping[str, HubSettings]:
    """The hubs of the example, whose values lie in the checkout in `folder` and whose nodes are as `node`."""
    common = "config/common.values.yaml"
    images = {
        "climate-staging": ValuesFiles(repository=folder, files=(common, "config/staging.values.yaml")),
        "climate-prod": ValuesFiles(repository=folder, files=(common, "config/prod.values.yaml")),
        "seminar": ConfiguratorService(default_image=f"127.0.0.1:{port}/climate/climate-image:9be04c1f77aa"),
    }
    return {
        name: HubSettings(**dict(node), image=image, port=port + FIRST_HUB_PORT + number, users=("ada",))
        for number, (name, image) in enumerate(images.items())
    }


def make_infrastructure(folder: Path, port: int = PORT) -> None:
    """Make the values repository anew: a git checkout with one commit."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(at_port(text, port), encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.name", "An Operator")
    git(folder, "config", "user.email", "operator@example.org")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=The hubs as they are")


def git(folder: Path, *arguments: str) -> str:
    """What a git command prints; raises CalledProcessError when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout
