"""`make demo`: the main job from beginning to end, each step shown as the command that a person would type.

With the name of a registry (`make demo REGISTRY=ecr`) the same happens there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from fleet.sandbox import control, registries
from fleet.sandbox.control import FOLDER
from fleet.sandbox.serving import ENVIRONMENT, FLEET_FILE
from fleet.terminal import line, write

INFRASTRUCTURE = FOLDER / "infrastructure"
CHECKOUT = FOLDER / "climate-image"
REPOSITORY = "example-org/climate-image"
PACKAGE = "xarray"

BUILD_TAKES = 60.0
"""Seconds after which a build of the sandbox, which takes one, is given up."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What differs between registries: what is served, what an apply makes, and how fleet is started."""

    served: str
    makes: str
    up: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    plan: str = f"{FOLDER}/plan"
    fleet_file: Path = Path(FLEET_FILE)
    goes_on: str = ".venv/bin/fleet plan"

    @property
    def text(self) -> str:
        """The fleet file, as seen from the sandbox's folder."""
        return self.fleet_file.read_text(encoding="utf-8").replace(f"{FOLDER}/", "")


def scene(registry: str) -> Scene:
    """The scene of a registry; raises UsageError for one that the sandbox does not have."""
    found = registries.load(registry)
    if found is None:
        makes = "repositories, a robot that is proved, its sealed secret, workflows, a build, hubs."
        return Scene("a Quay", makes)
    file = FOLDER / FLEET_FILE
    return Scene(
        served=f"{found.title}, a Quay for what others built",
        makes=found.makes,
        up=(f"-registry={registry}",),
        there=(f"-chdir={FOLDER}",),
        plan="plan",
        fleet_file=file,
        goes_on=f"source {FOLDER / ENVIRONMENT}; .venv/bin/fleet -chdir={FOLDER} plan",
    )


def main(registry: str = registries.QUAY) -> int:
    """Run the demo in the folder of the example's fleet.yaml; 0 when each step ended as it should."""
    start = time.monotonic()
    told = scene(registry)
    control.down(FOLDER)
    try:
        _first_image(told)
        _next_image(told)
        _a_mistake(told)
    except BaseException:
        control.down(FOLDER)
        raise
    say(
        f"Done in {time.monotonic() - start:.0f} seconds. Everything is still up; where to look:",
        f"  git -C {INFRASTRUCTURE} log -p   what the values repository got",
        f"  git -C {CHECKOUT} log -p    what the image's own repository got",
        f"  {FOLDER}/state/                        what fleet remembers: history, never a secret",
        "  http://127.0.0.1:8403                a hub; ada's password is in .demo/hubs/climate-prod-password",
        f"Change {told.fleet_file} and go on: {told.goes_on}. Stop it all: .venv/bin/fleet sandbox down",
    )
    return 0


def _first_image(told: Scene) -> None:
    say(f"A sandbox: {told.served}, a GitHub with Actions, and three JupyterHubs, all of them on this machine.")
    fleet("sandbox", "up", *told.up)
    say("A student's server as it is today: an image that somebody built on a laptop.")
    fleet("sandbox", "visit", "climate-prod")
    say("The fleet file wants an image of our own on all three hubs. What does the world lack?")
    fleet(*told.there, "plan", f"-out={told.plan}", "-detailed-exitcode", expect=2)
    say(f"Carry out exactly that: {told.makes}")
    fleet(*told.there, "apply", told.plan)
    say("What the owners of the values repository see: one line for each place.")
    shell("git", "-C", str(INFRASTRUCTURE), "--no-pager", "show", "--unified=0", "--format=%an: %B")
    say("A student's server now, on a hub set by values files and on one set by its configurator:")
    fleet("sandbox", "visit", "climate-prod")
    fleet("sandbox", "visit", "seminar")
    say("With no change in the world, a second plan is empty.")
    fleet(*told.there, "plan", "-detailed-exitcode", expect=0)


def _next_image(told: Scene) -> None:
    say(f"Somebody adds a package to the image, as anybody would: clone, edit, commit, push. ({PACKAGE}, a line)")
    credentials = f"credential.helper=store --file={(FOLDER / 'git-credentials').absolute()}"
    github = control.running(FOLDER).services["GitHub"]
    shell("git", "clone", "--quiet", "-c", credentials, f"{github}/{REPOSITORY}.git", str(CHECKOUT))
    environment = CHECKOUT / "environment.yml"
    environment.write_text(f"{environment.read_text().rstrip()}\n  - {PACKAGE}\n", encoding="utf-8")
    author = ("-c", "user.name=Grace Hopper", "-c", "user.email=grace@example.org")
    shell("git", "-C", str(CHECKOUT), *author, "commit", "--quiet", "--all", f"--message=Add {PACKAGE}")
    shell("git", "-C", str(CHECKOUT), "push", "--quiet")
    await_build(github)
    say("The push was built. Every slot that follows `newest-build` is to have it:")
    fleet(*told.there, "plan", "-detailed-exitcode", expect=2)
    fleet(*told.there, "apply", "-auto-approve")
    fleet("sandbox", "visit", "climate-prod")
    say("The same hub has a second image, for who chooses it: upstream's, pinned to a tag.")
    fleet("sandbox", "visit", "climate-prod", "-choice=ml")


def _a_mistake(told: Scene) -> None:
    say("A tag that does not exist never reaches a hub.")
    wrong = FOLDER / "wrong.fleet.yaml"
    wrong.write_text(told.text.replace("2026.04.29", "2026.04.92"), encoding="utf-8")
    fleet("plan", f"-file={wrong}", expect=1)


def await_build(github: str) -> None:
    """Wait until GitHub's newest run of the source repository has ended."""
    token = Path(FOLDER / "github-token").read_text(encoding="utf-8").strip()
    give_up = time.monotonic() + BUILD_TAKES
    with httpx.Client(base_url=github, headers={"authorization": f"Bearer {token}"}, trust_env=False) as client:
        while time.monotonic() < give_up:
            runs = client.get(f"/repos/{REPOSITORY}/actions/runs").raise_for_status().json()["workflow_runs"]
            if runs[0]["status"] == "completed":
                return
            time.sleep(0.2)
    raise SystemExit("The build does not end.")


def say(*sentences: str) -> None:
    """Tell what comes next."""
    write([(), *(line(("bold", sentence)) for sentence in sentences)])


def fleet(*arguments: str, expect: int = 0) -> None:
    """Run one fleet command as a person would, and end the demo when it does not end as it should."""
    run([sys.executable, "-m", "fleet", *arguments], f"fleet {' '.join(arguments)}", expect)


def shell(*command: str) -> None:
    """Run any other command."""
    run(list(command), " ".join(part if " " not in part else f"'{part}'" for part in command), 0)


def run(command: list[str], shown: str, expect: int) -> None:
    """Show a command, run it, and end the demo when it does not end with the exit code that it should."""
    write([line(("adopt", f"$ {shown}"))])
    code = subprocess.run(command, check=False, env={**os.environ, **control.environment(FOLDER)}).returncode
    if code != expect:
        write([line(("error", f"The demo stops here: exit code {code}, where {expect} was expected."))], sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2]))
