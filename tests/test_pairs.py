import numpy as np
import pytest
import xarray as xr

import repsim
from repsim.errors import InputError, MetricError, RepsimError
from repsim.pairs import distances

RNG = np.random.default_rng(0)
SETS = [RNG.standard_normal((12, 2, n_units)) for n_units in (3, 4, 5)]


def first_entry_difference(x, y):
    """Asymmetric, so that a transposed matrix is seen."""
    return float(x[0, 0] - y[0, 0])


class Counted:
    """A metric that writes down what it is called with."""

    def __init__(self, **facts):
        self.prepared, self.compared = [], []
        self.metric = repsim.metric(self.compare, prepare=self.prepare, **facts)

    def prepare(self, x):
        self.prepared.append(x.shape)
        return x.shape[1]

    def compare(self, x, y):
        self.compared.append((x, y))
        return 10 * x + y


def test_the_matrix_is_named_and_says_what_it_holds():
    matrix = repsim.compare(SETS, "linear_cka", names=["a", "b", "c"])
    assert matrix.dims == ("x", "y")
    assert matrix.x.values.tolist() == matrix.y.values.tolist() == ["a", "b", "c"]
    assert matrix.attrs["metric"] == "linear_cka"
    assert matrix.attrs["kind"] == "distance"
    assert matrix.shape == (3, 3)


def test_rows_are_x_and_columns_are_y():
    matrix = repsim.compare(SETS, first_entry_difference)
    first = [one[0, 0, 0] for one in SETS]
    np.testing.assert_allclose(matrix, np.subtract.outer(first, first))


@pytest.mark.parametrize(
    ("sets", "names", "expected"),
    [
        (SETS, None, ["set 0", "set 1", "set 2"]),
        (dict(zip("xyz", SETS, strict=True)), None, ["x", "y", "z"]),
        (dict(zip("xyz", SETS, strict=True)), ["a", "b", "c"], ["a", "b", "c"]),
        ({1: SETS[0], 2: SETS[1]}, None, ["1", "2"]),
        ([xr.DataArray(SETS[0], dims=("trial", "time", "unit"), name="v1"), SETS[1]], None,
         ["v1", "set 1"]),
        (SETS, range(3), ["0", "1", "2"]),
    ],
)  # fmt: skip
def test_names_come_from_where_they_are_known(sets, names, expected):
    assert repsim.compare(sets, names=names).x.values.tolist() == expected


@pytest.mark.parametrize(
    ("sets", "names", "words"),
    [
        (SETS, ["a", "b", "a"], "Two sets are called 'a'"),
        (SETS, ["a", "b"], "2 names for 3 sets"),
        (SETS[:1], None, "at least 2 sets; 1 given"),
        ([], None, "at least 2 sets; 0 given"),
        (3, None, "sets are of type int; give two or more in a list"),
    ],
)
def test_too_few_sets_and_names_that_do_not_fit_are_refused(sets, names, words):
    with pytest.raises(RepsimError, match=words):
        repsim.compare(sets, names=names)


def test_sets_may_come_one_by_one():
    matrix = repsim.compare(one for one in SETS)
    assert matrix.equals(repsim.compare(SETS))


def test_a_symmetric_metric_is_asked_once_a_pair():
    counted = Counted(symmetric=True)
    matrix = repsim.compare(SETS, counted.metric)
    assert counted.compared == [(3, 3), (3, 4), (3, 5), (4, 4), (4, 5), (5, 5)]
    assert matrix.values.tolist() == [[33, 34, 35], [34, 44, 45], [35, 45, 55]]


@pytest.mark.parametrize("symmetric", [False, None])
def test_an_asymmetric_metric_is_asked_both_ways(symmetric):
    counted = Counted(symmetric=symmetric)
    matrix = repsim.compare(SETS, counted.metric)
    assert len(counted.compared) == 9
    assert matrix.values.tolist() == [[33, 34, 35], [43, 44, 45], [53, 54, 55]]


def test_each_set_is_prepared_once():
    counted = Counted(symmetric=False)
    repsim.compare(SETS, counted.metric)
    assert counted.prepared == [(24, 3), (24, 4), (24, 5)]


def batched(calls):
    def compare_pairs(prepared, first, second):
        calls.append(len(first))
        return [
            10 * prepared[i].shape[1] + prepared[j].shape[1]
            for i, j in zip(first, second, strict=True)
        ]

    return compare_pairs


def test_a_metric_that_compares_in_batches_is_called_once():
    calls = []
    facts = {"kind": "similarity", "best": 60, "compare_pairs": batched(calls)}
    metric = repsim.metric(lambda x, y: 1 / 0, symmetric=False, **facts)
    matrix = repsim.compare(SETS, metric)
    assert calls == [9]
    assert matrix.values.tolist() == [[27, 26, 25], [17, 16, 15], [7, 6, 5]]


