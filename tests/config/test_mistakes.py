"""Every mistake has its place, plain words, and a suggestion where one is near; all of them come in one run."""
# ruff: noqa: E501  # a table: one mistake a line

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import validate

HEAD = "version: 1\nname: example\n"
IMAGES = "images: {pangeo: {upstream: quay.io/pangeo/ml-notebook}}\n"
HUB = HEAD + IMAGES + "hubs:\n  one:\n    url: https://one.example.org\n    values: {path: ., files: [a.yaml]}\n"
SLOT = HUB + "    slots:\n      default: {image: pangeo, track: TRACK}\n"
BUILT = (
    HEAD
    + "code_hosts: {github: {type: github, auth: {token: {env: T}}}}\nregistries: {oci: {type: oci, url: https://r}}\n"
)
QUAY = HEAD + "registries:\n  quay: {type: quay, namespace: n, auth: {token: {env: T}}"

MISTAKES = {
    # the text itself
    "empty": ("", "1:1", "the file is empty"),
    "only a comment": ("# nothing\n", "1:1", "the file is empty"),
    "a list": ("- version: 1\n", "1:1", "a fleet.yaml is a map of keys"),
    "text": ("hello\n", "1:1", "a fleet.yaml is a map of keys"),
    "syntax": (HEAD + "hubs: {a: [1, 2}\n", "3:16", "this is not YAML: "),
    "unclosed quote": (HEAD + 'state: "x\n', "4:1", "this is not YAML: "),
    "tab": (HEAD + "hubs:\n\tone: x\n", "4:1", "a tab is used as white space; YAML takes spaces only"),
    "control character": (HEAD + "state: a\x1bb\n", "3:9", 'the character "\\x1b" is not allowed in YAML'),
    "second document": (HEAD + "---\nversion: 1\n", "3:1", "a second document begins here"),
    "unknown alias": (HEAD + "hubs: *nowhere\n", "3:7", "the alias *nowhere has no anchor"),
    "endless alias": (HEAD + "hubs: &h {a: *h}\n", "3:14", "would never end"),
    "anchor twice": (HEAD + "images: &a {}\nhubs: &a {}\n", "4:7", "the anchor &a is written twice"),
    "nesting": (HEAD + "hubs: " + "[" * 500 + "]" * 500, "3:38", "nested more than 32 levels deep"),
    "endless nesting": (HEAD + "hubs: " + "{a: " * 200_000, "3:131", "nested more than 32 levels deep"),
    "block nesting": ("".join(" " * depth + "a:\n" for depth in range(100)), "33:33", "nested more than"),
    "tag": (HEAD + "state: !!python/name:os.system x\n", "3:8", "is not used in fleet.yaml"),
    "map as key": (HEAD + "? {a: 1}\n: 2\n", "3:3", "a key is plain text"),
    "duplicate key": (HEAD + "name: other\n", "3:1", 'the key "name" is written twice. It stands in line 2 already.'),
    "bad merge": (HEAD + "hubs: {<<: text}\n", "3:12", "<< merges a map"),
    # keys and types
    "unknown key": (HEAD + "hub: {}\n", "3:1", '"hub" is not a key. Did you mean "hubs"?'),
    "unknown key, nothing near": (HEAD + "limits: {zzz: 1}\n", "3:10", "Known here: hubs_per_run, remove."),
    "missing key": ("version: 1\n", "1:1", 'the key "name" is missing'),
    "missing key of a hub": (HEAD + "hubs: {one: {configurator: {}}}\n", "3:8", 'the key "url" of hubs.one is missing'),
    "empty value": (HEAD + "hubs:\n", "3:1", '"hubs" has no value; write one, or leave the key out'),
    "empty text": (HEAD + 'state: ""\n', "3:1", '"state" has no value'),
    "empty item": (HEAD + "protect: [~]\n", "3:11", "an item of the list is empty"),
    "version": ("version: 2\nname: a\n", "1:10", 'version is "2", and can be 1'),
    "version as text": ("version: '1'\nname: a\n", "1:10", "version is a number; write it without quotes"),
    "version true": ("version: true\nname: a\n", "1:10", 'version is "true", and can be 1'),
    "name": ("version: 1\nname: My Fleet\n", "2:7", '"My Fleet" is not lower-case letters'),
    "long name": (f"version: 1\nname: {'a' * 41}\n", "2:7", "is longer than 40 characters"),
    "map for a list": (HEAD + "protect: {}\n", "3:10", "protect must be a list, and this is a map"),
    "list for a map": (HEAD + "hubs: [1]\n", "3:7", "hubs must be a map, and this is a list"),
    "yes for true": (QUAY.replace("quay, namespace: n, auth: {token: {env: T}}", "ecr, account: '123456789012', region: us-west-2, scan: yes}\n"), "4:71", "yes is not true or false; write it in one of these words"),
    "account as number": (HEAD + "registries: {ecr: {type: ecr, account: 123456789012, region: r}}\n", "3:40", 'Write account: "123456789012"'),
    "another's organisation": (BUILT + "images: {a: {registry: oci, repository: b/c, secrets: {organization: d, shared: true}}}\n", "5:70", '"d" does not own "b/c": only its owner can keep its secrets. Write b.'),
    # tracks
    "track float": (SLOT.replace("TRACK", "4.3"), "9:39", '4.3 without quotes is a number for YAML, and hubs.one.slots.default.track is text. Write track: "4.3"'),
    "track int": (SLOT.replace("TRACK", "2026"), "9:39", 'Write track: "2026"'),
    "track underscored": (SLOT.replace("TRACK", "123_456"), "9:39", 'Write track: "123_456"'),
    "track date": (SLOT.replace("TRACK", "2026-06-29"), "9:39", '2026-06-29 without quotes is a date for YAML'),
    "track no date": (SLOT.replace("TRACK", "2026-13-45"), "9:39", 'Write track: "2026-13-45"'),
    "track bool": (SLOT.replace("TRACK", "true"), "9:39", 'Write track: "true"'),
    "track sexagesimal": (SLOT.replace("TRACK", "1:30"), "9:39", 'Write track: "1:30"'),
    "track later": (SLOT.replace("TRACK", "{proved-on: x, soak: 24h}"), "9:40", '"proved-on" is planned but not built yet'),
    "track form": (SLOT.replace("TRACK", "a/b"), "9:39", '"a/b" is not a tag'),
    "newest-build of upstream": (SLOT.replace("TRACK", "newest-build"), "9:39", 'the image "pangeo" has none'),
    "latest of our own": (BUILT + "images: {a: {registry: oci, repository: o/a}}\nhubs:\n  h:\n    url: https://h\n    values: {path: ., files: [a]}\n    slots:\n      default: {image: a, track: latest}\n", "11:34", "latest moves with every build"),
    # later
    "later key": (HEAD + "waves: []\n", "3:1", '"waves" is planned but not built yet; leave it out'),
    "later key of a hub": (HUB + "    gates: []\n", "8:5", '"gates" is planned but not built yet'),
    "later state": (HEAD + "state: s3://bucket/x\n", "3:8", "state in s3:// is planned but not built yet"),
    "no state": (HEAD + "state: 3\n", "3:8", '"3" is neither a folder nor git'),
    "state with a strange key": (HEAD + "state: {git: {brunch: x}}\n", "3:15", '"brunch" is not a known key'),
    "state on no branch": (HEAD + 'state: {git: {branch: "a b"}}\n', "3:23", '"a b" is not the name of a git branch'),
    "state in no repository": (HEAD + "state: {git: {repository: x}}\n", "3:27", "a repository as owner/name, or a path"),
    "strange state": (HEAD + "state: ftp://x\n", "3:8", '"ftp://x" is neither a folder nor git'),
    # references
    "dangling image": (SLOT.replace("pangeo, track", "pangoe, track").replace("TRACK", "v1"), "9:24", '"pangoe" is not in images. Did you mean "pangeo"?'),
    "dangling registry": (BUILT + "images: {a: {registry: oic}}\n", "5:24", 'Did you mean "oci"?'),
    "dangling template": (BUILT + "images: {a: {registry: oci, repository: o/a, template: t}}\n", "5:56", "There are no templates."),
    "no code host": (HEAD + "registries: {oci: {type: oci, url: https://r}}\nimages: {a: {registry: oci, repository: o/a}}\n", "4:41", "needs a code host"),
    "owner": (BUILT.replace("github, auth", "github, owner: example-org, auth") + "images: {a: {registry: oci, repository: exmaple-org/a}}\n", "5:41", 'Did you mean "example-org"?'),
    "one source, two images": (BUILT + "images:\n  a: {registry: oci, repository: o/a}\n  b: {registry: oci, repository: O/A}\n", "7:34", 'the image "a" has the same source repository; one image is built in one place. It stands in line 6.'),
    "one name, two images": (BUILT + "images:\n  a: {registry: oci, name: x}\n  b: {registry: oci, name: x}\n", "7:3", 'has the same name "x" in oci'),
    "template without source": (BUILT + "templates: {t: {from: builtin:user-image}}\nimages: {a: {registry: oci, template: t}}\n", "6:39", "template needs a repository"),
    "field name for key": (HEAD + "templates: {t: {source: ./t}}\n", "3:17", '"source" is not a key of templates.t'),
    "upstream with tag": (HEAD + "images: {a: {upstream: quay.io/a/b:1}}\n", "3:24", "is not an image name without tag"),
    # providers
    "unknown type": (HEAD + "registries: {q: {type: quey}}\n", "3:24", 'there is no provider of type "quey". Did you mean "quay"?'),
    "wrong role": (HEAD + "code_hosts: {q: {type: quay, namespace: n}}\n", "3:24", '"quay" belongs under registries'),
    "key of a provider": (QUAY + ", namespcae: x}\n", "4:61", '"namespcae" is not a key of registries.quay. Did you mean "namespace"?'),
    "settings is no key": (QUAY + ", settings: {type: quay}}\n", "4:61", '"settings" is not a key of registries.quay'),
    "push": (QUAY + ", push: keyles}\n", "4:67", 'push is "keyles", which is neither keyless, nor key, nor a login'),
    "push login": (QUAY + ", push: {username: u, pasword: {env: X}}}\n", "4:81", 'Did you mean "password"?'),
    "rotate": (QUAY + ", rotate: 3 months}\n", "4:69", '"3 months" is not a number of days, such as 90d'),
    "rotate an own login": (QUAY + ", rotate: 9d, push: keyless}\n", "4:79", "fleet has no keyless push for Quay"),
    "shared in words": (HEAD + "registries: {g: {type: gar, project: p, location: l, repository: r}}\n", "3:66", 'write repository: "{image}", or say shared: true'),
    "two secrets": (QUAY.replace("env: T", "env: T, file: f") + "}\n", "4:50", "write exactly one of env, file and exec"),
    "reserved name": (HEAD + "registries: {hub: {type: oci, url: https://r}}\n", "3:14", '"hub" begins other addresses'),
    "one name, two roles": (BUILT.replace("oci: {", "github: {"), "4:14", '"github" is the name of a code host too'),
    # hubs
    "url": (HUB.replace("https://one", "ftp://one"), "6:10", "is not an http:// or https:// address"),
    "no target": (HEAD + "hubs: {one: {url: https://x}}\n", "3:13", "says neither by values nor by configurator"),
    "two targets": (HUB + "    configurator: {auth: {token: {env: T}}}\n", "8:19", "has both values and configurator"),
    "two places": (HUB.replace("path: .", "path: ., repository: o/r"), "7:13", "values takes exactly one of repository and path"),
    "no files": (HUB.replace("a.yaml", ""), "7:30", "hubs.one.values.files is empty"),
    "file twice": (HUB.replace("a.yaml", "a.yaml, a.yaml"), "7:39", 'the values file "a.yaml" is named twice'),
    "slot name": (SLOT.replace("default:", "defautl:"), "9:7", '"defautl" is not default, profiles.SLUG'),
    "configurator slot": (HEAD + IMAGES + "hubs:\n  o: {url: https://o, configurator: {auth: {token: {env: T}}}, slots: {choices.a: {image: pangeo, track: v1}}}\n", "5:83", "a configurator sets the default slot only"),
    "hold without reason": (HUB + "    hold: {until: 2026-12-18}\n", "8:5", 'the key "reason" of hubs.one.hold is missing'),
    "hold no day": (HUB + "    hold: {reason: r, until: tomorrow}\n", "8:30", '"tomorrow" is not a day, such as 2026-12-18'),
    "hold no date": (HUB + "    hold: {reason: r, until: 2026-02-30}\n", "8:30", '"2026-02-30" is not in the calendar'),
    "platform": (HUB + "    platform: amd64\n", "8:15", "is not an operating system and an architecture"),
    "label": (HUB + "    labels: {wave: 1}\n", "8:20", 'Write wave: "1"'),
    # paths
    "climbing path": (HUB.replace("a.yaml", "../a.yaml"), "7:31", 'the path "../a.yaml" is unsafe: it leaves the repository'),
    "absolute path": (HUB.replace("a.yaml", "/etc/passwd"), "7:31", "it is absolute"),
    "git path": (HUB.replace("a.yaml", "x/.Git/config"), "7:31", "it reaches into .git"),
    "backslash": (HUB.replace("a.yaml", "a\\..\\b"), "7:31", "it has a backslash"),
    "drive": (HUB.replace("a.yaml", "C:/a"), "7:31", "it is absolute"),
    "managed path": (HEAD + "templates: {t: {from: ./t, manage: [a/../b]}}\n", "3:37", "it leaves the repository"),
    "managed and seeded": (HEAD + "templates: {t: {from: ./t, manage: [a], seed: [a]}}\n", "3:48", '"a" is both managed and seeded'),
    # rules
    "percentage of nothing": (HUB + "limits: {hubs_per_run: 20%}\n", "8:24", "20% of 1 hubs rounds down to 0"),
    "limit": (HEAD + "limits: {hubs_per_run: 0}\n", "3:24", "neither a number of hubs from 1 nor a percentage"),
    "negative limit": (HEAD + "limits: {remove: -1}\n", "3:18", "greater than or equal to 0"),
    "pattern": (HEAD + "protect: [everything]\n", "3:11", "is not an address pattern"),
    "pattern of nothing": (BUILT + 'protect: ["githbu:*"]\n', "5:11", '"githbu:*" protects nothing. Did you mean "github"?'),
    "removed": (BUILT + 'removed: [{address: "github:repository:o/a", then: delete}]\n', "5:52", "can be archive or destroy"),
    "removed registry repository": (BUILT + 'removed: [{address: "oci:repository:a", then: destroy}]\n', "5:21", "these always stay"),
    "removed and still there": (BUILT + 'removed: [{address: "github:repository:O/a", then: destroy}]\nimages: {a: {registry: oci, repository: o/a}}\n', "5:21", "is still the source repository of the image"),
    # other people's files and hostile ones
    "Rancher": ("defaultNamespace: x\nhelm: {chart: y}\n", "1:1", "this is a fleet.yaml of Rancher Fleet, another tool"),
    "hostile key": (HEAD + 'images: {"a\\e[31m": {upstream: quay.io/a/b}}\n', "3:10", '"a\\x1b[31m" is not letters, digits'),
    "hostile text": (HEAD + 'state: "x://\\u202ey"\n', "3:8", '"x://\\u202ey" is neither'),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_its_place_and_words(tmp_path: Path, name: str) -> None:
    text, place, words = MISTAKES[name]
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    said = [str(diagnostic) for diagnostic in validate(path)]
    [found] = [each for each in said if each.startswith(f"{path}:{place}: ") and words in each] or ["\n".join(said)]
    assert found.startswith(f"{path}:{place}: ")
    assert "\x1b" not in "".join(said)


def test_all_mistakes_come_in_one_run_in_the_order_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(
        SLOT.replace("TRACK", "4.3").replace("image: pangeo", "image: pange") + "naem: x\nname: y\nprotect:\n"
    )
    places = [str(diagnostic.range).removeprefix(f"{path}:") for diagnostic in validate(path)]
    assert places == ["9:24", "9:38", "10:1", "11:1", "12:1"]


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes("version: 1\nname: ü\n".encode("latin-1"))
    [diagnostic] = validate(path)
    assert str(diagnostic) == f"{path}:2:7: the byte 0xfc is not UTF-8; save it as UTF-8"


def test_a_folder_in_place_of_the_file_is_a_sentence(tmp_path: Path) -> None:
    [diagnostic] = validate(tmp_path)
    assert str(diagnostic).endswith("cannot be read: Is a directory")


def test_positions_count_characters_and_bytes_behind_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + "version: 1\nname: a # \N{GREEK SMALL LETTER ALPHA}\nstate: []\n".encode())
    [diagnostic] = validate(path)
    assert diagnostic.range is not None
    start = diagnostic.range.start
    assert (start.line, start.column) == (3, 8)
    assert path.read_bytes()[start.byte : start.byte + 2] == b"[]"
    assert diagnostic.snippet == "state: []"


