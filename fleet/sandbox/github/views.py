"""Accounts and repositories as GitHub's REST API shows them; every link starts at the address the client used."""

from __future__ import annotations

import base64
from typing import Any

from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.model import VISIBILITIES, Account, Repository
from fleet.sandbox.github.rights import Actor

_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}

_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}

SWITCHES = {
    "has_issues": True,
    "has_projects": True,
    "has_wiki": True,
    "has_discussions": False,
    "has_downloads": True,
    "allow_squash_merge": True,
    "allow_merge_commit": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "allow_update_branch": False,
    "delete_branch_on_merge": False,
    "web_commit_signoff_required": False,
}
"""A repository's switches that are kept and shown and change nothing in the sandbox, with their first values."""


def node_id(kind: str, number: int | str) -> str:
    """The id by which GraphQL knows a thing; REST shows it too."""
    return f"{kind}_{base64.urlsafe_b64encode(str(number).encode()).decode().rstrip('=')}"


def account(base: str, shown: Account) -> dict[str, Any]:
    """A user or an organisation, as the owner of something."""
    url = f"{base}/users/{shown.login}"
    return {
        "login": shown.login,
        "id": shown.id,
        "node_id": account_node(shown),
        "avatar_url": f"{base}/avatars/u/{shown.id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{base}/{shown.login}",
        **{name: url + suffix for name, suffix in _USER_LINKS.items()},
        "type": shown.kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def account_node(shown: Account) -> str:
    """An account's id for GraphQL."""
    return node_id("U" if shown.kind == "User" else "O", shown.id)


def user(base: str, shown: Account, public_repositories: int) -> dict[str, Any]:
    """A user's public page."""
    return {
        **account(base, shown),
        "name": shown.name or None,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "public_repos": public_repositories,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.created_at),
    }


def organization(base: str, shown: Account) -> dict[str, Any]:
    """An organisation in a list."""
    url = f"{base}/orgs/{shown.login}"
    return {
        "login": shown.login,
        "id": shown.id,
        "node_id": account_node(shown),
        "url": url,
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events",
        "hooks_url": f"{url}/hooks",
        "issues_url": f"{url}/issues",
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": f"{base}/avatars/u/{shown.id}",
        "description": shown.name or None,
    }


def full_organization(
    base: str, shown: Account, public_repositories: int, *, is_member: bool, private_repositories: int | None = None
) -> dict[str, Any]:
    """An organisation's own page; its members see its rules too, its owners how much room its plan has."""
    plan: dict[str, Any] = {"name": "free", "space": 976562499, "private_repos": shown.private_repositories}
    bought = {} if private_repositories is None else {"plan": plan, "owned_private_repos": private_repositories}
    rules = {
        "members_can_create_repositories": any(map(shown.members_can_create, VISIBILITIES)),
        "members_can_create_public_repositories": shown.members_can_create_public,
        "members_can_create_private_repositories": shown.members_can_create_private,
        "default_repository_permission": shown.base_permission,
    }
    return {
        **organization(base, shown),
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": public_repositories,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "html_url": f"{base}/{shown.login}",
        "type": "Organization",
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.created_at),
        "archived_at": None,
        **(rules if is_member else {}),
        **bought,
    }


def repository_url(base: str, shown: Repository) -> str:
    """Where the API has a repository."""
    return f"{base}/repos/{shown.full_name}"


def minimal_repository(base: str, shown: Repository) -> dict[str, Any]:
    """A repository as part of something else."""
    url = repository_url(base, shown)
    return {
        "id": shown.id,
        "node_id": node_id("R", shown.id),
        "name": shown.name,
        "full_name": shown.full_name,
        "private": shown.private,
        "owner": account(base, shown.owner),
        "html_url": f"{base}/{shown.full_name}",
        "description": shown.description,
        "fork": False,
        "url": url,
        **{name: url + suffix for name, suffix in _REPOSITORY_LINKS.items()},
    }


def repository(base: str, shown: Repository, actor: Actor) -> dict[str, Any]:
    """A repository in a list."""
    host = base.partition("://")[2]
    return {
        **minimal_repository(base, shown),
        "git_url": f"git://{host}/{shown.full_name}.git",
        "ssh_url": f"ssh://git@{host}/{shown.full_name}.git",
        "clone_url": f"{base}/{shown.full_name}.git",
        "svn_url": f"{base}/{shown.full_name}",
        "mirror_url": None,
        "homepage": shown.homepage,
        "language": None,
        "forks_count": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "size": 0,
        "default_branch": shown.default_branch,
        "open_issues_count": 0,
        "is_template": shown.is_template,
        "topics": list(shown.topics),
        "has_pages": False,
        **SWITCHES,
        **shown.settings,
        "archived": shown.archived,
        "disabled": False,
        "visibility": shown.visibility,
        "pushed_at": stamp(shown.pushed_at),
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "permissions": permissions(actor, shown),
        "license": None,
        "forks": 0,
        "open_issues": 0,
        "watchers": 0,
    }


def full_repository(base: str, shown: Repository, actor: Actor) -> dict[str, Any]:
    """A repository's own page."""
    document = {**repository(base, shown, actor), "subscribers_count": 0, "network_count": 0}
    if shown.owner.kind == "Organization":
        document["organization"] = account(base, shown.owner)
    if shown.template is not None:
        document["template_repository"] = repository(base, shown.template, actor)
    return document


def permissions(actor: Actor, shown: Repository) -> dict[str, bool]:
    """What the person may do, in GitHub's five steps."""
    role = actor.role_on(shown)
    writes, reads = role in ("admin", "write"), role is not None
    return {"admin": role == "admin", "maintain": role == "admin", "push": writes, "triage": writes, "pull": reads}
