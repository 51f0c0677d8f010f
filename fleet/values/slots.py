"""Finds the sites of a hub's user images, and the slots through which users see them.

What is looked at: `singleuser.image`, and in `singleuser.profileList` each profile's and each choice's
`kubespawner_override.image`. What never is: `unlisted_choice`, `'{value}'`, `hub.image`, extra and init containers.
How KubeSpawner reads a profile list: https://jupyterhub-kubespawner.readthedocs.io/en/latest/spawner.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, SequenceNode

from fleet.diagnostics import Diagnostic
from fleet.errors import InputError
from fleet.values import paths
from fleet.values.document import ValuesFile, is_null, text_of
from fleet.values.images import Image, Site, read_image
from fleet.values.merge import Layer, descend, get, items, layers_of

PREFIXES = ("basehub.jupyterhub.", "jupyterhub.", "")
"""Where zero-to-jupyterhub's values lie: in 2i2c's daskhub, in a chart that depends on it, or by themselves."""

MAX_CHOICES = 100_000
"""Choices of one hub, counted once per profile: aliases can ask for far more than anybody could mean."""

_TRUE = frozenset({"true", "yes", "on", "y"})


@dataclass(frozen=True, slots=True)
class _Option:
    name: str
    choices: tuple[tuple[str, Site], ...]
    always_sets_image: bool


@dataclass(frozen=True, slots=True)
class _Profile:
    slug: str
    image: Image
    options: tuple[_Option, ...]

    @property
    def options_set_image(self) -> bool:
        return any(option.always_sets_image for option in self.options)


def find_prefix(files: Sequence[ValuesFile]) -> str:
    """Under which of PREFIXES a hub's files hold the values of zero-to-jupyterhub."""
    layers = layers_of(files)
    found = [prefix for prefix in PREFIXES if descend(layers, *_keys(prefix), "singleuser")]
    with_images = [prefix for prefix in found if _slots(layers, prefix)] if len(found) > 1 else found
    if len(with_images) > 1:
        places = " and ".join(
            f"{site.file}:{site.line} ({site.path})" for site in (_first_site(layers, prefix) for prefix in with_images)
        )
        summary = f"One hub's files set user images in two places, of which its chart reads one: {places}."
        raise InputError([Diagnostic(summary, "Take away the one that is not read.")])
    if with_images or found:
        return (with_images or found)[0]
    return next((prefix for prefix in PREFIXES if descend(layers, *_keys(prefix))), "")


def find_sites(files: Sequence[ValuesFile]) -> Mapping[str, tuple[Site, ...]]:
    """The slots of one hub, each with the sites that decide it; `files` in Helm's order.

    Raises InputError where a slot or a site has no unambiguous name, or an image is not written as one.
    """
    return _slots(layers_of(files), find_prefix(files))


def _keys(prefix: str) -> list[str]:
    return prefix.split(".")[:-1]


def _first_site(layers: Sequence[Layer], prefix: str) -> Site:
    return next(iter(_slots(layers, prefix).values()))[0]


def _slots(layers: Sequence[Layer], prefix: str) -> dict[str, tuple[Site, ...]]:
    singleuser = descend(layers, *_keys(prefix), "singleuser")
    walked = f"{prefix}singleuser"
    default = _default_image(descend(singleuser, "image"), f"{walked}.image")
    profile_list = descend(singleuser, "profileList")
    profiles = _read_profiles(profile_list[0], f"{walked}.profileList") if profile_list else []
    found: dict[str, dict[tuple[str, str], Site]] = {}
    for slot, site in _seen_by_users(default, profiles):
        found.setdefault(slot, {})[site.file, site.path] = site
    _refuse_shared_tags(site for sites in found.values() for site in sites.values())
    return {slot: tuple(sites.values()) for slot, sites in found.items()}


def _seen_by_users(default: Site | None, profiles: Sequence[_Profile]) -> Iterator[tuple[str, Site]]:
    falls_through = [p for p in profiles if not (p.image.is_set or p.options_set_image)]
    if default and (falls_through or not profiles):
        yield "default", default
    for profile in profiles:
        of_profile = f"profiles{paths.step(profile.slug)}"
        if profile.image.site and not profile.options_set_image:
            yield of_profile, profile.image.site
        for option in profile.options:
            of_option = of_profile + paths.step(option.name)
            for choice, site in option.choices:
                yield of_option + paths.step(choice), site
                yield f"choices{paths.step(choice)}", site


