"""What is no set of trajectories is refused in words, whatever library or container it comes in."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from repsim.dynamics.operator import delay_embed, fit_operator
from repsim.errors import InputError, RepsimError
from repsim.plugins import get_metric


def walks(n_trials=5, n_steps=40, n_units=3, seed=0):
    steps = np.random.default_rng(seed).standard_normal((n_trials, n_steps, n_units))
    return steps.cumsum(axis=1)


def labelled(x, dims=("trial", "time", "unit")):
    return xr.DataArray(x, dims=dims)


NOT_REAL = {
    "complex": lambda x: x.astype(complex),
    "imaginary": lambda x: 1j * x,
    "strings": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "truths": lambda x: x > 0,
    "complex tensor": lambda x: torch.tensor(x).cdouble(),
    "imaginary tensor": lambda x: torch.tensor(x).cfloat() * 1j,
    "truths in a tensor": lambda x: torch.tensor(x) > 0,
}


@pytest.mark.parametrize("kind", NOT_REAL)
def test_what_is_not_real_numbers_is_refused(kind):
    x = NOT_REAL[kind](walks())
    for trials in (x, list(x)):
        with pytest.raises(InputError, match="must be real numbers; these have dtype"):
            fit_operator(trials, 3, 4)
    for name in ("dsa(delays=3,rank=4)", "delay_cka(delays=3)", "linear_cka"):
        for pair in ((x, walks()), (walks(), x)):
            with pytest.raises(InputError, match="must be real numbers; these have dtype"):
                get_metric(name)(*pair)


@pytest.mark.parametrize("container", [np.asarray, list], ids=["array", "list"])
def test_masked_entries_are_refused_and_an_empty_mask_is_not(container):
    x = walks()
    masked = np.ma.masked_array(x, x > np.quantile(x, 0.9))
    with pytest.raises(InputError, match=r"of \d+ entries are masked. Fill them, or drop"):
        fit_operator(masked if container is np.asarray else list(masked), 3, 4)
    with pytest.raises(InputError, match="60 of 600 entries are masked"):
        get_metric("linear_cka")(masked, x)
    whole = np.ma.masked_array(x)
    found = fit_operator(whole if container is np.asarray else list(whole), 3, 4)
    assert np.allclose(found.matrix, fit_operator(x, 3, 4).matrix)


TAKEN = {
    "DataArray": labelled,
    "DataArray in another order": lambda x: labelled(x).transpose("unit", "time", "trial"),
    "DataArrays": lambda x: [labelled(trial, ("time", "unit")) for trial in x],
    "turned DataArrays": lambda x: [labelled(trial, ("time", "unit")).T for trial in x],
    "functions": lambda x: [lambda trial=trial: labelled(trial, ("time", "unit")) for trial in x],
    "nested lists": lambda x: x.tolist(),
    "lists of lists": lambda x: [trial.tolist() for trial in x],
    "DataFrames": lambda x: [pd.DataFrame(trial) for trial in x],
    "matrices": lambda x: [np.matrix(trial) for trial in x],
    "a generator": iter,
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("container", TAKEN)
def test_containers_of_trials_are_one_set(container):
    x = walks()
    found, expected = fit_operator(TAKEN[container](x), 3, 4), fit_operator(x, 3, 4)
    assert np.allclose(found.matrix, expected.matrix, atol=1e-12)


@pytest.mark.parametrize(
    ("trajectories", "told"),
    [
        (None, "trajectories are of type NoneType; give an array"),
        ("walks", "trajectories are of type str; give an array"),
        (walks, "trajectories are of type function"),
        ({"a": walks()[0]}, "trajectories are of type dict"),
        (3.0, "trajectories are of type float"),
        (pd.DataFrame(walks()[0]), r"trajectories have shape \(40, 3\)"),
        (labelled(walks()[0], ("time", "unit")), "No 'trial' dimension"),
        (labelled(walks(), ("trial", "time", "neuron")), "Unknown dimension 'neuron'"),
        ([labelled(walks()[0], ("step", "unit"))], "Unknown dimension 'step'"),
        ([labelled(walks())], r"trial 0 has shape \(5, 40, 3\)"),
        ([1.0, 2.0], r"trial 0 has shape \(\)"),
        ([walks()[0], [[1.0, 2.0, 3.0], [1.0, 2.0]]], "do not form an array"),
        ([walks()[0], None], "must be real numbers"),
        ([walks()[0], walks()[0, :, 0]], r"trial 1 has shape \(40,\)"),
        ([pd.DataFrame({"a": ["x"] * 9})], "must be real numbers"),
        (np.zeros((2, 10, 0)), "the trials have no units"),
        ([walks()[0, :, :0]], "trial 0 has no units"),
        ([*walks()[:2], walks()[2, :3]], "at least 4 time steps; trial 2 has 3. Use delays <= 2"),
    ],
)
def test_what_holds_no_trials_is_refused(trajectories, told):
    with pytest.raises(RepsimError, match=told):
        fit_operator(trajectories, 3, 2)


@pytest.mark.parametrize(
    ("trajectories", "told"),
    [
        (np.ones((20, 2)), r"shape \(20, 2\); give \(trial, time, unit\)"),
        (torch.ones(20), r"shape \(20,\); give \(trial, time, unit\)"),
        ([np.ones((20, 2))], "not a list of trials. Stack trials of one length"),
        (np.ones((1, 20, 2)).tolist(), "not a list of trials"),
        (None, "of type NoneType"),
        (xr.DataArray(np.ones((20, 2)), dims=("time", "unit")), "No 'trial' dimension"),
        (np.ones((3, 4, 2)), "need at least 5 time steps; the trials have 4"),
        (1j * np.ones((3, 20, 2)), "must be real numbers"),
    ],
)
def test_embedding_refuses_what_is_not_one_array_of_trials(trajectories, told):
    with pytest.raises(RepsimError, match=told):
        delay_embed(trajectories, 4)
