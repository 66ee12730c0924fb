"""Delays and rank by held-out prediction: finds what was planted, sees nothing it should not."""

import numpy as np
import pytest
import torch

import repsim
from repsim.dynamics import choice
from repsim.dynamics.choice import choose, choose_delays_and_rank, sensitivity
from repsim.dynamics.operator import fit_operator
from repsim.errors import InputError, RepsimError


def system(n_trials=20, n_steps=60, n_units=6, noise=0.05, seed=0, n_states=4):
    """Slowly damped rotations, driven a little, seen through a random embedding."""
    rng = np.random.default_rng(seed)
    step = np.zeros((n_states, n_states))
    for i in range(0, n_states, 2):
        angle = 0.35 + 0.45 * i / 2 + 0.05 * seed
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        step[i : i + 2, i : i + 2] = 0.98 * np.array(turn)
    states = [rng.standard_normal((n_trials, n_states))]
    for _ in range(n_steps - 1):
        drive = noise * rng.standard_normal((n_trials, n_states))
        states.append(states[-1] @ step.T + drive)
    mixing = np.linalg.qr(rng.standard_normal((max(n_units, n_states), n_states)))[0][:n_units]
    return np.stack(states, axis=1) @ mixing.T


def two_sets(**options):
    return [system(seed=seed, **options) for seed in (0, 1)]


@pytest.mark.parametrize("n_states", [2, 4])
def test_all_states_in_sight_need_one_delay_and_their_number(n_states):
    chosen, _ = choose_delays_and_rank(two_sets(n_states=n_states))
    assert chosen == {"delays": 1, "rank": n_states}


def test_states_out_of_sight_need_delays():
    sets = two_sets(n_units=1, noise=0.002)
    chosen, grid = choose_delays_and_rank(sets)
    assert chosen["delays"] >= 4
    assert chosen["rank"] >= 4
    errors = grid.set_index(["delays", "rank"])["error"]
    assert errors[chosen["delays"], chosen["rank"]] < 0.2 * errors[1, 1]


def test_numbers_given_stay():
    sets = two_sets()
    assert choose_delays_and_rank(sets, delays=3)[0]["delays"] == 3
    chosen, grid = choose_delays_and_rank(sets, rank=7)
    assert chosen["rank"] == 7
    assert set(grid["rank"]) == {7}
    assert choose_delays_and_rank(sets, 2, 5)[0] == {"delays": 2, "rank": 5}


def test_the_grid_and_the_rule_of_one_standard_error():
    _, grid = choose_delays_and_rank(two_sets())
    assert list(grid.columns) == ["delays", "rank", "error", "standard_error", "chosen"]
    assert grid["chosen"].sum() == 1
    assert not grid[["delays", "rank"]].duplicated().any()
    best = grid.loc[grid["error"].idxmin()]
    limit = best["error"] + best["standard_error"]
    chosen = grid[grid["chosen"]].iloc[0]
    assert best["error"] <= chosen["error"] <= limit
    smaller = (grid["rank"] < chosen["rank"]) | (
        (grid["rank"] == chosen["rank"]) & (grid["delays"] < chosen["delays"])
    )
    assert (grid[smaller]["error"] > limit).all()


def test_error_is_held_out():
    """By hand for one set, one combination: every fifth trial is left out."""
    one = system(n_trials=7)
    errors = []
    for fold in range(5):
        left_out = np.arange(7) % 5 == fold
        fitted = fit_operator(one[~left_out], 2, 3)
        errors.append(fitted.score(one[left_out], 10))
    _, grid = choose_delays_and_rank([one], 2, 3)
    assert grid["error"][0] == pytest.approx(np.mean(errors), rel=1e-9)
    assert grid["standard_error"][0] == pytest.approx(np.std(errors, ddof=1) / np.sqrt(5), rel=1e-9)


def test_noise_does_not_win_by_size():
    """No predictor of white noise beats the smallest one by more than chance."""
    noise = [np.random.default_rng(i).standard_normal((10, 40, 4)) for i in range(2)]
    chosen, grid = choose_delays_and_rank(noise)
    assert chosen["rank"] <= 2
    assert grid["error"].min() > 0.68


def test_every_set_can_carry_the_choice():
    sets = [system(n_units=2, n_states=2), system(n_units=9, seed=1)]
    _, grid = choose_delays_and_rank(sets)
    assert (grid["rank"] <= 2 * grid["delays"]).all()
    flat = np.repeat(system(n_units=2, n_states=2, noise=0), 2, axis=2)
    _, grid = choose_delays_and_rank([flat, sets[1]])
    assert grid["rank"].max() == 2  # noise-free rotation in four units: two directions
    for delays, rank in grid[["delays", "rank"]].to_numpy():
        fit_operator(flat, int(delays), int(rank))


def test_same_choice_for_scaled_turned_and_reordered_sets():
    sets = two_sets()
    chosen, grid = choose_delays_and_rank(sets)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    for others in ([1e6 * sets[0], sets[1]], sets[::-1], sets * 2):
        again, other = choose_delays_and_rank(others)
        assert again == chosen
        assert np.allclose(other["error"], grid["error"], rtol=1e-6)
    assert choose_delays_and_rank([sets[0] @ turn, sets[1]])[0] == chosen


def test_same_numbers_twice_and_for_tensors():
    sets = two_sets()
    grids = [choose_delays_and_rank(sets)[1] for _ in range(2)]
    assert grids[0].equals(grids[1])
    tensors = [torch.tensor(one, requires_grad=True) for one in sets]
    assert choose_delays_and_rank(tensors)[1].equals(grids[0])


