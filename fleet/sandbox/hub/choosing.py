"""Which image KubeSpawner would start for a user, by the hub's values files and what the user chose.

Source: https://jupyterhub-kubespawner.readthedocs.io/en/latest/spawner.html, `profile_list`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yaml.nodes import MappingNode, Node, SequenceNode

from fleet.values import ValuesFile, find_prefix
from fleet.values.document import text_of
from fleet.values.merge import descend, get, items, layers_of
from fleet.values.paths import slug_of_entry

UNLISTED = "--unlisted-choice"
"""What follows an option's name in the user's options, where the user typed a value instead of choosing one."""

_TRUE = frozenset({"true", "yes", "on", "y"})


class NoSuchChoice(Exception):
    """The user chose what the hub does not offer, or the hub offers no image at all."""


def chosen_image(files: Sequence[ValuesFile], options: Mapping[str, object]) -> str:
    """The image for a user's options (`profile`, and the name of each option of that profile); `files` in Helm's order.

    Raises NoSuchChoice.
    """
    below = find_prefix(files).split(".")[:-1]
    singleuser = descend(layers_of(files), *below, "singleuser")
    name, tag = (descend(singleuser, "image", key) for key in ("name", "tag"))
    image = ":".join(text for layer in (name, tag) if layer and (text := text_of(layer[0].node)))
    profile_list = descend(singleuser, "profileList")
    file, entries = profile_list[0] if profile_list else (None, None)
    if file is not None and isinstance(entries, SequenceNode) and entries.value:
        profile = _profile(file, entries, options.get("profile"))
        image = _image_of(file, get(file, profile, "kubespawner_override")) or image
        for option, body in items(file, get(file, profile, "profile_options")).items():
            image = _image_of_option(file, option, body, options) or image
    elif options.get("profile"):
        raise NoSuchChoice(f"No such profile: {options['profile']}")
    if not image:
        raise NoSuchChoice("the values files set no user image")
    return image


def _profile(file: ValuesFile, entries: SequenceNode, slug: object) -> Node:
    """The chosen profile, else the default one, else the first."""
    if slug:
        for entry in entries.value:
            if slug_of_entry(file, entry) == slug:
                return _mapping(file, entry)
        raise NoSuchChoice(f"No such profile: {slug}")
    return _mapping(
        file, next((entry for entry in entries.value if _is_true(file, entry, "default")), entries.value[0])
    )


def _image_of_option(file: ValuesFile, option: str, body: Node, options: Mapping[str, object]) -> str | None:
    typed = options.get(f"{option}{UNLISTED}")
    if typed:
        unlisted = get(file, body, "unlisted_choice")
        if unlisted is None or not _is_true(file, unlisted, "enabled"):
            raise NoSuchChoice(f"The option {option} takes only what it lists, not {typed}")
        template = _image_of(file, get(file, unlisted, "kubespawner_override"))
        return template.replace("{value}", str(typed)) if template else None
    choices = items(file, get(file, body, "choices"))
    if not choices:
        return None
    default = next((name for name, choice in choices.items() if _is_true(file, choice, "default")), next(iter(choices)))
    chosen = str(options.get(option) or default)
    if chosen not in choices:
        raise NoSuchChoice(f"The option {option} has no choice {chosen}")
    return _image_of(file, get(file, choices[chosen], "kubespawner_override"))


def _image_of(file: ValuesFile, override: Node | None) -> str | None:
    return text_of(get(file, override, "image")) if override is not None else None


def _is_true(file: ValuesFile, node: Node, key: str) -> bool:
    return isinstance(node, MappingNode) and (text_of(get(file, node, key)) or "").lower() in _TRUE


def _mapping(file: ValuesFile, node: Node) -> Node:
    if not isinstance(node, MappingNode):
        raise file.fault(node, "A profile is a mapping.")
    return node
