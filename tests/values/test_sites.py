from __future__ import annotations

from textwrap import dedent

import pytest

from fleet.errors import InputError
from fleet.reference import ImageReference
from fleet.values import find_prefix, find_sites, parse_values, paste_lines, read_site
from tests.values.hub import slots


@pytest.mark.parametrize("prefix", ["", "jupyterhub.", "basehub.jupyterhub."])
def test_a_default_image_is_found_under_each_prefix(prefix: str) -> None:
    text = paste_lines("default", ImageReference("a/b", "1"), prefix)
    # the tag 1 must be quoted, or it is a number
    assert slots(text) == {"default": [(f"{prefix}singleuser.image", "a/b:1")]}
    assert find_prefix([parse_values("f.yaml", text.encode())]) == prefix


PROFILES = """
    singleuser:
      profileList:
      - display_name: Small, 5 GB!
        kubespawner_override: {image: a/b:1}
      - slug: gpu
        display_name: GPU
        profile_options:
          image:
            choices:
              ml: {kubespawner_override: {image: {name: a/ml, tag: v2}}}
              "x.y": {kubespawner_override: {image: a/xy:v3}}
    """


def test_profiles_and_choices_are_named_by_slug_never_by_index() -> None:
    choices = "singleuser.profileList[gpu].profile_options.image.choices"
    assert slots(PROFILES) == {
        "profiles.small-5-gb": [("singleuser.profileList[small-5-gb].kubespawner_override.image", "a/b:1")],
        "profiles.gpu.image.ml": [(f"{choices}.ml.kubespawner_override.image", "a/ml:v2")],
        "choices.ml": [(f"{choices}.ml.kubespawner_override.image", "a/ml:v2")],
        'profiles.gpu.image["x.y"]': [(f'{choices}["x.y"].kubespawner_override.image', "a/xy:v3")],
        'choices["x.y"]': [(f'{choices}["x.y"].kubespawner_override.image', "a/xy:v3")],
    }


def test_every_path_that_is_found_reads_back() -> None:
    file = parse_values("f.yaml", dedent(PROFILES).encode())
    sites = [site for found in find_sites([file]).values() for site in found]
    assert sites
    assert all(read_site(file, site.path) == site.reference for site in sites)


IMAGE = "singleuser: {image: {name: a/b, tag: v1}, profileList: [%s]}"


@pytest.mark.parametrize(
    ("profiles", "has_default"),
    [
        ("", True),
        ("{slug: x}", True),
        ("{slug: x, kubespawner_override: {image: a/c:1}}", False),
        ("{slug: x, kubespawner_override: {image: a/c:1}}, {slug: y, kubespawner_override: {cpu: 1}}", True),
        ("{slug: x, profile_options: {o: {choices: {c: {kubespawner_override: {image: a/c:1}}}}}}", False),
        ("{slug: x, profile_options: {o: {choices: {c: {kubespawner_override: {image: a/c:1}}, d: {}}}}}", True),
        (
            "{slug: x, profile_options: {o: {unlisted_choice: {enabled: true, kubespawner_override: {cpu: 1}}, "
            "choices: {c: {kubespawner_override: {image: a/c:1}}}}}}",
            True,
        ),
        (
            "{slug: x, profile_options: {o: {unlisted_choice: {enabled: true, kubespawner_override: {image: '{value}'}}"
            ", choices: {c: {kubespawner_override: {image: a/c:1}}}}}}",
            False,
        ),
    ],
)
def test_a_default_slot_exists_only_where_somebody_gets_it(profiles: str, has_default: bool) -> None:
    assert ("default" in slots(IMAGE % profiles)) is has_default


def test_a_profile_image_that_every_choice_replaces_is_no_slot() -> None:
    found = slots(
        "singleuser: {profileList: [{slug: x, kubespawner_override: {image: a/b:1},"
        " profile_options: {o: {choices: {c: {kubespawner_override: {image: a/c:1}}}}}}]}"
    )
    assert set(found) == {"profiles.x.o.c", "choices.c"}


def test_maps_merge_lists_replace_and_null_removes() -> None:
    common = "jupyterhub: {singleuser: {image: {name: a/b, tag: v1}, profileList: [{slug: x, a: 1}]}}"
    assert slots(common, "jupyterhub: {singleuser: {image: {tag: v2}}}")["default"][0][1] == "a/b:v2"
    assert slots(common, "jupyterhub: {singleuser: {image: null}}") == {}
    assert slots(common, "jupyterhub: {singleuser: null}") == {}
    only = "jupyterhub: {singleuser: {profileList: [{slug: y, kubespawner_override: {image: a/c:1}}]}}"
    assert set(slots(common, only)) == {"profiles.y"}


