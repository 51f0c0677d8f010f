"""Pull requests, their comments, statuses and check runs as GitHub's REST API shows them."""

from __future__ import annotations

from typing import Any

from fleet.sandbox.github import views, views_actions
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.model import Account, Repository
from fleet.sandbox.github.model_actions import JobRun, Run
from fleet.sandbox.github.model_pulls import Check, Comment, Pull, Status
from fleet.sandbox.github.rights import Actor


def _branch(base: str, repository: Repository, name: str, sha: str, actor: Actor) -> dict[str, Any]:
    owner = repository.owner
    return {
        "label": f"{owner.login}:{name}",
        "ref": name,
        "sha": sha,
        "user": views.account(base, owner),
        "repo": views.repository(base, repository, actor),
    }


def _head(base: str, repository: Repository, shown: Pull, actor: Actor) -> dict[str, Any]:
    """A fork's repository is not shown, as on GitHub when it was deleted since."""
    found = _branch(base, repository, shown.head, shown.head_sha, actor)
    if shown.from_fork:
        author = shown.author
        found |= {"label": f"{author.login}:{shown.head}", "user": views.account(base, author), "repo": None}
    return found


def pull(base: str, repository: Repository, shown: Pull, actor: Actor) -> dict[str, Any]:
    """A pull request in a list."""
    root, page = views.repository_url(base, repository), f"{base}/{repository.full_name}/pull/{shown.number}"
    url, issue = f"{root}/pulls/{shown.number}", f"{root}/issues/{shown.number}"
    links = {
        "issue_url": issue,
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "review_comment_url": f"{root}/pulls/comments{{/number}}",
        "comments_url": f"{issue}/comments",
        "statuses_url": f"{root}/statuses/{shown.head_sha}",
    }
    return {
        "url": url,
        "id": shown.id,
        "node_id": views.node_id("PR", shown.id),
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        **links,
        "number": shown.number,
        "state": shown.state,
        "locked": False,
        "title": shown.title,
        "user": views.account(base, shown.author),
        "body": shown.body,
        "labels": [],
        "milestone": None,
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "closed_at": stamp(shown.closed_at) if shown.closed_at else None,
        "merged_at": stamp(shown.closed_at) if shown.merged and shown.closed_at else None,
        "merge_commit_sha": shown.merge_sha,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "head": _head(base, repository, shown, actor),
        "base": _branch(base, repository, shown.base, shown.base_sha, actor),
        "_links": {
            "self": {"href": url},
            "html": {"href": page},
            **{name.removesuffix("_url"): {"href": link} for name, link in links.items()},
        },
        "author_association": "MEMBER",
        "auto_merge": None,
        "draft": shown.draft,
    }


def full_pull(
    document: dict[str, Any], base: str, shown: Pull, *, mergeable: bool | None, changed: int
) -> dict[str, Any]:
    """A pull request's own page, from what a list shows of it."""
    state = {True: "clean", False: "dirty", None: "unknown"}[mergeable]
    return {
        **document,
        "merged": shown.merged,
        "mergeable": mergeable,
        "mergeable_state": state,
        "merged_by": views.account(base, shown.merged_by) if shown.merged_by else None,
        "comments": len(shown.comments),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": 1,
        "additions": 0,
        "deletions": 0,
        "changed_files": changed,
    }


def comment(base: str, repository: Repository, number: int, shown: Comment) -> dict[str, Any]:
    """A comment on a pull request."""
    root = views.repository_url(base, repository)
    return {
        "id": shown.id,
        "node_id": views.node_id("IC", shown.id),
        "url": f"{root}/issues/comments/{shown.id}",
        "html_url": f"{base}/{repository.full_name}/pull/{number}#issuecomment-{shown.id}",
        "issue_url": f"{root}/issues/{number}",
        "body": shown.body,
        "user": views.account(base, shown.author),
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "author_association": _association(repository, shown.author),
    }


def _association(repository: Repository, author: Account) -> str:
    """What somebody is to a repository: https://docs.github.com/graphql/reference/enums#commentauthorassociation"""
    if author is repository.owner:
        return "OWNER"
    if author.login in repository.owner.members:
        return "MEMBER"
    return "COLLABORATOR" if author.login in repository.collaborators else "NONE"


def status(base: str, repository: Repository, shown: Status, *, creator: bool = True) -> dict[str, Any]:
    """A commit's status; a combined one leaves the creator out."""
    moment = stamp(shown.created_at)
    return {
        "id": shown.id,
        "node_id": views.node_id("SC", shown.id),
        "url": f"{views.repository_url(base, repository)}/statuses/{shown.sha}",
        "avatar_url": f"{base}/avatars/u/{shown.creator.id}",
        "state": shown.state,
        "context": shown.context,
        "description": shown.description,
        "target_url": shown.target_url,
        "created_at": moment,
        "updated_at": moment,
        **({"creator": views.account(base, shown.creator)} if creator else {}),
    }


def _app(base: str, app_owner: Account, moment: str) -> dict[str, Any]:
    """GitHub Actions, as the App that made a check."""
    return {
        "id": 15368,
        "slug": "github-actions",
        "node_id": views.node_id("A", 15368),
        "owner": views.account(base, app_owner),
        "name": "GitHub Actions",
        "description": None,
        "external_url": f"{base}/features/actions",
        "html_url": f"{base}/apps/github-actions",
        "created_at": moment,
        "updated_at": moment,
        "permissions": {},
        "events": [],
    }


def _output(url: str, title: str | None = None, summary: str | None = None) -> dict[str, Any]:
    return {
        "title": title,
        "summary": summary,
        "text": None,
        "annotations_count": 0,
        "annotations_url": f"{url}/annotations",
    }


def check_run(base: str, run: Run, shown: JobRun, app_owner: Account) -> dict[str, Any]:
    """A job of Actions as a check."""
    root = views.repository_url(base, run.repository)
    url, page = f"{root}/check-runs/{shown.id}", f"{views_actions.run_page(base, run)}/job/{shown.id}"
    app = _app(base, app_owner, stamp(run.workflow.created_at))
    return {
        "id": shown.id,
        "name": shown.name,
        "node_id": views.node_id("CR", shown.id),
        "head_sha": run.trigger.head_sha,
        "external_id": str(shown.id),
        "url": url,
        "html_url": page,
        "details_url": page,
        "status": shown.status,
        "conclusion": shown.conclusion,
        "started_at": stamp(shown.started_at) if shown.started_at else None,
        "completed_at": stamp(shown.completed_at) if shown.completed_at else None,
        "output": _output(url),
        "check_suite": {"id": run.check_suite},
        "app": app,
        "pull_requests": [],
    }


def own_check(base: str, repository: Repository, shown: Check) -> dict[str, Any]:
    """A check that a step of a job made with the token of its run."""
    url, moment = f"{views.repository_url(base, repository)}/check-runs/{shown.id}", stamp(shown.completed_at)
    page = f"{base}/{repository.full_name}/runs/{shown.id}"
    return {
        "id": shown.id,
        "name": shown.name,
        "node_id": views.node_id("CR", shown.id),
        "head_sha": shown.sha,
        "external_id": shown.external_id,
        "url": url,
        "html_url": page,
        "details_url": shown.details_url or page,
        "status": "completed",
        "conclusion": shown.conclusion,
        "started_at": moment,
        "completed_at": moment,
        "output": _output(url, shown.title, shown.summary),
        "check_suite": {"id": shown.id},
        "app": _app(base, repository.owner, moment),
        "pull_requests": [],
    }
