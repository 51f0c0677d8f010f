"""Sites: where hubs' image references are written, read and edited through a code host.

A site is one place in one file of one branch. It serves every slot of every hub whose merged values come from it, so
the change that fleet plans is the site's; slots and hubs are what it reaches.

Longer than most modules, because finding a site and editing it are two looks at the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar

from fleet.commit_message import Move, commit_message
from fleet.errors import Conflict, ProviderError, Stale
from fleet.gitblob import blob_id
from fleet.model import Address, Change, Spec
from fleet.proposal import Proposed, Text, proposal_branch
from fleet.provider import CodeHost, CommitRequest, Context, Files, Limits, Provider, Reveal, Settings
from fleet.reference import ImageReference, same_image
from fleet.site import KIND, PROVIDER, SiteAddress, SiteReference, full_name, is_local
from fleet.values import Site, ValuesFile, edit, find_sites, is_encrypted, parse_values, read_site

RACES = 5
"""How often a commit is made anew because somebody else's came first."""

READERS = 8
"""Values repositories that are read at once."""

PROPOSING = 10
"""About how many requests a proposal takes: what it is made of, looking for one that is open, and moving its branch."""


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Where one hub's values lie: repository (or path), branch (None: the default one), files in Helm's order."""

    hub: str
    repository: str
    branch: str | None
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundSite:
    """A site as it stands: what it says, on which line, and the (hub, slot) pairs that it serves."""

    address: Address
    site: Site
    uses: tuple[tuple[str, str], ...]

    @property
    def reference(self) -> SiteReference:
        """What it says by itself."""
        whole = SiteReference.of(self.site.reference)
        return whole if self.site.name_line is None else SiteReference(image="", tag=whole.tag)

    @property
    def line(self) -> int:
        """The line of its file, counted from 1."""
        return self.site.line

    @property
    def image(self) -> str:
        """The image that hubs see there, wherever its name is written."""
        return full_name(self.site.reference.name)

    @property
    def hubs(self) -> tuple[str, ...]:
        """The hubs it reaches, each once, in order."""
        return tuple(dict.fromkeys(hub for hub, _ in self.uses))

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots it serves on any of them, each once."""
        return tuple(dict.fromkeys(slot for _, slot in self.uses))


@dataclass(frozen=True, slots=True)
class FoundSetting:
    """One slot of one hub, and what its service says there; None where it leaves the image to the hub's own default."""

    address: Address
    hub: str
    slot: str
    reference: SiteReference | None

    @property
    def image(self) -> str:
        """The image that the hub's users see there, where the service says so."""
        return self.reference.image if self.reference else ""

    @property
    def line(self) -> None:
        """It stands in no file."""

    @property
    def hubs(self) -> tuple[str, ...]:
        """The hub."""
        return (self.hub,)

    @property
    def slots(self) -> tuple[str, ...]:
        """The slot."""
        return (self.slot,)


@dataclass(frozen=True, slots=True)
class Survey:
    """All sites of a fleet; for each hub the addresses of its slots, its files in Helm's order, and what speaks, surely
    or perhaps, against a commit to the branch that they lie on."""

    sites: Mapping[Address, FoundSite | FoundSetting]
    slots: Mapping[str, Mapping[str, tuple[Address, ...]]]
    files: Mapping[str, Sequence[ValuesFile]]
    refusals: Mapping[str, str]
    warnings: Mapping[str, str]


FilesOf = Callable[[str, str | None, Collection[str]], Files]
"""Reads files of a repository (or path) at the head of a branch (None: the default or checked-out one)."""

Host = Callable[[str], CodeHost]
"""Finds the code host that a repository (or path) lies on."""


