import errno
import functools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import repsim
from model_zoo.mamba import Mamba
from model_zoo.rnn import LeakyRNN
from model_zoo.rounds import FINAL, TESTING, TRAINING
from repsim.cache import Cache, address_of, default_folder
from repsim.errors import RepsimError
from repsim.plugins import TASKS
from repsim.source_code import code_version
from repsim.trial_recording import RECORDING, record_trials, task_facts

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


@pytest.mark.parametrize(
    ("name", "line"), [("relative", "from .inner import VALUE"), ("nearby", "from . import inner")]
)
def test_the_code_version_follows_relative_imports(tmp_path, monkeypatch, name, line):
    package = tmp_path / name / "deep"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "inner.py").write_text("VALUE = 1\n")
    (package / "model.py").write_text(f"{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_version(f"{name}.deep.model")
    (package / "inner.py").write_text("VALUE = 2\n")
    assert code_version(f"{name}.deep.model") != before


SCRIPT = """
from beside import VALUE
from repsim.source_code import code_version
class Mine: pass
print(code_version(Mine))
"""


def test_the_code_version_of_a_script_follows_its_folder(tmp_path):
    def version(script, value):
        (tmp_path / "beside.py").write_text(f"VALUE = {value}\n")
        (tmp_path / "script.py").write_text(script)
        words = [sys.executable, str(tmp_path / "script.py")]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    first = version(SCRIPT, 1)
    assert version(SCRIPT, 1) == first
    assert len({first, version(SCRIPT, 2), version(SCRIPT + "\n1\n", 1)}) == 3


def test_what_is_defined_at_a_prompt_is_refused_in_words():
    code = "from repsim.source_code import code_version\nclass Mine: pass\ncode_version(Mine)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "RepsimError: Mine is defined at a prompt or in a notebook" in done.stderr


def test_a_partial_counts_by_its_function_and_what_it_was_given():
    task = TASKS["flip_flop"](n_steps=20)
    one, same, other = (
        replace(task, draw=functools.partial(task.draw, extra=extra)) for extra in (1, 1, 2)
    )
    assert code_version(one.draw) == code_version(task.draw)
    assert task_facts(one) == task_facts(same) != task_facts(other)


def test_task_parameters_count_to_the_last_entry_of_an_array():
    task = TASKS["flip_flop"](n_steps=20)
    long, longer = np.zeros(2000), np.zeros(2000)
    longer[1000] = 1
    one, same, other = (
        replace(task, parameters={"template": each}) for each in (long, long.copy(), longer)
    )
    assert task_facts(one) == task_facts(same) != task_facts(other)


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_recorded_trials_are_none_of_the_training(seed):
    task = TASKS["flip_flop"](n_steps=20)
    recorded = []
    signal = replace(task, judge=lambda outputs, trials: recorded.append(trials) or np.ones(64))
    record_trials(LeakyRNN(3, 4, 3), signal, states="h", n_trials=64, trial_seed=seed)
    for stream in ([seed, TRAINING, 0], [seed, TESTING, 0], [seed, FINAL], seed, [seed, RECORDING]):
        trained = task.trials(np.random.default_rng(stream), 64)
        assert not np.array_equal(recorded[0].inputs, trained.inputs)


def test_recordings_differ_by_the_settings_of_a_submodule(cache):
    task = TASKS["flip_flop"](n_steps=20)
    first, second = (
        Mamba(3, 8, 3, n_states=4, input_discretisation=one) for one in ("euler", "zoh")
    )
    second.load_state_dict(first.state_dict())
    words = {"states": "layer1.h", "n_trials": 5}
    record_trials(first, task, **words, cache=cache)
    found = record_trials(second, task, **words, cache=cache)["layer1.h"]
    assert np.array_equal(found, record_trials(second, task, **words)["layer1.h"])


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(errno.EMFILE, "Too many open files"), ImportError("no netCDF")]
)
@pytest.mark.parametrize("kind", ["network", "activations"])
def test_what_the_machine_lacks_deletes_no_entry(cache, monkeypatch, error, kind):
    def fail(*_, **__):
        raise error

    if kind == "network":
        path, load = cache.save_network(FACTS, ARRAYS, {}), cache.load_network
        monkeypatch.setattr("safetensors.safe_open", fail)
    else:
        path = cache.save_activations(FACTS, repsim.as_activations(np.ones((4, 3, 2))))
        load = cache.load_activations
        monkeypatch.setitem(repsim.files.READERS, ".nc", fail)
    with pytest.raises((type(error), RepsimError)):
        load(FACTS)
    monkeypatch.undo()
    assert path.exists()
    assert load(FACTS) is not None


def test_clearing_says_what_cannot_be_deleted(cache, monkeypatch):
    folder = cache.place("unfinished", FACTS)
    folder.mkdir()

    def busy(*_):
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr("shutil.rmtree", busy)
    with pytest.raises(RepsimError, match=r"Directory not empty. Something else may be writing"):
        cache.clear()


def test_numbers_of_numpy_count_as_what_they_are():
    facts = FACTS | {"n_units": np.int64(8), "checkpoints": np.array([0.0, 1.0])}
    assert address_of(facts) == address_of(FACTS | {"n_units": 8, "checkpoints": [0.0, 1.0]})
    with pytest.raises(RepsimError, match="'n_units' cannot be saved"):
        address_of(FACTS | {"n_units": float("inf")})


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
