from __future__ import annotations

import pytest
import yaml

from fleet.errors import InputError
from fleet.reference import ImageReference
from fleet.values import edit, parse_values, read_site
from fleet.values.document import Source
from fleet.values.edit import prove

PATH = "singleuser.image"
DIGEST = "sha256:" + "0" * 64


def _retag(image: str, tag: str, path: str = PATH) -> str:
    data = image.encode()
    here = read_site(parse_values("f.yaml", data), path)
    assert here is not None
    return edit("f.yaml", data, {path: here._replace(tag=tag)}).decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("singleuser:\n  image:\n    name: a/b\n    tag: v1", "singleuser:\n  image:\n    name: a/b\n    tag: v2"),
        ("singleuser: {image: {name: a/b, tag: v1}}\n", "singleuser: {image: {name: a/b, tag: v2}}\n"),
        ('{"singleuser":{"image":{"name":"a/b","tag":"v1"}}}', '{"singleuser":{"image":{"name":"a/b","tag":"v2"}}}'),
        ("singleuser: {image: a/b:v1} # a/b:v1\n", "singleuser: {image: a/b:v2} # a/b:v1\n"),
        ("singleuser:\r\n  image: a/b:v1\r\n", "singleuser:\r\n  image: a/b:v2\r\n"),
        ("\ufeffsingleuser:\n  image: 'a/b:v1'\n", "\ufeffsingleuser:\n  image: 'a/b:v2'\n"),
        ("# 🐍é\nsingleuser:\n  x: 🎈\n  image: a/b:v1 # ü", "# 🐍é\nsingleuser:\n  x: 🎈\n  image: a/b:v2 # ü"),
        ("# \u2028 \x85\nsingleuser: {image: a/b:v1}", "# \u2028 \x85\nsingleuser: {image: a/b:v2}"),
        ("singleuser:\n  image: &i a/b:v1\nx: *i\n", "singleuser:\n  image: &i a/b:v2\nx: *i\n"),
        ("singleuser:\n  image: !!str &i a/b:v1\nx: *i", "singleuser:\n  image: !!str &i a/b:v2\nx: *i"),
        ("singleuser:\n  image: &i\n    # why\n    a/b:v1\n", "singleuser:\n  image: &i\n    # why\n    a/b:v2\n"),
        ("singleuser:\n  image: |\n    a/b:v1\n\n  x: 1\n", "singleuser:\n  image: a/b:v2\n\n  x: 1\n"),
        ("singleuser:\n  image: >- # why\n    a/b:v1\nx: 1\n", "singleuser:\n  image: a/b:v2 # why\nx: 1\n"),
        ("singleuser:\n  image: |-\n    a/b:v1", "singleuser:\n  image: a/b:v2"),
        ('singleuser:\n  image: "a/\\\n    b:v1"\n', 'singleuser:\n  image: "a/b:v2"\n'),
        ("? singleuser\n: ? image\n  : a/b:v1\n", "? singleuser\n: ? image\n  : a/b:v2\n"),
        ("--- # x\nsingleuser: {image: a/b:v1}\n...\n", "--- # x\nsingleuser: {image: a/b:v2}\n...\n"),
        ("singleuser: {image: a/b}\n", "singleuser: {image: a/b:v2}\n"),
        ("singleuser: {image: {name: a/b, tag: ''}}\n", "singleuser: {image: {name: a/b, tag: 'v2'}}\n"),
    ],
)
def test_only_the_scalar_changes_and_keeps_its_style(before: str, after: str) -> None:
    assert _retag(before, "v2") == after


@pytest.mark.parametrize(
    "tag", ["178819e05792", "949086545647", "2026-06-29", "0x1f", "0o17", "4.3", "123_456", "yes", "N", "null", "1e3"]
)
def test_a_tag_that_some_reader_would_not_take_for_a_string_is_quoted(tag: str) -> None:
    assert _retag("singleuser: {image: {name: a/b, tag: bde8b3293fd2}}", tag).endswith(f"tag: '{tag}'}}}}")


