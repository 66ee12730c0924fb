"""Operators of other packages' models: known spectra, trials, substituted models, names."""

import importlib
import warnings

import numpy as np
import pytest
import torch

from repsim.dynamics import koopman
from repsim.dynamics.koopman import FittedOperator, describe, operator_of, prepare_operator
from repsim.errors import InputError


def quietly(module):
    """Import a package whose warnings are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(module, reason=f"{module} comes with the extra 'koopman'")
        return importlib.import_module(module)


pydmd, pk = quietly("pydmd"), quietly("pykoopman")
observables, regression = quietly("pykoopman.observables"), quietly("pykoopman.regression")
# PyDMD warns of every ill-conditioned matrix, and OptDMD drops imaginary parts of its vectors
pytestmark = pytest.mark.filterwarnings("ignore:Input data", "ignore:Casting complex values")

TURN = 0.98 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
TRUE = np.array([0.98 * np.exp(0.4j), 0.98 * np.exp(-0.4j), 0.9, 0.6])


def linear(n_trials=6, n_steps=30, noise=0.0, seed=0):
    """Trials of one system with eigenvalues TRUE, in mixed coordinates."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((4, 4))
    matrix[:2, :2], matrix[2, 2], matrix[3, 3] = TURN, 0.9, 0.6
    mixing = np.random.default_rng(1).standard_normal((4, 4))
    states = [rng.standard_normal((n_trials, 4))]
    for _ in range(n_steps - 1):
        states.append(states[-1] @ matrix.T)
    clean = np.stack(states, axis=1) @ mixing.T
    return clean + noise * rng.standard_normal(clean.shape)


def farthest(eigenvalues, true=TRUE):
    return max(abs(one - eigenvalues).min() for one in true)


def lifted(regressor, **keywords):
    return pk.Koopman(regressor=regressor, **keywords)


def delayed(**delays):
    return lifted(regression.EDMD(svd_rank=4), observables=observables.TimeDelay(**delays))


class LeastSquares:
    """The smallest model of one's own: fit(X, y) and an operator."""

    def __init__(self, rank=None):
        self.rank = rank

    def fit(self, x, y):
        self.A = np.linalg.lstsq(x, y, rcond=None)[0].T


class OneSeries:
    def fit(self, series):
        self.operator = np.linalg.lstsq(series[:-1], series[1:], rcond=None)[0].T


MANY = {
    "edmd": lambda: lifted(regression.EDMD()),
    "bare-edmd": regression.EDMD,
    "delays": lambda: delayed(n_delays=3),
    "sparse-delays": lambda: delayed(delay=2, n_delays=2),
    "wrapped-dmd": lambda: lifted(pydmd.DMD(svd_rank=4)),
    "wrapped-tlsq": lambda: lifted(pydmd.DMD(svd_rank=4, tlsq_rank=4)),
    "dmd": lambda: pydmd.DMD(svd_rank=4),
    "optdmd": lambda: pydmd.OptDMD(svd_rank=4),
    "own": LeastSquares,
}
ONE = {
    "subspace": lambda: pydmd.SubspaceDMD(svd_rank=4),
    "compressed": lambda: pydmd.CDMD(svd_rank=4),
    "randomised": lambda: pydmd.RDMD(svd_rank=4),
    "hankel": lambda: pydmd.HankelDMD(svd_rank=4, d=3),
    "higher-order": lambda: pydmd.HODMD(svd_rank=4, d=3, svd_rank_extra=4),
    "own-series": OneSeries,
}


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("n_trials", [1, 6])
def test_known_eigenvalues(name, n_trials):
    fitted = operator_of(MANY[name](), linear(n_trials))
    assert fitted.real.shape == (4, 4)
    assert farthest(fitted.eigenvalues) < 1e-8
    assert farthest(np.linalg.eigvals(fitted.real)) < 1e-8


@pytest.mark.parametrize("name", ONE)
def test_models_of_one_trial(name):
    fitted = operator_of(ONE[name](), linear(1))
    assert farthest(fitted.eigenvalues) < 1e-8
    assert fitted.real.shape == (4, 4)
    with pytest.raises(InputError, match=r"takes one series, and there are 6 trials; .* Select"):
        operator_of(ONE[name](), linear(6))


