"""Operator models of one's own: what fit is given, and where the matrix is found."""

import numpy as np
import pytest

from repsim.dynamics.koopman import operator_of
from repsim.errors import InputError

STEP = np.array([[0.9, -0.3], [0.3, 0.8]])


def trials(n_trials=4, n_steps=12):
    states = [np.random.default_rng(0).standard_normal((n_trials, 2))]
    for _ in range(n_steps - 1):
        states.append(states[-1] @ STEP.T)
    return np.stack(states, axis=1)


def solved(before, after):
    return np.linalg.lstsq(before, after, rcond=None)[0].T


class OwnNames:
    def fit(self, before, after):
        self.A = solved(before, after)


class MayPair:
    def fit(self, series, y=None):
        self.A = solved(series, y)


class AnyNumber:
    def fit(self, *args):
        self.A = solved(*args)


class WithOptions:
    def fit(self, before, after, penalty=0.0, *, y=None):
        self.A = solved(before, after)


class OneSeries:
    def fit(self, series, penalty=0.0, *, y=None):
        self.A = solved(series[:-1], series[1:])


class OblongFirst:
    """Other things under the names that are looked at first."""

    def fit(self, before, after):
        self.operator, self.matrix, self.A = "least squares", np.ones((3, 4)), np.ones((2, 1))
        self.K = solved(before, after)


class Returned:
    def fit(self, before, after):
        self.A = np.ones((3, 4))
        found = OwnNames()
        found.fit(before, after)
        return found


@pytest.mark.parametrize(
    "model", [OwnNames, MayPair, AnyNumber, WithOptions, OblongFirst, Returned]
)
def test_models_of_pairs(model):
    assert np.allclose(operator_of(model(), trials()).matrix, STEP)


def test_models_of_one_series():
    assert np.allclose(operator_of(OneSeries(), trials(1)).matrix, STEP)
    with pytest.raises(InputError, match="takes one series, and there are 4 trials"):
        operator_of(OneSeries(), trials())


def test_seeds_are_set_on_the_copy_alone():
    class Random(OwnNames):
        random_state = None

    model = OwnNames()
    model.random_state, model.kind = None, Random
    assert operator_of(model, trials()).model.random_state == 0
    assert model.random_state is Random.random_state is None
