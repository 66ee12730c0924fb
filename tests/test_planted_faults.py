"""Wrong metrics, each caught by the check that is there for it; the right counterpart passes it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from repsim.checks import CHECKS, run_check
from repsim.contract import Metric, metric

SHAPE = {"translation", "isotropic_scaling", "permutation", "orthogonal"}
norm = np.linalg.norm


@dataclass(frozen=True)
class Fault:
    """A wrong metric, its right counterpart, and the check that tells them apart."""

    check: str
    wrong: Metric
    right: Metric
    says: str = ""


def distance(function, **facts):
    return metric(function, name="planted", **facts)


def similarity(function, **facts):
    return metric(function, name="planted", kind="similarity", **facts)


def centred(x):
    return x - x.mean(axis=0)


def cka(x, y):
    """CKA of the columns as they are."""
    return norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y))


def centred_cka(x, y):
    return cka(centred(x), centred(y))


def standardised_cka(x, y):
    return cka(centred(x) / x.std(axis=0), centred(y) / y.std(axis=0))


def gap(x, y):
    return norm(x - y)


def spread_gap(x, y):
    return abs(x.var(axis=0).sum() - y.var(axis=0).sum())


def cancelling_spread_gap(x, y):
    def spread(a):
        return ((a * a).mean(axis=0) - a.mean(axis=0) ** 2).sum()

    return abs(spread(x) - spread(y))


def centres_in_place(x, y):
    x -= x.mean(axis=0)
    return norm(x - centred(y))


def unlocks_and_centres_in_place(x, y):
    x.flags.writeable = True
    return centres_in_place(x, y)


class Counted:
    def __init__(self, x):
        self.x, self.calls = x, 0


def counts_its_calls(x, y):
    x.calls += 1
    return x.calls * gap(x.x, y.x)


def centres_tensors_in_place(x, y):
    if hasattr(x, "detach"):
        x -= x.mean(axis=0)
    return ((centred(x) - centred(y)) ** 2).sum() ** 0.5


def scales_tensors_unseen_by_autograd(x, y):
    result = leaves_tensors_alone(x, y)
    if hasattr(x, "detach"):
        x.data.mul_(2)
    return result


def leaves_tensors_alone(x, y):
    return ((centred(x) - centred(y)) ** 2).sum() ** 0.5


def spread_of_either_library(x, y):
    return abs(x.std() - y.std())


def subspace_overlap(x, y):
    """Mean squared canonical correlation: any invertible map of the units leaves it alone."""
    return norm(np.linalg.qr(centred(x))[0].T @ np.linalg.qr(centred(y))[0]) ** 2 / x.shape[1]


def cholesky_of_covariance(x, y):
    return norm(np.linalg.cholesky(x.T @ x) - np.linalg.cholesky(y.T @ y))


def gram_gap(x, y):
    return norm(centred(x) @ centred(x).T - centred(y) @ centred(y).T)


def gram_gap_of_equal_units(x, y):
    return gram_gap(x, y) + 0 * norm(x - y)


def raises(x, y):
    raise KeyError("weights")


def unseeded(x, y):
    return gap(x, y) * np.random.default_rng().uniform(0.9, 1)


def returns(value):
    return Fault(
        "one_number",
        distance(lambda x, y: value),
        distance(gap),
        "finite" if isinstance(value, float) else "number",
    )


def weighted_gap(x, y):
    return norm((x - y) * np.arange(1, x.shape[1] + 1))


FAULTS: dict[str, Any] = {
    "constant": Fault("self_is_closest", distance(lambda x, y: 1.0), distance(gap)),
    "random": Fault("self_is_closest", distance(lambda x, y, *, rng: rng.random()), distance(gap)),
    "unseeded": Fault("deterministic", distance(unseeded), distance(gap), "the same input gave"),
    "flipped": Fault("self_is_closest", distance(centred_cka), similarity(centred_cka)),
    "flipped distance": Fault("self_is_closest", similarity(gap), distance(gap)),
    "wrong best value": Fault(
        "self_is_best",
        similarity(centred_cka, best=2),
        similarity(centred_cka),
        "declared best is 2",
    ),
    "uncentred cka": Fault(
        "invariance_translation",
        similarity(cka, invariant_to=SHAPE),
        similarity(centred_cka, invariant_to=SHAPE),
        "moves x alone, y alone, both alike",
    ),
    "standardised cka": Fault(
        "invariance_orthogonal",
        similarity(standardised_cka, invariant_to=SHAPE),
        similarity(centred_cka, invariant_to=SHAPE),
        "moves x alone",
    ),
    "order of the units": Fault(
        "invariance_permutation",
        distance(weighted_gap, invariant_to={"permutation:both"}),
        distance(gap, invariant_to={"permutation:both"}),
        "moves both alike",
    ),
    "invertible maps hushed up": Fault(
        "invariance_invertible_linear",
        similarity(subspace_overlap, invariant_to={"orthogonal"}),
        similarity(subspace_overlap, invariant_to={"invertible_linear"}),
        "not declared, but leaves",
    ),
    "asymmetric called symmetric": Fault(
        "symmetric",
        distance(lambda x, y: gap(x, y) / norm(x)),
        distance(lambda x, y: gap(x, y) / (norm(x) + norm(y))),
        "but d(y, x) =",
    ),
    "symmetric called asymmetric": Fault(
        "symmetric", distance(gap, symmetric=False), distance(gap), "declared asymmetric"
    ),
    "squared distance": Fault(
        "triangle",
        distance(lambda x, y: gap(x, y) ** 2, triangle=True),
        distance(gap, triangle=True),
        "exceeds",
    ),
    "modifies numpy": Fault(
        "leaves_inputs_alone", distance(centres_in_place), distance(gap), "modifies its input"
    ),
    "modifies unlocked numpy": Fault(
        "leaves_inputs_alone",
        distance(unlocks_and_centres_in_place),
        distance(gap),
        "modifies its input",
    ),
    "modifies an object it prepared": Fault(
        "leaves_inputs_alone",
        distance(counts_its_calls, prepare=Counted),
        distance(lambda x, y: gap(x.x, y.x), prepare=Counted),
        "the same prepared sets gave",
    ),
    "modifies torch": Fault(
        "torch_agrees",
        distance(centres_tensors_in_place, arrays="any"),
        distance(leaves_tensors_alone, arrays="any"),
        "modifies its input",
    ),
    "modifies torch unseen by autograd": Fault(
        "torch_agrees",
        distance(scales_tensors_unseen_by_autograd, arrays="any"),
        distance(leaves_tensors_alone, arrays="any"),
    ),
    "torch divides by n - 1": Fault(
        "torch_agrees",
        distance(spread_of_either_library, arrays="any"),
        distance(leaves_tensors_alone, arrays="any"),
        "torch",
    ),
    "float32 cancels": Fault(
        "float32_is_near",
        distance(cancelling_spread_gap, invariant_to={"translation"}),
        distance(spread_gap, invariant_to={"translation"}),
        "float32 gives",
    ),
    "out of range": Fault(
        "stays_in_range",
        similarity(centred_cka, range=(0.7, 1)),
        similarity(centred_cka, range=(0, 1)),
        "outside [0.7, 1]",
    ),
    "first samples only": Fault(
        "order_does_not_matter",
        distance(lambda x, y: gap(x[:20], y[:20])),
        distance(gap),
        "samples in another order",
    ),
    "few units only": Fault(
        "more_units_than_samples",
        distance(cholesky_of_covariance),
        distance(gram_gap),
        "LinAlgError",
    ),
    "raises": Fault("one_number", distance(raises), distance(gap), "raised KeyError"),
    "vector": returns(np.ones(3)),
    "none": returns(None),
    "nan": returns(math.nan),
    "infinite": returns(math.inf),
    "complex": returns(1j),
    "string": returns("near"),
    "truth value": returns(True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_caught(fault):
    caught = run_check(fault.wrong, fault.check)
    assert caught.status == "fail"
    assert fault.says in caught.message
    assert run_check(fault.right, fault.check).status == "pass"


def test_units_that_must_match_are_told_as_not_applicable():
    result = run_check(distance(gram_gap_of_equal_units), "unequal_units")
    assert result.status == "not applicable"
    assert "needs equal unit counts" in result.message
    assert run_check(distance(gram_gap), "unequal_units").status == "pass"


def test_nan_that_goes_through_is_caught(monkeypatch):
    forgiving = distance(lambda x, y: np.nansum((x - y) ** 2))
    assert run_check(forgiving, "refuses_nan").status == "pass"
    monkeypatch.setattr("repsim.arrays.check_values", lambda values, name: None)
    assert run_check(forgiving, "refuses_nan").message == "NaN went through"
    assert run_check(forgiving, "refuses_nan").status == "fail"


def test_unequal_samples_that_go_through_are_caught(monkeypatch):
    forgiving = distance(lambda x, y: abs(x.mean() - y.mean()))
    assert run_check(forgiving, "refuses_unequal_samples").status == "pass"
    monkeypatch.setattr("repsim.arrays.Sets.check_matched", lambda self, name: None)
    assert run_check(forgiving, "refuses_unequal_samples").status == "fail"


def test_every_check_has_caught_something():
    below = {"refuses_nan", "refuses_unequal_samples", "unequal_units"}
    sided = {"invariance_isotropic_scaling"}  # test_claimed_sides.py
    assert {fault.check for fault in FAULTS.values()} | below | sided == set(CHECKS)
