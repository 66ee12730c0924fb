"""Procrustes and CKA of delay-embedded trajectories: what the window adds to the geometry."""

import numpy as np
import pytest
import xarray as xr

from repsim.checks import CHECKS, run_check
from repsim.errors import InputError
from repsim.examples import trajectories
from repsim.metrics.angular_procrustes import angular_procrustes
from repsim.metrics.delay_cka import delay_cka
from repsim.metrics.delay_procrustes import delay_procrustes
from repsim.metrics.linear_cka import linear_cka

PAIRS = [(delay_procrustes, angular_procrustes), (delay_cka, linear_cka)]
INVARIANCES = [name for name in CHECKS if name.startswith("invariance")]


def two_sets(n_units=(6, 9), n_trials=7, n_steps=30):
    rng = np.random.default_rng(0)
    return [trajectories(rng, n_trials, n_steps, n) for n in n_units]


def by_hand(x, delays, interval):
    """One row a window, newest first, written without the code under test."""
    reach = (delays - 1) * interval
    return np.array(
        [
            np.concatenate([trial[t - lag * interval] for lag in range(delays)])
            for trial in x
            for t in range(reach, len(trial))
        ]
    )


@pytest.mark.parametrize(("delayed", "plain"), PAIRS, ids=["procrustes", "cka"])
@pytest.mark.parametrize("interval", [1, 3])
def test_one_delay_is_the_plain_metric(delayed, plain, interval):
    x, y = two_sets()
    one = delayed.with_parameters(delays=1, interval=interval)
    assert one(x, y) == pytest.approx(plain(x, y), abs=1e-12)


@pytest.mark.parametrize(("delayed", "plain"), PAIRS, ids=["procrustes", "cka"])
@pytest.mark.parametrize(("delays", "interval"), [(2, 1), (5, 1), (3, 4)])
@pytest.mark.parametrize("n_units", [(6, 9), (70, 90)], ids=["few units", "many units"])
def test_windows_are_those_of_the_definition(delayed, plain, delays, interval, n_units):
    x, y = two_sets(n_units)
    expected = plain(by_hand(x, delays, interval), by_hand(y, delays, interval))
    found = delayed.with_parameters(delays=delays, interval=interval)(x, y)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("delayed", [delay_procrustes, delay_cka], ids=["procrustes", "cka"])
@pytest.mark.parametrize("name", [*INVARIANCES, "self_is_best", "torch_agrees", "float32_is_near"])
def test_declared_facts_hold_and_others_break(delayed, name):
    result = run_check(delayed, name)
    assert result.status == "pass", result.message


@pytest.mark.parametrize(("delayed", "plain"), PAIRS, ids=["procrustes", "cka"])
def test_the_order_in_time_counts(delayed, plain):
    """The same samples in another order, alike in both sets: plain geometry cannot notice."""
    x, y = two_sets()
    order = np.random.default_rng(1).permutation(x.shape[1])
    x_mixed, y_mixed = x[:, order], y[:, order]
    assert plain(x_mixed, y_mixed) == pytest.approx(plain(x, y), abs=1e-12)
    assert abs(delayed(x_mixed, y_mixed) - delayed(x, y)) > 0.02


def circling(phase, period=12):
    """One unit that reads a rotation at a phase; every trial starts at an angle of its own."""
    starts = np.random.default_rng(2).uniform(0, 2 * np.pi, (40, 1))
    return np.cos(2 * np.pi * np.arange(30) / period + starts + phase)[..., None]


def test_windows_recover_a_state_that_one_step_hides():
    """Sine and cosine of one rotation: uncorrelated step by step, the same circle in windows."""
    x, y = circling(0), circling(np.pi / 2)
    assert angular_procrustes(x, y) > 1.3
    assert linear_cka(x, y) < 0.1
    whole_period = {"delays": 12}
    assert delay_procrustes.with_parameters(**whole_period)(x, y) < 0.1
    assert delay_cka.with_parameters(**whole_period)(x, y) > 0.98


@pytest.mark.parametrize(("delayed", "plain"), PAIRS, ids=["procrustes", "cka"])
def test_what_looks_the_same_step_by_step_looks_the_same_in_windows(delayed, plain):
    """A limit of delayed geometry: it adds nothing where the plain metric finds no difference."""
    x, _ = two_sets()
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((6, 6)))[0]
    backwards = x[:, ::-1]
    for metric in (delayed, plain):
        assert metric.distance(x, x @ turn) < 1e-9
        assert metric.distance(x, backwards) > 0.1


@pytest.mark.parametrize("delayed", [delay_procrustes, delay_cka], ids=["procrustes", "cka"])
@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((6, 30), "'x' has 210 and 'y' has 180. Select common trials"),
        ((7, 29), "'x' has 210 and 'y' has 203. Select common trials"),
        ((30, 7), "'x' has 7 trials x 30 steps and 'y' has 30 x 7. Check the order of the axes"),
    ],
)
def test_unmatched_trials_and_steps_are_refused(delayed, shape, told):
    x, y = two_sets()
    other = np.random.default_rng(4).standard_normal((*shape, 9))
    told = f"{delayed.name} compares the same samples in both sets; {told}"
    with pytest.raises(InputError, match=told):
        delayed.with_parameters(delays=3)(x, other)
    assert np.isfinite(delayed.with_parameters(delays=3)(x, y))


@pytest.mark.parametrize("delayed", [delay_procrustes, delay_cka], ids=["procrustes", "cka"])
def test_trials_in_another_order_are_refused(delayed):
    x, y = (
        xr.DataArray(one, dims=("trial", "time", "unit"), coords={"trial": list(labels)})
        for one, labels in zip(two_sets(), ("abcdefg", "gbcdefa"), strict=True)
    )
    with pytest.raises(InputError, match="trial 0 is 'a' in 'x' and 'g' in 'y'"):
        delayed(x, y)


@pytest.mark.parametrize("delayed", [delay_procrustes, delay_cka], ids=["procrustes", "cka"])
def test_what_has_no_windows_or_no_variance_is_refused(delayed):
    x, y = two_sets()
    with pytest.raises(InputError, match="30 delays at interval 1 need at least 31 time steps"):
        delayed.with_parameters(delays=30)(x, y)
    with pytest.raises(InputError, match="no geometry to compare"):
        delayed(np.ones_like(x), y)
