from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from fleet.errors import FleetError
from fleet.importers import import_2i2c
from fleet.importers.image_keys import keys_for, spellings
from fleet.reference import same_image
from fleet.values import find_sites
from tests.corpus import hubs_of, real_fleet, write_corpus

REAL = real_fleet()


@pytest.fixture(params=["generated"] + (["real"] if REAL else []))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return REAL if request.param == "real" and REAL else write_corpus(tmp_path)


def _slots(document: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, hub in document["hubs"].items():
        for slot, wanted in hub["slots"].items():
            yield name, slot, document["images"][wanted["image"]]["upstream"], wanted["track"]


def test_the_text_is_the_same_data_in_yaml_1_1_and_1_2_and_stable(folder: Path) -> None:
    text = import_2i2c(folder)
    assert yaml.safe_load(text) == YAML(typ="safe", pure=True).load(text)
    assert import_2i2c(folder) == text


def test_every_slot_is_pinned_to_what_stands_at_its_sites(folder: Path) -> None:
    hubs = {name: find_sites(files) for name, files in hubs_of(folder).items()}
    for name, slot, image, track in _slots(yaml.safe_load(import_2i2c(folder))):
        for site in hubs[name][slot]:
            assert site.reference.tag == track
            assert same_image(site.reference.name, image)


def test_every_site_is_reached_by_a_slot(folder: Path) -> None:
    hubs = {name: find_sites(files) for name, files in hubs_of(folder).items()}
    reached = {
        (name, site.file, site.path)
        for name, slot, _, _ in _slots(yaml.safe_load(import_2i2c(folder)))
        for site in hubs[name][slot]
    }
    every = {(n, s.file, s.path) for n, slots in hubs.items() for sites in slots.values() for s in sites}
    assert reached == every


def test_one_image_has_one_key_however_it_is_spelled(folder: Path) -> None:
    names = [image["upstream"] for image in yaml.safe_load(import_2i2c(folder))["images"].values()]
    assert not any(same_image(one, other) for n, one in enumerate(names) for other in names[:n])


def test_the_generated_fleet_reads_as_a_person_would_write_it(tmp_path: Path) -> None:
    document = yaml.safe_load(import_2i2c(write_corpus(tmp_path)))
    assert document["hubs"]["science-staging"] == {
        "url": "https://staging.science.example.org",
        "labels": {"cluster": "science", "wave": "staging"},
        "values": {
            "path": str(tmp_path),
            "files": ["config/clusters/shared/options.values.yaml", "config/clusters/science/common.values.yaml"],
        },
        "slots": {
            "choices.pangeo": {"image": "pangeo-notebook", "track": "2026.06.04"},
            "profiles.small-5-gb.image.ml": {"image": "ml-notebook-docker", "track": "2026.06.04"},
            "profiles.large.image.ml": {"image": "ml-notebook-docker", "track": "2026.06.04"},
            "choices.quay-ml": {"image": "ml-notebook-quay", "track": "2026.06.04"},
            'choices["own.choice"]': {"image": "hub-user-image", "track": "5115e56"},
            "profiles.gpu.image.ml": {"image": "hub-user-image-gpu", "track": "949a86e45647"},
        },
    }
    assert document["hubs"]["colleges-west"]["slots"] == {}
    assert document["hubs"]["plain-research-staging"]["labels"]["wave"] == "staging"
    assert not any(hub.startswith("templates") for hub in document["hubs"])


def test_a_folder_on_the_way_down_will_do(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    for folder, files in ((tmp_path / "config", "clusters/plain"), (tmp_path / "config/clusters", "plain")):
        hub = yaml.safe_load(import_2i2c(folder))["hubs"]["plain-research-staging"]
        assert hub["values"] == {"path": str(folder), "files": [f"{files}/windows.values.yaml"]}


def _write(tmp_path: Path, cluster: str, values: str = "") -> Path:
    folder = tmp_path / "config/clusters/a"
    folder.mkdir(parents=True)
    (folder / "cluster.yaml").write_text(cluster)
    (folder / "a.values.yaml").write_text(values)
    return tmp_path


HUB = "hubs:\n- name: prod\n  domain: example.org\n  helm_chart_values_files: [%s]\n"


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        ("hubs: [", "config/clusters/a/cluster.yaml:1:8: The YAML cannot be read"),
        ("name: a\n", "config/clusters/a/cluster.yaml has no list of `hubs`"),
        ("hubs:\n- name: prod\n  domain: x\n", "cluster.yaml:2:3: This hub has no list of `helm_chart_values_files`"),
        ("hubs:\n- helm_chart_values_files: []\n  domain: x\n", "cluster.yaml:2:3: This hub has no `name`"),
        ("hubs:\n- name: prod\n  helm_chart_values_files: []\n", "cluster.yaml:2:3: This hub has no `domain`"),
        ("hubs: [prod]\n", "cluster.yaml:1:8: This hub has no `name`"),
        (HUB % "b.values.yaml", "cluster.yaml (prod) names config/clusters/a/b.values.yaml, which does not exist"),
        (HUB % "../../../../x.yaml", "cluster.yaml:4:29: ../../../../x.yaml lies outside the imported folder"),
        (HUB % "/etc/x.yaml", "cluster.yaml:4:29: /etc/x.yaml lies outside the imported folder"),
        (HUB % "''", "cluster.yaml:4:29: A values file is named by its path"),
    ],
)
def test_a_broken_cluster_file_is_a_sentence(tmp_path: Path, cluster: str, sentence: str) -> None:
    with pytest.raises(FleetError) as caught:
        import_2i2c(_write(tmp_path, cluster))
    assert sentence in str(caught.value)