@pytest.mark.parametrize("tag", ["bde8b3293fd2", "2026.04.29", "v5.2.0", "latest", "fa26_2a", "_1", "1.2.3-x"])
def test_a_tag_that_every_reader_takes_for_a_string_stays_plain(tag: str) -> None:
    assert _retag("singleuser: {image: {name: a/b, tag: v1}}", tag).endswith(f"tag: {tag}}}}}")


def test_a_quoted_tag_stays_quoted_when_it_need_not_be() -> None:
    before = "singleuser:\n  image:\n    name: a/b\n    tag: '2026-06-29'\n"
    assert _retag(before, "v2") == before.replace("2026-06-29", "v2")


def test_a_name_that_means_the_same_image_keeps_its_spelling() -> None:
    data = b"singleuser: {image: docker.io/a/b:v1}"
    assert edit("f.yaml", data, {PATH: ImageReference("a/b", "v2")}) == data.replace(b"v1", b"v2")
    assert edit("f.yaml", data, {PATH: ImageReference("a/b", "v1")}) == data


def test_another_image_changes_the_whole_string_or_both_scalars() -> None:
    wanted = {PATH: ImageReference("quay.io/c/d", "v2")}
    assert edit("f.yaml", b"singleuser: {image: a/b:v1}", wanted) == b"singleuser: {image: quay.io/c/d:v2}"
    data = b"singleuser:\n  image:\n    tag: v1 # t\n    name: a/b # n\n"
    assert edit("f.yaml", data, wanted) == b"singleuser:\n  image:\n    tag: v2 # t\n    name: quay.io/c/d # n\n"


def test_another_image_is_refused_where_the_name_stands_elsewhere() -> None:
    data = b"x: &x\n  name: a/b\nsingleuser: {image: {<<: *x, tag: v1}}"
    with pytest.raises(InputError, match="The name a/b of this image stands on line 2, outside this map"):
        edit("f.yaml", data, {PATH: ImageReference("c/d", "v1")})
    assert edit("f.yaml", data, {PATH: ImageReference("a/b", "v2")}) == data.replace(b"v1", b"v2")


def test_a_tag_alone_is_edited_in_a_file_without_the_name() -> None:
    data = b"singleuser: {image: {tag: v1}}"
    assert edit("f.yaml", data, {PATH: ImageReference("a/b", "v2")}) == b"singleuser: {image: {tag: v2}}"


def test_a_tag_alone_is_edited_by_a_reference_without_a_name() -> None:
    data = b"singleuser:\n  image:\n    tag: '4.3' # a/b\n"
    assert read_site(parse_values("f.yaml", data), PATH) == ImageReference("", "4.3")
    assert edit("f.yaml", data, {PATH: ImageReference("", "4.4")}) == data.replace(b"4.3", b"4.4")
    assert edit("f.yaml", data, {PATH: ImageReference("", "4.3")}) == data


@pytest.mark.parametrize("data", [b"singleuser: {image: {name: a/b, tag: v1}}", b"singleuser: {image: a/b:v1}"])
def test_a_reference_without_a_name_does_not_fit_a_site_with_one(data: bytes) -> None:
    with pytest.raises(InputError, match="is not an image reference"):
        edit("f.yaml", data, {PATH: ImageReference("", "v2")})


@pytest.mark.parametrize("wanted", [ImageReference("", "no tag"), ImageReference("", "v2", DIGEST)])
def test_what_is_no_tag_is_never_written_alone(wanted: ImageReference) -> None:
    with pytest.raises(InputError):
        edit("f.yaml", b"singleuser: {image: {tag: v1}}", {PATH: wanted})


def test_a_digest_fits_a_string_and_no_map() -> None:
    wanted = {PATH: ImageReference("a/b", "v2", DIGEST)}
    assert edit("f.yaml", b"singleuser: {image: a/b:v1}", wanted).decode() == f"singleuser: {{image: a/b:v2@{DIGEST}}}"
    with pytest.raises(InputError, match="no room for the digest"):
        edit("f.yaml", b"singleuser: {image: {name: a/b, tag: v1}}", wanted)


