"""The example fleet's world: a values repository as an operator would keep it, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_COMMON = """\
# What all hubs of the climate cluster share.
jupyterhub:
  singleuser:
    image:
      name: 127.0.0.1:8400/climate/climate-image
      tag: 9be04c1f77aa   # one line decides the image of every hub below
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
                  image: 127.0.0.1:8400/pangeo/ml-notebook:2026.01.30
      - display_name: Large
        profile_options: *images
"""

_STAGING = """\
jupyterhub:
  singleuser:
    image:
      tag: '9be04c1f77aa'   # staging goes first
"""

_PROD = """\
jupyterhub:
  hub:
    image:
      name: quay.io/example/hub   # the hub's own image: never fleet's business
      tag: '4.3'
"""

_BIOLOGY = """\
jupyterhub:
  singleuser:
    image: {name: 127.0.0.1:8400/climate/climate-image, tag: 9be04c1f77aa}
"""

FILES = {
    "config/common.values.yaml": _COMMON,
    "config/staging.values.yaml": _STAGING,
    "config/prod.values.yaml": _PROD,
    "config/biology.values.yaml": _BIOLOGY,
}


def make_infrastructure(folder: Path) -> None:
    """Make the values repository anew: a git checkout with one commit."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
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
