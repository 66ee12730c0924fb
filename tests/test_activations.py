import numpy as np
import pytest
import torch
import xarray as xr

import repsim
from repsim.errors import InputError

RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((3, 4, 5))
NAN = VALUES.copy()
NAN[0, 1, 2] = np.nan
INFINITE = VALUES.copy()
INFINITE[1, :2] = np.inf


@pytest.mark.parametrize("build", [np.asarray, torch.tensor, np.ndarray.tolist, xr.DataArray])
def test_every_container_gives_the_same_activations(build):
    given = build(VALUES)
    if isinstance(given, xr.DataArray):
        given = xr.DataArray(VALUES, dims=("trial", "time", "unit"))
    activations = repsim.as_activations(given)
    assert activations.dims == ("trial", "time", "unit")
    np.testing.assert_array_equal(activations.values, VALUES)


def test_static_data_have_one_time_step():
    activations = repsim.as_activations(VALUES[:, 0])
    assert activations.shape == (3, 1, 5)
    np.testing.assert_array_equal(activations.values[:, 0], VALUES[:, 0])


@pytest.mark.parametrize(
    "dims", [("trial", "time", "unit"), ("time", "trial", "unit"), ("unit", "time", "trial")]
)
def test_a_dataarray_may_have_its_dims_in_any_order(dims):
    array = xr.DataArray(VALUES, dims=("trial", "time", "unit")).transpose(*dims)
    activations = repsim.as_activations(array)
    assert activations.dims == ("trial", "time", "unit")
    np.testing.assert_array_equal(activations.values, VALUES)


def test_a_dataarray_without_time_is_static():
    activations = repsim.as_activations(xr.DataArray(VALUES[:, 0].T, dims=("unit", "trial")))
    np.testing.assert_array_equal(activations.values, VALUES[:, :1])


def test_a_dataarray_keeps_its_coordinates_name_and_attributes():
    array = xr.DataArray(
        VALUES,
        {"unit": list("abcde"), "layer": ("unit", list("vvvww"))},
        ("trial", "time", "unit"),
        name="cortex",
        attrs={"task": "reach"},
    )
    activations = repsim.as_activations(array, seed=3)
    assert activations.name == "cortex"
    assert activations.attrs == {"task": "reach", "seed": 3}
    assert activations.layer.values.tolist() == list("vvvww")


def test_labels_seconds_and_attributes():
    activations = repsim.as_activations(
        VALUES,
        dt=0.5,
        trials=["go", "stop", "go"],
        units=range(10, 15),
        model="rnn",
        nested={"a": [1, None, {"b": True}]},
        learned=np.float32(0.5),
        behaviour=np.arange(3),
    )
    assert activations.trial.values.tolist() == ["go", "stop", "go"]
    assert activations.time.values.tolist() == [0, 0.5, 1, 1.5]
    assert activations.unit.values.tolist() == [10, 11, 12, 13, 14]
    assert activations.attrs == {
        "model": "rnn",
        "nested": {"a": [1, None, {"b": True}]},
        "learned": 0.5,
        "behaviour": [0, 1, 2],
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [("f4", "f4"), ("f8", "f8"), ("f2", "f4"), ("i4", "f8"), ("u1", "f8")],
)
def test_precision_is_kept_and_integers_become_float64(given, kept):
    assert repsim.as_activations(np.ones((3, 4, 5), given)).dtype == np.dtype(kept)


def test_tensors_of_any_precision_and_with_gradients_are_taken():
    tensor = torch.ones(3, 4, 5, dtype=torch.bfloat16, requires_grad=True)
    assert repsim.as_activations(tensor).dtype == np.float32


def test_inputs_are_not_modified():
    array = xr.DataArray(VALUES.copy(), dims=("trial", "time", "unit"), attrs={"a": 1})
    activations = repsim.as_activations(array, dt=0.1, trials=["a", "b", "c"], b=2)
    activations.attrs["c"] = 3
    np.testing.assert_array_equal(array.values, VALUES)
    assert array.attrs == {"a": 1}
    assert not array.coords


