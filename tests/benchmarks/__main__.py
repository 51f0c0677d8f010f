"""`make bench`: every measurement, one after another."""

from __future__ import annotations

import sys

from tests.benchmarks import plan_scale, startup

for _benchmark in (startup, plan_scale):
    _benchmark.main()
    sys.stdout.write("\n")
