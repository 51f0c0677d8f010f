"""`make bench`: every measurement, one after another."""

from __future__ import annotations

import sys

from tests.benchmarks import azure, ecr, github, google, plan_scale, quay, real_fleet, site_edits, startup

for _benchmark in (startup, plan_scale, site_edits, real_fleet, quay, google, azure, ecr, github):
    _benchmark.main()
    sys.stdout.write("\n")
