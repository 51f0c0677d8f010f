"""`make demo`: the main job from beginning to end, each step shown as the command that a person would type."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

from fleet.sandbox import control
from fleet.sandbox.control import FOLDER
from fleet.terminal import line, write

INFRASTRUCTURE = FOLDER / "infrastructure"


def main() -> int:
    """Run the demo in the folder of the example's fleet.yaml; 0 when each step ended as it should."""
    start = time.monotonic()
    control.down(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        _stages()
    finally:
        control.down(FOLDER)
    say(
        f"Done in {time.monotonic() - start:.0f} seconds. Where to look:",
        f"  git -C {INFRASTRUCTURE} log -p    what the values repository got",
        f"  {FOLDER}/state/                        what fleet remembers: history, never a secret",
        "  fleet.yaml                          change a track and go on:",
        "                                      .venv/bin/fleet sandbox up && .venv/bin/fleet plan",
    )
    return 0


def _stages() -> None:
    say("A sandbox: a Quay that enforces its robots' rights, and a values repository with three hubs.")
    fleet("sandbox", "up")
    say("What does the world lack? (biology-prod is held, so its line stays as it is.)")
    fleet("plan", "-out=.demo/plan", "-detailed-exitcode", expect=2)
    say("Carry out exactly that plan: a registry repository, a robot that is proved, and one commit to the values.")
    fleet("apply", ".demo/plan")
    say("What the owners of the values repository see: one line for each site.")
    shell("git", "-C", str(INFRASTRUCTURE), "--no-pager", "show", "--unified=0", "--format=%an: %B")
    say("With no change in the world, a second plan is empty.")
    fleet("plan", "-detailed-exitcode", expect=0)
    say("A tag that does not exist never reaches a hub.")
    fleet_file = FOLDER / "wrong.fleet.yaml"
    fleet_file.write_text(_with_wrong_tag(), encoding="utf-8")
    fleet("plan", f"-file={fleet_file}", expect=1)


def _with_wrong_tag() -> str:
    """The example with a typing mistake in a tag, and paths as seen from the sandbox's folder."""
    text = control.example_fleet_file()
    return text.replace("3f2a1b4c5d6e", "3f2a1b4c5d63").replace(f"{FOLDER}/", "")


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
