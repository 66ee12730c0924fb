import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import repsim
from repsim.errors import InputError
from repsim.recording import record

TRIALS, TIME, INPUTS, UNITS = 10, 6, 3, 5


class Recurrent(nn.Module):
    """A user's model: an LSTM without batch_first, a cell called once a step, named states."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, UNITS)
        self.cell = nn.GRUCell(UNITS, UNITS)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Sequential(nn.Linear(UNITS, 4), nn.ReLU(inplace=True))
        self.unused = nn.Linear(2, 2)
        self.n_trials, self.gradients = [], []

    def forward(self, inputs):
        self.n_trials.append(len(inputs))
        self.gradients.append(torch.is_grad_enabled())
        sequence, _ = self.lstm(inputs.transpose(0, 1))
        h, steps = None, []
        for x in sequence:
            h = self.cell(x, h)
            steps.append(h)
        states = torch.stack(steps, 1)
        return self.head(self.drop(states)), {"h": states, "twice": 2 * states}


class Picture(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.split = Split()
        self.fc = nn.Linear(2 * 2 * 3, 7)

    def forward(self, images):
        return self.fc(self.split(self.conv(images))["flat"])


class Split(nn.Module):
    def forward(self, x):
        return {"nothing": None, "flat": x.flatten(1)}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Recurrent()


@pytest.fixture
def inputs():
    return np.random.default_rng(0).standard_normal((TRIALS, TIME, INPUTS))


def hooks_of(module):
    return [hook for one in module.modules() for hook in one._forward_hooks.values()]


def test_layers_and_states_are_what_the_module_computed(model, inputs):
    found = record(model, inputs, layers=["lstm", "cell", "head.0"], states="twice", batch=4)
    model.eval()
    with torch.no_grad():
        given = torch.from_numpy(inputs).float()
        outputs, states = model(given)
        sequence = model.lstm(given.transpose(0, 1))[0].transpose(0, 1)
        linear = model.head[0](states["h"])
    wanted = {"lstm": sequence, "cell": states["h"], "head.0": linear, "twice": states["twice"]}
    assert list(found) == list(wanted)
    for name, one in wanted.items():
        assert found[name].dims == ("trial", "time", "unit")
        assert found[name].name == found[name].attrs["layer"] == name
        assert np.allclose(found[name], one, atol=1e-6)
    assert (linear < 0).any()
    assert (outputs >= 0).all()


def test_all_states_are_recorded_when_nothing_is_named(model, inputs):
    assert list(record(model, inputs)) == ["h", "twice"]


def test_the_module_is_left_as_it_was(model, inputs):
    model.drop.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    record(model, inputs, layers=["head"], batch=4)
    assert [one.training for one in (model, model.lstm, model.drop)] == [True, True, False]
    assert hooks_of(model) == []
    assert model.n_trials == [4, 4, 2]
    assert not any(model.gradients)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("layers", [["cell", "fc3"], ["cell", "unused"]])
def test_hooks_are_gone_after_an_error(model, inputs, layers):
    with pytest.raises(InputError):
        record(model, inputs, layers=layers)
    assert hooks_of(model) == []
    assert model.training


def test_eval_mode_makes_a_recording_repeatable(model, inputs):
    first, second = (record(model, inputs, layers="head")["head"] for _ in range(2))
    assert np.array_equal(first, second)


def test_pictures_become_units_in_the_order_channel_height_width():
    images = np.random.default_rng(1).standard_normal((TRIALS, 1, 4, 5)).astype(np.float32)
    model = Picture()
    found = record(model, images, layers=["conv", "split", "fc"])
    assert found["conv"].shape == (TRIALS, 1, 12)
    assert found["fc"].shape == (TRIALS, 1, 7)
    with torch.no_grad():
        conv = model.conv(torch.from_numpy(images)).numpy()
    assert np.allclose(found["conv"][:, 0, 6 * 1 + 3 * 1 + 2], conv[:, 1, 1, 2])
    assert np.array_equal(found["split"], found["conv"])


def test_labels_travel_with_the_activations_and_survive_a_file(model, inputs, tmp_path):
    conditions = pd.DataFrame({"coherence": np.arange(TRIALS) / 10, "rule": ["anti"] * TRIALS})
    epochs = np.array([["fixation"] * 2 + ["stimulus"] * 4] * TRIALS)
    found = record(
        model, inputs, states="h", conditions=conditions, epochs=epochs, dt=20,
        behaviour={"choice": np.arange(TRIALS) % 2}, model="mine", seed=3,
    )["h"]  # fmt: skip
    assert found.time.values.tolist() == [0, 20, 40, 60, 80, 100]
    assert found.time.attrs["units"] == "ms"
    back = repsim.load(repsim.save(found, tmp_path / "h.nc"))
    for one in (found, back):
        assert one.coherence.dims == ("trial",)
        assert np.allclose(one.coherence, np.arange(TRIALS) / 10)
        assert one.rule.values.tolist() == ["anti"] * TRIALS
        assert one.choice.values.tolist() == [0, 1] * 5
        assert one.epoch.sel(time=40).values.tolist() == ["stimulus"] * TRIALS
        assert (one.attrs["model"], one.attrs["seed"]) == ("mine", 3)
    stimulus = found.isel(time=np.flatnonzero(epochs[0] == "stimulus"))
    same = repsim.compare({"a": found, "b": found * 2}, metric="linear_cka")
    other = repsim.compare({"a": stimulus, "b": stimulus[::-1]}, metric="linear_cka")
    assert same.values.max() < 1e-6 < 1e-3 < other.values.max()


def test_a_choice_of_units_is_kept_with_its_numbers(model, inputs):
    whole = record(model, inputs, states="h")["h"]
    spread = record(model, inputs, states="h", units=3)["h"]
    chosen = record(model, inputs, states="h", units=[4, 1])["h"]
    assert spread.unit.values.tolist() == [0, 2, 4]
    assert chosen.unit.values.tolist() == [4, 1]
    for one in (spread, chosen):
        assert np.array_equal(one, whole.sel(unit=one.unit))
    assert record(model, inputs, states="h", units=99)["h"].sizes["unit"] == UNITS


def test_inputs_may_be_labelled_or_reversed_arrays(model, inputs):
    plain = record(model, inputs, states="h")["h"]
    labelled = repsim.as_activations(inputs)
    assert np.array_equal(record(model, labelled, states="h")["h"], plain)
    assert np.array_equal(record(model, inputs[::-1], states="h")["h"][::-1], plain)
    assert np.array_equal(record(model, torch.tensor(inputs), states="h")["h"], plain)


def test_double_precision_and_whole_numbers_are_taken_as_they_are():
    words = nn.Embedding(9, 4).double()
    found = record(words, np.arange(6).reshape(3, 2), layers="")[""]
    assert found.dtype == np.float64
    assert found.shape == (3, 2, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": ["fc3"]}, r"No layer 'fc3'. It has: lstm, cell, drop, head, head\.0"),
        ({"states": ["c"]}, "No state 'c'. It has: h, twice"),
        ({"layers": ["unused"]}, "'unused' did not run"),
        ({"conditions": {"a": [1, 2]}}, r"'a' has shape \(2,\) for 10 trials"),
        ({"conditions": {"unit": np.arange(TRIALS)}}, "'unit' would hide"),
        ({"behaviour": np.zeros((TRIALS, 2))}, "Give one value a trial"),
        ({"epochs": ["a"] * 5}, r"epochs has shape \(5,\)"),
        ({"units": [9]}, r"\[9\] do not all lie in 0 to 4"),
        ({"units": 0}, "units is 0"),
        ({"batch": 0}, "batches of 0"),
        ({"units": np.arange(UNITS) > 2}, r"units are bool.*np\.flatnonzero"),
        ({"units": [0.5]}, "units are float64"),
        ({"layer": "mine"}, "attribute called 'layer' has another meaning"),
        ({"trials": 4}, "attribute called 'trials' has another meaning"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(model, inputs, options, words):
    with pytest.raises(InputError, match=words):
        record(model, inputs, **options)


def test_a_module_without_states_is_told_to_name_layers(inputs):
    with pytest.raises(InputError, match="Record layers="):
        record(nn.Linear(INPUTS, 2), inputs)


class Growing(nn.Module):
    def forward(self, inputs):
        self.inner = getattr(self, "inner", 0) + 1
        return inputs, {"h": inputs[:, : self.inner]}


def test_trials_of_different_length_are_refused(inputs):
    with pytest.raises(InputError, match="2 time steps in one batch and 1 in another"):
        record(Growing(), inputs, batch=5)


@pytest.mark.parametrize(
    ("module", "inputs", "words"),
    [
        (None, np.ones((2, 3)), "module is a NoneType. Give a torch.nn.Module"),
        (lambda x: x, np.ones((2, 3)), "module is a function"),
        (nn.Linear(3, 2), None, "inputs are a NoneType. Give an array or a tensor"),
        (nn.Linear(3, 2), "three", "inputs are a str"),
    ],
)
def test_what_is_no_module_or_no_array_is_refused_in_words(module, inputs, words):
    with pytest.raises(InputError, match=words):
        record(module, inputs, layers="")


@pytest.mark.parametrize("inputs", [np.array(3.0), torch.tensor(3.0)])
def test_a_single_number_is_refused_in_words(inputs):
    with pytest.raises(InputError, match=r"inputs are a .* Give an array"):
        record(nn.Linear(INPUTS, 2), inputs, layers="")


def test_whole_numbers_for_a_module_that_takes_others_are_refused_in_words():
    with pytest.raises(InputError, match=r"inputs of type torch.int64 .* its parameters, torch.f"):
        record(nn.Linear(INPUTS, 2), np.arange(6).reshape(2, INPUTS), layers="")


class TimeFirst(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.head = nn.Linear(4, 2)

    def forward(self, inputs):
        found = self.inner(inputs.transpose(0, 1))
        return self.head(found[0] if isinstance(found, tuple) else found)


@pytest.mark.parametrize(
    ("inner", "layer"),
    [(nn.LSTM(4, 4), "head"), (nn.TransformerEncoderLayer(4, 2, 8), "inner")],
)
def test_trials_and_time_are_not_swapped_in_silence(inner, layer):
    module = TimeFirst(inner)
    square = torch.randn(TIME, TIME, 4)
    with pytest.raises(InputError, match=rf"Layer '{layer}' gives .* other layers put time first"):
        record(module, square, layers=layer)
    with pytest.raises(InputError, match=f"{layer}.* for 5 trials"):
        record(module, square, layers=layer, batch=5)


def test_a_time_first_layer_itself_is_turned_round_even_if_it_is_square():
    module = TimeFirst(nn.LSTM(4, 4))
    square = torch.randn(TIME, TIME, 4)
    found = record(module, square, layers="inner")["inner"]
    with torch.no_grad():
        wanted = module.inner(square.transpose(0, 1))[0].transpose(0, 1)
    assert np.allclose(found, wanted, atol=1e-6)