def survey(hubs: Sequence[HubFiles], files_of: FilesOf) -> Survey:
    """Read the values files of these hubs, each once, and find every site; raises InputError for a broken file."""
    parsed = _read_files(hubs, files_of)
    uses: dict[Address, list[tuple[str, str]]] = {}
    found: dict[Address, Site] = {}
    slots: dict[str, dict[str, tuple[Address, ...]]] = {}
    files: dict[str, list[ValuesFile]] = {}
    for hub in hubs:
        repository = parsed[hub.repository, hub.branch]
        slots[hub.hub] = of_hub = {}
        files[hub.hub] = [repository.file(name, hub) for name in readable(hub.files)]
        for slot, sites in find_sites(files[hub.hub]).items():
            addresses = []
            for site in sites:
                address = SiteAddress(hub.repository, repository.branch, site.file, site.path).address
                found.setdefault(address, site)
                uses.setdefault(address, []).append((hub.hub, slot))
                addresses.append(address)
            of_hub[slot] = tuple(addresses)
    return Survey(
        sites={key: FoundSite(key, site, tuple(uses[key])) for key, site in found.items()},
        slots=slots,
        files=files,
        refusals={hub.hub: parsed[hub.repository, hub.branch].refusal for hub in hubs},
        warnings={hub.hub: parsed[hub.repository, hub.branch].warning for hub in hubs},
    )


def readable(files: Iterable[str]) -> list[str]:
    """The files that fleet opens: all but encrypted ones."""
    return [name for name in files if not is_encrypted(name)]


@dataclass(frozen=True, slots=True)
class _ParsedRepository:
    branch: str
    refusal: str
    warning: str
    files: Mapping[str, ValuesFile]

    def file(self, name: str, hub: HubFiles) -> ValuesFile:
        if name not in self.files:
            where = f"{hub.repository}@{self.branch}" if self.branch else hub.repository
            raise ProviderError(f"the hub {hub.hub} names the values file {name}, which is not in {where}")
        return self.files[name]


def _read_files(hubs: Sequence[HubFiles], files_of: FilesOf) -> dict[tuple[str, str | None], _ParsedRepository]:
    wanted: dict[tuple[str, str | None], dict[str, None]] = {}
    for hub in hubs:
        wanted.setdefault((hub.repository, hub.branch), {}).update(dict.fromkeys(readable(hub.files)))

    def read(key: tuple[str, str | None]) -> Files:
        repository, branch = key
        return files_of(repository, branch, list(wanted[key]))

    if len(wanted) > 1:
        with ThreadPoolExecutor(READERS, thread_name_prefix="fleet-values") as pool:
            answers = list(pool.map(read, wanted))
    else:
        answers = [read(key) for key in wanted]
    return {
        key: _ParsedRepository(
            files.branch,
            files.refusal,
            files.warning,
            {name: parse_values(name, data) for name, data in files.contents.items()},
        )
        for key, files in zip(wanted, answers, strict=True)
    }


Intend = Callable[[str, Collection[str]], None]
"""Writes down, before a commit, the blob ids of what a group is about to write."""

Describe = Callable[[Sequence[Change]], str]
"""What whoever reviews a proposal should know of its changes, in Markdown."""


def branch_to_propose_from(fleet: str, branch: str) -> str:
    """The branch that changes of sites are proposed from, for the branch that they stand on."""
    return proposal_branch(fleet, f"{PROVIDER}/{branch}")


