"""The sandbox's whole state, and the steps that change it. Its caller holds `lock`."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Literal

from fleet.sandbox.github import gitstore
from fleet.sandbox.github.apps import TOKEN_LIFETIME, App, Installation
from fleet.sandbox.github.clock import Clock, Veil
from fleet.sandbox.github.gitstore import GitStore
from fleet.sandbox.github.model import EVERYTHING, Account, Level, Pending, Push, Repository, Settings, Token
from fleet.sandbox.github.model_actions import Run
from fleet.sandbox.github.model_pulls import PullEvent
from fleet.sandbox.github.objects import Commit, Person, write_files

ACTIONS_BOT = "github-actions[bot]"
"""Who the token of a job is. What it pushes starts no workflow."""


class State:
    """Accounts, tokens and repositories, with their git store and clock.

    `changed` is told when a run or a job waits for its turn or has ended; `url` is where the sandbox answers.
    """

    def __init__(self, folder: Path) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.url = ""
        self.clock = Clock()
        self.settings = Settings()
        self.store = GitStore(folder)
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[str, App] = {}
        self.installations: dict[int, Installation] = {}
        self.repositories: dict[int, Repository] = {}
        self.events: list[Push | PullEvent] = []
        self.queued: list[Run] = []
        self._names: dict[str, int] = {}
        self._ids = count(1001)

    def close(self) -> None:
        """End what runs beside the state."""
        self.store.close()

    def next_id(self) -> int:
        """A number that nothing else has."""
        return next(self._ids)

    # --- accounts and tokens

    def create_user(self, login: str, name: str = "") -> Account:
        """Add a user."""
        return self._add_account(login, "User", name)

    def create_organization(self, login: str, admins: Iterable[str] = (), members: Iterable[str] = ()) -> Account:
        """Add an organisation; its admins and members are users already."""
        account = self._add_account(login, "Organization", "")
        for member in members:
            account.members[self.account(member).login] = "member"
        for admin in admins:
            account.members[self.account(admin).login] = "admin"
        return account

    def _add_account(self, login: str, kind: Literal["User", "Organization", "Bot"], name: str) -> Account:
        with self.lock:
            account = Account(self.next_id(), login, kind, self.clock.now(), name)
            self.accounts[login.lower()] = account
            return account

    def account(self, login: str) -> Account:
        """The account with this login; raises KeyError."""
        return self.accounts[login.lower()]

    def create_token(
        self,
        owner: str,
        rights: Mapping[str, Level] | None = None,
        *,
        scopes: Iterable[str] | None = None,
        repositories: Iterable[str] | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Issue a token: fine-grained, with every right unless `rights` says less, or classic with `scopes`."""
        value = ("github_pat_" if scopes is None else "ghp_") + secrets.token_hex(18)
        token = Token(
            value,
            self.account(owner).login,
            EVERYTHING if rights is None else {"metadata": "read", **rights},
            None if scopes is None else frozenset(scopes),
            None if repositories is None else frozenset(name.lower() for name in repositories),
            expires_at,
        )
        with self.lock:
            self.tokens[value] = token
        return value

    def create_app(self, slug: str, public_key: bytes) -> App:
        """Add a GitHub App, known by its number and its client ID; `public_key` is in PEM."""
        bot = self._add_account(f"{slug}[bot]", "Bot", "")
        app = App(self.next_id(), f"Iv23{secrets.token_hex(8)}", slug, public_key, bot)
        self.apps |= {str(app.id): app, app.client_id: app}
        return app

    def install(
        self,
        app: App,
        login: str,
        rights: Mapping[str, Level] | None = None,
        repositories: Iterable[str] | None = None,
    ) -> Installation:
        """Install an App at an account: with every right, in all repositories, unless less is said."""
        granted = EVERYTHING if rights is None else {"metadata": "read", **rights}
        chosen = None if repositories is None else frozenset(name.lower() for name in repositories)
        made = Installation(self.next_id(), app, self.account(login), granted, chosen, self.clock.now())
        self.installations[made.id] = made
        return made

    def create_installation_token(self, at: Installation) -> Token:
        """Issue a token for an installation; it ends after an hour of the sandbox's clock."""
        token = Token(
            f"ghs_{secrets.token_hex(18)}",
            at.app.bot.login,
            at.rights,
            repositories=at.repositories,
            expires_at=self.clock.now() + TOKEN_LIFETIME,
            installed_at=at.account,
        )
        self.tokens[token.value] = token
        return token

    def create_job_token(self, repository: Repository, rights: Mapping[str, Level]) -> str:
        """Issue the token of one job: it is that of GitHub's own App, for one repository.

        https://docs.github.com/actions/concepts/security/github_token
        """
        if ACTIONS_BOT not in self.accounts:
            self._add_account(ACTIONS_BOT, "Bot", "")
        token = Token(
            f"ghs_{secrets.token_hex(18)}",
            ACTIONS_BOT,
            {"metadata": "read", **rights},
            repositories=frozenset({repository.full_name.lower()}),
            installed_at=repository.owner,
        )
        self.tokens[token.value] = token
        return token.value

    # --- repositories

    def create_repository(
        self, full_name: str, files: Mapping[str, bytes | str] | None = None, *, is_template: bool = False
    ) -> Repository:
        """Add a repository with a first commit of these files; empty when there are none."""
        owner, _, name = full_name.partition("/")
        with self.lock:
            repository = self.add_repository(self.account(owner), name)
            repository.is_template = is_template
            repository.veil = None
            if files:
                contents = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
                self.first_commit(repository, write_files(self.store, contents), repository.owner)
            return repository

    def add_repository(self, owner: Account, name: str) -> Repository:
        """Add an empty repository; its name must be free."""
        now, number = self.clock.now(), self.next_id()
        bare = self.store.create(str(number), owner.default_branch)
        repository = Repository(number, owner, name, bare, now, now, now, default_branch=owner.default_branch)
        repository.veil = Veil(self.settings.repository_lag, self.clock)
        repository.actions_enabled = owner.enabled_repositories == "all"
        repository.allowed_actions, repository.allowed_patterns = owner.allowed_actions, owner.allowed_patterns
        self.repositories[number] = repository
        self._names[repository.full_name.lower()] = number
        return repository

    def repository(self, full_name: str) -> Repository:
        """The repository with this name, whatever veils it; raises KeyError."""
        repository = self.find_repository(full_name)
        if repository is None or repository.full_name.lower() != full_name.lower():
            raise KeyError(full_name)
        return repository

    def find_repository(self, full_name: str) -> Repository | None:
        """The repository that has this name, or had it before it was renamed."""
        number = self._names.get(full_name.lower())
        return None if number is None else self.repositories.get(number)

    def owned_by(self, account: Account) -> Iterator[Repository]:
        """An account's repositories, oldest first."""
        return (repository for repository in self.repositories.values() if repository.owner is account)

    def name_is_free(self, owner: Account, name: str) -> bool:
        """Whether no repository of this owner has the name now."""
        found = self.find_repository(f"{owner.login}/{name}")
        return found is None or found.name.lower() != name.lower() or found.owner is not owner

    def rename_repository(self, repository: Repository, name: str) -> None:
        """Give a repository another name; the old one leads to it until it is taken again."""
        repository.name = name
        self._names[repository.full_name.lower()] = repository.id

    def transfer_repository(self, repository: Repository, owner: Account) -> None:
        """Give a repository to another owner; its old name leads to it."""
        repository.owner = owner
        self._names[repository.full_name.lower()] = repository.id

    def delete_repository(self, repository: Repository) -> None:
        """Take a repository away; its objects stay in the common database."""
        del self.repositories[repository.id]

    # --- first contents

    def generate(self, repository: Repository, tree: str, author: Account) -> None:
        """Let a repository get the contents of a template later, as the settings say."""
        veil = Veil(self.settings.generate_lag, self.clock)
        repository.pending = Pending(veil, tree, author, self.settings.generate_pushes)

    def settle(self, repository: Repository, *, looked: bool) -> None:
        """Give a generated repository its contents when their time has come; `looked` when a request asks for it."""
        pending = repository.pending
        if pending is None or not (pending.veil.look() if looked else pending.veil.lifted):
            return
        repository.pending = None
        head = self.first_commit(repository, pending.tree, pending.author)
        if pending.push:
            ref = f"refs/heads/{repository.default_branch}"
            self.events.append(Push(repository, ref, gitstore.ZERO, head, pending.author))

    def first_commit(self, repository: Repository, tree: str, author: Account) -> str:
        """Make the first commit on the default branch and return its id."""
        person = Person(author.name or author.login, author.email, self.clock.now())
        oid = self.store.write("commit", Commit(tree, (), person, person, "Initial commit").encode())
        self.move_ref(repository, f"refs/heads/{repository.default_branch}", oid, gitstore.ZERO)
        return oid

    def move_ref(self, repository: Repository, ref: str, new: str, old: str) -> None:
        """Set a ref that is still at `old`; ZERO creates or deletes. Raises RefMoved."""
        gitstore.move_ref(repository.bare, ref, new, old)
        if new == gitstore.ZERO:
            del repository.refs[ref]
        else:
            repository.refs[ref] = new
        repository.pushed_at = self.clock.now()

    def reread_refs(self, repository: Repository) -> None:
        """Take over what a real git push has done."""
        repository.refs = gitstore.read_refs(repository.bare)