@pytest.mark.parametrize("name", ["edmd", "delays", "wrapped-dmd", "dmd", "optdmd", "own"])
def test_trials_are_not_joined(name):
    """Jumps between 40 trials of 6 steps would pull the eigenvalues in by more than 0.1."""
    data = linear(40, 6, seed=2)
    joined = data.reshape(1, -1, 4)
    assert farthest(operator_of(MANY[name](), data).eigenvalues) < 1e-8
    assert farthest(operator_of(MANY[name](), joined).eigenvalues) > 0.1
    ragged = [trial[: 6 - i % 2] for i, trial in enumerate(data)]
    assert farthest(operator_of(MANY[name](), ragged).eigenvalues) < 1e-8


def test_forward_backward_is_what_the_library_gives():
    """Not exact even without noise, in either package: the two fits stand in different bases."""
    data = linear(6)
    before, after = data[:, :-1].reshape(-1, 4), data[:, 1:].reshape(-1, 4)
    by_hand = pydmd.FbDMD(svd_rank=4).fit(before.T, after.T).operator.as_numpy_array
    for model in (pydmd.FbDMD(svd_rank=4), lifted(pydmd.FbDMD(svd_rank=4))):
        fitted = operator_of(model, data)
        assert np.allclose(fitted.matrix, by_hand, atol=1e-10)
        assert 1e-6 < farthest(fitted.eigenvalues) < 0.05


PLAIN = ["SubspaceDMD", "OptDMD", "CDMD", "RDMD", "HankelDMD", "HODMD", "SpDMD", "EDMD"]


@pytest.mark.parametrize("name", PLAIN)
def test_substituted_models_are_refused(name):
    inner = getattr(pydmd, name)(svd_rank=4)
    with pytest.raises(InputError, match=rf"never calls the fit of {name}.*: it runs plain DMD"):
        operator_of(lifted(inner), linear(1))
    with pytest.raises(InputError, match=rf"Give the PyDMD object itself: operator={name}"):
        operator_of(regression.PyDMDRegressor(inner), linear(1))


def test_dropped_regularisation_is_refused():
    inner = pydmd.DMD(svd_rank=4, tikhonov_regularization=0.1)
    with pytest.raises(InputError, match=r"drops its tikhonov_regularization=0\.1"):
        operator_of(lifted(inner), linear(1))
    both = regression.PyDMDRegressor(inner, tikhonov_regularization=0.1)
    assert operator_of(both, linear(1)).matrix.shape == (4, 4)


def test_the_model_itself_answers_otherwise_and_better_under_noise():
    """Noise of 0.2 on a rotation: plain DMD is off by 0.03, SubspaceDMD by 0.002."""
    turn, true = TURN / 0.98, np.exp([0.4j, -0.4j])
    errors = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        states = np.array([np.linalg.matrix_power(turn, t)[0] for t in range(300)])
        data = states @ rng.standard_normal((2, 6)) + 0.2 * rng.standard_normal((300, 6))
        plain = operator_of(lifted(pydmd.DMD(svd_rank=2)), data[None]).eigenvalues
        own = operator_of(pydmd.SubspaceDMD(svd_rank=2), data[None]).eigenvalues
        errors.append([farthest(plain, true), farthest(own, true)])
    plain, own = np.mean(errors, axis=0)
    assert own < plain / 5


def test_continuous_time_models_give_one_step():
    fitted = operator_of(pydmd.BOPDMD(svd_rank=4), linear(1))
    assert farthest(fitted.eigenvalues) < 1e-5
    assert farthest(np.linalg.eigvals(fitted.real)) < 1e-5
    # a derivative from neighbouring steps is coarse, but exp(A) is near the step
    havok = lifted(regression.HAVOK(svd_rank=5), observables=observables.TimeDelay(n_delays=3))
    for model in (havok, pydmd.HAVOK(svd_rank=5, delays=3)):
        assert farthest(operator_of(model, linear(1)).eigenvalues, TRUE[:2]) < 0.1


def test_modes_by_search_over_exponents():
    turning = np.array([np.linalg.matrix_power(TURN, t)[0] for t in range(30)])[None]
    found = operator_of(pydmd.VarProDMD(svd_rank=2), turning).eigenvalues
    assert farthest(found, TRUE[:2]) < 1e-8


