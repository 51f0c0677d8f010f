"""Workflow files and expressions: read strictly, evaluated as GitHub does, refused where unknown."""

from __future__ import annotations

import pytest

from fleet.sandbox.github.actions.expressions import Contexts, ExpressionError, expand, holds
from fleet.sandbox.github.actions.workflow import Concurrency, glob, parse
from fleet.sandbox.github.actions.workflow_yaml import WorkflowError

JOB = "jobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n"
CONTEXTS = Contexts(
    {
        "github": {"ref": "refs/heads/main", "actor": "Ada"},
        "secrets": {"TOKEN": "s3cret"},
        "steps": {"build": {"outputs": {"tag": "abc"}}},
    }
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a ${{ github.actor }} b${{secrets.token}}", "a Ada bs3cret"),
        ("${{ steps.build.outputs.tag }}${{ steps.build.outputs.missing }}", "abc"),
        ("${{ secrets.MISSING }}", ""),
        ("${{ secrets.MISSING || 'default' }}", "default"),
        ("${{ github.ref == 'refs/heads/MAIN' && 'yes' || 'no' }}", "yes"),
        ("${{ !(github.actor != 'ada') }}", "true"),
        ("${{ 'it''s' }}", "it's"),
        ("no expression { } $", "no expression { } $"),
        ("${{ contains(fromJSON('[\"push\", \"b\"]'), 'PUSH') }}", "true"),
        ("${{ contains('a pushed one', 'other') || contains('a', 'A') }}", "true"),
        ("${{ github.actor == 'Grace' && github.event.pull_request.number || 'none' }}", "none"),
    ],
)
def test_expressions_are_evaluated(template: str, expected: str) -> None:
    assert expand(template, CONTEXTS) == expected


@pytest.mark.parametrize(
    "template",
    [
        "${{ github.event.ref }}",
        "${{ matrix.a }}",
        "${{ toJSON(github) }}",
        "${{ 1 +",
        "${{ 'a' == 1 }}",
        "${{ a b }}",
        "${{ contains('a') }}",
        "${{ fromJSON('{') }}",
        "${{ github.event.a && true }}",
        "${{ contains('a', 'b' }}",
    ],
)
def test_expressions_that_are_not_known_are_refused(template: str) -> None:
    with pytest.raises(ExpressionError):
        expand(template, CONTEXTS)


def test_a_condition_holds_only_after_success_unless_it_asks() -> None:
    failed = Contexts(CONTEXTS.values, succeeded=False)
    conditions = ("", "github.actor == 'Ada'", "${{ always() }}", "failure()", "success()")
    assert [holds(one, failed) for one in conditions] == [False, False, True, True, False]
    assert [holds(one, CONTEXTS) for one in conditions] == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("main", "main", True),
        ("releases/*", "releases/1/2", False),
        ("releases/**", "releases/1/2", True),
        ("**/*.yml", "environment.yml", True),
        ("docs/**", "docs/a/b.md", True),
        ("*.jsx?", "page.js", True),
    ],
)
def test_filter_patterns(pattern: str, name: str, matches: bool) -> None:
    assert (glob(pattern).fullmatch(name) is not None) == matches


@pytest.mark.parametrize(
    ("on", "ref", "changed", "starts"),
    [
        ("push", "refs/heads/any", ["a"], True),
        ("[push, pull_request]", "refs/tags/v1", None, True),
        ("workflow_dispatch", "refs/heads/main", ["a"], False),
        ("{push: {branches: [main]}}", "refs/tags/main", None, False),
        ("{push: {branches: ['**', '!topic']}}", "refs/heads/topic", ["a"], False),
        ("{push: {branches-ignore: [topic]}}", "refs/heads/main", ["a"], True),
        ("{push: {paths: ['*.yml']}}", "refs/heads/main", ["a.md"], False),
        ("{push: {paths: ['*.yml']}}", "refs/heads/main", None, True),
        ("{push: {paths-ignore: ['*.md']}}", "refs/heads/main", ["a.md", "b"], True),
        ("{push: {paths-ignore: ['*.md']}}", "refs/heads/main", ["a.md"], False),
    ],
)
def test_what_a_push_starts(on: str, ref: str, changed: list[str] | None, starts: bool) -> None:
    assert parse("a.yaml", f"on: {on}\n{JOB}".encode()).takes_push(ref, changed) == starts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("on: push\n", "needs `on` and `jobs`"),
        ("on: schedule\n" + JOB, "on.schedule needs a list of `cron`"),
        ("on: release\n" + JOB, "'release' in on"),
        ("on: push\ncolour: red\n" + JOB, "'colour' in a.yaml"),
        ("on: push\nconcurrency: {group: a, cancel-in-progress: x}\n" + JOB, "`cancel-in-progress: true` or `false`"),
        ("on: push\nconcurrency: {group: a, cancel-in-progress: true, queue: max}\n" + JOB, "concurrency.queue is"),
        ("on: push\nconcurrency: {group: a, queue: all}\n" + JOB, "concurrency.queue is"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: a, shell: pwsh}]}}", "the shell 'pwsh'"),
        ("on: push\njobs: {a: {runs-on: x, strategy: {}, steps: [{run: a}]}}", "'strategy' in jobs.a"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{name: a}]}}", "needs either `uses` or `run`"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: a, with: {b: [c]}}]}}", "where one value belongs"),
        ("on: {push: {branches: ['v[0-9]']}}\n" + JOB, "filter pattern 'v[0-9]'"),
        ("on: [push\n", "is not YAML"),
        ("- on\n", "is not a mapping"),
    ],
)
def test_what_is_wrong_or_unknown_is_named(text: str, why: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        parse("a.yaml", text.encode())
    assert why in str(caught.value)


def test_groups_of_workflows_and_jobs_and_schedules_are_read() -> None:
    text = "on: {schedule: [{cron: '17 3 * * *'}]}\nconcurrency: all\njobs: {a: {runs-on: x, environment: production, "
    text += "concurrency: {group: one, cancel-in-progress: true}, steps: [{run: a}]}}\n"
    workflow = parse("a.yaml", text.encode())
    (job,) = workflow.jobs
    assert (workflow.crons, workflow.concurrency) == (("17 3 * * *",), Concurrency("all"))
    assert (job.environment, job.concurrency) == ("production", Concurrency("one", cancel=True))


def test_a_group_may_queue_all_that_come() -> None:
    workflow = parse("a.yaml", f"on: push\nconcurrency: {{group: a, queue: max}}\n{JOB}".encode())
    assert workflow.concurrency == Concurrency("a", queue="max")


def test_yaml_is_read_as_github_reads_it() -> None:
    text = "on: push\njobs: {a: {runs-on: x, steps: [{uses: b@c, with: {A: no, B: true, C: 12, D: ''}}]}}\n"
    (job,) = parse("a.yaml", text.encode()).jobs
    assert job.steps[0].inputs == {"A": "no", "B": "true", "C": "12", "D": ""}
