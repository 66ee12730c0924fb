"""The report card's page in headless Chromium."""

import pytest
from selenium.webdriver.common.by import By
from test_leaderboard import scores
from test_page import CHROMIUM, DRIVER, IMAGE, LONG, SCRIPT, browser, show  # noqa: F401
from test_report_curves import block_rows

from repsim.report import Report

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the path"
)
NOISE_CASE = f"suite/noise {IMAGE}"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a card with hostile names everywhere, failures, levels and a broken case."""
    rows = scores(SCRIPT, 0.9, 0.91, 0.92, chosen={SCRIPT: IMAGE})
    rows += scores(SCRIPT, 0.6, 0.4, 0.5, protocol="independent")
    rows += scores(SCRIPT, 0.7, None, 0.6, case=f"suite/{LONG}", axis=IMAGE, reason=SCRIPT)
    rows += scores("oracle", 1.0, 1.0, 1.0)
    off = {"case": "suite/off", "axis": "off"}
    rows += scores(SCRIPT, 0.9, 0.91, 0.92, **off) + scores("oracle", 0.9, 0.9, 0.9, **off)
    rows += scores("oracle", 1.0, 1.0, 1.0, case=f"suite/{LONG}", axis=IMAGE)
    curve = {"case": NOISE_CASE, "axis": "noise robustness"}
    rows += block_rows(SCRIPT, [0, 0.5, 1, 1], [0.5, 0.5, 1, 1], [0, 0, 1, 1], **curve)
    rows += block_rows("oracle", *[[1] * 4] * 3, **curve)
    rows = [row | {"labels": [IMAGE, SCRIPT] * (len(row["labels"]) // 2)} for row in rows]
    beside = block_rows("linear_cka", *[[1] * 4] * 3, **curve) + scores(LONG, 0.99, 0.98, 0.99)
    card = Report(rows, SCRIPT, beside=beside)
    return card.save(tmp_path_factory.mktemp("card"))[0].as_uri()


def texts(browser, selector):  # noqa: F811
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, selector)]


def test_hostile_names_stay_text(browser, page):  # noqa: F811
    show(browser, page)
    assert browser.title.startswith(SCRIPT)
    assert texts(browser, ".headline") == [SCRIPT]
    assert browser.find_elements(By.TAG_NAME, "script") == []
    pictures = browser.find_elements(By.TAG_NAME, "img")
    assert len(pictures) == 1 + 2 * 4  # a curve; heat map and plane of each case
    assert all(one.get_attribute("src").startswith("data:") for one in pictures)
    assert browser.get_log("browser") == []


def test_the_sentences_stand_first(browser, page):  # noqa: F811
    show(browser, page)
    assert texts(browser, ".sentences dt") == ["Trust", "Do not trust", "Instead"]
    trust, distrust, instead = texts(browser, ".sentences dd")
    assert "can be trusted for dynamics (0.82" in trust
    assert "not without the same trials" in trust
    assert "1 of its 3 evaluations gave no value" in distrust
    assert "off (0.82, " in distrust
    assert "suite/off is broken: a control misses its known value" in distrust
    assert "broken" in texts(browser, ".axes .mark")
    assert f"Use {LONG} for dynamics (0.97 against 0.82); linear_cka" not in instead
    assert f"{LONG} for dynamics (0.97 against 0.82)" in instead
    assert "oracle has 0.9 over 3 seeds where 1 is known" in texts(browser, ".alarm")[0]


def test_every_section_is_there(browser, page):  # noqa: F811
    show(browser, page)
    headings = texts(browser, "h2")
    for word in (
        "By axis", "Case by case", "Dose and response", "Distances", "What it chose",
        "Without a value", "Controls", "Among the metrics of the results folder",
    ):  # fmt: skip
        assert word in headings
    body = browser.find_element(By.TAG_NAME, "body").text
    assert "below 0.1" in body  # the threshold of linear_cka
    assert "Counted are the 11 of 12 evaluations" in body


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn(browser, page, scheme):  # noqa: F811
    show(browser, page, scheme)
    pictures = browser.execute_script("return [...document.images]")
    assert all(picture.get_property("naturalWidth") > 100 for picture in pictures)
    used = {picture.get_property("currentSrc") for picture in pictures}
    plain = {picture.get_attribute("src") for picture in pictures}
    assert (used == plain) == (scheme == "light")


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_never_scrolls_sideways(browser, page, width):  # noqa: F811
    show(browser, page, width=width)
    root = browser.find_element(By.TAG_NAME, "html")
    assert root.get_property("scrollWidth") == root.get_property("clientWidth") > width - 20


def test_the_phone_shows_every_value_inside(browser, page):  # noqa: F811
    show(browser, page, width=360)
    for cell in browser.find_elements(By.CSS_SELECTOR, "td"):
        assert cell.rect["x"] >= 0
        assert cell.rect["x"] + cell.rect["width"] <= 360