def test_real_coordinates_from_modes():
    rng = np.random.default_rng(0)
    matrix, basis = rng.standard_normal((5, 5)), np.linalg.qr(rng.standard_normal((9, 5)))[0]
    eigenvalues, vectors = np.linalg.eig(matrix)
    found = koopman._from_modes(basis @ vectors, eigenvalues)
    assert abs(found.imag).max() < 1e-10
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(matrix), rel=1e-8)
    assert farthest(np.linalg.eigvals(found.real), eigenvalues) < 1e-8


def test_complex_operators():
    turning = FittedOperator(np.diag([np.exp(0.3j), 0.5]), LeastSquares())
    assert farthest(turning.eigenvalues, [np.exp(0.3j), 0.5]) < 1e-12
    with pytest.raises(InputError, match=r"complex operator .* Compare eigenvalues"):
        _ = turning.real
    assert (FittedOperator(np.eye(2) + 1e-12j, None).real == np.eye(2)).all()


@pytest.mark.parametrize("name", MANY | ONE)
def test_the_model_given_is_not_touched(name):
    model = (MANY | ONE)[name]()
    before = describe(vars(model)), describe(model)
    operator_of(model, linear(1))
    assert (describe(vars(model)), describe(model)) == before


CENTRES = observables.RadialBasisFunction(rbf_type="thinplate", n_centers=3)
RANDOM = {
    "compressed": pydmd.CDMD(svd_rank=4),
    "randomised": pydmd.RDMD(svd_rank=4),
    "rbf": lifted(regression.EDMD(), observables=CENTRES),
    "fourier": lifted(regression.EDMD(), observables=observables.RandomFourierFeatures(D=3)),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_models_give_the_same_bits_and_leave_the_generators_alone(name):
    model, data = RANDOM[name], linear(1, noise=0.05)
    np.random.seed(7)
    torch.manual_seed(7)
    expected = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    first = operator_of(model, data).matrix
    assert (np.random.get_state()[1] == expected[0]).all()
    assert torch.equal(torch.random.get_rng_state(), expected[1])
    np.random.seed(8)
    assert (operator_of(model, data).matrix == first).all()


@pytest.mark.parametrize("kind", ["numpy", "torch", "float32"])
def test_prepared_for_a_metric(kind):
    data = linear(4).astype(np.float32 if kind == "float32" else np.float64)
    data.flags.writeable = False
    x = torch.tensor(data.copy()) if kind == "torch" else data
    matrix = prepare_operator(x, operator=MANY["delays"]())
    eigenvalues = prepare_operator(x, operator=MANY["delays"](), eigenvalues=True)
    assert type(matrix) is type(eigenvalues) is type(x)
    assert str(matrix.dtype).endswith("float64")
    assert str(eigenvalues.dtype).endswith("complex128")
    assert farthest(np.asarray(eigenvalues)) < (1e-3 if kind == "float32" else 1e-8)


class Holds:
    def __init__(self, thing):
        self.thing = thing

    def fit(self, x, y):
        self.A = self.thing


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Holds("words"), r"holds no matrix after fit; looked for operator_, "),
        (Holds(np.ones((2, 3))), r"operator of shape \(2, 3\); it must be square"),
        (Holds(np.full((2, 2), np.nan)), r"without NaN or inf"),
        ("dmd", r"'dmd' raised AttributeError"),
        (lifted(regression.DMDc()), r"DMDc\(\) needs the inputs u"),
        (pydmd.DMDc(), r"no one operator"),
        (pydmd.MrDMD(pydmd.DMD()), r"MrDMD.* has no one operator"),
        (pk.KoopmanContinuous(), r"fits derivatives, not steps"),
        (delayed(n_delays=60), r"too few rows"),
        (delayed(n_delays=29), r"no steps are left"),
        (lifted(regression.EDMD(), observables=observables.Polynomial()), r"use CustomObservables"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(model, message):
    with pytest.raises(InputError, match=message):
        operator_of(model, linear(2))
    with pytest.raises(InputError, match=r"trial 0 has shape \(4,\).* Give \(trial, time, unit"):
        operator_of(model, np.ones((5, 4)))
