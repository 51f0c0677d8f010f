"""2i2c's layout: `config/clusters/<cluster>/cluster.yaml` lists the hubs and their values files.

Source: https://github.com/2i2c-org/infrastructure, as of 2026.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from yaml.nodes import MappingNode, Node, SequenceNode

from fleet.diagnostics import Diagnostic
from fleet.errors import FleetError, InputError
from fleet.importers.fleet_file import ImportedHub, write_fleet
from fleet.values import ValuesFile, find_sites, is_encrypted, parse_values
from fleet.values.document import text_of
from fleet.values.merge import get

_CLUSTERS = ("config/clusters", "clusters", ".")
"""Where the clusters lie, seen from the repository's root or from a folder on the way down."""

_SKIPPED = "templates"


@dataclass(frozen=True, slots=True)
class _Layout:
    folder: Path
    clusters: PurePosixPath

    def read(self, file: PurePosixPath, named_by: str) -> ValuesFile:
        try:
            data = (self.folder / file).read_bytes()
        except FileNotFoundError:
            raise FleetError(f"{named_by} names {file}, which does not exist in {self.folder}.") from None
        except OSError as error:
            raise FleetError(f"{self.folder / file} cannot be read: {error.strerror}.") from None
        return parse_values(str(file), data)


def import_2i2c(folder: Path) -> str:
    """The text of a fleet.yaml that holds every hub, slot and image of a fleet in 2i2c's layout, as they are today.

    `folder` is the repository's root, or a folder of it that still holds the clusters. Tracks are pinned to what stands
    in the files, so the first plan is empty. Raises FleetError for anything that is not this layout.
    """
    layout = _find_layout(folder)
    hubs: list[ImportedHub] = []
    values: dict[PurePosixPath, ValuesFile] = {}
    for cluster_file in _cluster_files(layout):
        hubs += _read_cluster(layout, cluster_file, values)
    _refuse_equal_names(hubs)
    return write_fleet(folder, hubs)


def _find_layout(folder: Path) -> _Layout:
    if not folder.is_dir():
        raise FleetError(f"{folder} is not a folder.")
    for clusters in _CLUSTERS:
        layout = _Layout(folder, PurePosixPath(clusters))
        if next(_cluster_files(layout), None):
            return layout
    raise FleetError(
        f"{folder} holds no config/clusters/*/cluster.yaml; name the root of a repository with 2i2c's layout."
    )


def _cluster_files(layout: _Layout) -> Iterator[PurePosixPath]:
    found = sorted((layout.folder / layout.clusters).glob("*/cluster.yaml"))
    return (layout.clusters / path.parent.name / path.name for path in found if path.parent.name != _SKIPPED)


def _read_cluster(
    layout: _Layout, path: PurePosixPath, values: dict[PurePosixPath, ValuesFile]
) -> Iterator[ImportedHub]:
    cluster = layout.read(path, "The layout")
    hubs = get(cluster, cluster.root, "hubs") if cluster.root else None
    if not isinstance(hubs, SequenceNode):
        raise InputError([Diagnostic(f"{path} has no list of `hubs`; 2i2c's cluster.yaml has one.")])
    for hub in hubs.value:
        name = _text(cluster, hub, "name")
        listed = [_normalize(cluster, file, path.parent) for file in _files(cluster, hub)]
        listed = [file for file in listed if not is_encrypted(str(file))]
        files = [file for file in listed if file.suffix in (".yaml", ".yml")]
        for file in files:
            if file not in values:
                values[file] = layout.read(file, f"{path} ({name})")
        yield ImportedHub(
            name=f"{path.parent.name}-{name}",
            cluster=path.parent.name,
            wave="staging" if "staging" in name else "prod",  # 2i2c's own rule for what deploys first
            url=f"https://{_text(cluster, hub, 'domain')}",
            files=tuple(str(file) for file in files),
            unread=tuple(str(file) for file in listed if file not in files),
            slots=find_sites([values[file] for file in files]),
        )


def _files(cluster: ValuesFile, hub: Node) -> list[Node]:
    files = get(cluster, hub, "helm_chart_values_files")
    if not isinstance(files, SequenceNode):
        raise cluster.fault(hub, "This hub has no list of `helm_chart_values_files`.")
    return list(files.value)


def _normalize(cluster: ValuesFile, file: Node, folder: PurePosixPath) -> PurePosixPath:
    """A file's path as seen from the imported folder; it may lie in another cluster's, but not outside."""
    text = text_of(file)
    if not text:
        raise cluster.fault(file, "A values file is named by its path.")
    path = PurePosixPath(os.path.normpath(folder / text))
    if path.is_absolute() or path.parts[:1] == ("..",):
        raise cluster.fault(file, f"{text} lies outside the imported folder.")
    return path


def _text(cluster: ValuesFile, hub: Node, key: str) -> str:
    text = text_of(get(cluster, hub, key)) if isinstance(hub, MappingNode) else None
    if not text:
        raise cluster.fault(hub, f"This hub has no `{key}`.")
    return text


def _refuse_equal_names(hubs: list[ImportedHub]) -> None:
    seen: set[str] = set()
    for hub in hubs:
        if hub.name in seen:
            raise FleetError(f"Two hubs would be called {hub.name}; rename one of them in cluster {hub.cluster}.")
        seen.add(hub.name)
