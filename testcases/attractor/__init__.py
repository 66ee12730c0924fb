"""Attractors of known kind, seen through populations of units: one question a file."""

from testcases.attractor import lorenz_regimes, mixing, motifs, noise

SUITE = (
    lorenz_regimes.CASE,
    noise.OBSERVATION,
    noise.PROCESS,
    mixing.CASE,
    motifs.ANY_ORDER,
    motifs.IN_ORDER,
)
