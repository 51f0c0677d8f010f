"""`make demo`: the main job from beginning to end, each step shown as the command that a person would type."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from fleet.sandbox import control, example
from fleet.sandbox.control import FOLDER
from fleet.terminal import line, write

INFRASTRUCTURE = FOLDER / "infrastructure"
CHECKOUT = FOLDER / "climate-image"
REPOSITORY = "example-org/climate-image"
PACKAGE = "xarray"

BUILD_TAKES = 60.0
"""Seconds after which a build of the sandbox, which takes one, is given up."""


def main() -> int:
    """Run the demo in the folder of the example's fleet.yaml; 0 when each step ended as it should."""
    start = time.monotonic()
    control.down(FOLDER)
    try:
        _first_image()
        _next_image()
        _a_mistake()
    except BaseException:
        control.down(FOLDER)
        raise
    say(
        f"Done in {time.monotonic() - start:.0f} seconds. Everything is still up; where to look:",
        f"  git -C {INFRASTRUCTURE} log -p   what the values repository got",
        f"  git -C {CHECKOUT} log -p    what the image's own repository got",
        f"  {FOLDER}/state/                        what fleet remembers: history, never a secret",
        "  http://127.0.0.1:8403                a hub; ada's password is in .demo/hubs/climate-prod-password",
        "Change fleet.yaml and go on: .venv/bin/fleet plan. Stop it all: .venv/bin/fleet sandbox down",
    )
    return 0


def _first_image() -> None:
    say("A sandbox: a Quay, a GitHub with Actions, and three JupyterHubs, all of them on this machine.")
    fleet("sandbox", "up")
    say("A student's server as it is today: an image that somebody built on a laptop.")
    fleet("sandbox", "visit", "climate-prod")
    say("fleet.yaml wants an image of our own on all three hubs. What does the world lack?")
    fleet("plan", f"-out={FOLDER}/plan", "-detailed-exitcode", expect=2)
    say("Carry out exactly that: repositories, a robot that is proved, its sealed secret, workflows, a build, hubs.")
    fleet("apply", f"{FOLDER}/plan")
    say("What the owners of the values repository see: one line for each place.")
    shell("git", "-C", str(INFRASTRUCTURE), "--no-pager", "show", "--unified=0", "--format=%an: %B")
    say("A student's server now, on a hub set by values files and on one set by its configurator:")
    fleet("sandbox", "visit", "climate-prod")
    fleet("sandbox", "visit", "seminar")
    say("With no change in the world, a second plan is empty.")
    fleet("plan", "-detailed-exitcode", expect=0)


def _next_image() -> None:
    say(f"Somebody adds a package to the image, as anybody would: clone, edit, commit, push. ({PACKAGE}, a line)")
    credentials = f"credential.helper=store --file={(FOLDER / 'git-credentials').absolute()}"
    github = control.running(FOLDER).github
    shell("git", "clone", "--quiet", "-c", credentials, f"{github}/{REPOSITORY}.git", str(CHECKOUT))
    environment = CHECKOUT / "environment.yml"
    environment.write_text(f"{environment.read_text().rstrip()}\n  - {PACKAGE}\n", encoding="utf-8")
    author = ("-c", "user.name=Grace Hopper", "-c", "user.email=grace@example.org")
    shell("git", "-C", str(CHECKOUT), *author, "commit", "--quiet", "--all", f"--message=Add {PACKAGE}")
    shell("git", "-C", str(CHECKOUT), "push", "--quiet")
    await_build(github)
    say("The push was built. Every slot that follows `newest-build` is to have it:")
    fleet("plan", "-detailed-exitcode", expect=2)
    fleet("apply", "-auto-approve")
    fleet("sandbox", "visit", "climate-prod")
    say("The same hub has a second image, for who chooses it: upstream's, pinned to a tag.")
    fleet("sandbox", "visit", "climate-prod", "-choice=ml")


def _a_mistake() -> None:
    say("A tag that does not exist never reaches a hub.")
    wrong = FOLDER / "wrong.fleet.yaml"
    text = (
        example.fleet_file().replace("2026.04.29", "2026.04.92").replace(f"{FOLDER}/", "")
    )  # paths as seen from there
    wrong.write_text(text, encoding="utf-8")
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
    code = subprocess.run(command, check=False).returncode
    if code != expect:
        write([line(("error", f"The demo stops here: exit code {code}, where {expect} was expected."))], sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(main())
