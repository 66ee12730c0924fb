"""What is no set of trajectories is refused in words, whatever library or container it comes in."""

import numpy as np
import pytest
import torch

from repsim.dynamics.operator import fit_operator
from repsim.errors import InputError
from repsim.plugins import get_metric


def walks(n_trials=5, n_steps=40, n_units=3, seed=0):
    steps = np.random.default_rng(seed).standard_normal((n_trials, n_steps, n_units))
    return steps.cumsum(axis=1)


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
