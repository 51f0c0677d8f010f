"""fleet.yaml: strict models, fast loading, and a diagnostic with its place for every mistake.

The JSON Schema (`fleet.config.json_schema`) and the reference page (`fleet.config.docs`) are imported where they are
made, so that no plan pays for them.
"""

from __future__ import annotations

from fleet.config.hubs import NEWEST_BUILD, Configurator, Hold, Hub, Slot, Values
from fleet.config.images import BuiltImage, Image, Template, UpstreamImage
from fleet.config.loading import Loaded, load, validate
from fleet.config.policy import Limits, Removed
from fleet.config.refusals import unbuilt
from fleet.config.root import Fleet
from fleet.config.source import Source

__all__ = [
    "NEWEST_BUILD",
    "BuiltImage",
    "Configurator",
    "Fleet",
    "Hold",
    "Hub",
    "Image",
    "Limits",
    "Loaded",
    "Removed",
    "Slot",
    "Source",
    "Template",
    "UpstreamImage",
    "Values",
    "load",
    "unbuilt",
    "validate",
]