def test_a_folder_that_is_none_or_holds_no_clusters_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="nowhere is not a folder"):
        import_2i2c(tmp_path / "nowhere")
    with pytest.raises(FleetError, match="holds no config/clusters"):
        import_2i2c(tmp_path)


def test_what_cannot_be_pinned_or_read_is_left_out_with_a_comment(tmp_path: Path) -> None:
    digest = "sha256:" + "0" * 64
    profiles = f"[{{slug: p, kubespawner_override: {{image: 'a/b:v1@{digest}'}}}}, {{slug: q, kubespawner_override: "
    values = f"singleuser: {{profileList: {profiles}{{image: a/c}}}}]}}\n"
    text = import_2i2c(_write(tmp_path, HUB % "a.values.yaml, b.jsonnet, enc-a.secret.values.yaml", values))
    place = "(config/clusters/a/a.values.yaml:1)"
    assert f"# profiles.p is left out: it has a digest {place}" in text
    assert f"# profiles.q is left out: it has no tag {place}" in text
    assert "# config/clusters/a/b.jsonnet is left out: it is not YAML" in text
    assert yaml.safe_load(text)["hubs"]["a-prod"]["slots"] == {}


def test_two_hubs_that_would_have_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="Two hubs would be called a-prod"):
        import_2i2c(_write(tmp_path, HUB % "" + (HUB % "").removeprefix("hubs:\n")))


def test_image_keys_are_short_unique_and_need_no_order() -> None:
    images = {
        ("quay.io", "a/plain"): "plain",
        ("quay.io", "pangeo/ml-notebook"): "ml-notebook-quay",
        ("docker.io", "pangeo/ml-notebook"): "ml-notebook-docker",
        ("quay.io", "one/python"): "one-python",
        ("quay.io", "two/python"): "two-python",
        ("mas.dit.example.org", "a/r"): "r-mas-dit-example-org",
        ("mas.uat.example.org", "a/r"): "r-mas-uat-example-org",
        ("quay.io", "x/2i2c"): "image-2i2c",
    }
    assert keys_for(images) == images
    assert keys_for(reversed(list(images))) == images


def test_images_whose_names_differ_in_punctuation_alone_have_two_keys() -> None:
    assert set(keys_for([("ghcr.io", "x/a_b"), ("ghcr.io", "x/a-b")]).values()) == {
        "ghcr-io-x-a-b-2",
        "ghcr-io-x-a-b-3",
    }


def test_the_most_used_spelling_of_an_image_is_kept() -> None:
    assert list(spellings(["a/b", "docker.io/a/b", "docker.io/a/b"]).values()) == ["docker.io/a/b"]
    assert list(spellings(["docker.io/a/b", "a/b"]).values()) == ["a/b"]