@dataclass(frozen=True, slots=True)
class Values(Provider):
    """The hub target that edits values files: one commit for each repository and branch, or one proposal where the code
    host `proposes`."""

    host: Host
    context: Context
    intend: Intend = field(default=lambda group, blobs: None)
    unfinished: Collection[str] = ()
    proposes: Callable[[str], bool] = field(default=lambda repository: False)
    describe: Describe = field(default=lambda changes: "")
    name: str = PROVIDER

    kinds: ClassVar[Mapping[str, type[Spec]]] = {KIND: SiteReference}
    settings: ClassVar[type[Settings]] = Settings
    limits: Limits = field(default_factory=lambda: Limits(at_once=8))

    def together(self, address: Address) -> str:
        """Sites of one repository and branch are one commit."""
        site = SiteAddress.parse(address.name)
        return f"{site.repository}@{site.branch}" if site.branch else site.repository

    def cost(self, change: Change) -> int:
        """About how many requests the whole group takes: none for a local checkout, else two (read, commit), and more
        where it is proposed."""
        repository = SiteAddress.parse(change.address.name).repository
        return 0 if is_local(repository) else PROPOSING if self.proposes(repository) else 2

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """What the sites say now, at the heads of their branches."""
        found: dict[Address, Spec] = {}
        for (repository, branch), sites in _by_branch(addresses).items():
            files = self._files(repository, branch, sites.values())
            parsed = {name: parse_values(name, data) for name, data in files.contents.items()}
            for address, site in sites.items():
                reference = read_site(parsed[site.file], site.path) if site.file in parsed else None
                if reference is not None:
                    found[address] = SiteReference.of(reference)
        return found

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> Proposed | None:
        """Write or propose one commit; raises Stale when a site says neither what the plan found nor what it wants."""
        ((repository, branch), sites), *others = _by_branch(change.address for change in changes).items()
        assert not others, "a group of sites is one repository and branch"
        for _ in range(RACES):
            files = self._files(repository, branch, sites.values())
            contents = _edited(changes, sites, files)
            if not contents:
                return None
            blobs = [blob_id(data) for data in contents.values()]
            self.intend(changes[0].group, blobs)
            message = commit_message(self.context.fleet, _moves(changes, sites))
            request = CommitRequest(
                repository, files.branch, files.head, contents, message, unfinished={*self.unfinished, *blobs}
            )
            try:
                return self._deliver(request, changes)
            except Conflict:
                continue
        raise ProviderError(f"{repository}: the branch {branch} moved each of the {RACES} times that fleet committed")

    def _deliver(self, request: CommitRequest, changes: Sequence[Change]) -> Proposed | None:
        host = self.host(request.repository)
        if not self.proposes(request.repository):
            host.commit(request)
            return None
        branch = branch_to_propose_from(self.context.fleet, request.branch)
        text = Text(request.message.partition("\n")[0], self.describe(changes))
        return Proposed(host.propose(request, branch, text))

    def settle(self, addresses: Collection[Address], intended: Collection[str]) -> None:
        """Have each code host finish or undo what a killed run was committing."""
        for repository, _ in _by_branch(addresses):
            self.host(repository).recover(repository, intended)

    def _files(self, repository: str, branch: str, sites: Iterable[SiteAddress]) -> Files:
        names = list(dict.fromkeys(site.file for site in sites))
        return self.host(repository).files(repository, branch or None, names)


def _by_branch(addresses: Iterable[Address]) -> dict[tuple[str, str], dict[Address, SiteAddress]]:
    by_branch: dict[tuple[str, str], dict[Address, SiteAddress]] = {}
    for address in addresses:
        site = SiteAddress.parse(address.name)
        by_branch.setdefault((site.repository, site.branch), {})[address] = site
    return by_branch


def _edited(changes: Sequence[Change], sites: Mapping[Address, SiteAddress], files: Files) -> dict[str, bytes]:
    """The new contents of the files that must change, each site's precondition checked on these very bytes."""
    edits: dict[str, dict[str, ImageReference]] = {}
    parsed: dict[str, ValuesFile] = {}
    for change in changes:
        site = sites[change.address]
        if site.file not in files.contents:
            raise Stale(f"{site.file} is gone from {site.repository}")
        if site.file not in parsed:
            parsed[site.file] = parse_values(site.file, files.contents[site.file])
        stands = read_site(parsed[site.file], site.path)
        now = SiteReference.of(stands) if stands else None
        if now == change.after:
            continue
        if stands is None or now != change.before:
            raise Stale(f"{site.file} now says {now or 'nothing'} at {site.path}, where the plan found {change.before}")
        assert isinstance(change.after, SiteReference)
        edits.setdefault(site.file, {})[site.path] = _spelled_like(stands, change.after)
    return {name: edit(name, files.contents[name], wanted) for name, wanted in edits.items()}


def _spelled_like(stands: ImageReference, wanted: SiteReference) -> ImageReference:
    """The wanted reference with the image's name as the file already spells it, where it is the same image."""
    keeps_name = not wanted.image or same_image(stands.name, wanted.image)
    name = stands.name if keeps_name else wanted.image
    assert isinstance(wanted.tag, str), "what a build came to is known before a site is written"
    return ImageReference(name, wanted.tag)


def _moves(changes: Sequence[Change], sites: Mapping[Address, SiteAddress]) -> list[Move]:
    return [
        Move(str(change.before), str(change.after), sites[change.address].file, change.reaches) for change in changes
    ]
