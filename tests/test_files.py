import gc
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import repsim
from repsim import files
from repsim.errors import InputError, RepsimError

KINDS = (".npy", ".npz", ".nc", ".zarr", ".pt", ".safetensors")
LABELLED = (".nc", ".zarr")
VALUES = np.random.default_rng(0).standard_normal((3, 4, 5))
ATTRIBUTES = {
    "model": "rnn",
    "seed": 3,
    "loss": 0.25,
    "empty": "",
    "trained": True,
    "parent": None,
    "layers": [1, [2, 3]],
    "optimiser": {"name": "adam", "betas": [0.9, None], "options": {"nesterov": False}},
}


class Planted:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_values_survive_every_kind_of_file(tmp_path, kind, dtype):
    path = repsim.save(VALUES.astype(dtype), tmp_path / "new" / f"a{kind}")
    activations = repsim.load(str(path))
    assert activations.dims == ("trial", "time", "unit")
    assert activations.dtype == np.dtype(dtype)
    assert activations.name == "a"
    np.testing.assert_array_equal(activations.values, VALUES.astype(dtype))


@pytest.mark.parametrize("kind", LABELLED)
def test_labels_time_and_attributes_survive(tmp_path, kind):
    before = repsim.as_activations(
        VALUES, dt=0.5, trials=["go", "stop", "gö"], units=range(5), **ATTRIBUTES
    )
    after = repsim.load(repsim.save(before, tmp_path / f"a{kind}"))
    assert after.trial.values.tolist() == ["go", "stop", "gö"]
    assert after.time.values.tolist() == [0, 0.5, 1, 1.5]
    assert after.unit.values.tolist() == [0, 1, 2, 3, 4]
    assert after.attrs == ATTRIBUTES
    assert {name: type(value) for name, value in after.attrs.items()} == {
        name: type(value) for name, value in ATTRIBUTES.items()
    }


@pytest.mark.parametrize("kind", LABELLED)
@pytest.mark.parametrize("name", ["scale_factor", "add_offset", "_FillValue", "coordinates"])
def test_attributes_with_a_meaning_in_netcdf_change_nothing(tmp_path, kind, name):
    value = "unit" if name == "coordinates" else 2.0
    before = repsim.as_activations(np.arange(60.0).reshape(3, 4, 5), **{name: value})
    after = repsim.load(repsim.save(before, tmp_path / f"a{kind}"))
    np.testing.assert_array_equal(after.values, before.values)
    assert after.attrs == {name: value}


@pytest.mark.parametrize("kind", LABELLED)
def test_attributes_set_by_hand_survive(tmp_path, kind):
    before = repsim.as_activations(VALUES, big=2**70)
    before.attrs |= {"count": np.int64(3), "curve": np.arange(3)}
    after = repsim.load(repsim.save(before, tmp_path / f"a{kind}"))
    assert after.attrs == {"big": 2**70, "count": 3, "curve": [0, 1, 2]}


@pytest.mark.parametrize("kind", LABELLED)
def test_a_name_with_a_slash_can_be_saved(tmp_path, kind):
    named = repsim.as_activations(VALUES).rename("layer/3")
    after = repsim.load(repsim.save(named, tmp_path / f"a{kind}"))
    np.testing.assert_array_equal(after.values, VALUES)


def test_saving_leaves_the_activations_alone(tmp_path):
    activations = repsim.as_activations(VALUES, **ATTRIBUTES)
    repsim.save(activations, tmp_path / "a.nc")
    assert activations.attrs == ATTRIBUTES
    assert activations.name is None


@pytest.mark.parametrize("kind", [".npy", ".npz", ".pt"])
def test_pickled_content_is_refused_and_not_executed(tmp_path, kind):
    path, planted = tmp_path / f"a{kind}", tmp_path / "planted"
    content = np.array([Planted(planted)], dtype=object)
    writers = {
        ".npy": lambda: np.save(path, content, allow_pickle=True),
        ".npz": lambda: np.savez(path, a=content),
        ".pt": lambda: torch.save({"a": Planted(planted)}, path),
    }
    writers[kind]()
    with pytest.raises(InputError, match="pickled objects"):
        repsim.load(path)
    assert not planted.exists()
    pickle.loads(pickle.dumps(Planted(planted)))
    assert planted.exists()  # the trap works


@pytest.mark.parametrize("kind", [".npy", ".pt"])
def test_a_bare_pickle_is_refused_and_not_executed(tmp_path, kind):
    path, planted = tmp_path / f"a{kind}", tmp_path / "planted"
    path.write_bytes(pickle.dumps(Planted(planted)))
    with pytest.raises(InputError, match="Cannot read"):
        repsim.load(path)
    assert not planted.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", ["nothing", "garbage", "half"])
def test_broken_files_are_refused_by_name(tmp_path, kind, content):
    path = tmp_path / f"a{kind}"
    if content != "half":
        path.write_bytes(b"" if content == "nothing" else b"garbage" * 99)
    else:
        repsim.save(np.ones((30, 40, 5)), path)
        parts = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        for part in parts:
            part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    with pytest.raises(InputError, match=r"Cannot read .*a\.") as error:
        repsim.load(path)
    assert "\n" not in str(error.value)
    del error
    gc.collect()  # a file left open would be warned about now


def test_one_array_of_several_is_named(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, first=VALUES, second=VALUES + 1)
    np.testing.assert_array_equal(repsim.load(path, "second").values, VALUES + 1)
    with pytest.raises(InputError, match=r"2 arrays: first, second.*key='first'"):
        repsim.load(path)
    with pytest.raises(InputError, match=r"No 'third' in a\.npz, which holds first, second"):
        repsim.load(path, key="third")


