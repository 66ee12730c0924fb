import numpy as np
import pytest

import repsim
from model_zoo.rnn import LeakyRNN
from repsim.cache import Cache, address_of, code_version, default_folder
from repsim.errors import RepsimError
from repsim.plugins import TASKS
from repsim.trial_recording import record_trials

FACTS = {"model": "leaky_rnn", "task": "basic", "seed": 3, "settings": {"steps": 10}}
ARRAYS = {"weight": np.arange(6.0).reshape(2, 3), "bias": np.zeros(2, np.float32)}


@pytest.fixture
def told():
    return []


@pytest.fixture
def cache(tmp_path, told):
    return Cache(tmp_path / "cache", told.append)


def test_a_network_comes_back_as_it_was_kept(cache):
    assert cache.load_network(FACTS) is None
    cache.save_network(FACTS, ARRAYS, {"steps": 10})
    arrays, record = cache.load_network(FACTS)
    assert record == {"steps": 10}
    for name, one in ARRAYS.items():
        assert arrays[name].dtype == one.dtype
        assert np.array_equal(arrays[name], one)


def test_activations_come_back_as_they_were_kept(cache):
    kept = repsim.as_activations(np.random.default_rng(0).standard_normal((4, 3, 2)), model="a")
    cache.save_activations(FACTS, kept)
    found = cache.load_activations(FACTS)
    assert found.identical(kept.rename(found.name))


def test_every_fact_counts_and_their_order_does_not(cache):
    cache.save_network(FACTS, ARRAYS, {})
    assert cache.load_network(dict(reversed(FACTS.items()))) is not None
    for name, other in (("seed", 4), ("model", "gru"), ("settings", {"steps": 11})):
        assert cache.load_network(FACTS | {name: other}) is None
        assert address_of(FACTS | {name: other}) != address_of(FACTS)


@pytest.mark.parametrize("damage", ["torn", "empty", "one byte"])
def test_a_damaged_entry_counts_as_absent_and_is_said_to_be(cache, told, damage):
    path = cache.save_network(FACTS, ARRAYS, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes({"torn": content[:50], "empty": b"", "one byte": content}[damage])
    assert cache.load_network(FACTS) is None
    assert len(told) == 1
    assert "damaged" in told[0]
    assert "trained again" in told[0]
    assert cache.load_network(FACTS) is None
    assert len(told) == 1


def test_damaged_activations_count_as_absent(cache, told):
    path = cache.save_activations(FACTS, repsim.as_activations(np.ones((4, 3, 2))))
    repsim.save(repsim.load(path) + 1, path)
    assert cache.load_activations(FACTS) is None
    path.write_bytes(b"\x89HDF")
    assert cache.load_activations(FACTS) is None
    assert "recorded again" in told[0]


def test_damage_is_a_warning_where_nobody_listens(tmp_path):
    cache = Cache(tmp_path)
    cache.save_network(FACTS, ARRAYS, {}).write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"):
        cache.load_network(FACTS)


def test_a_write_that_fails_leaves_the_old_entry_and_no_rest(cache, monkeypatch):
    path = cache.save_network(FACTS, ARRAYS, {"old": True})

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        cache.save_network(FACTS, ARRAYS, {"old": False})
    monkeypatch.undo()
    assert cache.load_network(FACTS)[1] == {"old": True}
    assert list(path.parent.iterdir()) == [path]


def test_entries_are_listed_and_cleared_by_kind(cache):
    cache.save_network(FACTS, ARRAYS, {})
    cache.save_activations(FACTS, repsim.as_activations(np.ones((4, 3, 2))))
    cache.place("networks", FACTS | {"seed": 4}).write_bytes(b"torn")
    kinds = [one.kind for one in cache.entries()]
    assert sorted(kinds) == ["activations", "networks", "networks"]
    assert sorted(one.facts.get("seed", -1) for one in cache.entries()) == [-1, 3, 3]
    assert all(one.n_bytes > 0 for one in cache.entries())
    assert cache.clear("activations") == 1
    assert cache.clear() == 2
    assert cache.entries() == []
    with pytest.raises(RepsimError, match="No kind 'models'"):
        cache.clear("models")


def test_the_folder_is_the_users_unless_named(monkeypatch, tmp_path):
    monkeypatch.setenv("REPSIM_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("REPSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder().name == "repsim"
    (tmp_path / "file").write_text("")
    with pytest.raises(RepsimError, match="Name another folder in REPSIM_CACHE"):
        Cache(tmp_path / "file").place("networks", FACTS)


def test_the_code_version_follows_what_a_module_imports(tmp_path, monkeypatch):
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("VALUE = 1\n")
    (package / "other.py").write_text("VALUE = 1\n")
    (package / "model.py").write_text("import numpy\nfrom mypackage.inner import VALUE\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_version("mypackage.model")
    (package / "other.py").write_text("VALUE = 2\n")
    assert code_version("mypackage.model") == before
    (package / "inner.py").write_text("VALUE = 2\n")
    assert code_version("mypackage.model") != before


def test_recordings_are_kept_by_the_values_of_the_network(cache):

    task = TASKS["perceptual_decision/basic"](timing="short", dt_ms=50)
    model = LeakyRNN(task.n_inputs, 4, task.n_outputs)
    first = record_trials(model, task, states="h", n_trials=5, cache=cache)["h"]
    again = record_trials(model, task, states="h", n_trials=5, cache=cache)["h"]
    assert len(cache.entries()) == 1
    assert again.identical(first)
    model.bias.data += 1
    moved = record_trials(model, task, states="h", n_trials=5, cache=cache)["h"]
    fewer = record_trials(model, task, states="h", n_trials=5, units=2, cache=cache)["h"]
    assert not np.array_equal(moved, first)
    assert fewer.sizes["unit"] == 2
    assert len(cache.entries()) == 3