def test_a_bomb_of_aliases_is_refused_before_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    lines = [f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 9)}]" for depth in range(1, 30)]
    path.write_text("a0: &a0 [x]\n" + "\n".join(lines))
    [diagnostic] = validate(path)
    assert "repeat so much" in str(diagnostic)


def test_a_bomb_of_merges_is_refused_before_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    lines = [f"a{depth}: &a{depth} {{<<: [{', '.join([f'*a{depth - 1}'] * 9)}]}}" for depth in range(1, 30)]
    path.write_text("a0: &a0 {x: y}\n" + "\n".join(lines))
    [diagnostic] = validate(path)
    assert "repeat so much" in str(diagnostic)


@pytest.mark.parametrize(
    "text",
    [
        QUAY.replace("{env: T}", "ghp_canary") + "}\n",
        QUAY.replace("{env: T}", "{value: ghp_canary}") + ", unknown: 1}\n",
        QUAY.replace("{token: {env: T}}", "ghp_canary") + "}\n",
        QUAY + ", push: {username: u, password: ghp_canary}}\n",
        QUAY + ", url: https://u:ghp_canary@quay.io}\n",
        HEAD + 'code_hosts: {g: {type: github, auth: {app: {id: 1, private_key: "ghp_canary\\n"}}}}\n',
    ],
)
def test_a_secret_written_into_the_file_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    diagnostics = validate(path)
    assert diagnostics
    assert "ghp_canary" not in str([diagnostic.to_json() for diagnostic in diagnostics])


def test_a_missing_package_is_said_at_the_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "needy-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: needy\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[fleet.providers]\nneedy = needy_provider:Needy\n")
    (tmp_path / "needy_provider.py").write_text("import boto3_is_not_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "fleet.yaml"
    path.write_text(HEAD + "registries: {n: {type: needy}}\n")
    [diagnostic] = validate(path)
    assert str(diagnostic).startswith(f"{path}:3:24: the provider 'needy' needs the package 'boto3_is_not_here'")
