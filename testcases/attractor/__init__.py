"""Attractors of known kind, seen through populations of units: one question a file."""

from testcases.attractor import (
    conjugacy,
    deformation,
    hidden_dynamics,
    lorenz_regimes,
    mixing,
    motifs,
    noise,
    sampling,
    surrogates,
    topology,
)

SUITE = (
    lorenz_regimes.CASE,
    noise.OBSERVATION,
    noise.PROCESS,
    mixing.CASE,
    motifs.ANY_ORDER,
    motifs.IN_ORDER,
    sampling.CASE,
    hidden_dynamics.CASE,
    deformation.CASE,
    topology.CASE,
    conjugacy.CASE,
    surrogates.CASE,
)
