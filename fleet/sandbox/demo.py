"""`make demo`: the main job from beginning to end, each step shown as the command that a person would type."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from fleet.sandbox.example import git, make_infrastructure
from fleet.terminal import line, write

FOLDER = Path(".demo")


def main() -> int:
    """Run the demo in the folder of the example's fleet.yaml; 0 when each step ended as it should."""
    start = time.monotonic()
    say(f"A values repository as an operator keeps it, with the images of three hubs: {FOLDER}/infrastructure")
    make_infrastructure(FOLDER / "infrastructure")
    say("What does the world lack? (biology-prod is held, so its site stays as it is.)")
    fleet("plan", "-detailed-exitcode", expect=2)
    say("Make it so. One repository and branch is one commit, and each site is one line:")
    fleet("apply", "-auto-approve")
    say("What the commit looks like to the people who own the repository:")
    shell("git", "-C", str(FOLDER / "infrastructure"), "--no-pager", "show", "--unified=0", "--format=%an: %B")
    say("And with no change in the world, a second plan is empty:")
    fleet("plan", "-detailed-exitcode", expect=0)
    commits = git(FOLDER / "infrastructure", "rev-list", "--count", "HEAD").strip()
    say(
        f"Done in {time.monotonic() - start:.0f} seconds.",
        f"Look around: git -C {FOLDER}/infrastructure log -p ({commits} commits); {FOLDER}/state; fleet.yaml.",
        "Edit a track in fleet.yaml and run: .venv/bin/fleet plan",
    )
    return 0


def say(*sentences: str) -> None:
    """Tell what comes next."""
    write([(), *(line(("bold", sentence)) for sentence in sentences)])


def fleet(*arguments: str, expect: int = 0) -> None:
    """Run one fleet command as a person would, and end the demo when it does not end as it should."""
    run([sys.executable, "-m", "fleet", *arguments], f"fleet {' '.join(arguments)}", expect)


def shell(*command: str) -> None:
    """Run any other command."""
    run(list(command), " ".join(command), 0)


def run(command: list[str], shown: str, expect: int) -> None:
    """Show a command, run it, and end the demo when it does not end with the exit code that it should."""
    write([line(("adopt", f"$ {shown}"))])
    code = subprocess.run(command, check=False).returncode
    if code != expect:
        write([line(("error", f"The demo stops here: exit code {code}, where {expect} was expected."))], sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(main())
