import itertools

import numpy as np
import pytest

import repsim
from testcases.attractor import guilhot2024, mixing

FLAT = (-1, 3)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return tuple(mixing.trajectories(n, rng, 1, 12, 60)[0] for n in ("Lorenz r=15", "Roessler"))


def moments(first, whole):
    """Means and all second moments of the base and what was added to it."""
    both = np.concatenate([first, whole - first], axis=-1).reshape(-1, 6)
    return both.mean(0), np.cov(both.T)


def test_noise_has_all_moments_of_the_signal_and_no_order(pair):
    first, second = pair
    rng = np.random.default_rng(1)
    signal, noise = (mixing.mixed(k, first, second, 0.5, rng) for k in ("signal", "noise"))
    np.testing.assert_allclose(signal - first, 0.5 * (second - second[:, :1]), atol=1e-12)
    for ours, wanted in zip(moments(first, noise), moments(first, signal), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-12)
    steps = [np.abs(np.diff(one - first, axis=1)).mean() for one in (signal, noise)]
    assert steps[1] > 4 * steps[0]
    assert mixing.mixed("base", first, second, 0.5, rng) is first


@pytest.mark.parametrize("metric", ["linear_cka", "angular_procrustes", "procrustes"])
def test_metrics_of_second_moments_cannot_tell_them_apart(pair, metric):
    """Equal to rounding before units and their noise come in."""
    rng = np.random.default_rng(2)
    base, *others = (mixing.mixed(kind, *pair, 0.7, rng).reshape(FLAT) for kind in mixing.KINDS)
    signal, noise = (repsim.METRICS[metric].distance(base, one) for one in others)
    assert signal == pytest.approx(noise, rel=1e-9)
    assert signal > 0.01


def test_trajectories_are_standardised(pair):
    for states in pair:
        np.testing.assert_allclose(states.mean((0, 1)), 0, atol=1e-12)
        np.testing.assert_allclose(states.std((0, 1)), 1)


@pytest.mark.parametrize("protocol", ["controlled", "independent"])
def test_a_block_is_one_base_one_signal_and_one_noise(protocol):
    _, truth = mixing.CASE.make(0, protocol)
    assert truth["level"].nunique() == len(mixing.ALPHAS) >= 8
    assert truth["block"].nunique() == mixing.N_PAIRS * len(mixing.ALPHAS)
    for _, block in truth.groupby("block"):
        assert sorted(block["label"]) == ["base", "noise", "signal"]


def test_matched_sets_differ_by_the_addition_alone():
    """It begins at nought, so base and signal differ at first by the noise of the units only."""
    for protocol, matched in (("controlled", True), ("independent", False)):
        sets, truth = mixing.CASE.make(0, protocol)
        block = truth[truth["level"] == mixing.ALPHAS[0]].iloc[:3]
        base, signal = (
            sets[block.index[block["label"] == k][0]].values for k in ("base", "signal")
        )
        apart = np.abs(base - signal).mean((0, 2)) / base.std()
        assert (apart[0] < 0.3) == matched
        assert apart[20:].mean() > 0.8


def smoothed_procrustes(x, y):
    """Angular Procrustes after a running mean over nine time steps."""
    means = [
        np.mean([one[:, i : i + one.shape[1] - 8] for i in range(9)], axis=0) for one in (x, y)
    ]
    x, y = (one.reshape(-1, one.shape[-1]) for one in means)
    return repsim.METRICS["angular_procrustes"](x, y)


def scores(metrics, n_seeds):
    """Scores over seeds by metric, quick size."""
    rows = repsim.evaluate(metrics, mixing.CASE, seeds=n_seeds, quick=True)
    return {
        name: np.array([row["value"] for row in rows if row["metric"] == name])
        for name in {row["metric"] for row in rows}
    }


def assert_at_chance_or_below(values):
    """Within three standard errors, or below."""
    assert values.mean() < 0.5 + 3 * values.std(ddof=1) / len(values) ** 0.5
    assert values.mean() < 0.65


def test_a_metric_that_averages_noise_out_answers_the_signal():
    smoothed = repsim.metric(smoothed_procrustes, view="trajectories")
    assert scores([smoothed], 5)["smoothed_procrustes"].mean() > 0.9


def test_who_is_expected_to_fail_does():
    found = scores([name for name in mixing.CASE.defeats if name != "dsa"], 20)
    assert len(found) == len(mixing.CASE.defeats) - 1
    for values in found.values():
        assert_at_chance_or_below(values)


@pytest.mark.slow
def test_dsa_is_expected_to_fail_and_does():
    assert "dsa" in mixing.CASE.defeats
    assert_at_chance_or_below(scores(["dsa"], 8)["dsa"])


def test_published_sets_are_noisy_copies_and_mixtures():
    sets, truth = mixing.CASE.make(0, "published", quick=True)
    assert len(sets) == 3 * 3 * 42
    assert truth.groupby("block")["label"].agg(sorted).map(tuple).nunique() == 1
    pairs = {block.split(" + ")[0] + block.split(" ")[-1] for block in truth["block"]}
    assert len(pairs) == 42
    names = truth.index[truth["level"] == 0.5][:3]
    model1, model2, model3 = (sets[name].values for name in names)
    assert model1.shape[1:] == (guilhot2024.N_STEPS, 3)
    np.testing.assert_allclose((model1 - model2).std(), 0.002 * 2**0.5, rtol=0.02)
    np.testing.assert_allclose((model3 - model2)[:, 0].std(), 0.002 * 2**0.5, rtol=0.2)
    assert np.abs(model3 - model2).max() > 0.1


def test_published_bases_are_drawn_once_for_all_pairs():
    sets, truth = mixing.CASE.make(0, "published", quick=True)
    noisy = [
        sets[name].values
        for name in truth.index
        if name.startswith("r=5 +") and "model1" in name and "0.25" in name
    ]
    assert len(noisy) == 6
    assert all(np.abs(x - y).max() < 0.01 for x, y in itertools.combinations(noisy, 2))