def test_two_edits_on_one_line_both_happen() -> None:
    data = b"x: {one: a/b:v1, two: 'c/d:v1'} # both\n"
    wanted = {"x.one": ImageReference("a/b", "v22"), "x.two": ImageReference("c/d", "v3")}
    assert edit("f.yaml", data, wanted) == b"x: {one: a/b:v22, two: 'c/d:v3'} # both\n"


def test_two_wishes_for_one_line_are_refused() -> None:
    data = b"t: &t v1\nx: {name: a/b, tag: *t}\ny: {name: a/b, tag: *t}\n"
    with pytest.raises(InputError, match="are one line, but 'v2' and 'v3' are wanted"):
        edit("f.yaml", data, {"x": ImageReference("a/b", "v2"), "y": ImageReference("a/b", "v3")})


@pytest.mark.parametrize(
    "path",
    ["", "singleuser", "singleuser.none", "singleuser.list[none]", "singleuser.list[0]", "a..b", "x", "template"],
)
def test_where_no_image_stands_nothing_is_written(path: str) -> None:
    data = b"singleuser: {list: [a/b:v1]}\nx: no image\ntemplate: '{value}'\n"
    assert read_site(parse_values("f.yaml", data), path) is None
    with pytest.raises(InputError, match="holds no image reference at"):
        edit("f.yaml", data, {path: ImageReference("a/b", "v2")})


def test_a_path_through_an_alias_is_not_canonical_and_leads_nowhere() -> None:
    file = parse_values("f.yaml", b"x: &x {image: a/b:v1}\nsingleuser: *x\n")
    assert read_site(file, "singleuser.image") is None
    assert read_site(file, "x.image") == ImageReference("a/b", "v1")


@pytest.mark.parametrize(
    "wanted", [ImageReference("a/b", "no tag"), ImageReference("a b", "v1"), ImageReference("", "v")]
)
def test_what_is_no_reference_is_never_written(wanted: ImageReference) -> None:
    with pytest.raises(InputError, match="is not an image reference"):
        edit("f.yaml", b"singleuser: {image: a/b:v1}", {PATH: wanted})


def test_an_edit_in_one_profile_leaves_the_others_of_the_same_image() -> None:
    entry = "- slug: %s\n  kubespawner_override: {image: a/b:v1}\n"
    data = (entry % "one" + entry % "two").replace("\n", "\n  ")
    text = f"singleuser:\n  profileList:\n  {data}".rstrip() + "\n"
    after = _retag(text, "v2", "singleuser.profileList[two].kubespawner_override.image")
    assert after == text[::-1].replace("1v", "2v", 1)[::-1]


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("a: new\nb: changed\n", "line 2 changes too"),
        ("a: other\nb: old\n", "line 1 does not read as 'new'"),
        ("a: new\nb: old\nc: 1\n", "other nodes"),
        ('a: "new\nb: old\n', "is not YAML"),
        ("a: &x new\nb: old\n", "line 1 does not read as 'new'"),
    ],
)
def test_a_result_that_is_not_what_was_meant_is_refused(after: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        prove(Source("f.yaml", "a: 1\nb: old\n"), after, {3: "new"})
    prove(Source("f.yaml", "a: 1\nb: old\n"), "a: new\nb: old\n", {3: "new"})


def test_a_result_that_reads_as_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="does not read as '1e3'"):
        prove(Source("f.yaml", "a: v1\n"), "a: 1e3\n", {3: "1e3"})


def test_a_scalar_that_moved_is_refused() -> None:
    with pytest.raises(InputError, match="not found again"):
        prove(Source("f.yaml", "a: v1\n"), "a: v1\n", {2: "v2"})


def test_an_edited_file_loads_as_the_old_one_with_one_new_value() -> None:
    before = "x: &x {image: a/b:v1, n: 1.0}\ny: [*x, *x]\n"
    after = yaml.safe_load(_retag(before, "v2", "x.image"))
    assert after == yaml.safe_load(before.replace("v1", "v2"))
