"""Reads the layouts in which fleets already keep their hubs, and writes the fleet.yaml that says the same."""

from fleet.importers.two_i2c import import_2i2c

__all__ = ["import_2i2c"]
