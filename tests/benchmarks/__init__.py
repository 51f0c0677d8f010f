"""Measurements, as ratios taken in one run: `make bench`. Nothing here is a test, and no test asserts on a clock."""
