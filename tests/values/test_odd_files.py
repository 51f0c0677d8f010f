"""Values files that nobody would write on purpose, and that stand in somebody's repository all the same."""

from __future__ import annotations

import pytest

from fleet.errors import InputError
from fleet.reference import ImageReference
from fleet.values import edit, find_sites, parse_values, read_site
from tests.values.hub import slots

CHOICES = "singleuser: {profileList: [{slug: x, profile_options: {o: {choices: {%s: {kubespawner_override: %s}}}}}]}"
IMAGE = "{image: a/b:old}"


@pytest.mark.parametrize("key", ["v1.0", "GPU #2", "a[0]", "with space", "it's", 'say "hi"', "é", "", "a/b:c", "\ttab"])
def test_a_choice_of_any_name_has_slots_and_a_path_that_reads_back(key: str) -> None:
    escaped = key.replace('"', '\\"').replace("\t", "\\t")
    data = (CHOICES % (f'"{escaped}"', IMAGE)).encode()
    file = parse_values("f.yaml", data)
    found = find_sites([file])
    assert len(found) == 2
    ((site,), (same,)) = found.values()
    assert site == same
    assert read_site(file, site.path) == ImageReference("a/b", "old")
    assert edit("f.yaml", data, {site.path: ImageReference("a/b", "new")}) == data.replace(b"old", b"new")


@pytest.mark.parametrize("key", ["? [a, b] ", "? {a: b} ", "? [[]] "])
def test_keys_that_are_no_text_are_passed_over(key: str) -> None:
    assert slots(CHOICES % (key, IMAGE)) == {}
    assert slots(f"{{{key}: 1, singleuser: {{{key}: 2, image: {{{key}: 3, name: a/b, tag: v1}}}}}}") == {
        "default": [("singleuser.image", "a/b:v1")]
    }


@pytest.mark.parametrize(
    ("key", "step"), [("4", ".4"), ("true", ".true"), ("1.10", '["1.10"]'), ("2026-06-29", ".2026-06-29")]
)
def test_a_choice_named_by_a_number_a_truth_or_a_date_is_named_as_written(key: str, step: str) -> None:
    assert set(slots(CHOICES % (key, IMAGE))) == {f"choices{step}", f"profiles.x.o{step}"}


@pytest.mark.parametrize(
    "text",
    [
        "&i a/b:v1 : x\nsingleuser: {profileList: [{slug: x, kubespawner_override: {image: *i}}]}",
        "? &i {image: a/b:v1}\n: x\nsingleuser: {profileList: [{slug: x, kubespawner_override: *i}]}",
    ],
)
def test_an_image_that_is_defined_in_a_key_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"0\.yaml:1:\d+: This image stands in a key"):
        slots(text)


OWN = "singleuser: {image: {name: a/b, tag: v1}, profileList: [{slug: x, kubespawner_override: {image: a/c:1}}]}"


@pytest.mark.parametrize(
    ("stronger", "found"),
    [
        ("singleuser: {profileList: null}", {"default"}),
        ("singleuser: {profileList: ~}", {"default"}),
        ("singleuser: {profileList: []}", {"default"}),
        ("singleuser: {profileList: {}}", {"default"}),
        ("singleuser: null", set()),
        ("singleuser:", set()),
        ("singleuser: {image: null}", {"profiles.x"}),
        ("singleuser: {image: {tag: null}}", {"profiles.x"}),
        (
            "singleuser: {profileList: [null, 3, [a], {slug: {a: b}}, {slug: y, kubespawner_override: null}]}",
            {"default"},
        ),
    ],
)
def test_what_a_stronger_file_takes_away_is_gone(stronger: str, found: set[str]) -> None:
    assert set(slots(OWN, stronger)) == found


def test_tabs_behind_a_value_stay() -> None:
    data = b"singleuser:\n  image:\n    name:\ta/b\t# n\n    tag:\tv1\t# t\n"
    wanted = {"singleuser.image": ImageReference("a/b", "v2")}
    assert edit("f.yaml", data, wanted) == data.replace(b"v1", b"v2")


@pytest.mark.parametrize("tag", ["!!str", "!!str &t", "&t !!str", "&t !<tag:yaml.org,2002:str>"])
def test_an_empty_tag_behind_an_anchor_is_filled_in(tag: str) -> None:
    alias = "x: *t\n" if "&" in tag else ""
    data = f"singleuser:\n  image:\n    name: a/b\n    tag: {tag}\n{alias}".encode()
    after = edit("f.yaml", data, {"singleuser.image": ImageReference("a/b", "v2")})
    assert after == data.replace(f"tag: {tag}".encode(), f"tag: {tag} v2".encode())


def _choices(count: int, anchors: bool) -> bytes:
    anchor = "&i{n} " if anchors else ""
    lines = [f"          c{n}: {{kubespawner_override: {{image: {anchor.format(n=n)}a/b:v{n}}}}}" for n in range(count)]
    head = "singleuser:\n  profileList:\n  - slug: x\n    profile_options:\n      image:\n        choices:\n"
    return (head + "\n".join(lines) + "\n" + ("z: *i1\n" if anchors else "")).encode()


def _profiles(count: int) -> bytes:
    lines = [f"  - {{slug: s{n}, kubespawner_override: {{image: a/b:v{n}}}}}" for n in range(count)]
    return ("x: &x 1\ny: *x\nsingleuser:\n  profileList:\n" + "\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("data", "slot"),
    [
        (_choices(15_000, anchors=False), "choices.c7"),
        (_choices(15_000, anchors=True), "choices.c7"),
        (_profiles(15_000), "profiles.s7"),
        (b"a: " + b"x" * 2_000_000 + b"\nb: '" + b"y, " * 700_000 + b"'\n" + OWN.encode(), "profiles.x"),
        (b"# a comment that goes on and on\n" * 150_000 + OWN.encode(), "profiles.x"),
    ],
    ids=["choices", "anchors", "profiles", "long lines", "comments"],
)
@pytest.mark.timeout(30)  # one second or two, on a machine with nothing else to do
def test_time_grows_with_the_file_and_no_faster(data: bytes, slot: str) -> None:
    """A megabyte of images and four of other text; in quadratic time these would take minutes."""
    assert len(data) > 850_000
    (site,) = find_sites([parse_values("f.yaml", data)])[slot]
    after = edit("f.yaml", data, {site.path: site.reference._replace(tag="0123456789ab")})
    assert len(after) == len(data) + len("0123456789ab") - len(site.reference.tag or "")