REFUSED = {
    "nan": (NAN, ["1 of 60", "NaN"]),
    "inf": (INFINITE, ["10 of 60", "inf"]),
    "no trials": (VALUES[:0], ["empty", "(0, 4, 5)"]),
    "no units": (VALUES[:, :, :0], ["empty", "(3, 4, 0)"]),
    "0-D": (3.0, ["0 axes", "()"]),
    "1-D": (VALUES[0, 0], ["1 axis", "(5,)", "(trial, time, unit)"]),
    "4-D": (VALUES[None], ["4 axes", "(1, 3, 4, 5)"]),
    "complex": (VALUES + 1j, ["real", "complex128"]),
    "boolean": (VALUES > 0, ["real", "bool"]),
    "object": (np.array([[1.0, None]]), ["real", "object"]),
    "text": ([["a", "b"]], ["real", "<U1"]),
    "ragged": ([[1.0, 2.0], [3.0]], ["do not form an array", "same length"]),
    "unknown dim": (
        xr.DataArray(VALUES, dims=("trial", "time", "neuron")),
        ["'neuron'", "rename"],
    ),
    "no trial dim": (xr.DataArray(VALUES[0], dims=("time", "unit")), ["'trial'", "expand_dims"]),
    "no unit dim": (xr.DataArray(VALUES[0], dims=("trial", "time")), ["'unit'", "expand_dims"]),
    "nan in a DataArray": (
        xr.DataArray(NAN, dims=("trial", "time", "unit"), name="cortex"),
        ["cortex", "1 of 60"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_numbers_and_the_way_out(name):
    array, words = REFUSED[name]
    with pytest.raises(InputError) as error:
        repsim.as_activations(array)
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"trials": ["a", "b"]}, ["2 trial labels", "3 trials"]),
        ({"units": range(6)}, ["6 unit labels", "5 units"]),
        ({"trials": [("a", 1), ("b", 2), ("c", 3)]}, ["label"]),
        ({"dt": 0}, ["dt is 0", "seconds"]),
        ({"dt": -0.1}, ["dt is -0.1"]),
        ({"dt": float("inf")}, ["dt is inf"]),
        ({"dt": "fast"}, ["dt is 'fast'"]),
        ({"model": object()}, ["'model'", "object"]),
        ({"loss": float("nan")}, ["'loss'"]),
        ({"task": {1, 2}}, ["'task'", "set"]),
    ],
)
def test_labels_and_attributes_that_do_not_fit_are_refused(arguments, words):
    with pytest.raises(InputError) as error:
        repsim.as_activations(VALUES, **arguments)
    assert [word for word in words if word not in str(error.value)] == []


def test_the_fingerprint_is_of_the_numbers_alone():
    plain = repsim.as_activations(VALUES)
    labelled = repsim.as_activations(VALUES, dt=0.1, trials=["a", "b", "c"], model="rnn")
    fortran = repsim.as_activations(np.asfortranarray(VALUES))
    assert len(repsim.fingerprint(plain)) == 64
    assert repsim.fingerprint(plain) == repsim.fingerprint(labelled) == repsim.fingerprint(fortran)


def test_the_fingerprint_changes_with_dims_shape_dtype_and_values():
    changed = VALUES.copy()
    changed[2, 3, 4] = np.nextafter(changed[2, 3, 4], 9)
    single = VALUES.astype(np.float32)
    arrays = [
        repsim.as_activations(VALUES),
        repsim.as_activations(VALUES.reshape(4, 3, 5)),
        repsim.as_activations(changed),
        repsim.as_activations(single),
        repsim.as_activations(single.astype(float)),
        xr.DataArray(VALUES, dims=("time", "trial", "unit")),
        xr.DataArray(VALUES.view("i8"), dims=("trial", "time", "unit")),
    ]
    assert len({repsim.fingerprint(array) for array in arrays}) == len(arrays)


def test_a_dataset_is_refused_in_words():
    dataset = repsim.as_activations(np.ones((3, 4, 5))).to_dataset(name="a")
    with pytest.raises(InputError, match="A Dataset is no array"):
        repsim.as_activations(dataset)
    with pytest.raises(InputError, match="A Dataset is no array"):
        repsim.compare([dataset, dataset], names=["a", "b"])