def test_blocks_are_one_batch():
    calls = []
    metric = repsim.metric(lambda x, y: 1 / 0, symmetric=True, compare_pairs=batched(calls))
    sets = metric.prepare_sets({str(i): x for i, x in enumerate([*SETS, *SETS])})
    found = distances(metric, sets, None, blocks=[np.array([0, 3]), np.array([1, 2, 5])])
    assert calls == [3 + 6]
    assert found[0, 3] == found[3, 0] == 33
    assert found[2, 5] == 55
    assert np.isnan(found[0, 1])


@pytest.mark.parametrize("answer", [np.zeros(2), np.full(6, np.nan)])
def test_a_batch_of_no_use_is_refused(answer):
    facts = {"compare_pairs": lambda prepared, first, second: answer}
    metric = repsim.metric(lambda x, y: 0.0, symmetric=True, **facts)
    with pytest.raises(MetricError, match="finite number"):
        repsim.compare(SETS, metric)


def test_a_similarity_is_turned_into_a_distance():
    similarity = repsim.metric(lambda x, y: float(x.shape[1]), kind="similarity", best=7)
    assert repsim.compare(SETS, similarity).values[:, 0].tolist() == [4, 4, 4]
    assert repsim.compare(SETS, "linear_cka").values.diagonal() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros((11, 2, 4)), ["'a' has 24", "'b' has 22"]),
        (np.full((12, 2, 4), np.nan), ["'b'", "96 of 96"]),
        (np.zeros((12, 2, 4)), ["'b'", "24 samples are equal"]),
        (np.zeros((24, 1, 4))[:, :, :0], ["'b'", "(24, 1, 0)"]),
        (np.zeros((8, 3, 4)), ["'a' has 12 trials x 2", "'b' has 8 x 3"]),
    ],
)
def test_errors_name_the_sets_and_the_numbers(bad, words):
    with pytest.raises(InputError) as error:
        repsim.compare({"a": SETS[0], "b": bad, "c": SETS[2]}, "linear_cka")
    assert [word for word in words if word not in str(error.value)] == []


def test_trials_in_another_order_are_refused():
    first, second = (repsim.as_activations(one, trials=range(12)) for one in SETS[:2])
    repsim.compare([first, second])
    with pytest.raises(InputError, match="trial 0 is 0 in 'set 0' and 11 in 'set 1'"):
        repsim.compare([first, second[::-1]])


def test_a_metric_that_raises_is_told_with_the_pair():
    def divides(x, y):
        return 1 / 0 if x.shape[1] == 4 and y.shape[1] == 5 else 0.0

    with pytest.raises(MetricError, match=r"divides raised ZeroDivisionError on 'b' and 'c'"):
        repsim.compare(dict(zip("abc", SETS, strict=True)), divides)


def test_a_metric_that_draws_is_seeded():
    first, again, other = (repsim.compare(SETS, "random", rng=seed).values for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_progress_counts_pairs():
    seen = []
    repsim.compare(SETS, "procrustes", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 6) for done in range(1, 7)]


def test_the_sets_are_not_modified():
    before = [one.copy() for one in SETS]
    repsim.compare(SETS, "procrustes")
    assert all(np.array_equal(one, old) for one, old in zip(SETS, before, strict=True))


def test_samples_are_matched_within_blocks_only():
    rng = np.random.default_rng(0)
    sets = {f"{n} {i}": rng.standard_normal((n, 3)) for n in (5, 7) for i in range(2)}
    metric = repsim.get_metric("linear_cka")
    prepared = metric.prepare_sets(sets, rng, [(0, 1), (2, 3)])
    found = distances(metric, prepared, rng, blocks=[np.array([0, 1]), np.array([2, 3])])
    assert np.isfinite(found).sum() == 8
    for blocks in (None, [(0, 1, 2), (3,)]):
        with pytest.raises(InputError, match="'5 0' has 5 and '7 0' has 7"):
            metric.prepare_sets(sets, rng, blocks)


@pytest.mark.parametrize(
    "metric", ["linear_cka", "dsa_spectrum(delays=2, rank=3)", "dsa(delays=2, rank=3)"]
)
def test_only_sets_of_one_block_are_compared(metric):
    rng = np.random.default_rng(0)
    sets = {name: rng.standard_normal((4, 20, 3)) for name in "abcde"}
    metric = repsim.get_metric(metric)
    prepared = metric.prepare_sets(sets, rng)
    found = distances(metric, prepared, rng, blocks=[np.array([0, 3]), np.array([4, 1, 2])])
    whole = distances(metric, prepared, rng)
    inside = np.array(
        [[{i, j} <= {0, 3} or {i, j} <= {1, 2, 4} for i in range(5)] for j in range(5)]
    )
    np.testing.assert_allclose(found[inside], whole[inside], atol=1e-12)
    assert np.isnan(found[~inside]).all()


def test_a_metric_that_draws_gives_the_same_matrix_twice():
    sets = list(np.random.default_rng(0).standard_normal((3, 8, 2)))
    first, again, other = (repsim.compare(sets, "random", rng=seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert first.equals(repsim.compare(sets, "random"))
    assert not first.equals(other)
