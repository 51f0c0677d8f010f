"""The YAML that an operator pastes for a slot that stands nowhere yet."""

from __future__ import annotations

from fleet.reference import ImageReference
from fleet.values import paths
from fleet.values.quoting import can_stand_plain


def paste_lines(slot: str, reference: ImageReference, prefix: str) -> str:
    """The lines that give a hub this slot, under `prefix` (`jupyterhub.`, `basehub.jupyterhub.` or nothing).

    Helm replaces lists, so what belongs to a profile goes into the profile that is there; a comment says so.
    Raises ValueError when `slot` is no slot.
    """
    keys = [key for key in prefix.split(".") if key] + ["singleuser"]
    image = f"image: {_scalar(str(reference))}"
    match paths.parse(slot):
        case ("default",):
            body = ["image:", f"  name: {_scalar(reference.name)}", f"  tag: {_scalar(reference.tag or '')}"]
        case ("profiles", slug):
            body = _profile(f"slug: {_scalar(slug)}", ["kubespawner_override:", f"  {image}"])
        case ("profiles", slug, option, choice):
            body = _profile(f"slug: {_scalar(slug)}", _choice(option, choice, image))
        case ("choices", choice):
            which = "slug: ...  # once per profile that offers the choice"
            body = _profile(which, _choice("image", choice, image))
        case _:
            raise ValueError(f"{slot!r} is not a slot")
    lines = [f"{'  ' * depth}{_scalar(key)}:" for depth, key in enumerate(keys)]
    lines += ["  " * len(keys) + line for line in body]
    return "\n".join(lines) + "\n"


def _profile(which: str, body: list[str]) -> list[str]:
    comment = "profileList:  # add to the profile that is there: Helm replaces lists, it does not merge them"
    return [comment, f"- {which}", *(f"  {line}" for line in body)]


def _choice(option: str, choice: str, image: str) -> list[str]:
    keys = ["profile_options", _scalar(option), "choices", _scalar(choice), "kubespawner_override"]
    return [*("  " * depth + f"{key}:" for depth, key in enumerate(keys)), "  " * len(keys) + image]


def _scalar(text: str) -> str:
    """A text as YAML: plain where that is safe, else in single quotes."""
    if text and can_stand_plain(text):
        return text
    return "'" + text.replace("'", "''") + "'"
