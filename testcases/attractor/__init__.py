"""Attractors of known kind, seen through populations of units: one question a file."""

from testcases.attractor import lorenz_regimes

SUITE = (lorenz_regimes.CASE,)
