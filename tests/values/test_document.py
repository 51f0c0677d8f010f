from __future__ import annotations

import pytest

from fleet.errors import InputError
from fleet.reference import ImageReference
from fleet.values import edit, find_sites, is_encrypted, parse_values
from fleet.values.document import MAX_BYTES
from tests.values.hub import slots

pytestmark = pytest.mark.timeout(20)  # a hostile file must not hang; each of these takes milliseconds


def _refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        parse_values("f.yaml", data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"a: [1\n", "f.yaml:2:1: The YAML cannot be read: did not find expected ',' or ']'."),
        (b"a: 1\n\tb: 2\n", "f.yaml:2:1: The YAML cannot be read"),
        (b"a: 1\n---\nb: 2\n", "f.yaml:2:1: A values file holds one document; a second one starts here."),
        ("é: 1\n---\nb: 2\n".encode("latin-1"), "f.yaml:1:1: The byte 0xe9 is not UTF-8"),
        ("a: é\nb: é\n".encode() + b"\xff\n", "f.yaml:3:1: The byte 0xff is not UTF-8"),
        (b"a: 1\nb: \x01\n", "f.yaml:2:4: A YAML file cannot hold the character #x0001."),
        (b"a: *b\n", "f.yaml:1:4: The YAML cannot be read: found undefined alias."),
        (b"a: &a 1\nb: &a 2\n", "f.yaml:2:4: The anchor is defined a second time (first on line 1)"),
        (b"- a\n", "f.yaml:1:1: A values file holds a mapping of keys."),
        (b"just text", "f.yaml:1:1: A values file holds a mapping of keys."),
        (b"a: {b: 1}\nsops: {mac: x}\n", "f.yaml is encrypted with sops"),
        (b"#" * (MAX_BYTES + 1), "f.yaml has 5.0 MiB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(data: bytes, sentence: str) -> None:
    assert _refusal(data).startswith(sentence)


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"---\n", b"{}", b"\xef\xbb\xbf", b"~\n"])
def test_a_file_that_says_nothing_has_no_sites(data: bytes) -> None:
    assert find_sites([parse_values("f.yaml", data)]) == {}


@pytest.mark.parametrize("data", [b"a: " + b"[" * 100_000, b"a:\n" + b"- " * 100_000, b"{a: " * 100_000])
def test_absurd_nesting_is_refused_at_once(data: bytes) -> None:
    assert "nests more than 200 levels deep" in _refusal(data)


def _tower(key: str) -> str:
    """Thirty levels, each naming the one below nine times: 9^30 leaves when expanded."""
    levels = [f"l0: &l0 {{{key}0: 1}}"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    return "\n".join(levels) + "\n"


def test_an_alias_bomb_is_read_and_edited_as_the_small_file_that_it_is() -> None:
    data = f"{_tower('k')}singleuser: {{image: {{name: a/b, tag: v1}}}}\n".encode()
    assert edit("f.yaml", data, {"singleuser.image": ImageReference("a/b", "v2")}) == data.replace(b"v1", b"v2")


def test_a_bomb_of_merge_keys_takes_linear_time() -> None:
    levels = ["l0: &l0 {a: 1}"]
    levels += [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}" for n in range(1, 30)]
    assert slots("\n".join([*levels, "singleuser: {image: {<<: *l29, name: a/b, tag: v1}}"]))


def test_a_mapping_that_contains_itself_does_not_hang() -> None:
    assert slots("a: &a {<<: *a, b: *a}\nsingleuser: {image: *a}\n") == {}


def test_profiles_times_choices_have_a_limit() -> None:
    choices = ", ".join(f"c{n}: {{kubespawner_override: {{image: a/b:v{n}}}}}" for n in range(1000))
    profiles = "".join(f"  - {{slug: p{n}, profile_options: *o}}\n" for n in range(101))
    text = f"x: &o {{image: {{choices: {{{choices}}}}}}}\nsingleuser:\n  profileList:\n{profiles}"
    with pytest.raises(InputError, match="more than 100,000 choices"):
        slots(text)


@pytest.mark.parametrize(
    "name",
    [
        "enc-staging.secret.values.yaml",
        "config/clusters/a/enc-b.yaml",
        "hub.secret.yaml",
        "secrets.yaml",
        "secrets.prod.yaml",
        "deployments/a/secrets/prod.yaml",
        "values.sops.yaml",
        "values.enc.yaml",
        "ENC-a.yaml",
    ],
)
def test_encrypted_files_are_known_by_name_and_never_opened(name: str) -> None:
    assert is_encrypted(name)
    with pytest.raises(InputError, match="never opens it"):
        parse_values(name, b"singleuser: {image: {name: a/b, tag: v1}}")
    with pytest.raises(InputError, match="never opens it"):
        edit(name, b"singleuser: {image: {name: a/b, tag: v1}}", {})


@pytest.mark.parametrize("name", ["common.values.yaml", "config/secretariat.yaml", "encoded.yaml", "a/enc/b.yaml"])
def test_other_files_are_opened(name: str) -> None:
    assert not is_encrypted(name)


def test_lines_are_those_of_git_whatever_yaml_takes_for_a_line_break() -> None:
    data = "# a\u2028# b\x85# c\r\nsingleuser:\r\n  image: {name: a/b, tag: v1}\r\n".encode()
    (site,) = find_sites([parse_values("f.yaml", data)])["default"]
    assert site.line == 3
