"""A small fleet in 2i2c's layout that holds every way in which real fleets write images, and every hazard met there.

`SITES` is what a reader with a good eye would list: each user image by file and path, with what stands there.
This module is long because it is one table of data. A real fleet takes part in the same tests where `FLEET_REAL_FLEET`
names a checkout of one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from fleet.importers import import_2i2c
from fleet.values import Site, ValuesFile, find_sites, parse_values

_CLUSTERS = "config/clusters"

_COLLEGES = """
    name: colleges
    hubs:
    - name: staging
      domain: staging.colleges.example.org
      helm_chart_values_files: [common.values.yaml, staging.values.yaml, enc-staging.secret.values.yaml]
    - name: north
      domain: north.colleges.example.org
      helm_chart_values_files:
      - common.values.yaml
      - north.values.yaml
    - name: south
      domain: south.colleges.example.org
      helm_chart_values_files:
      - common.values.yaml
      - hubs/south.values.yaml
    - name: west
      domain: west.colleges.example.org
      helm_chart_values_files:
      - common.values.yaml
      - west.values.yaml
    - name: east
      domain: east.colleges.example.org
      helm_chart_values_files:
      - common.values.yaml
      - east.values.yaml
    - name: lake
      domain: lake.colleges.example.org
      helm_chart_values_files:
      - common.values.yaml
      - lake.values.yaml
    - name: hill
      domain: hill.colleges.example.org
      helm_chart_values_files:
      - common.values.yaml
    """

_COLLEGES_COMMON = """
    jupyterhub:
      # one line for every college
      singleuser:
        cpu:
          limit: 2
        image:
          name: us-docker.example.dev/colleges/user-images/base-user-image
          tag: bde8b3293fd2
    """

_COLLEGES_STAGING = """
    jupyterhub:
      singleuser:
        image:
          tag: '2026-06-29'  # staging goes first
    """

_COLLEGES_NORTH = """
    jupyterhub:
      singleuser:
        image:
          name: quay.io/example/north-image
          pullPolicy: Always
          tag: '2026-06-29'
      hub:
        image:
          name: quay.io/example/hub-image
          tag: bde8b3293fd2
    """

_COLLEGES_SOUTH = """
    jupyterhub:
      prePuller:
        extraImages:
          workshop:
            name: us-docker.example.dev/colleges/user-images/workshop-gpu-image
            tag: 6d61d3c15d47
      singleuser:
        extraEnv:
          IMAGE: us-docker.example.dev/colleges/user-images/workshop-gpu-image:6d61d3c15d47
        initContainers:
        - name: chown
          image: busybox:1.36
        extraContainers:
        - name: database
          image: datajoint/mysql:8.0   # following https://example.org/spyglass: see there
        profileList:
        - display_name: 'Workshop (6d61d3c15d47)'
          slug: workshop
          kubespawner_override:
            image: us-docker.example.dev/colleges/user-images/workshop-gpu-image:6d61d3c15d47 # keep with extraImages
            init_containers:
            - name: fetch
              image: alpine/git:2.45
    """

_COLLEGES_WEST = """
    jupyterhub:
      singleuser:
        image:  # null takes the common image away
        profileList: []
    """

_COLLEGES_EAST = """
    # inherits the common image
    jupyterhub: {}
    """

_CAMPUSES = """
    name: campuses
    hubs:
    - name: staging
      domain: staging.campuses.example.org
      helm_chart_values_files: [common.values.yaml, staging.values.yaml]
    - name: hill
      domain: hill.campuses.example.org
      helm_chart_values_files: [common.values.yaml, hill.values.yaml]
    - name: lake
      domain: lake.campuses.example.org
      helm_chart_values_files: [common.values.yaml, lake.values.yaml, enc-lake.secret.values.yaml]
    - name: tags
      domain: tags.campuses.example.org
      helm_chart_values_files: [common.values.yaml, tags.values.yaml]
    - name: lab
      domain: lab.campuses.example.org
      helm_chart_values_files: [common.values.yaml, lab.values.yaml]
    """

_CAMPUSES_COMMON = """
    jupyterhub:
      singleuser:
        image:
          name: quay.io/campuses/base-image
          tag: fbab22cbce38
    """

_CAMPUSES_TAGS = """
    jupyterhub:
      singleuser:
        image:
          pullPolicy: Always
          tag: 2i2c # This is a mutable tag: it moves
    """

_CAMPUSES_LAB = """
    jupyterhub:
      singleuser:
        profileList:
        - display_name: CPU only
          profile_options:
            image:
              unlisted_choice: &free
                enabled: true
                kubespawner_override:
                  image: "{value}"
                  init_containers:
                  - name: fetch
                    image: alpine/git:2.45
              choices:
                "GPU #2, v1.0":
                  kubespawner_override:
                    image: quay.io/campuses/lab-image:64bd188721c0
                00-base:
                  kubespawner_override:
                    image: quay.io/campuses/base-image:fbab22cbce38
        - display_name: Terminal
          kubespawner_override:
            image: quay.io/campuses/terminal-image:v13
    """

_SCIENCE = """
    name: science
    hubs:
    - name: staging
      domain: staging.science.example.org
      helm_chart_values_files: [../shared/options.values.yaml, common.values.yaml]
    - name: prod
      domain: science.example.org
      helm_chart_values_files: [common.values.yaml, prod.values.yaml]
    """

_SCIENCE_COMMON = """
    basehub:
      jupyterhub:
        singleuser:
          profileList:
          - display_name: Small, 5 GB
            default: true
            profile_options: &options
              image: &image
                display_name: Image
                unlisted_choice:
                  enabled: true
                  validation_regex: ^.+:.+$
                  kubespawner_override:
                    image: '{value}'
                choices:
                  pangeo:
                    display_name: Pangeo (2026.06.04)
                    default: true
                    kubespawner_override: &override
                      image: pangeo/pangeo-notebook:2026.06.04
                      image_pull_policy: Always
                  ml: # once a workshop's
                    display_name: Pangeo ML (2026.06.04)
                    kubespawner_override:
                        # mis-indented on purpose\x20
                      image: pangeo/ml-notebook:2026.06.04
                  quay-ml:
                    kubespawner_override:
                      image: quay.io/pangeo/ml-notebook:2026.06.04
                  own.choice:
                    kubespawner_override:
                      image: "quay.io/example/hub-user-image:5115e56"
              requests:
                choices: {}
          - display_name: Large
            profile_options: *options
          - display_name: GPU
            slug: gpu
            profile_options:
              image:
                choices:
                  pangeo:
                    kubespawner_override:
                      <<: *override
                      mem_limit: 64G
                  ml:
                    kubespawner_override:
                      image: {name: quay.io/example/hub-user-image-gpu, tag: 949a86e45647}
    """

_SCIENCE_PROD = """
    basehub:
      x-images:
        tools: &tools
          name: docker.io/laserchemist/datascience
          tag: "4.4"
      jupyterhub:
        hub:
          extraConfig:
            images: |
              # an image: key in Python is no image
              {"image": options.image, "tag": "bde8b3293fd2"}
        singleuser:
          profileList:
          - display_name: Python für alle 🐍
            kubespawner_override:
              image: >-
                quay.io/cirt/scipy-xarray:1e26b42ad87b

          - slug: tools
            display_name: Tools
            kubespawner_override:
              image: *tools
          - slug: r
            display_name: R
            profile_options:
              version:
                choices:
                  4_4: {kubespawner_override: {image: 'rocker/binder:4.4'}}
                  devel: {kubespawner_override: {image: rocker/binder:devel}} # two on the next line
                  both: {kubespawner_override: {image: a/one:1, other: &shared a/two:2}}
                  alias: {kubespawner_override: {image: *shared}}
    """

_PLAIN = """
    name: plain
    hubs:
    - name: research-staging
      domain: plain.example.org
      helm_chart_values_files:
      - windows.values.yaml
    """

_PLAIN_WINDOWS = """
    # Größe, 大きさ, 🎈
    singleuser:
      image: {name: laserchemist/datascience, tag: '4.4'}
    """

_TEMPLATE = "hubs: [{{ not yaml }}]\n"

_SCIENCE_OPTIONS = "basehub:\n  dask-gateway:\n    enabled: true\n"


def _text(indented: str) -> bytes:
    return dedent(indented).lstrip("\n").encode()


FILES: Mapping[str, bytes] = {
    "colleges/cluster.yaml": _text(_COLLEGES),
    "colleges/common.values.yaml": _text(_COLLEGES_COMMON),
    "colleges/staging.values.yaml": _text(_COLLEGES_STAGING),
    "colleges/north.values.yaml": _text(_COLLEGES_NORTH),
    "colleges/hubs/south.values.yaml": _text(_COLLEGES_SOUTH),
    "colleges/west.values.yaml": _text(_COLLEGES_WEST),
    "colleges/east.values.yaml": _text(_COLLEGES_EAST),
    "colleges/lake.values.yaml": b"jupyterhub:\n  custom: {}\n",
    "colleges/enc-staging.secret.values.yaml": b"\xff never opened, or this byte is an error",
    "campuses/cluster.yaml": _text(_CAMPUSES),
    "campuses/common.values.yaml": _text(_CAMPUSES_COMMON),
    "campuses/staging.values.yaml": b"jupyterhub: {hub: {config: {}}}\n",
    "campuses/hill.values.yaml": b"",
    "campuses/lake.values.yaml": b"jupyterhub: {singleuser: {cpu: {limit: 1}, profileList: null}}\n",
    "campuses/tags.values.yaml": _text(_CAMPUSES_TAGS),
    "campuses/lab.values.yaml": _text(_CAMPUSES_LAB),
    "campuses/enc-lake.secret.values.yaml": b"\xff never opened, or this byte is an error",
    "science/cluster.yaml": _text(_SCIENCE),
    "science/common.values.yaml": _text(_SCIENCE_COMMON),
    "science/prod.values.yaml": _text(_SCIENCE_PROD),
    "shared/options.values.yaml": _SCIENCE_OPTIONS.encode(),
    "plain/cluster.yaml": _text(_PLAIN),
    # a byte order mark, CRLF, and no newline at the end
    "plain/windows.values.yaml": b"\xef\xbb\xbf" + _text(_PLAIN_WINDOWS).rstrip(b"\n").replace(b"\n", b"\r\n"),
    "templates/cluster.yaml": _TEMPLATE.encode(),
}

_IN_COMMON = "basehub.jupyterhub.singleuser.profileList[small-5-gb].profile_options.image.choices"
_IN_GPU = "basehub.jupyterhub.singleuser.profileList[gpu].profile_options.image.choices"
_IN_PROD = "basehub.jupyterhub.singleuser.profileList"
_IN_LAB = "jupyterhub.singleuser.profileList"
_IN_LAB_CHOICES = f"{_IN_LAB}[cpu-only].profile_options.image.choices"
_BASE_IMAGE = "us-docker.example.dev/colleges/user-images/base-user-image"

SITES: Mapping[tuple[str, str], str] = {
    ("campuses/common.values.yaml", "jupyterhub.singleuser.image"): "quay.io/campuses/base-image:fbab22cbce38",
    ("campuses/tags.values.yaml", "jupyterhub.singleuser.image"): "quay.io/campuses/base-image:2i2c",
    (
        "campuses/lab.values.yaml",
        f'{_IN_LAB_CHOICES}["GPU #2, v1.0"].kubespawner_override.image',
    ): "quay.io/campuses/lab-image:64bd188721c0",
    (
        "campuses/lab.values.yaml",
        f"{_IN_LAB_CHOICES}.00-base.kubespawner_override.image",
    ): "quay.io/campuses/base-image:fbab22cbce38",
    (
        "campuses/lab.values.yaml",
        f"{_IN_LAB}[terminal].kubespawner_override.image",
    ): "quay.io/campuses/terminal-image:v13",
    ("colleges/common.values.yaml", "jupyterhub.singleuser.image"): f"{_BASE_IMAGE}:bde8b3293fd2",
    ("colleges/staging.values.yaml", "jupyterhub.singleuser.image"): f"{_BASE_IMAGE}:2026-06-29",
    ("colleges/north.values.yaml", "jupyterhub.singleuser.image"): "quay.io/example/north-image:2026-06-29",
    (
        "colleges/hubs/south.values.yaml",
        "jupyterhub.singleuser.profileList[workshop].kubespawner_override.image",
    ): "us-docker.example.dev/colleges/user-images/workshop-gpu-image:6d61d3c15d47",
    (
        "science/common.values.yaml",
        f"{_IN_COMMON}.pangeo.kubespawner_override.image",
    ): "pangeo/pangeo-notebook:2026.06.04",
    ("science/common.values.yaml", f"{_IN_COMMON}.ml.kubespawner_override.image"): "pangeo/ml-notebook:2026.06.04",
    (
        "science/common.values.yaml",
        f"{_IN_COMMON}.quay-ml.kubespawner_override.image",
    ): "quay.io/pangeo/ml-notebook:2026.06.04",
    (
        "science/common.values.yaml",
        f'{_IN_COMMON}["own.choice"].kubespawner_override.image',
    ): "quay.io/example/hub-user-image:5115e56",
    (
        "science/common.values.yaml",
        f"{_IN_GPU}.ml.kubespawner_override.image",
    ): "quay.io/example/hub-user-image-gpu:949a86e45647",
    (
        "science/prod.values.yaml",
        f"{_IN_PROD}[python-fur-alle].kubespawner_override.image",
    ): "quay.io/cirt/scipy-xarray:1e26b42ad87b",
    ("science/prod.values.yaml", "basehub.x-images.tools"): "docker.io/laserchemist/datascience:4.4",
    (
        "science/prod.values.yaml",
        f"{_IN_PROD}[r].profile_options.version.choices.4_4.kubespawner_override.image",
    ): "rocker/binder:4.4",
    (
        "science/prod.values.yaml",
        f"{_IN_PROD}[r].profile_options.version.choices.devel.kubespawner_override.image",
    ): "rocker/binder:devel",
    (
        "science/prod.values.yaml",
        f"{_IN_PROD}[r].profile_options.version.choices.both.kubespawner_override.image",
    ): "a/one:1",
    (
        "science/prod.values.yaml",
        f"{_IN_PROD}[r].profile_options.version.choices.both.kubespawner_override.other",
    ): "a/two:2",
    ("plain/windows.values.yaml", "singleuser.image"): "laserchemist/datascience:4.4",
}


def write_corpus(folder: Path) -> Path:
    """Write the generated fleet into `folder`, and give `folder` back."""
    for name, data in FILES.items():
        path = folder / _CLUSTERS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def real_fleet() -> Path | None:
    """The checkout of a real fleet in 2i2c's layout, where the environment names one."""
    folder = os.environ.get("FLEET_REAL_FLEET")
    return Path(folder) if folder else None


def hubs_of(folder: Path) -> dict[str, list[ValuesFile]]:
    """Each hub of a fleet with its values files in Helm's order."""
    document: dict[str, Any] = yaml.safe_load(import_2i2c(folder))
    files: dict[str, ValuesFile] = {}
    hubs: dict[str, list[ValuesFile]] = {}
    for name, hub in document["hubs"].items():
        for file in hub["values"]["files"]:
            if file not in files:
                files[file] = parse_values(file, (folder / file).read_bytes())
        hubs[name] = [files[file] for file in hub["values"]["files"]]
    return hubs


def sites_of(folder: Path) -> dict[tuple[str, str], Site]:
    """Every site of a fleet, by file and path."""
    found = (find_sites(files) for files in hubs_of(folder).values())
    return {(site.file, site.path): site for slots in found for sites in slots.values() for site in sites}