def test_a_tag_whose_name_stands_in_another_file_knows_that_place() -> None:
    common = parse_values("common.yaml", b"singleuser:\n  image:\n    name: a/b\n    tag: v1\n")
    staging = parse_values("staging.yaml", b"singleuser:\n  image:\n    tag: v2\n")
    (site,) = find_sites([common, staging])["default"]
    assert (site.file, site.line, site.name_line) == ("staging.yaml", 3, ("common.yaml", 3))
    assert read_site(staging, site.path) == ImageReference("", "v2")
    assert site.refusal(ImageReference("docker.io/a/b", "v3")) is None
    assert "common.yaml:3" in str(site.refusal(ImageReference("a/other", "v3")))


def test_a_tag_beside_a_name_that_another_file_replaces_is_refused() -> None:
    with pytest.raises(InputError, match=r"0\.yaml:1:38: This tag stands beside the name a/b"):
        slots("singleuser: {image: {name: a/b, tag: v1}}", "singleuser: {image: {name: a/other}}")


def test_aliases_share_the_site_where_the_anchor_is_defined() -> None:
    found = slots(
        """
        x-tools: &tools {name: a/b, tag: v1}
        singleuser:
          profileList:
          - slug: one
            profile_options: &options
              image: {choices: {ml: {kubespawner_override: &ml {image: a/ml:v1}}}}
          - slug: two
            profile_options: *options
          - slug: three
            kubespawner_override: {image: *tools}
          - slug: four
            kubespawner_override: {<<: *ml, cpu: 4}
        """
    )
    shared = [("singleuser.profileList[one].profile_options.image.choices.ml.kubespawner_override.image", "a/ml:v1")]
    assert found == {
        "profiles.one.image.ml": shared,
        "profiles.two.image.ml": shared,
        "choices.ml": shared,
        "profiles.three": [("x-tools", "a/b:v1")],
        "profiles.four": shared,
    }


def test_a_choice_that_stands_in_several_profiles_is_one_slot_with_several_sites() -> None:
    choice = "{choices: {ml: {kubespawner_override: {image: a/ml:v%d}}}}"
    found = slots(
        f"singleuser: {{profileList: [{{slug: a, profile_options: {{image: {choice % 1}}}}}, "
        f"{{slug: b, profile_options: {{image: {choice % 2}}}}}]}}"
    )
    assert [reference for _, reference in found["choices.ml"]] == ["a/ml:v1", "a/ml:v2"]


def test_explicit_keys_win_over_merge_keys_and_earlier_merges_over_later() -> None:
    found = slots(
        """
        a: &a {name: a/a, tag: va}
        b: &b {name: a/b, tag: vb}
        singleuser: {image: {<<: [*a, *b], name: a/own}}
        """
    )
    assert found == {"default": [("singleuser.image", "a/own:va")]}


def test_a_tag_is_addressed_at_the_map_that_holds_name_and_tag() -> None:
    found = slots("x: {name: &n a/b, tag: &t v1}\nsingleuser: {image: {name: *n, tag: *t}}")
    assert found == {"default": [("x", "a/b:v1")]}
    found = slots("t: &t v1\nsingleuser: {image: {name: a/b, tag: *t}}")
    assert found == {"default": [("singleuser.image", "a/b:v1")]}


def test_one_tag_for_two_images_is_refused() -> None:
    entry = "{slug: %s, kubespawner_override: {image: {name: a/%s, tag: *t}}}"
    with pytest.raises(InputError, match=r"0\.yaml:1:7 is the tag of two images, .*\[a\].* and .*\[b\]"):
        slots(f"t: &t v1\nsingleuser: {{profileList: [{entry % ('a', 'x')}, {entry % ('b', 'y')}]}}")


