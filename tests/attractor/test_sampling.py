import numpy as np
import pytest

from testcases.attractor import sampling


def cuts_of(protocol="controlled"):
    rng = np.random.default_rng(0)
    full = sampling.recordings(rng, protocol, 16, 104, 24)
    found = sampling.shortened(full, sampling.FRACTIONS, rng)
    return full, {(cut, fraction): kept for cut, fraction, kept in found}


def test_a_cut_keeps_a_part_of_the_same_recordings():
    full, kept = cuts_of()
    assert len(kept) == 1 + len(sampling.CUTS) * len(sampling.FRACTIONS)
    for key, one in full.items():
        assert kept["full", 1.0][key] is one
        for fraction in sampling.FRACTIONS:
            trials, steps = round(16 * fraction), round(104 * fraction)
            np.testing.assert_array_equal(kept["trials", fraction][key], one[:trials])
            np.testing.assert_array_equal(kept["steps", fraction][key], one[:, :steps])


def positions(part, whole):
    """Which units of the whole the units of the part are."""
    alike = np.isclose(whole[0, :, :, None], part[0, :, None, :]).all(0)
    assert (alike.sum(0) == 1).all()
    return set(np.argmax(alike, axis=0).tolist())


@pytest.mark.parametrize("fraction", sampling.FRACTIONS)
def test_units_are_common_to_all_recordings_or_each_misses_others(fraction):
    full, kept = cuts_of()
    common, own = (
        [positions(kept[cut, fraction][key], one) for key, one in full.items()]
        for cut in ("units", "missing")
    )
    assert all(units == common[0] for units in common)
    assert {len(units) for units in common + own} == {round(24 * fraction)}
    assert len({frozenset(units) for units in own}) == len(own)


def test_recordings_start_together_only_under_control():
    for protocol, same in (("controlled", True), ("independent", False)):
        full, _ = cuts_of(protocol)
        begins = np.stack([one[:, 0] for one in full.values()])
        assert (np.ptp(begins, axis=0).max() < 1e-12) == same


def row_of(seed, change):
    """Two labels, two recordings each, in full and under one cut."""
    full = np.array([[0, 1, 5, 5], [1, 0, 5, 5], [5, 5, 0, 3], [5, 5, 3, 0]], dtype=float)
    same = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=bool)
    cut = full + np.where(same, change, -change)
    return {
        "status": "ok",
        "id": "m",
        "seed": seed,
        "labels": list("aabb") * 2,
        "blocks": ["full 1"] * 4 + ["trials 0.5"] * 4,
        "names": list("abcdefgh"),
        "distances": [full.tolist(), cut.tolist()],
    }


def test_bias_and_variance_by_hand():
    failed = {"status": "failed"}
    found = sampling.bias_and_variance([row_of(0, 1.0), row_of(1, 2.0), failed])
    found = found.set_index("pair")
    assert found.loc["within"].to_dict() == {
        "metric": "m", "cut": "trials", "fraction": 0.5, "full": 2.0, "bias": 1.5,
        "variance": 0.5, "n_seeds": 2,
    }  # fmt: skip
    assert found.loc["between", ["full", "bias", "variance"]].tolist() == [5.0, -1.5, 0.5]


def test_one_seed_has_a_bias_but_no_variance():
    found = sampling.bias_and_variance([row_of(0, 1.0)])
    assert found["variance"].isna().all()
    assert found["bias"].tolist() == [1.0, -1.0]