@pytest.mark.parametrize("kind", [".nc", ".pt", ".safetensors"])
def test_other_kinds_hold_several_arrays_too(tmp_path, kind):
    from safetensors.numpy import save_file

    path, arrays = tmp_path / f"a{kind}", {"first": VALUES, "second": VALUES + 1}
    if kind == ".nc":
        dims = ("trial", "time", "unit")
        xr.Dataset({k: (dims, v) for k, v in arrays.items()}).to_netcdf(path, engine="h5netcdf")
    elif kind == ".pt":
        torch.save({k: torch.tensor(v) for k, v in arrays.items()}, path)
    else:
        save_file(arrays, path)
    np.testing.assert_array_equal(repsim.load(path, "second").values, VALUES + 1)
    with pytest.raises(InputError, match="2 arrays"):
        repsim.load(path)


def test_a_key_for_a_file_without_names_is_refused(tmp_path):
    path = repsim.save(VALUES, tmp_path / "a.npy")
    with pytest.raises(InputError, match="one array without a name"):
        repsim.load(path, key="b")


def test_an_unknown_suffix_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"'\.mat'.*\.npy, \.npz, \.nc"):
        repsim.load(tmp_path / "a.mat")
    with pytest.raises(InputError, match=r"'\.mat'"):
        repsim.save(VALUES, tmp_path / "a.mat")
    with pytest.raises(InputError, match=r"No file .*a\.npy"):
        repsim.load(tmp_path / "a.npy")


def test_values_that_cannot_be_activations_are_refused_with_the_file_name(tmp_path):
    np.save(tmp_path / "bad.npy", np.full((2, 3), np.nan))
    with pytest.raises(InputError, match=r"bad\.npy: .*6 of 6"):
        repsim.load(tmp_path / "bad.npy")


@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_that_fails_midway_leaves_the_old_file(tmp_path, kind, monkeypatch):
    path = repsim.save(VALUES, tmp_path / f"a{kind}")

    def fail_midway(activations, unfinished):
        unfinished.write_bytes(b"half")
        raise RuntimeError("stopped midway")

    monkeypatch.setitem(files.WRITERS, kind, fail_midway)
    with pytest.raises(RuntimeError, match="stopped midway"):
        repsim.save(VALUES + 1, path)
    np.testing.assert_array_equal(repsim.load(path).values, VALUES)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", KINDS)
def test_saving_again_replaces_the_old_file(tmp_path, kind):
    path = repsim.save(VALUES, tmp_path / f"a{kind}")
    repsim.save(VALUES[:2] + 1, path)
    np.testing.assert_array_equal(repsim.load(path).values, VALUES[:2] + 1)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RepsimError, match="file"):
        repsim.save(VALUES, tmp_path / "file" / "a.npy")


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_that_name_is_never_replaced(tmp_path, kind):
    precious = tmp_path / f"run{kind}" / "precious"
    precious.parent.mkdir()
    precious.write_text("months of work")
    with pytest.raises(InputError, match="is a folder"):
        repsim.save(VALUES, precious.parent)
    assert precious.read_text() == "months of work"
    assert [one.name for one in tmp_path.iterdir()] == [precious.parent.name]


@pytest.mark.parametrize("kind", KINDS)
def test_a_system_that_will_not_write_is_told_in_words(kind):
    with pytest.raises(InputError, match=r"Cannot write .*/proc"):
        repsim.save(VALUES, f"/proc/x{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_suffix_in_capitals_is_a_kind_too(tmp_path, kind):
    path = repsim.save(VALUES, tmp_path / f"A{kind.upper()}")
    np.testing.assert_array_equal(repsim.load(path).values, VALUES)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_one_array_is_read_beside_another_that_cannot_be(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, good=VALUES, bad=np.array([{}], dtype=object))
    np.testing.assert_array_equal(repsim.load(path, "good").values, VALUES)
    with pytest.raises(InputError, match="pickled objects"):
        repsim.load(path, "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_file_is_not_said_to_hold_pickles(tmp_path, kind):
    path = tmp_path / f"a{kind}"
    path.write_text("trial,time,unit\n1,2,3\n")
    with pytest.raises(InputError, match="Cannot read") as error:
        repsim.load(path)
    assert "pickle" not in str(error.value)


@pytest.mark.parametrize("kind", LABELLED)
def test_labels_of_several_levels_are_told_to_become_coordinates(tmp_path, kind):
    levels = pd.MultiIndex.from_product([["go", "stop"], [1, 2]], names=["cue", "block"])
    labelled = xr.Coordinates.from_pandas_multiindex(levels, "trial")
    activations = repsim.as_activations(np.ones((4, 3, 2))).assign_coords(labelled)
    with pytest.raises(InputError, match=r"trial labels have 2 levels.*reset_index\('trial'\)"):
        repsim.save(activations, tmp_path / f"a{kind}")
    kept = repsim.load(repsim.save(activations.reset_index("trial"), tmp_path / f"a{kind}"))
    assert kept.cue.values.tolist() == ["go", "go", "stop", "stop"]


def test_a_folder_among_pickles_is_said_to_be_a_folder(tmp_path):
    path = tmp_path / "pickles" / "a.npy"
    path.mkdir(parents=True)
    with pytest.raises(InputError, match=r"Is a directory"):
        repsim.load(path)
