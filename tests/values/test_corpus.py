"""Every site of whole fleets, one at a time: the generated fleet always, a real one where the environment names it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from fleet.reference import ImageReference
from fleet.values import Site, ValuesFile, edit, find_sites, is_encrypted, parse_values, read_site
from fleet.values.merge import descend, layers_of
from tests.corpus import FILES, SITES, hubs_of, real_fleet, sites_of, write_corpus

REAL = real_fleet()
FLEETS = ["generated"] + (["real"] if REAL else [])


@pytest.fixture(scope="module", params=FLEETS)
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return REAL if request.param == "real" and REAL else write_corpus(tmp_path_factory.mktemp("fleet"))


def _events(data: bytes) -> list[tuple[object, ...]]:
    events = yaml.parse(data, Loader=yaml.CSafeLoader)
    return [(type(e), getattr(e, "value", None), getattr(e, "anchor", None)) for e in events]


def _changed_lines(before: bytes, after: bytes) -> list[int]:
    pairs = zip(before.split(b"\n"), after.split(b"\n"), strict=True)
    return [number for number, (old, new) in enumerate(pairs, 1) if old != new]


def test_the_sites_of_the_generated_fleet_are_those_a_reader_would_list(tmp_path: Path) -> None:
    found = sites_of(write_corpus(tmp_path))
    prefix = "config/clusters/"
    assert {(f.removeprefix(prefix), path): str(site.reference) for (f, path), site in found.items()} == SITES


def test_changing_one_tag_changes_one_line_and_one_scalar(fleet: Path) -> None:
    sites = sites_of(fleet)
    assert sites
    for (file, path), site in sites.items():
        before = (fleet / file).read_bytes()
        wanted = site.reference._replace(tag="0123456789ab")
        after = edit(file, before, {path: wanted})
        assert read_site(parse_values(file, after), path) in (wanted, wanted._replace(name=""))
        differing = [(a, b) for a, b in zip(_events(before), _events(after), strict=True) if a != b]
        assert len(differing) == 1, site
        if len(before.splitlines()) == len(after.splitlines()):
            assert _changed_lines(before, after) == [site.line], site


def test_only_a_block_scalar_takes_more_than_one_line(fleet: Path) -> None:
    several = [
        site
        for (file, path), site in sites_of(fleet).items()
        if (before := (fleet / file).read_bytes()).count(b"\n")
        != edit(file, before, {path: site.reference._replace(tag="0123456789ab")}).count(b"\n")
    ]
    assert [site.reference.name for site in several] == ([] if fleet == REAL else ["quay.io/cirt/scipy-xarray"])


@pytest.mark.parametrize("tag", ["178819e05792", "949086545647", "2026-06-29"])
def test_a_tag_that_could_be_a_number_or_a_date_still_reads_as_this_tag(fleet: Path, tag: str) -> None:
    for (file, path), site in sites_of(fleet).items():
        after = edit(file, (fleet / file).read_bytes(), {path: site.reference._replace(tag=tag)})
        found = read_site(parse_values(file, after), path)
        assert found is not None
        assert found.tag == tag


def test_writing_what_stands_there_changes_no_byte(fleet: Path) -> None:
    for (file, path), site in sites_of(fleet).items():
        before = (fleet / file).read_bytes()
        assert edit(file, before, {path: site.reference}) == before


def test_all_sites_of_a_file_change_in_one_edit(fleet: Path) -> None:
    by_file: dict[str, dict[str, ImageReference]] = {}
    for (file, path), site in sites_of(fleet).items():
        by_file.setdefault(file, {})[path] = site.reference._replace(tag="0123456789ab")
    for file, edits in by_file.items():
        before = (fleet / file).read_bytes()
        one_by_one = before
        for path, wanted in edits.items():
            one_by_one = edit(file, one_by_one, {path: wanted})
        assert edit(file, before, edits) == one_by_one


@pytest.mark.parametrize(
    ("cluster", "inherit", "served"),
    [
        # staging, north and west have their own say, south's profiles never use it
        ("colleges", {"south", "east", "lake", "hill"}, {"east", "lake", "hill"}),
        # tags has its own tag, lab's profiles all set their own image
        ("campuses", {"staging", "hill", "lake", "lab"}, {"staging", "hill", "lake"}),
    ],
)
def test_one_line_serves_every_hub_that_inherits_it_and_uses_it(
    tmp_path: Path, cluster: str, inherit: set[str], served: set[str]
) -> None:
    found = _who_has(hubs_of(write_corpus(tmp_path)), f"config/clusters/{cluster}/common.values.yaml")
    assert found == tuple({f"{cluster}-{name}" for name in names} for names in (inherit, served))


def _who_has(hubs: Mapping[str, Sequence[ValuesFile]], common: str) -> tuple[set[str], set[str]]:
    """The hubs whose merged default image has its tag from a file, and those that have a slot for it."""
    inherit, served = set(), set()
    for name, files in hubs.items():
        tags = descend(layers_of(files), "jupyterhub", "singleuser", "image", "tag")
        if tags and tags[0].file.name == common:
            inherit.add(name)
        if any(site.file == common for site in find_sites(files).get("default", ())):
            served.add(name)
    return inherit, served


def test_encrypted_files_are_never_read(tmp_path: Path) -> None:
    hubs = hubs_of(write_corpus(tmp_path))
    assert any(is_encrypted(name) for name in FILES)
    assert not any(is_encrypted(file.name) for files in hubs.values() for file in files)


def test_two_linked_places_change_on_exactly_two_lines() -> None:
    before = FILES["colleges/hubs/south.values.yaml"]
    image = "us-docker.example.dev/colleges/user-images/workshop-gpu-image"
    choice = "jupyterhub.singleuser.profileList[workshop].kubespawner_override.image"
    edits = {
        choice: ImageReference(image, "0123456789ab"),
        "jupyterhub.prePuller.extraImages.workshop": ImageReference(image, "0123456789ab"),
    }
    assert len(_changed_lines(before, edit("south.yaml", before, edits))) == 2


def test_a_python_script_in_a_chart_is_no_place_for_an_edit() -> None:
    script = b"".join(b'      options["image"] = "a/b:v%d"\n' % number for number in range(1800))
    before = b"hub:\n  extraConfig:\n    x: |\n" + script + b'singleuser:\n  image:\n    name: a/b\n    tag: "v7"\n'
    after = edit("values.yaml", before, {"singleuser.image": ImageReference("a/b", "v8")})
    assert _changed_lines(before, after) == [1807]
    assert after.endswith(b'tag: "v8"\n')


if REAL is not None:  # the counts and lines of one real fleet; what they mean is tested above on a generated one

    def _test_the_counts_of_the_real_fleet() -> None:
        assert REAL is not None
        hubs = {name: find_sites(files) for name, files in hubs_of(REAL).items()}
        sites = {(s.file, s.path): s for slots in hubs.values() for found in slots.values() for s in found}
        assert (len(hubs), len(sites), len({file for file, _ in sites})) == (171, 302, 72)
        assert Counter(_form(site) for site in sites.values()) == {"A": 22, "B": 274, "C": 6}
        inherit, served = _who_has(hubs_of(REAL), "config/clusters/cloudbank/common.values.yaml")
        assert (len(inherit), len(served), served < inherit) == (85, 71, True)

    @pytest.mark.parametrize(
        ("place", "tag", "line"),
        [
            ("cloudbank/toledo:6", "2026-08-01", "      tag: '2026-08-01'"),
            ("cloudbank/common:21", "178819e05792", "      tag: '178819e05792'"),
            ("cloudbank/common:21", "0123456789ab", "      tag: 0123456789ab"),
            ("cloudbank/skyline:10", "0123456789ab", "      tag: 0123456789ab"),
            ("awi-ciroh/prod:50", "new", "image: quay.io/2i2c/awi-ciroh-image:new"),
            ("leap/daskhub-common:179", "new", "ml-notebook:new"),
            ("neurohackademy/common:116", "new", "/hub-user-image:new"),
            ("neurohackademy/common:122", "new", "/hub-user-image-gpu:new"),
            ("nasa-cryo/common:146", "new", "ml-notebook:new"),
            ("nasa-cryo/common:285", "new", "ml-notebook:new"),
            ("hhmi/spyglass:96", "new", "tag: new"),
            ("maap/prod:56", "new", "2i2c/pangeo:new"),
            ("maap/prod:71", "new", "2i2c/pangeo:new"),
            ("ucmerced/staging:14", "new", "jupyter-scipy-xarray:new"),
            ("bnext-bio/prod:13", "new", "tag: new"),
            ("temple/common-teaching:5", "new", "tag: new"),
            ("temple/common-non-teaching:24", "new", "laserchemist/datascience:new"),
        ],
    )
    def _test_a_hard_place_of_the_real_fleet_changes_as_a_person_would_change_it(
        place: str, tag: str, line: str
    ) -> None:
        assert REAL is not None
        name, _, number = place.partition(":")
        file = f"config/clusters/{name}.values.yaml"
        (site,) = [site for site in sites_of(REAL).values() if (site.file, site.line) == (file, int(number))]
        before = (REAL / file).read_bytes()
        after = edit(file, before, {site.path: site.reference._replace(tag=tag)})
        assert _changed_lines(before, after) == [int(number)]
        assert after.splitlines()[int(number) - 1].decode().endswith(line)


def _form(site: Site) -> str:
    if site.path.endswith("singleuser.image"):
        return "A"
    return "B" if ".choices" in site.path else "C"


if REAL is not None:  # of one real fleet; what these mean is tested above on a generated one
    test_the_counts_of_the_real_fleet = _test_the_counts_of_the_real_fleet
    test_a_hard_place_of_the_real_fleet = _test_a_hard_place_of_the_real_fleet_changes_as_a_person_would_change_it
