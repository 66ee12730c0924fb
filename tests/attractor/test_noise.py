import numpy as np
import pytest

from testcases.attractor import noise

each_case = pytest.mark.parametrize(
    "case", [noise.OBSERVATION, noise.PROCESS], ids=["observation", "process"]
)


def as_they_are(states):
    return states


@each_case
def test_a_block_holds_two_recordings_of_each_system(case):
    sets, truth = case.make(0)
    assert len(sets) == 60
    for snr, block in truth.groupby("block"):
        assert block["label"].value_counts().to_dict() == {f"mu={mu:g}": 2 for mu in noise.MUS}
        assert block["level"].nunique() == 1
        assert snr == f"snr={block['level'].iloc[0]:.3g}"
    levels = truth["level"].drop_duplicates().to_numpy()
    np.testing.assert_allclose(levels[[0, -1]], [100, 0.1])
    np.testing.assert_allclose(np.diff(np.log(levels)), np.log(0.1 / 100) / 9)


@each_case
def test_quick_takes_some_of_the_levels(case):
    full, quick = (set(case.make(0, quick=quick)[1]["level"]) for quick in (False, True))
    assert quick < full
    assert {min(full), max(full)} <= quick


def test_noise_on_the_units_has_the_ratio_and_the_common_part_it_claims():
    rng = np.random.default_rng(0)
    start, levels = rng.uniform(-2, 2, (1, 1, 200, 2)), np.array([8.0, 0.5])
    start = np.broadcast_to(start, (2, 2, 200, 2))
    seen = noise.with_observation_noise(1.0, start, levels, as_they_are, rng, 30)
    clean = noise.followed(1.0, start, 30)[0, 0]
    for activity, snr in zip(seen, levels, strict=True):
        for recording in activity:
            added = (recording - clean).reshape(-1, 2)
            ratio = clean.reshape(-1, 2).var(0) / added.var(0)
            np.testing.assert_allclose(ratio, snr, rtol=0.06)
            assert abs(np.corrcoef(added.T)[0, 1] - noise.SHARED) < 0.04
        between = np.corrcoef((activity[0] - clean).ravel(), (activity[1] - clean).ravel())[0, 1]
        assert abs(between) < 0.04


def test_noise_in_the_flow_piles_up_as_the_ratio_says():
    """After one short step the force has moved y by s sqrt(dt), and x by next to nothing."""
    rng, n_steps, snr = np.random.default_rng(1), 12, 10.0
    start = np.broadcast_to(rng.uniform(-2, 2, (4000, 2)), (1, 2, 4000, 2))
    seen = noise.with_process_noise(0.5, start, np.array([snr]), as_they_are, rng, n_steps)[0]
    clean = noise.followed(0.5, start[0, 0], n_steps)
    length = noise.DT * (n_steps - 1)
    expected = clean[..., 1].var() / (snr * length)  # s^2
    moved = seen[:, :, 1] - clean[:, 1]
    near = np.abs(start[0, 0, :, 0] ** 2 - 1) < 0.2  # where the flow does not damp y
    np.testing.assert_allclose(moved[:, near, 1].var() / noise.DT, expected, rtol=0.15)
    assert moved[..., 0].var() < 0.1 * moved[..., 1].var()


@pytest.mark.parametrize("seed", range(10))
def test_trajectories_stay_finite_and_bounded_under_the_strongest_force(seed):
    rng = np.random.default_rng(seed)
    start = rng.uniform(-2, 2, (1, 2, 50, 2))
    for mu in noise.MUS:
        states = noise.with_process_noise(mu, start, noise.LEVELS[-1:], as_they_are, rng, 50)
        assert np.abs(states[..., 0]).max() < 15


def test_recordings_of_a_system_start_together_only_under_control():
    for protocol, same in (("controlled", True), ("independent", False)):
        sets, truth = noise.PROCESS.make(3, protocol)
        begins = np.stack([one.values[:, 0] for one in sets.values()])
        assert (np.ptp(begins, axis=0).max() < 1e-12) == same
        assert len({one.values.tobytes() for one in sets.values()}) == len(truth)


def test_all_recordings_of_a_seed_are_seen_by_one_population():
    """Without noise, equal states give equal activity; another seed sees otherwise."""
    first, other = (next(iter(noise.PROCESS.make(seed)[0].values())) for seed in (0, 1))
    assert first.shape == other.shape
    gram = [np.linalg.svd(one.values.reshape(-1, 15), compute_uv=False) for one in (first, other)]
    assert not np.allclose(*gram, rtol=0.01)
