import os
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

import repsim
from repsim import workers as workers_module
from repsim.errors import InputError, RepsimError
from repsim.results import FILE, read_rows
from repsim.rules import SEPARATION

METRICS = ("linear_cka", "random", "procrustes")
BROKEN = []
VALUES = ("id", "seed", "status", "value", "inputs", "distances", "reason")


def make_tiny(rng, protocol, quick):
    """Two pairs of sets that show the same states through different units."""
    states = rng.standard_normal((2, 6, 5, 3))
    names = list("abcd")
    sets = {
        name: repsim.as_activations(states[i // 2] @ rng.standard_normal((3, 4 + i)))
        for i, name in enumerate(names)
    }
    return sets, pd.DataFrame({"label": list("ppqq")}, index=names)


def tiny_case(name="tiny/pairs", **changes):
    """A test case that takes next to no time."""
    facts = {"question": "Same states?", "rule": SEPARATION, "axis": "test"}
    return repsim.TestCase(name=name, generate=make_tiny, **facts | changes)


def sorted_values(rows):
    return sorted(([row[name] for name in VALUES] for row in rows), key=lambda one: one[:2])


def never_returns(x, y):
    time.sleep(600)


def ends_its_process(x, y):
    os._exit(3)


def leaves_python(x, y):
    sys.exit(4)


def talks(x, y):
    print("a metric that prints")
    os.write(1, b"\x00\x00\x00\x00\x00\x00\x00\x04junk")
    subprocess.run(["echo", "and its children too"])
    return 0.5


def listens(x, y):
    return float(len(sys.stdin.read()))


def test_a_seed_names_its_inputs():
    rows = repsim.evaluate(METRICS, tiny_case(), seeds=[3, 4, 3])
    inputs = {(row["seed"], row["inputs"]) for row in rows}
    assert len(inputs) == 2
    assert len({fingerprint for _, fingerprint in inputs}) == 2
    other = repsim.evaluate(["constant"], tiny_case("tiny/other"), seeds=[3])
    assert other[0]["inputs"] not in {fingerprint for _, fingerprint in inputs}


def test_rows_do_not_depend_on_the_order_of_metrics_or_on_the_workers():
    expected = sorted_values(repsim.evaluate(METRICS, tiny_case(), seeds=2))
    assert len(expected) == 6
    assert all(row[2] == "ok" for row in expected)
    backwards = repsim.evaluate(METRICS[::-1], tiny_case(), seeds=[1, 0])
    elsewhere = repsim.evaluate(METRICS, tiny_case(), seeds=2, workers=2)
    alone = repsim.evaluate(["random"], tiny_case(), seeds=2)
    assert sorted_values(backwards) == expected
    assert sorted_values(elsewhere) == expected
    assert sorted_values(alone) == [row for row in expected if row[0] == "random"]


def test_the_row_says_what_happened():
    (row,) = repsim.evaluate(["linear_cka"], tiny_case(), seeds=[2], quick=True)
    named = {"case": "tiny/pairs", "suite": "tiny", "metric": "linear_cka", "seed": 2}
    judged = {"status": "ok", "reason": None, "chance": 0.5, "ceiling": 1.0, "size": "quick"}
    assert {name: row[name] for name in named | judged} == named | judged
    assert row["names"] == list("abcd")
    assert row["labels"] == list("ppqq")
    sets, truth = tiny_case().make(2, quick=True)
    distances = repsim.compare(sets, "linear_cka").values
    np.testing.assert_allclose(row["distances"], [distances], atol=1e-12)
    assert row["value"] == tiny_case().judge(distances, truth)


def test_only_what_is_missing_is_run(tmp_path):
    calls = []

    def counted(x, y):
        calls.append(1)
        return 0.5

    def run(seeds):
        calls.clear()
        rows = repsim.evaluate([counted], tiny_case(), seeds=seeds, results=tmp_path)
        return len(rows), len(calls)

    assert run([0, 1]) == (2, 2 * 16)
    assert run([0, 1]) == (2, 0)
    assert run([1, 2]) == (2, 16)
    assert [row["seed"] for row in read_rows(tmp_path)] == [0, 1, 2]


def test_failures_are_tried_again_and_refusals_are_not(tmp_path):
    def moody(x, y):
        return 1 / 0 if BROKEN else 0.5

    def picky(x, y):
        raise InputError("too few of them")

    BROKEN.append(True)
    first = repsim.evaluate([moody, picky], tiny_case(), seeds=1, results=tmp_path)
    BROKEN.clear()
    second = repsim.evaluate([moody, picky], tiny_case(), seeds=1, results=tmp_path)
    assert [row["status"] for row in first] == ["failed", "not_applicable"]
    assert {row["id"]: row["status"] for row in second} == {
        "moody": "ok",
        "picky": "not_applicable",
    }
    assert len((tmp_path / FILE).read_text().splitlines()) == 3
    assert {row["status"] for row in read_rows(tmp_path)} == {"ok", "not_applicable"}


def test_places_of_sets_tell_nothing_and_distances_stand_where_they_belong():
    seen = {}

    @repsim.metric(compare_pairs=lambda values, first, second: abs(np.subtract(first, second)))
    def places(x, y):
        raise NotImplementedError

    @repsim.metric(prepare=lambda x: seen.setdefault(x[0, 0], len(seen)))
    def turns(x, y):
        return abs(x - y)

    settings = {"suite": tiny_case(), "seeds": 40}
    for metric in (places, turns):
        values = [row["value"] for row in repsim.evaluate([metric], **settings)]
        assert abs(np.mean(values) - 0.5) < 0.15
    assert {row["value"] for row in repsim.evaluate(["linear_cka", "oracle"], **settings)} == {1.0}


def test_protocols_draw_numbers_of_their_own_and_a_seed_counts_once():
    case = tiny_case(protocols=("controlled", "independent"))
    rows = repsim.evaluate("random", case, seeds=[3, 3], protocol=["controlled", "independent"])
    first, other = rows
    assert first["distances"] != other["distances"]


def test_shards_together_are_all():
    whole = repsim.evaluate(["linear_cka"], [tiny_case(), tiny_case("tiny/two")], seeds=3)
    parts = [
        repsim.evaluate(["linear_cka"], [tiny_case(), tiny_case("tiny/two")], seeds=3, shard=(i, 2))
        for i in range(2)
    ]
    assert [len(part) for part in parts] == [3, 3]
    ids = [{row["row"] for row in rows} for rows in (whole, *parts)]
    assert ids[1] | ids[2] == ids[0]
    assert not ids[1] & ids[2]


def test_progress_counts_old_and_new_rows(tmp_path):
    repsim.evaluate(["constant"], tiny_case(), seeds=1, results=tmp_path)
    seen = []
    repsim.evaluate(
        ["constant", "random"], tiny_case(), seeds=2, results=tmp_path,
        on_row=lambda row, done, total: seen.append((row["id"], done, total)),
    )  # fmt: skip
    assert seen == [("random", 2, 4), ("constant", 3, 4), ("random", 4, 4)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seeds": 0}, "at least 1"),
        ({"protocol": "guessed"}, "no protocol 'guessed'. It has: controlled, independent"),
        ({"suite": "attracter"}, "No suite called 'attracter'. Nearest: attractor"),
        ({"suite": "attractor/nothing"}, "No test case 'attractor/nothing'. It has: attractor/"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_settings_that_do_not_exist_are_refused(arguments, words, workers):
    arguments = {"suite": tiny_case(), "seeds": 1, "workers": workers} | arguments
    with pytest.raises(RepsimError, match=words):
        repsim.evaluate(["constant"], **arguments)


def test_a_metric_that_never_returns_is_stopped_and_the_others_are_scored():
    started = time.monotonic()
    rows = repsim.evaluate(
        ["constant", never_returns, "linear_cka"], tiny_case(), seeds=1, timeout=4
    )
    assert time.monotonic() - started < 30
    assert [(row["id"], row["status"]) for row in rows] == [
        ("constant", "ok"), ("never_returns", "failed"), ("linear_cka", "ok"),
    ]  # fmt: skip
    assert "within 4 s" in rows[1]["reason"]


@pytest.mark.parametrize(
    ("metric", "reason", "workers"),
    [
        (ends_its_process, "its process died (exit status 3)", 1),
        (leaves_python, "leaves_python raised SystemExit on", 1),
        (leaves_python, "leaves_python raised SystemExit on", 0),
    ],
)
def test_a_metric_that_takes_its_process_down_is_a_row_with_the_reason(metric, reason, workers):
    rows = repsim.evaluate([metric, "linear_cka"], tiny_case(), seeds=1, workers=workers)
    assert [row["status"] for row in rows] == ["failed", "ok"]
    assert reason in rows[0]["reason"]


@pytest.mark.parametrize(("metric", "value"), [(talks, 0.5), (listens, 0.0)])
def test_a_metric_that_uses_the_standard_streams_disturbs_nothing(metric, value, capfd):
    rows = repsim.evaluate([metric, "linear_cka"], tiny_case(), seeds=1, workers=1, timeout=8)
    assert [(row["status"], row["reason"]) for row in rows] == [("ok", None)] * 2
    assert rows[0]["distances"][0][0][1] == value
    assert capfd.readouterr().out == ""


def test_a_metric_that_cannot_travel_to_a_worker_is_told_in_words():
    lock = threading.Lock()

    def locked(x, y):
        with lock:
            return 0.5

    try:
        (row,) = repsim.evaluate([locked], tiny_case(), seeds=1, workers=1)
        reason = row["reason"]
    except RepsimError as error:
        reason = str(error)
    assert "pickle" in reason


def test_leaving_early_ends_the_workers(monkeypatch, tmp_path):
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    def leave(row, done, total):
        raise KeyboardInterrupt

    monkeypatch.setattr(workers_module.subprocess, "Popen", Recorded)
    with pytest.raises(KeyboardInterrupt):
        repsim.evaluate(
            ["constant", *[never_returns] * 3], tiny_case(), seeds=2, results=tmp_path, workers=2,
            on_row=leave,
        )  # fmt: skip
    time.sleep(1)
    ended = [process.poll() is not None for process in started]
    for process in started:
        process.kill()
    assert ended == [True] * len(started)
    assert started
    assert [row["id"] for row in read_rows(tmp_path)] == ["constant"]


def test_a_row_tells_what_the_metric_chose_from_the_data():
    found = repsim.evaluate(
        ['dsa_spectrum(delays="auto", rank="auto")', "linear_cka"], seeds=1, quick=True
    )
    assert set(found[0]["chosen"]) == {"delays", "rank"}
    assert all(isinstance(value, int) for value in found[0]["chosen"].values())
    assert found[1]["chosen"] == {}