@pytest.mark.parametrize(
    "image",
    [
        "profileList: [{slug: x, profile_options: {o: {choices: {c: {kubespawner_override: {image: '{value}'}}}}}}]",
        "profileList: [{slug: x, profile_options: {o: {unlisted_choice: {kubespawner_override: {image: a/b:1}}}}}]",
        "profileList: [{slug: x, kubespawner_override: {init_containers: [{image: a/b:1}]}}]",
        "profileList: [{slug: x, kubespawner_override: {environment: {IMAGE: a/b:1}}, display_name: a/b:1}]",
        "initContainers: [{name: x, image: a/b:1}]",
        "extraContainers: [{name: x, image: a/b:1}]",
        "extraEnv: {IMAGE: a/b:1}",
        "networkTools: {image: {name: a/b, tag: v1}}",
        "image: {}",
        "image: {name: a/b}",
        "image: {tag: v1}",
    ],
)
def test_nothing_but_a_user_image_is_a_site(image: str) -> None:
    assert slots(f"jupyterhub: {{singleuser: {{{image}}}, hub: {{image: {{name: a/hub, tag: v1}}}}}}") == {}


def test_a_pre_pulled_image_is_no_site() -> None:
    assert slots("jupyterhub: {prePuller: {extraImages: {x: {name: a/b, tag: v1}}}, singleuser: {cpu: 1}}") == {}


def test_two_profiles_of_one_slug_are_refused_with_both_lines() -> None:
    with pytest.raises(InputError, match=r"lines 4 and 6 both have the slug 'cpu'"):
        slots(
            """
            singleuser:
              profileList:
              - slug: cpu
                kubespawner_override: {image: a/b:1}
              - display_name: CPU
            """
        )


def test_an_image_in_a_list_entry_without_a_name_is_refused_with_what_to_add() -> None:
    with pytest.raises(InputError, match="line 2 has neither slug nor display_name; add `slug: <name>`"):
        slots("singleuser: {profileList: [\n{kubespawner_override: {image: a/b:1}}]}")
    with pytest.raises(InputError, match="add `slug: <name>`"):
        slots("x: [&x {image: a/b:1}]\nsingleuser: {profileList: [{slug: x, kubespawner_override: *x}]}")


def test_images_under_two_prefixes_of_one_hub_are_refused() -> None:
    image = "{singleuser: {image: {name: a/b, tag: v1}}}"
    with pytest.raises(InputError, match=r"0\.yaml:1 \(basehub\.jupyterhub.*0\.yaml:2 \(jupyterhub"):
        slots(f"basehub: {{jupyterhub: {image}}}\njupyterhub: {image}\n")
    assert set(slots(f"jupyterhub: {image}\nsingleuser: {{cpu: 1}}")) == {"default"}


@pytest.mark.parametrize("tag", ["1.10", "2026-06-29", "949086545647", "178819e05792", "no"])
def test_a_tag_that_is_not_a_string_to_helm_is_refused_with_the_right_spelling(tag: str) -> None:
    with pytest.raises(InputError, match=f"Write '{tag}'"):
        slots(f"singleuser: {{image: {{name: a/b, tag: {tag}}}}}")


def test_an_image_that_is_no_reference_is_refused() -> None:
    with pytest.raises(InputError, match=r"0\.yaml:1:\d+: 'not an image' is not an image reference; write name:tag"):
        slots("singleuser: {profileList: [{slug: x, kubespawner_override: {image: not an image}}]}")


@pytest.mark.parametrize(
    "text",
    [
        "singleuser: {cpu: 1}\nsingleuser: {image: {name: a/b, tag: v1}}",
        "singleuser: {image: {name: a/b, tag: v1, tag: v2}}",
        "singleuser: {profileList: [{slug: x, profile_options: {o: {choices: {c: {}, c: {}}}}}]}",
    ],
)
def test_a_key_that_stands_twice_on_the_way_to_an_image_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="stands twice in this mapping"):
        slots(text)


@pytest.mark.parametrize(
    ("slot", "reference"),
    [
        ("default", ImageReference("a/b", "178819e05792")),
        ("profiles.cpu", ImageReference("a/b", "v1")),
        ("profiles.cpu.image.ml", ImageReference("a/b", "v1", "sha256:" + "0" * 64)),
    ],
)
def test_pasted_lines_give_the_slot(slot: str, reference: ImageReference) -> None:
    text = paste_lines(slot, reference, "jupyterhub.")
    (site,) = find_sites([parse_values("f.yaml", text.encode())])[slot]
    assert site.reference == reference


def test_pasted_lines_of_a_choice_in_every_profile_name_the_choice() -> None:
    text = paste_lines('choices["x.y"]', ImageReference("a/b", "v1"), "")
    assert "x.y:\n" in text
    assert "image: a/b:v1\n" in text


def test_what_is_no_slot_has_no_lines() -> None:
    with pytest.raises(ValueError, match="'hub' is not a slot"):
        paste_lines("hub", ImageReference("a/b", "v1"), "")
