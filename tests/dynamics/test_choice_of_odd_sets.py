"""Choices for sets that are unlike the others, oddly shaped, or cannot be used."""

import numpy as np
import pytest
import torch
import xarray as xr
from test_choice import system as planted

import repsim
from repsim.dynamics.choice import choose, choose_delays_and_rank, sensitivity
from repsim.dynamics.operator import fit_operator
from repsim.errors import InputError


def system(n_trials=5, n_steps=40, n_units=4, **options):
    """A small one."""
    return planted(n_trials, n_steps, n_units, **options)


def plane(**options):
    """No noise and two states: whatever the delays, two directions."""
    return system(n_states=2, noise=0, **options)


def test_dims_of_a_dataarray_may_come_in_any_order():
    sets = [system(n_trials=9, seed=seed) for seed in (0, 1)]
    dims = ("unit", "time", "trial")
    turned = [xr.DataArray(x.transpose(2, 1, 0), dims=dims) for x in sets]
    chosen, grid = choose_delays_and_rank(sets)
    again, same = choose_delays_and_rank(turned)
    assert again == chosen
    assert same.equals(grid)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "there are no sets"),
        (system(), r"sets is one array of shape \(5, 40, 4\). Give a list"),
        (torch.tensor(system()), r"sets is one array of shape \(5, 40, 4\). Give a list"),
        ([system(), system()[0]], r"'set 1' has one time step \(shape \(40, 4\)\).*give"),
        ([system()[:1, :3]], r"no combination .* has 0 steps"),
    ],
)
def test_what_is_no_list_of_sets_is_refused_in_words(sets, message):
    with pytest.raises(InputError, match=message):
        choose_delays_and_rank(sets)


def test_a_set_that_is_not_tried_must_carry_the_choice():
    sets = [system(seed=seed) for seed in range(13)]
    assert choose_delays_and_rank(sets)[0]["rank"] == 4
    sets[1] = plane()
    chosen, grid = choose_delays_and_rank(sets)
    assert chosen["rank"] == grid["rank"].max() == 2
    found = repsim.compare(sets, "dsa_spectrum(delays='auto', rank='auto')")
    assert np.isfinite(found).all()


def test_a_set_that_is_not_tried_must_have_transitions_enough():
    sets = [system(n_trials=6, n_steps=12, n_units=9, n_states=8, seed=seed) for seed in range(8)]
    sets[3] = sets[3][:2, :4]
    for delays, rank in choose_delays_and_rank(sets)[1][["delays", "rank"]].to_numpy():
        fit_operator(sets[3], int(delays), int(rank))


def test_a_rule_gives_no_more_than_every_set_carries():
    rich, poor = system(), plane()
    assert fit_operator(rich, 3, 0.999).rank > fit_operator(poor, 3, 0.999).rank == 2
    assert choose([rich, poor], delays=3, rank=0.999) == {"rank": 2}
    assert repsim.compare([rich, poor], "dsa_spectrum(delays=3, rank=0.999)").attrs["rank"] == 2
    few = rich[:1, :6]
    assert choose([rich, few], delays=3, rank=0.999)["rank"] <= 3


def test_a_trial_that_stands_still_is_left_out():
    still = system(n_trials=5)
    still[0] = still[0, :1]
    _, grid = choose_delays_and_rank([still], 2, 3)
    errors = [
        fit_operator(np.delete(still, i, 0), 2, 3).score(still[i : i + 1], 8) for i in (1, 2, 3, 4)
    ]
    assert grid["error"][0] == pytest.approx(np.mean(errors), rel=1e-9)
    assert grid["standard_error"][0] == pytest.approx(np.std(errors, ddof=1) / 2, rel=1e-9)


def test_one_moving_trial_is_enough():
    still = system(n_trials=2)
    still[0] = still[0, :1]
    chosen, grid = choose_delays_and_rank([still])
    assert np.isfinite(grid["error"]).all()
    fit_operator(still, **chosen)


@pytest.mark.parametrize("ridge", [float("nan"), float("inf"), -1.0])
def test_a_ridge_that_is_no_penalty_is_refused(ridge):
    with pytest.raises(repsim.RepsimError, match="ridge is"):
        choose_delays_and_rank([system()], ridge=ridge)


def test_sensitivity_can_be_saved_and_names_what_counts(tmp_path):
    sets = [system(seed=seed) for seed in (0, 1)]
    given = repsim.get_metric("dsa_spectrum")
    found = sensitivity(sets, (d for d in (1, 2)), iter([2, 3]), metric=given, order=1)
    assert found.attrs["metric"] == "dsa_spectrum(order=1)"
    assert found.equals(sensitivity(sets, [1, 2], [2, 3], order=1))
    found.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    assert sensitivity(sets, [1], [2]).attrs["metric"] == "dsa_spectrum"


@pytest.mark.parametrize("interval", [0, 1.5])
def test_an_interval_that_is_no_number_of_steps_is_refused(interval):
    with pytest.raises(repsim.RepsimError, match="interval is"):
        choose_delays_and_rank([system()], interval=interval)
