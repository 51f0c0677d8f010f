"""Jobs with scripts, composite actions, artefacts and groups, on runners whose disk is empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from github import Auth, Github

from fleet.sandbox.github import Runners, Sandbox, serve_github
from fleet.sandbox.github.model_actions import JobRun
from tests.github_judge import Judge

NAME = "example-org/tools"
ACTION = f"{NAME}@{'0' * 40}"
COMPOSITE = """\
name: greet
inputs:
  who: {required: true}
  how: {default: "${{ github.event_name }}"}
outputs:
  said: {value: "${{ steps.say.outputs.said }}"}
runs:
  using: composite
  steps:
    - id: say
      shell: bash
      env: {WHO: "${{ inputs.who }}", HOW: "${{ inputs.how }}"}
      run: |
        echo "said=$HOW $WHO" >> "$GITHUB_OUTPUT"
        test -f "$GITHUB_ACTION_PATH/action.yml"
        exit "${FAIL:-0}"
    - if: always() && steps.say.outputs.said != ''
      shell: bash
      run: echo "at last $FAIL"
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """One organisation whose workflows may use the composite action; every exchange is judged at the end."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "action.yml").write_text(COMPOSITE)
    runners = Runners({ACTION: folder}, {"tool": "#!/bin/sh\necho tool\n"})
    with serve_github(tmp_path / "github", runners=runners) as served:
        judge = Judge(served.loopback.service)
        served.loopback.service = judge
        served.state.create_user("ada")
        served.state.create_organization("example-org", admins=["ada"])
        served.state.create_repository("example-org/work", {"README.md": "work\n"})
        yield served
    assert judge.disagreements == []


def push(sandbox: Sandbox, *steps: str, more: str = "", on: str = "push") -> JobRun:
    """Push a workflow of one job with these steps; the job, once it has ended."""
    text = "\n".join(f"      - {step}" for step in steps)
    job = f"  work:\n    runs-on: x\n    {more}\n    steps:\n{text}\n"
    sandbox.commit("example-org/work", {".github/workflows/w.yaml": f"on: {on}\npermissions: {{}}\njobs:\n{job}"})
    sandbox.actions.wait()
    return sandbox.state.repository("example-org/work").runs[-1].jobs[-1]


def test_scripts_hand_on_variables_outputs_programs_and_a_summary(sandbox: Sandbox) -> None:
    job = push(
        sandbox,
        "run: 'echo A=1 >> $GITHUB_ENV; echo $RUNNER_TEMP >> $GITHUB_PATH'",
        "{id: a, run: 'printf \"long<<E\\n1\\n2\\nE\\n\" >> $GITHUB_OUTPUT'}",
        "run: 'echo \"$A ${{ steps.a.outputs.long }}\" >> $GITHUB_STEP_SUMMARY; tool; pwd; ls -A; echo $GITHUB_REF'",
    )
    assert job.conclusion == "success", job
    assert job.summary == "1 1\n2\n"
    assert job.log.splitlines()[0::2] == ["tool", "refs/heads/main"]
    assert not list(sandbox.state.store.folder.glob("runner-*"))


def test_a_script_that_fails_ends_the_job_and_what_always_runs_sees_its_outputs(sandbox: Sandbox) -> None:
    job = push(
        sandbox,
        "{id: a, run: 'echo b=c >> $GITHUB_OUTPUT; exit 5; echo no'}",
        "run: echo not this one",
        "{if: always(), run: 'echo ${{ steps.a.outputs.b }} ${{ steps.a.outcome }}'}",
        "{if: failure(), continue-on-error: true, shell: bash, run: 'false | true'}",
    )
    assert [step.conclusion for step in job.steps] == ["failure", "skipped", "success", "failure"]
    assert (job.conclusion, job.log) == ("failure", "c failure\n")
    assert job.steps[0].message == "Process completed with exit code 5."


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo ::set-output name=a::b", "does not know the command '::set-output name=a::b'"),
        ("echo nonsense >> $GITHUB_OUTPUT", "Invalid format 'nonsense'"),
        ('echo "a<<E" >> $GITHUB_ENV', "Matching delimiter not found 'E'"),
    ],
)
def test_what_a_runner_would_not_understand_fails_the_step(sandbox: Sandbox, script: str, why: str) -> None:
    job = push(sandbox, f"run: '{script}'")
    assert job.conclusion == "failure"
    assert why in job.steps[0].message


def test_annotations_are_noted_and_masked_text_is_not_shown(sandbox: Sandbox) -> None:
    job = push(
        sandbox,
        "run: 'echo ::error file=a,line=3::bad%0Aworse; echo ::add-mask::hidden; echo so hidden'",
        "run: 'echo ::stop-commands::x; echo ::error::text; echo ::x::; echo ::notice::seen'",
    )
    assert [(one.level, one.properties, one.message) for one in job.annotations] == [
        ("error", "file=a,line=3", "bad\nworse"),
        ("notice", "", "seen"),
    ]
    assert "so ***\n" in job.log


@pytest.mark.parametrize(("fail", "conclusion"), [("0", "success"), ("3", "failure")])
def test_a_composite_action_takes_gives_and_fails_as_its_steps_do(sandbox: Sandbox, fail: str, conclusion: str) -> None:
    job = push(
        sandbox,
        f"{{id: greet, uses: {ACTION}, with: {{who: ada}}, env: {{FAIL: '{fail}'}}}}",
        "{if: always(), run: 'echo ${{ steps.greet.outputs.said }}'}",
    )
    assert (job.conclusion, job.log) == (conclusion, f"at last {fail}\npush ada\n")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (f"uses: {NAME}@{'1' * 40}", f"does not know how to run {NAME}@{'1' * 40}"),
        (f"uses: {ACTION}", "Input required and not supplied: who"),
        (f"{{uses: {ACTION}, with: {{who: a, where: b}}}}", "Unexpected input(s) 'where'"),
        ("uses: actions/checkout@v7", "repository 'example-org/work' not found"),
        ("{uses: actions/setup-python@v7, with: {cache: pip}}", "does not know the input 'cache'"),
        (
            "{uses: actions/upload-artifact@v7, with: {path: gone, if-no-files-found: error}}",
            "no file to upload at gone",
        ),
        ("{uses: actions/download-artifact@v8, with: {name: gone}}", "Artifact not found for name: gone"),
    ],
)
def test_a_step_that_cannot_be_run_says_why(sandbox: Sandbox, step: str, why: str) -> None:
    sandbox.state.repository("example-org/work").visibility = "private"
    job = push(sandbox, step)
    assert job.conclusion == "failure"
    assert why in job.steps[0].message


GIVEN = "{name: a, path: b, run-id: 'RUN', github-token: '${{ github.token }}'}"
FETCH = f"{{uses: actions/download-artifact@v8, with: {GIVEN}}}"


@pytest.mark.parametrize(("rights", "conclusion"), [("actions: read", "success"), ("contents: read", "failure")])
def test_another_runs_artefact_takes_the_right_to_read_runs(sandbox: Sandbox, rights: str, conclusion: str) -> None:
    sandbox.state.repository("example-org/work").visibility = "private"
    push(sandbox, "run: echo kept > a", "{uses: actions/upload-artifact@v7, with: {name: a, path: a}}")
    run = sandbox.state.repository("example-org/work").runs[-1]
    job = push(sandbox, FETCH.replace("RUN", str(run.id)), "run: cat b/a", more=f"permissions: {{{rights}}}")
    assert (job.conclusion, job.log) == (conclusion, "kept\n" if conclusion == "success" else "")


def test_what_a_jobs_token_pushes_starts_no_workflow(sandbox: Sandbox) -> None:
    job = push(
        sandbox,
        '{run: \'curl -sf -X PUT -H "authorization: Bearer $TOKEN" $GITHUB_API_URL/repos/example-org/work/contents/new '
        '-d "{\\"message\\": \\"new\\", \\"content\\": \\"\\"}" -o /dev/null\', env: {TOKEN: "${{ github.token }}"}}',
        more="permissions: {contents: write}",
    )
    assert job.conclusion == "success", job
    assert len(sandbox.state.repository("example-org/work").runs) == 1


def test_a_cancelled_run_ends_its_script(sandbox: Sandbox) -> None:
    sandbox.state.settings.builds = "queue"
    push(sandbox, "run: 'trap \"echo ended; exit 0\" INT; echo began; sleep 60 & wait'")
    run = sandbox.state.repository("example-org/work").runs[-1]
    sandbox.state.settings.builds = "run"
    sandbox.state.queued.append(run)
    sandbox.actions.release()
    with sandbox.state.changed:
        assert sandbox.state.changed.wait_for(lambda: run.jobs[0].process is not None, 20)
    with Github(base_url=sandbox.url, auth=Auth.Token(sandbox.state.create_token("ada"))) as ada:
        assert ada.get_repo("example-org/work").get_workflow_run(run.id).cancel()
    sandbox.actions.wait()
    assert (run.conclusion, run.jobs[0].conclusion) == ("cancelled", "cancelled")
    assert "ended" in run.jobs[0].log
