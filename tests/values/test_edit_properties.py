"""Random values files with random styles, and random tags: an edit changes one scalar, and can be taken back."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fleet.reference import ImageReference
from fleet.values import edit, find_sites, parse_values, read_site

TAGS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.text(alphabet="0123456789abcdef", min_size=7, max_size=12),
    st.sampled_from(["2026-06-29", "2026.04.29", "178819e05792", "0x1f", "no", "null", "4.3", "1_000"]),
)
NAMES = st.sampled_from(["a/b", "quay.io/pangeo/base-notebook", "docker.io/x/y", "host.example.org:5000/z", "busybox"])
COMMENTS = st.sampled_from(["", " # é: {x}", "   # tag: a/b:v1 🐍", " #"])
_GO = re.compile(
    r"0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|[yYnN]|[0-9][0-9_]*(?:[eE][-+]?[0-9_]+)?|[0-9]{4}(?:-[0-9]{1,2}){2}"
)
"""What Helm's Go parser takes for a number, a boolean or a date beyond those two."""
NOISE = st.sampled_from(["", "  # a comment: [", "\n", "# 大きさ", "x{n}: {{a: 1, b: [2, 3]}}", 'y{n}: "a \\" b"'])
QUOTES = st.sampled_from(["", "'", '"'])


@dataclass(frozen=True)
class Document:
    """A values file in pieces: `head`, the scalar to edit (with its quotes), `tail`; and where it stands."""

    head: str
    quote: str
    value: str
    tail: str
    path: str
    reference: ImageReference
    newline: str
    bom: bytes

    def data(self, value: str) -> bytes:
        text = f"{self.head}{self.quote}{value}{self.quote}{self.tail}"
        return self.bom + text.replace("\n", self.newline).encode()


def _plain_is_a_string(text: str) -> bool:
    """By two other readers than the one under test."""
    document = f"[{text}]"
    others = [yaml.safe_load(document), YAML(typ="safe", pure=True).load(document)]
    return others == [[text], [text]] and not _GO.fullmatch(text)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    name, tag = draw(NAMES), draw(TAGS)
    quote = draw(QUOTES)
    anchor = draw(st.sampled_from(["", "&anchor ", "!!str ", "!!str &anchor "]))
    if draw(st.booleans()):
        path, value = "jupyterhub.singleuser.image", tag
        opening = f"jupyterhub:\n  singleuser:\n    image:\n      name: {name}{draw(COMMENTS)}\n      tag: "
    else:
        path = "jupyterhub.singleuser.profileList[p].kubespawner_override.image"
        value = f"{name}:{tag}"
        opening = "jupyterhub:\n  singleuser:\n    profileList:\n    - slug: p\n      kubespawner_override:\n"
        opening += "        image: "
    if not quote and not _plain_is_a_string(value):
        quote = "'"
    noise = [draw(NOISE).format(n=n) for n in range(4)]
    alias = "z: *anchor\n" if "&" in anchor else ""
    tail = f"{draw(COMMENTS)}\n{noise[2]}\n{noise[3]}\n{alias}"
    return Document(
        head=f"{noise[0]}\n{noise[1]}\n{opening}{anchor}",
        quote=quote,
        value=value,
        tail=tail.rstrip("\n") if draw(st.booleans()) else tail,
        path=path,
        reference=ImageReference(name, tag),
        newline=draw(st.sampled_from(["\n", "\r\n"])),
        bom=draw(st.sampled_from([b"", b"\xef\xbb\xbf"])),
    )


@given(documents(), TAGS)
def test_an_edit_replaces_the_scalar_and_no_other_byte(document: Document, tag: str) -> None:
    before = document.data(document.value)
    wanted = document.reference._replace(tag=tag)
    after = edit("f.yaml", before, {document.path: wanted})
    value = document.value.removesuffix(document.reference.tag or "") + tag
    expected = {document.data(value)}
    if not document.quote:
        expected = {document.data(value if _plain_is_a_string(value) else f"'{value}'")}
    assert {after} == expected if before != after else tag == document.reference.tag
    assert read_site(parse_values("f.yaml", after), document.path) == wanted


@given(documents())
def test_the_site_is_found_where_it_was_put(document: Document) -> None:
    (sites,) = find_sites([parse_values("f.yaml", document.data(document.value))]).values()
    assert [(site.path, site.reference) for site in sites] == [(document.path, document.reference)]


@given(documents())
def test_writing_what_stands_there_changes_nothing(document: Document) -> None:
    data = document.data(document.value)
    assert edit("f.yaml", data, {document.path: document.reference}) == data


@given(documents(), TAGS)
def test_an_edit_can_be_taken_back(document: Document, tag: str) -> None:
    before = document.data(document.value)
    there = edit("f.yaml", before, {document.path: document.reference._replace(tag=tag)})
    back = edit("f.yaml", there, {document.path: document.reference})
    if document.quote or not _needs_quotes(there, before):
        assert back == before
    assert yaml.compose(back).__class__ is yaml.compose(before).__class__
    assert read_site(parse_values("f.yaml", back), document.path) == document.reference


def _needs_quotes(there: bytes, before: bytes) -> bool:
    """Whether the way there had to add quotes, which the way back then keeps."""
    return there.count(b"'") != before.count(b"'")


@given(documents(), NAMES, TAGS)
def test_another_image_reads_back_as_wanted(document: Document, name: str, tag: str) -> None:
    after = edit("f.yaml", document.data(document.value), {document.path: ImageReference(name, tag)})
    found = read_site(parse_values("f.yaml", after), document.path)
    assert found is not None
    assert found.tag == tag
    assert find_sites([parse_values("f.yaml", after)])
