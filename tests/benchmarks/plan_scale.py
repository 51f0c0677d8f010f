"""Load and offline plan of fleets of growing size: 5 sites for each hub, each hub with a values file of its own."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.measure import FLEET, cost, row

SIZES = (1_000, 10_000)
"""Resources; aims are 0.25 s and 1.5 s."""

SITES = 5

VALUES = """\
jupyterhub:
  singleuser:
    # The image of this hub's users.
    image:
      name: quay.io/example/climate
      tag: aaaaaaaaaaaa
    profileList:
      - display_name: Standard
        default: true
        profile_options:
          image:
            display_name: Image
            choices:
"""
CHOICE = """\
              c{number}:
                display_name: Choice {number}
                kubespawner_override:
                  image: quay.io/example/choice-{number}:2026.01.0{number}
"""
VALUES += "".join(CHOICE.format(number=number) for number in range(1, SITES)) + (
    "              plain: {display_name: Plain}\n"
)

HUB = """\
  hub-{hub:05}:
    url: https://hub-{hub:05}.example.org
    labels: {{wave: prod}}
    values: {{path: infrastructure, files: [hub-{hub:05}.values.yaml]}}
    slots:
      default: {{image: climate, track: {tag}}}
"""
HUB += "".join(
    f'      choices.c{number}: {{{{image: choice-{number}, track: "2026.01.0{number}"}}}}\n'
    for number in range(1, SITES)
)


def write_fleet(folder: Path, resources: int, tag: str = "aaaaaaaaaaaa") -> None:
    """Write a fleet of that many sites, and its values repository."""
    hubs = resources // SITES
    images = ["  climate: {upstream: quay.io/example/climate}"]
    images += [f"  choice-{number}: {{upstream: quay.io/example/choice-{number}}}" for number in range(1, SITES)]
    text = ["version: 1", "name: example", "images:", *images, "hubs:"]
    text += [HUB.format(hub=hub, tag=tag).rstrip("\n") for hub in range(hubs)]
    (folder / "fleet.yaml").write_text("\n".join(text) + "\n")
    infrastructure = folder / "infrastructure"
    infrastructure.mkdir()
    for hub in range(hubs):
        (infrastructure / f"hub-{hub:05}.values.yaml").write_text(VALUES)
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "add", "."],
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message=hubs"],
    ):
        subprocess.run(command, cwd=infrastructure, check=True)


def main() -> None:
    """Print the table."""
    row("offline plan, 5 sites a hub", "seconds", "MiB", "growth")
    before = 0.0
    for resources in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_fleet(folder, resources)
            spent = cost([*FLEET, "plan", "-refresh=false", "-detailed-exitcode"], folder, runs=5)
            growth = f"x {spent.seconds / before:.1f}" if before else ""
            row(f"{resources:,} resources, no changes", f"{spent.seconds:.2f}", f"{spent.mebibytes:.0f}", growth)
            before = spent.seconds


if __name__ == "__main__":
    main()
