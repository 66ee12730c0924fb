import csv
import io

import pytest
from rich.console import Console
from test_leaderboard import row, scores

from repsim.leaderboard import Leaderboard
from repsim.rendering import duration

NASTY = ["a|b", "`tick` ``two``", "<script>alert(1)</script>", "[red]x[/red]", 'q"; \\ & $x^2$ *']


def test_csv_and_markdown_give_the_names_back():
    board = Leaderboard(
        [line for i, name in enumerate(NASTY) for line in scores(name, 0.6 + i / 20)]
    )
    best_first = NASTY[::-1]
    lines = list(csv.DictReader(io.StringIO(board.to_csv())))
    assert [line["metric"] for line in lines] == best_first
    assert [float(line["score"]) for line in lines] == list(board.table["score"])
    found = [line for line in board.to_markdown().splitlines() if line.startswith("|")][2:7]
    cells = [cell.replace("\\|", "\0").split("|")[3].strip() for cell in found]
    assert [_text_of(cell) for cell in cells] == best_first
    assert "<script>" not in _outside_code(board.to_markdown())


def test_markdown_shows_underscores_in_sentences_as_they_are():
    headline = Leaderboard(scores("_under_", 0.6, 0.7)).to_markdown().split("\n\n")[1]
    assert headline.startswith(r"\_under\_ is the only metric here.")


def _text_of(code_span):
    fence = len(code_span) - len(code_span.lstrip("`"))
    inside = code_span[fence:-fence].replace("\0", "|")
    return inside[1:-1] if inside.startswith(" ") else inside


def _outside_code(markdown):
    for fence in ("```", "``", "`"):
        markdown = "".join(markdown.split(fence)[::2])
    return markdown.replace("\\<", "")


def test_print_shows_names_as_they_are():
    text = io.StringIO()
    Leaderboard(scores("[red]x[/red]", 0.6, 0.7)).print(Console(file=text, width=160))
    assert text.getvalue().count("[red]x[/red]") == 2  # the headline and the table


def test_the_notebook_fragment_is_escaped():
    html = Leaderboard(scores("<script>alert(1)</script>", 0.6, 0.7))._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_save_writes_all_or_nothing(tmp_path, monkeypatch):
    board = Leaderboard(scores("m", 0.6, 0.7))
    paths = board.save(tmp_path / "new")
    assert [path.name for path in paths] == ["index.html", "leaderboard.md", "leaderboard.csv"]
    assert sorted(paths) == sorted((tmp_path / "new").iterdir())  # no half-written file stays
    before = paths[0].read_bytes()
    monkeypatch.setattr(Leaderboard, "to_csv", lambda board: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Leaderboard(scores("other", 0.6, 0.7)).save(tmp_path / "new")
    assert paths[0].read_bytes() == before


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(2e-6, "2.0 µs"), (0.0123, "12 ms"), (0.25, "250 ms"), (90, "90 s"), (float("nan"), "–")],
)
def test_durations_have_the_unit_that_fits(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_console_of_any_width_shows_scores_and_reasons(width):
    board = Leaderboard(scores("whole", 0.6, 0.7) + [row("gappy", i, None) for i in (0, 1)])
    text = io.StringIO()
    board.print(Console(file=text, width=width))
    words = text.getvalue().split()
    assert "it broke" in " ".join(words)
    assert "0.300" in words  # the score, (.65 - .5) / .5
    assert max(map(len, text.getvalue().splitlines())) <= width


def test_a_console_shows_what_fits_and_controls_that_are_off():
    cases = {f"suite/{i}": ("dynamics", "noise")[i % 2] for i in range(6)}

    def printed(constant, width):
        rows = [
            row
            for case, axis in cases.items()
            for name, value in (("m", 0.7), ("constant", constant))
            for row in scores(name, value, value, case=case, axis=axis)
        ]
        text = io.StringIO()
        Leaderboard(rows).print(Console(file=text, width=width))
        return text.getvalue()

    assert "Case by case" not in printed(0.5, 120)
    assert "Case by case" in printed(0.5, 200)
    assert "Controls" not in printed(0.5, 120)
    assert "Controls" in printed(0.6, 120)


def test_no_command_is_claimed_that_did_not_make_the_rows():
    board = Leaderboard(scores("m", 0.9, 0.8))
    for text in (board.to_html(), board.to_markdown(), str(board)):
        assert "repsim board" not in text