def _refuse_shared_tags(sites: Iterable[Site]) -> None:
    """One tag for images of different maps (through an alias) could not follow one of them alone."""
    first: dict[tuple[str, int, int], str] = {}
    for site in sites:
        path = first.setdefault((site.file, site.line, site.column), site.path)
        if path != site.path:
            summary = f"{site.file}:{site.line}:{site.column} is the tag of two images, {path} and {site.path}."
            raise InputError([Diagnostic(summary, "Give each a tag of its own.")])


def _default_image(image: Sequence[Layer], walked: str) -> Site | None:
    if not image or not isinstance(image[0].node, MappingNode):
        return None  # the chart takes a map here and nothing else
    return read_image(image, walked).site


def _read_profiles(profile_list: Layer, walked: str) -> list[_Profile]:
    file, entries = profile_list
    if not isinstance(entries, SequenceNode):
        return []
    reader = _OptionReader(file)
    profiles: list[_Profile] = []
    nodes: dict[str, tuple[Node, bool]] = {}
    for node in entries.value:
        slug = paths.slug_of_entry(file, node)
        below = walked + paths.entry(slug or "")
        override = get(file, node, "kubespawner_override")
        image = _override_image(file, override, below)
        options = reader.read(get(file, node, "profile_options"), f"{below}.profile_options")
        has_sites = image.site is not None or any(option.choices for option in options)
        if slug is None:
            if has_sites:
                raise file.fault(node, paths.no_name(file, node))
            slug = ""
        elif slug in nodes and (has_sites or nodes[slug][1]):
            lines = f"{file.line(nodes[slug][0])} and {file.line(node)}"
            raise file.fault(node, f"The profiles on lines {lines} both have the slug {slug!r}; give each its own.")
        nodes[slug] = (node, has_sites)
        profiles.append(_Profile(slug, image, options))
    return profiles


class _OptionReader:
    """Reads `profile_options`, each shared one once, and counts the choices of the whole list."""

    def __init__(self, file: ValuesFile) -> None:
        self._file = file
        self._read: dict[int, tuple[_Option, ...]] = {}
        self._choices = 0

    def read(self, node: Node | None, walked: str) -> tuple[_Option, ...]:
        if node is None or not isinstance(node, MappingNode):
            return ()
        options = self._read.get(id(node))
        if options is None:
            options = self._read[id(node)] = tuple(
                self._option(name, option, walked + paths.step(name))
                for name, option in items(self._file, node).items()
            )
        self._choices += sum(len(option.choices) for option in options)
        if self._choices > MAX_CHOICES:
            raise self._file.fault(node, f"The profile list comes to more than {MAX_CHOICES:,} choices.")
        return options

    def _option(self, name: str, node: Node, walked: str) -> _Option:
        file = self._file
        choices: list[tuple[str, Site]] = []
        always = True
        found = items(file, get(file, node, "choices"))
        for choice, body in found.items():
            image = _override_image(
                file, get(file, body, "kubespawner_override"), walked + ".choices" + paths.step(choice)
            )
            always = always and image.is_set
            if image.site:
                choices.append((choice, image.site))
        return _Option(name, tuple(choices), bool(found) and always and not self._may_keep_image(node))

    def _may_keep_image(self, option: Node) -> bool:
        """Whether a user can take the free-text choice of this option and get no image from it."""
        unlisted = get(self._file, option, "unlisted_choice")
        if unlisted is None or (text_of(get(self._file, unlisted, "enabled")) or "").lower() not in _TRUE:
            return False
        override = get(self._file, unlisted, "kubespawner_override")
        return override is None or text_of(get(self._file, override, "image")) is None


def _override_image(file: ValuesFile, override: Node | None, walked: str) -> Image:
    node = get(file, override, "image") if override is not None else None
    if node is None or is_null(node):
        return Image(is_set=False)
    return read_image([Layer(file, node)], f"{walked}.kubespawner_override.image")
