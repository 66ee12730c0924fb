"""What a metric takes and what it refuses: DataArrays, labels, axes, number types, short sets."""

import numpy as np
import pytest

import repsim
from repsim.errors import InputError
from repsim.metrics import METRICS
from repsim.plugins import get_metric

SAMPLES = ("linear_cka", "debiased_cka", "rbf_cka", "procrustes", "angular_procrustes")
TRAJECTORIES = (
    "dsa",
    "dsa_spectrum",
    "shuffled_trials",
    "shuffled_time",
    "relative_speed",
    "radial_profile",
)
LABELS = [f"stimulus {i}" for i in range(6)]


def grid(seed, n_trials=6, n_steps=11, n_units=4):
    noise = np.random.default_rng(seed).standard_normal((n_trials, n_steps, n_units))
    return noise.cumsum(axis=1)


def small(name):
    found = get_metric(name)
    return found.with_parameters(delays=2, rank=3) if "rank" in found.parameters else found


def value(found, x, y):
    return found(x, y, rng=np.random.default_rng(0))


@pytest.mark.parametrize("name", [*SAMPLES, *TRAJECTORIES])
def test_a_dataarray_is_as_good_as_its_values(name):
    x, y = grid(0), grid(1, n_units=3)
    labelled = [repsim.as_activations(a, dt=0.1, trials=LABELS, model="rnn") for a in (x, y)]
    turned = labelled[0].transpose("unit", "time", "trial")
    expected = value(small(name), x, y)
    assert value(small(name), *labelled) == expected
    assert value(small(name), turned, labelled[1]) == expected
    assert value(small(name), turned, y) == expected


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_trials_times_steps(name):
    x, y = grid(0), grid(1, n_units=3)
    flat = x.reshape(66, 4), y.reshape(66, 3)
    assert get_metric(name)(x, y) == pytest.approx(get_metric(name)(*flat), rel=1e-14)


@pytest.mark.parametrize("name", SAMPLES)
def test_static_data_have_one_step(name):
    x, y = grid(0)[:, 0], grid(1)[:, 0]
    stored = [repsim.as_activations(a) for a in (x, y)]
    assert get_metric(name)(*stored) == get_metric(name)(x, y)


@pytest.mark.parametrize("name", SAMPLES)
def test_trials_in_another_order_are_refused(name):
    x = repsim.as_activations(grid(0), trials=LABELS)
    y = repsim.as_activations(grid(1), trials=[LABELS[i] for i in (0, 1, 3, 2, 4, 5)])
    sentence = r"trial 2 is 'stimulus 2' in 'x' and 'stimulus 3' in 'y'. Bring the trials"
    with pytest.raises(InputError, match=sentence):
        get_metric(name)(x, y)
    mended = y.sel(trial=LABELS)
    assert np.isfinite(get_metric(name)(x, mended))
    assert np.isfinite(get_metric(name)(x, y.drop_vars("trial")))


@pytest.mark.parametrize("name", TRAJECTORIES[:2])
def test_dynamics_need_no_common_trials(name):
    x = repsim.as_activations(grid(0), trials=LABELS)
    y = repsim.as_activations(grid(1, 5, 13, 3), trials=range(5))
    assert np.isfinite(small(name)(x, y))


@pytest.mark.parametrize("name", SAMPLES)
def test_swapped_axes_are_refused(name):
    sentence = r"'x' has 6 trials x 11 steps and 'y' has 11 x 6. Check the order of the axes"
    with pytest.raises(InputError, match=sentence):
        get_metric(name)(grid(0), grid(1).swapaxes(0, 1))


@pytest.mark.parametrize("name", SAMPLES)
def test_unequal_samples_are_refused_with_both_counts(name):
    sentence = f"{name} compares the same samples in both sets; 'x' has 66 and 'y' has 55. Select"
    with pytest.raises(InputError, match=sentence):
        get_metric(name)(grid(0), grid(1, 5))


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_static_data_have_no_dynamics(name):
    sentence = rf"{name} needs trajectories, and 'x' has one time step \(shape \(66, 4\)\)"
    with pytest.raises(InputError, match=sentence):
        small(name)(grid(0).reshape(66, 4), grid(1))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_set_in_which_nothing_varies_is_refused(name):
    still = np.full((9, 3), 0.1)
    with pytest.raises(InputError, match="'y': all 9 samples are equal in all 3 units"):
        get_metric(name)(grid(0)[:1, :9].reshape(9, 4), still)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [n for n in METRICS if n != "oracle"])
def test_nan_and_infinity_are_refused(name, bad):
    x = grid(0)
    x[2, 3, 1] = bad
    with pytest.raises(InputError, match=r"'y': 1 of 264 entries are NaN or inf. Drop or impute"):
        small(name)(grid(1), x)


def test_few_samples_are_refused():
    x = np.random.default_rng(0).standard_normal((3, 5))
    with pytest.raises(InputError, match="needs at least 4 samples; there are 3"):
        get_metric("debiased_cka")(x, x)
    with pytest.raises(InputError, match=r"'x' has 1\. Give at least 2"):
        get_metric("linear_cka")(x[:1], x[:1])


def test_repeated_samples_leave_no_median_distance():
    x = np.repeat([[0.0, 0], [1, 1]], [9, 1], axis=0)
    with pytest.raises(InputError, match="between its 10 samples is 0: more than half are equal"):
        get_metric("rbf_cka")(x, x)


@pytest.mark.parametrize("bandwidth", [0, -1, float("nan")])
def test_a_bandwidth_is_positive(bandwidth):
    x = np.random.default_rng(0).standard_normal((9, 2))
    with pytest.raises(repsim.RepsimError, match=r"bandwidth is .*; give a positive multiple"):
        get_metric("rbf_cka", bandwidth=bandwidth)(x, x)


def test_the_oracle_is_given_the_truth_only():
    with pytest.raises(repsim.RepsimError, match=r"the truth of a test case; use it with repsim"):
        get_metric("oracle")(grid(0), grid(1))


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float16, np.float32])
def test_other_numbers_are_read(dtype):
    x = (grid(0) * 5).astype(dtype)
    y = (grid(1) * 5).astype(dtype)
    expected = get_metric("linear_cka")(x.astype(np.float64), y.astype(np.float64))
    assert get_metric("linear_cka")(x, y) == pytest.approx(expected, rel=1e-5)


def test_lists_are_read_and_complex_numbers_refused():
    x, y = grid(0), grid(1)
    found = get_metric("linear_cka")
    assert found(x.tolist(), y.tolist()) == found(x, y)
    with pytest.raises(InputError, match="must be real numbers; these have dtype complex128"):
        found(x + 1j, y)
