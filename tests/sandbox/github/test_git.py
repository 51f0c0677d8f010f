"""Git's data through PyGithub and through real git."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from github import Github, GithubException, InputGitTreeElement
from github.ContentFile import ContentFile
from github.Repository import Repository

from fleet.sandbox.github import Sandbox


@pytest.fixture
def repository(sandbox: Sandbox, ada: Github) -> Repository:
    """A repository with two files, one of them in a folder."""
    sandbox.state.create_repository("example-org/image", {"README.md": "# Image\n", "docs/a.md": "a\n"})
    return ada.get_repo("example-org/image")


def commit_files(repository: Repository, files: dict[str, str | None], parent: str, message: str = "Change") -> str:
    """One commit on top of `parent`, by the four steps of the git data API; the branch stays."""
    elements = [
        InputGitTreeElement(path, "100644", "blob", sha=None)
        if content is None
        else InputGitTreeElement(path, "100644", "blob", content=content)
        for path, content in files.items()
    ]
    base = repository.get_git_commit(parent)
    tree = repository.create_git_tree(elements, base.tree)
    return repository.create_git_commit(message, tree, [base]).sha


def head(repository: Repository) -> str:
    """Where the default branch is."""
    return repository.get_git_ref("heads/main").object.sha


def text(repository: Repository, path: str) -> str:
    """What a file holds at the default branch."""
    found = repository.get_contents(path)
    assert isinstance(found, ContentFile)
    return found.decoded_content.decode()


def names(repository: Repository) -> list[str]:
    """What lies at the root of the default branch."""
    found = repository.get_contents("")
    assert isinstance(found, list)
    return [entry.name for entry in found]


def git(*arguments: str, cwd: Path) -> str:
    """Run git and return what it prints."""
    settings = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.version=2"]
    done = subprocess.run(["git", *settings, *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout


def test_one_commit_of_many_files_moves_the_branch(repository: Repository) -> None:
    old = head(repository)
    new = commit_files(repository, {"docs/a.md": None, "docs/b/c.md": "c\n", "README.md": "# New\n"}, old)
    repository.get_git_ref("heads/main").edit(new)
    tree = repository.get_git_tree("main", recursive=True)
    assert [entry.path for entry in tree.tree] == ["README.md", "docs", "docs/b", "docs/b/c.md"]
    assert text(repository, "README.md") == "# New\n"
    assert [commit.sha for commit in repository.get_commits()] == [new, old]
    assert [commit.sha for commit in repository.get_commits(path="docs/a.md")] == [new, old]
    assert names(repository) == ["README.md", "docs"]


def test_a_branch_moves_only_forward_unless_forced(repository: Repository) -> None:
    old = head(repository)
    ours, theirs = (commit_files(repository, {"a": text}, old) for text in ("ours", "theirs"))
    ref = repository.get_git_ref("heads/main")
    ref.edit(theirs)
    with pytest.raises(GithubException) as caught:
        ref.edit(ours)
    assert (caught.value.status, caught.value.data["message"]) == (422, "Update is not a fast forward")
    ref.edit(ours, force=True)
    assert head(repository) == ours


def test_branches_are_created_read_and_deleted(repository: Repository) -> None:
    repository.create_git_ref("refs/heads/feature/x", head(repository))
    assert [branch.name for branch in repository.get_branches()] == ["feature/x", "main"]
    assert repository.get_branch("feature/x").commit.sha == head(repository)
    with pytest.raises(GithubException) as caught:
        repository.create_git_ref("refs/heads/feature/x", head(repository))
    assert caught.value.data["message"] == "Reference already exists"
    repository.edit(default_branch="feature/x")
    repository.get_git_ref("heads/main").delete()
    assert [branch.name for branch in repository.get_branches()] == ["feature/x"]


def test_contents_are_created_updated_and_guarded_by_the_blob(repository: Repository) -> None:
    made = repository.create_file("new.txt", "Add", "one")["content"]
    changed = repository.update_file("new.txt", "Change", "two", made.sha)["content"]
    with pytest.raises(GithubException) as stale:
        repository.update_file("new.txt", "Change", "three", made.sha)
    with pytest.raises(GithubException) as missing:
        repository.create_file("new.txt", "Change", "three")
    assert (stale.value.status, missing.value.status) == (409, 422)
    assert text(repository, "new.txt") == "two"
    repository.delete_file("new.txt", "Remove", changed.sha)
    assert names(repository) == ["README.md", "docs"]


def test_an_empty_repository_says_so(sandbox: Sandbox, ada: Github) -> None:
    sandbox.state.create_repository("example-org/hollow")
    hollow = ada.get_repo("example-org/hollow")
    asked: list[Callable[[], object]] = [
        lambda: hollow.get_git_ref("heads/main"),
        lambda: list(hollow.get_commits()),
        lambda: hollow.create_git_blob("a", "utf-8"),
        lambda: hollow.get_contents("a"),
        lambda: hollow.get_branch("main"),
    ]
    statuses = []
    for ask in asked:
        with pytest.raises(GithubException) as caught:
            ask()
        statuses.append(caught.value.status)
    assert statuses == [409, 409, 409, 404, 404]
    hollow.create_file("a", "First", "a")
    assert hollow.get_branch("main").commit.commit.message == "First"


def test_real_git_finds_every_object_sound(sandbox: Sandbox, repository: Repository) -> None:
    new = commit_files(repository, {"a/b": "1", "a.c": "2", "a-d": "3"}, head(repository), "Änderung\n\nMehr\n")
    repository.get_git_ref("heads/main").edit(new)
    bare = sandbox.state.repository("example-org/image").bare
    assert git("fsck", "--strict", "--full", "--no-dangling", cwd=bare) == ""
    assert git("log", "--format=%s", cwd=bare).splitlines() == ["Änderung", "Initial commit"]


def test_git_clones_and_pushes_over_http(sandbox: Sandbox, repository: Repository, tmp_path: Path) -> None:
    token = sandbox.state.create_token("ada")
    url = repository.clone_url.replace("http://", f"http://x-access-token:{token}@")
    git("clone", "--quiet", url, str(tmp_path / "clone"), cwd=tmp_path)
    (tmp_path / "clone" / "pushed.txt").write_text("by git\n")
    git("add", ".", cwd=tmp_path / "clone")
    git("commit", "--quiet", "-m", "By git", cwd=tmp_path / "clone")
    git("push", "--quiet", cwd=tmp_path / "clone")
    assert text(repository, "pushed.txt") == "by git\n"
    assert repository.get_commits()[0].commit.message == "By git\n"


def test_git_without_the_right_is_turned_away(sandbox: Sandbox, repository: Repository, tmp_path: Path) -> None:
    repository.edit(private=True)
    with pytest.raises(subprocess.CalledProcessError):
        git("clone", "--quiet", repository.clone_url.replace("//", "//x:wrong@"), "clone", cwd=tmp_path)
    answer = httpx.get(f"{repository.clone_url}/info/refs", params={"service": "git-upload-pack"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="GitHub"')


def test_paths_that_git_would_not_take_are_refused(repository: Repository) -> None:
    for path in ("../a", "a//b", ".git/config", ""):
        with pytest.raises(GithubException) as caught:
            commit_files(repository, {path: "x"}, head(repository))
        assert caught.value.status == 422
