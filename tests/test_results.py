import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from repsim import evaluate
from repsim.errors import RepsimError
from repsim.results import (
    FILE,
    SCHEMA,
    append,
    distances_of,
    finished,
    provenance,
    read_rows,
    row_id,
)

WRITER = """
import sys, time
from pathlib import Path
from repsim.results import append
folder, writer = sys.argv[1:]
Path(folder, f"{writer} is there").touch()
while len(list(Path(folder).glob("* is there"))) < 2:
    time.sleep(0.001)
for number in range(200):
    text = writer * (1 + 37 * number % 5000)
    append(folder, [{"row": f"{writer}{number}", "status": "ok", "text": text}])
"""

IDENTITY = {
    "schema": SCHEMA, "case": "suite/a", "case_version": 1, "protocol": "controlled",
    "size": "full", "metric": "m", "parameters": {"a": 1, "b": [2]}, "metric_version": 1,
    "code": None, "seed": 0,
}  # fmt: skip


def row(metric, status="ok", value=0.9, **more):
    """A row that reading accepts, of a metric; value counts for "ok" alone."""
    found = IDENTITY | {"metric": metric, "status": status, "date": "2026-01-02T03:04:05+00:00"}
    found |= {"value": value if status == "ok" else None, **more}
    return {"row": row_id(found)} | found


def metrics(rows):
    return [one["metric"] for one in rows]


def lines(folder):
    return (folder / FILE).read_text().splitlines()


def test_rows_come_back_in_the_order_they_were_added(tmp_path):
    rows = [row("a", value=0.1), row("b", nested={"k": [1, None, "ö"]})]
    append(tmp_path / "new" / "folder", rows[:1])
    append(tmp_path / "new" / "folder", rows[1:])
    assert read_rows(tmp_path / "new" / "folder") == rows
    assert read_rows(tmp_path / "new" / "folder" / FILE) == rows


def test_several_folders_are_read_together(tmp_path):
    append(tmp_path / "one", [row("a"), row("b", value=0.1)])
    append(tmp_path / "two", [row("b", value=0.2), row("c")])
    rows = read_rows(tmp_path / "one", tmp_path / "two")
    assert metrics(rows) == ["a", "b", "c"]
    assert rows[1]["value"] == 0.2


def test_the_last_row_of_an_id_wins(tmp_path):
    append(tmp_path, [row("a", value=0.1), row("a", value=0.2)])
    assert read_rows(tmp_path) == [row("a", value=0.2)]
    assert len(lines(tmp_path)) == 2


@pytest.mark.parametrize("order", [("ok", "failed"), ("failed", "ok"), ("failed", "ok", "failed")])
def test_ok_beats_failed_in_any_order(tmp_path, order):
    append(tmp_path, [row("a", status, number=number) for number, status in enumerate(order)])
    assert read_rows(tmp_path) == [row("a", "ok", number=order.index("ok"))]


def test_failures_are_not_finished(tmp_path):
    append(tmp_path, [row("a"), row("b", "failed"), row("c", "not_applicable")])
    assert metrics(finished(tmp_path).values()) == ["a", "c"]
    assert finished(tmp_path / "nothing") == finished(None) == {}


def test_not_a_number_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        append(tmp_path, [row("a", value=float("nan"))])
    assert not (tmp_path / FILE).exists()


def test_a_torn_last_line_is_passed_over_and_the_next_row_starts_a_line(tmp_path):
    append(tmp_path, [row("a"), row("b"), row("c")])
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:-9])
    with pytest.warns(UserWarning, match="passed over 1 unreadable line;"):
        assert read_rows(tmp_path) == [row("a"), row("b")]
    append(tmp_path, [row("d")])
    with pytest.warns(UserWarning, match="passed over 1 unreadable line;"):
        assert read_rows(tmp_path) == [row("a"), row("b"), row("d")]


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    append(tmp_path, [row("a")])
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-1])
    append(tmp_path, [row("b")])
    assert read_rows(tmp_path) == [row("a"), row("b")]


@pytest.mark.parametrize(
    "torn", [b"\xff\xfe\n", b"3\n", b"[]\n", b"null\n", b"{}\n", b'{"row": "x"}\n']
)
def test_lines_that_are_no_rows_are_passed_over(tmp_path, torn):
    append(tmp_path, [row("a")])
    with (tmp_path / FILE).open("ab") as file:
        file.write(torn)
    append(tmp_path, [row("b")])
    with pytest.warns(UserWarning, match="passed over 1"):
        assert read_rows(tmp_path) == [row("a"), row("b")]