def test_a_lone_trial_is_cut_into_pieces_of_time():
    lone = [system(n_trials=1, n_steps=400, seed=seed) for seed in (0, 1)]
    chosen, _ = choose_delays_and_rank(lone)
    assert chosen == {"delays": 1, "rank": 4}
    pieces = [np.stack(np.array_split(one[0], 5)) for one in lone]
    assert choose_delays_and_rank(pieces)[0] == chosen


def test_too_little_data():
    with pytest.raises(InputError, match=r"no combination .* suits every set; .* has 60 steps"):
        choose_delays_and_rank(two_sets(), delays=60)
    with pytest.raises(InputError, match="rank 50 suits every set"):
        choose_delays_and_rank(two_sets(), delays=1, rank=50)
    with pytest.raises(InputError, match="do not move"):
        choose_delays_and_rank([np.ones((5, 30, 3))])


def test_a_rule_for_the_rank_needs_a_number_of_delays():
    with pytest.raises(RepsimError, match=r'rank is 0\.9 and delays "auto"'):
        choose_delays_and_rank(two_sets(), rank=0.9)
    with pytest.raises(RepsimError, match="rank is 'most'"):
        choose_delays_and_rank(two_sets(), rank="most")


def test_nothing_is_read_when_nothing_is_auto():
    assert choose([None, None], delays=10, rank=20, interval=1, comparison="angular") == {}


def test_rules_give_one_rank_to_all_sets():
    sets = [system(n_states=2), system(seed=1)]
    own = [fit_operator(one, 2, 0.95).rank for one in sets]
    assert own[0] < own[1]
    assert choose(sets, delays=2, rank=0.95) == {"rank": own[1]}


@pytest.mark.parametrize("name", ["dsa", "dsa_spectrum"])
def test_metrics_choose_once_for_all_sets(monkeypatch, name):
    calls = []
    original = choice.choose_delays_and_rank

    def counted(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(choice, "_answered", {})
    monkeypatch.setattr(choice, "choose_delays_and_rank", counted)
    sets = [*two_sets(n_trials=6), system(6, seed=2)]
    found = repsim.compare(sets, f'{name}(delays="auto", rank="auto")')
    assert len(calls) == 1
    chosen, _ = original(sets)
    assert {key: found.attrs[key] for key in chosen} == chosen
    assert found.attrs["metric"] == f"{name}(delays='auto', rank='auto')"
    plain = repsim.compare(sets, repsim.get_metric(name, **chosen))
    assert np.allclose(found, plain, atol=1e-9)
    assert found.values[0, 1] > 1e-3


def test_metrics_take_rules_for_the_rank():
    found = repsim.compare(two_sets(), "dsa_spectrum(delays=2, rank=0.99)")
    assert found.attrs["rank"] >= 4


def test_sensitivity_is_compare_over_a_grid():
    sets = {"slow": system(), "fast": system(seed=3), "other": system(n_units=8, seed=5)}
    found = sensitivity(sets, delays=[1, 3, 60], ranks=[2, 8], order=1)
    assert found.dims == ("delays", "rank", "x", "y")
    assert found.shape == (3, 2, 3, 3)
    assert list(found["x"].values) == ["slow", "fast", "other"]
    one = repsim.compare(sets, "dsa_spectrum(delays=3, rank=2, order=1)")
    assert np.array_equal(found.sel(delays=3, rank=2), one)
    blank = found.isnull().all(("x", "y"))
    assert blank.values.tolist() == [[False, True], [False, False], [True, True]]


def test_sensitivity_that_cannot_be_had():
    with pytest.raises(InputError, match="need at least 81 time steps"):
        sensitivity(two_sets(), delays=[80], ranks=[2])
    with pytest.raises(RepsimError, match="the grid is empty"):
        sensitivity(two_sets(), delays=[], ranks=[2])


def test_of_many_sets_a_few_are_tried_and_all_can_carry_the_choice(monkeypatch):
    tried = []

    def spy(trials, *others, whole=choice._set_errors):
        tried.append(trials[0].shape[1])
        return whole(trials, *others)

    monkeypatch.setattr(choice, "_set_errors", spy)
    sets = [system(n_units=4 + i, n_states=4, seed=i, n_trials=6, n_steps=30) for i in range(11)]
    chosen, _ = choose_delays_and_rank(sets)
    assert tried == [4, 6, 8, 10, 12, 14]
    few = system(n_units=1, n_states=2, n_trials=6, n_steps=30)
    sets.insert(1, few)  # not among those tried
    narrow, grid = choose_delays_and_rank(sets)
    assert (grid["rank"] <= grid["delays"]).all()
    assert narrow != chosen
    fit_operator(few, **narrow)


def test_the_same_question_is_worked_out_once(monkeypatch):
    asked = []

    def spy(*arguments, whole=choice.choose_delays_and_rank, **settings):
        asked.append(arguments)
        return whole(*arguments, **settings)

    monkeypatch.setattr(choice, "choose_delays_and_rank", spy)
    sets = two_sets(n_trials=6, n_steps=30)
    first = choose(sets, delays="auto", rank="auto")
    first["rank"] = -1  # what is given away is a copy
    again = choose([x.copy() for x in sets], delays="auto", rank="auto")
    assert len(asked) == 1
    assert again == choice.choose_delays_and_rank(sets)[0]
    other = [x.copy() for x in sets]
    other[1][0, 0, 0] += 1e-9
    for arrays, settings in ((other, {}), (sets, {"interval": 2}), (sets, {"rank": 3})):
        before = len(asked)
        choose(arrays, **{"delays": "auto", "rank": "auto"} | settings)
        assert len(asked) == before + 1
