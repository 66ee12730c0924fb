"""The three sentences on constructed rows: each follows from the numbers and changes with them."""

import pytest
from test_leaderboard import scores

from repsim.report import Report

HIGH, LOW, EVEN = (0.95, 0.97, 0.96), (0.62, 0.63, 0.64), (0.6, 0.4, 0.5)
UNDER, ALONE, NONE = (0.1, 0.12, 0.11), (0.9,), (None, None, None)


def sentences(**values):
    """The sentences on "mine"; dynamics and noise are its values on two axes, other keywords the
    values of other metrics on dynamics, or on noise where they begin with noise_.
    """
    rows = []
    for name, axis in (("dynamics", "dynamics"), ("noise", "noise robustness")):
        if name in values:
            rows += scores("mine", *values[name], case=f"suite/{name}", axis=axis)
    if "independent" in values:
        facts = {"case": "suite/dynamics", "protocol": "independent"}
        rows += scores("mine", *values["independent"], **facts)
    known = {"dynamics", "noise", "independent"}
    beside = []
    for name in values.keys() - known:
        case, axis = "dynamics", "dynamics"
        if name.startswith("noise_"):
            case, axis = "noise", "noise robustness"
        beside += scores(name, *values[name], case=f"suite/{case}", axis=axis)
    return Report(rows, "mine", beside=beside).sentences


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dynamics": HIGH}, "mine can be trusted for dynamics (0.92, "),
        ({"dynamics": HIGH, "noise": HIGH}, "and noise robustness (0.92, "),
        ({"dynamics": LOW}, "no axis on which mine can be trusted"),
        ({"dynamics": NONE}, "no axis on which mine can be trusted"),
        ({"dynamics": ALONE}, "One seed cannot say"),
        ({"dynamics": ALONE, "noise": NONE}, "One seed cannot say"),
        ({"dynamics": HIGH, "independent": HIGH}, ", with independent trials too."),
        ({"dynamics": HIGH, "independent": EVEN}, "but not without the same trials"),
        ({"dynamics": HIGH, "independent": EVEN}, "it has 0.00 ("),
        ({"dynamics": HIGH, "independent": NONE}, "; with independent trials 3 of 3 evaluations"),
    ],
)
def test_where_it_can_be_trusted(values, words):
    assert words in sentences(**values)[0]


def test_trials_are_not_mentioned_where_nothing_was_run_with_others():
    assert "trials" not in sentences(dynamics=HIGH)[0]
    assert "trials" not in sentences(dynamics=LOW, independent=EVEN)[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dynamics": HIGH}, "No axis of these test cases speaks against mine."),
        ({"dynamics": LOW}, "dynamics (0.26, 0.21 to 0.31; above chance, but not shown"),
        ({"dynamics": EVEN}, "not told apart from chance"),
        ({"dynamics": UNDER}, "below chance: like sets are found farther apart"),
        ({"dynamics": ALONE}, "One seed does not tell for dynamics (0.80)."),
        ({"dynamics": ALONE, "noise": NONE}, " gave a value). One seed does not tell for dynamics"),
        ({"dynamics": NONE}, "none of its 3 evaluations gave a value"),
        ({"dynamics": (0.9, None, 0.91)}, "1 of its 3 evaluations gave no value"),
        ({"dynamics": HIGH, "noise": EVEN}, "It cannot be trusted for noise robustness (0.00"),
        ({"dynamics": LOW, "noise": EVEN}, "ceiling) and noise robustness (0.00"),
    ],
)
def test_where_it_cannot(values, words):
    assert words in sentences(**values)[1]


def test_one_seed_is_no_reason_for_distrust():
    assert "cannot be trusted" not in sentences(dynamics=ALONE)[1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dynamics": LOW}, "repsim board --suite suite/dynamics --seeds 3."),
        ({"dynamics": LOW, "other": HIGH}, "Use other for dynamics (0.92 against 0.26)."),
        ({"dynamics": LOW, "other": HIGH, "best": (0.98, 0.99, 1.0)}, "Use best for dynamics"),
        ({"dynamics": NONE, "other": HIGH}, "Use other for dynamics (0.92 against no value)."),
        ({"dynamics": LOW, "other": EVEN}, "No other metric scored here"),
        ({"dynamics": UNDER, "other": EVEN}, "No other metric scored here"),  # better, but chance
        ({"dynamics": LOW, "other": (0.5, 0.7, 0.8)}, "is shown to be better for dynamics."),
        ({"dynamics": ALONE, "other": (0.99,)}, "one seed cannot show"),
        (
            {"dynamics": HIGH, "other": LOW},
            "No other metric scored here is shown to be",
        ),
        ({"dynamics": HIGH, "other": (0.99, 1.0, 1.0)}, "Use other for dynamics"),
        (
            {"dynamics": LOW, "noise": EVEN, "other": HIGH},
            "; for noise robustness no other metric has values",
        ),
        ({"dynamics": HIGH, "other": LOW, "another": LOW}, "None of the 2 other metrics scored"),
        (
            {"dynamics": LOW, "noise": EVEN, "noise_a": HIGH},
            "Use noise_a for noise robustness (",
        ),
        ({"dynamics": LOW, "noise": EVEN, "noise_a": HIGH}, "; for dynamics no other metric has"),
        ({"dynamics": LOW, "noise": HIGH, "noise_a": LOW}, "No other metric scored here is shown"),
        ({"dynamics": LOW, "gappy": (0.99, None, 0.98)}, "not known, as no other"),
    ],
)
def test_what_to_use_instead(values, words):
    assert words in sentences(**values)[2]


def test_what_is_better_with_the_same_trials_only_is_said_to_be():
    rows = scores("mine", *LOW) + scores("other", *HIGH)
    for values, said in ((EVEN, True), (HIGH, False)):
        beside = [
            one
            for name in ("mine", "other")
            for one in scores(name, *values, protocol="independent")
        ]
        sentence = Report(rows + beside, "mine").sentences[2]
        assert ("against 0.26, with the same trials only)" in sentence) == said