@pytest.mark.parametrize(
    "changes",
    [
        {"value": float("nan")},
        {"value": float("inf")},
        {"value": None},
        {"value": 7},
        {"value": "0.9"},
        {"value": True},
        {"status": "OK"},
        {"status": ["ok"]},
        {"date": "yesterday"},
        {"date": None},
        {"seed": "0"},
        {"seed": True},
        {"seed": 0.0},
    ],
    ids=str,
)
def test_rows_that_cannot_be_ranked_are_passed_over(tmp_path, changes):
    edited = row("b") | changes
    edited["row"] = row_id(edited)
    (tmp_path / FILE).write_text("".join(json.dumps(one) + "\n" for one in (row("a"), edited)))
    with pytest.warns(UserWarning, match="passed over 1 unreadable line;"):
        assert read_rows(tmp_path) == [row("a")]


@pytest.mark.parametrize("name", ["row", "date", "value", "status", *IDENTITY])
def test_rows_that_lack_something_are_passed_over(tmp_path, name):
    append(tmp_path, [row("a"), {key: value for key, value in row("b").items() if key != name}])
    with pytest.warns(UserWarning, match="passed over 1 unreadable line;"):
        assert read_rows(tmp_path) == [row("a")]


def test_a_copied_row_with_another_seed_does_not_replace_the_one_it_was(tmp_path):
    append(tmp_path, [row("a"), row("a") | {"seed": 9, "value": 1.0}])
    with pytest.warns(UserWarning, match="passed over 1 unreadable line;"):
        assert read_rows(tmp_path) == [row("a")]


def test_rows_of_a_run_are_read_as_they_were(tmp_path):
    metrics = ["linear_cka", "dsa(delays=5, rank=4)", "oracle", "random"]
    made = evaluate(metrics, "attractor/lorenz_regimes", seeds=2, quick=True, results=tmp_path)
    assert read_rows(tmp_path) == made


def test_empty_lines_are_no_loss(tmp_path):
    (tmp_path / FILE).write_text("\n" + json.dumps(row("a")) + "\n\n")
    assert read_rows(tmp_path) == [row("a")]


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, name]) for name in ("a", "b")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    rows = [json.loads(line) for line in lines(tmp_path)]
    assert sorted(one["row"] for one in rows) == sorted(f"{w}{n}" for w in "ab" for n in range(200))
    assert all(set(one["text"]) == {one["row"][0]} for one in rows)
    switches = sum(a["row"][0] != b["row"][0] for a, b in itertools.pairwise(rows))
    assert switches > 1  # they did write at the same time


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RepsimError, match=r"Cannot write results to .*file.*another folder"):
        append(tmp_path / "file" / "results", [row("a")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told_in_words(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RepsimError, match="Permission denied"):
        append(tmp_path, [row("a")])


def test_results_that_are_not_there_are_told_in_words(tmp_path):
    with pytest.raises(RepsimError, match=r"No results at .*repsim score"):
        read_rows(tmp_path / "nothing")


@pytest.mark.parametrize("name", IDENTITY)
def test_the_id_changes_with_each_fact_of_the_identity(name):
    assert row_id(IDENTITY | {name: "other"}) != row_id(IDENTITY)


def test_the_id_changes_with_nothing_else():
    other = IDENTITY | {"parameters": {"b": [2], "a": 1}, "seconds": 3.0, "status": "failed"}
    assert row_id(other) == row_id(IDENTITY)


def test_provenance_names_versions_and_platform():
    found = provenance()
    assert found["versions"]["numpy"].count(".") == 2
    assert found["versions"]["repsim"]
    assert set(found) == {"versions", "python", "platform", "commit"}


def test_rows_of_another_schema_are_passed_over_with_a_warning(tmp_path):
    append(tmp_path, [row("old", schema=1), row("new", schema=SCHEMA), row("older", schema=0)])
    with pytest.warns(UserWarning, match="passed over 2 rows that another version"):
        assert metrics(read_rows(tmp_path)) == ["new"]


def test_distances_lie_where_their_sets_stand_and_are_missing_between_blocks():
    held = {"names": list("abcd"), "blocks": list("xyxy"), "reason": None}
    found = distances_of(row("r", **held, distances=[[[0, 1], [2, 0]], [[0, None], [3, 0]]]))
    nan = np.nan
    expected = [[0, nan, 1, nan], [nan, 0, nan, nan], [2, nan, 0, nan], [nan, 3, nan, 0]]
    np.testing.assert_array_equal(found, expected)


def test_a_row_without_a_score_has_no_distances():
    with pytest.raises(RepsimError, match=r"Row \w+ has no distances: it broke"):
        distances_of(row("r", "failed", distances=None, names=[], reason="it broke"))
