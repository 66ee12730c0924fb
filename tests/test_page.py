"""The web page in headless Chromium: what only a browser can tell."""

import json
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_leaderboard import scores

from repsim.leaderboard import Leaderboard

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the path"
)
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
SCRIPT = "<script>document.title='owned'</script>"
IMAGE = '"><img src=https://example.org/x.png onerror="document.title=\'owned\'">'
LONG = "a_metric_with_a_name_that_never_ends_" * 4


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a board with hostile names, ties, gaps and a broken case."""
    rows = scores(SCRIPT, 0.90, 0.91, 0.92, seconds_per_pair=10.0)
    rows += scores(IMAGE, 0.70, 0.71, 0.74, seconds_per_pair=9.0)
    rows += scores(LONG, 0.60, 0.66, 0.64, seconds_per_pair=200.0)
    rows += scores("gappy", 0.6, reason=None) + scores("oracle", 0.9, 0.9, 0.9)
    for name, value in ((SCRIPT, 0.6), (IMAGE, 0.7), (LONG, 0.9)):
        rows += scores(name, value, value, value, case=f"suite/{SCRIPT}", axis=IMAGE)
    rows += scores("unlucky", None, None, None, case=f"suite/{SCRIPT}")
    rows = [row | {"labels": [IMAGE, SCRIPT] * 2, "commit": SCRIPT} for row in rows]
    folder = tmp_path_factory.mktemp("page")
    return Leaderboard(rows).save(folder)[0].as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def show(browser, page, scheme="light", width=1200):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # reading empties it
    browser.get(page)


def metrics(browser):
    return [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, ".ranked td.name")]


def header(browser, name):
    found = browser.find_elements(By.CSS_SELECTOR, ".ranked thead button")
    return next(button for button in found if button.text.startswith(name))


def order(browser, button):
    return button.find_element(By.XPATH, "..").get_attribute("aria-sort")


def test_clicking_a_header_sorts_by_number(browser, page):
    show(browser, page)
    assert metrics(browser)[0] == LONG
    button = header(browser, "Per pair")
    button.click()
    assert metrics(browser) == [LONG, SCRIPT, IMAGE]  # 200, 10, 9 s; as text 9 comes first
    assert order(browser, button) == "descending"
    button.click()
    assert metrics(browser) == [IMAGE, SCRIPT, LONG]
    assert order(browser, button) == "ascending"
    assert order(browser, header(browser, "Rank")) == "none"


def test_the_keyboard_sorts_too(browser, page):
    show(browser, page)
    button = header(browser, "Metric")
    button.send_keys(Keys.ENTER)
    assert sorted(metrics(browser)) == sorted([LONG, SCRIPT, IMAGE])
    ascending = metrics(browser)
    button.send_keys(Keys.SPACE)
    assert metrics(browser) == ascending[::-1]
    assert order(browser, button) == "descending"


def test_a_hostile_name_stays_text(browser, page):
    show(browser, page)
    assert {SCRIPT, IMAGE} <= set(metrics(browser))
    assert browser.title.startswith("repsim leaderboard")
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 1
    pictures = browser.find_elements(By.TAG_NAME, "img")
    assert pictures
    assert all(picture.get_attribute("src").startswith("data:") for picture in pictures)
    assert any(SCRIPT in picture.get_attribute("alt") for picture in pictures)


def test_nothing_is_fetched_and_nothing_goes_wrong(browser, page):
    show(browser, page)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"].endswith("WillBeSent")]
    assert page in asked  # the log sees requests
    assert [url for url in asked if not url.startswith("data:") and url != page] == []
    assert browser.get_log("browser") == []


def test_the_policy_forbids_requests(browser, page):
    show(browser, page)
    refused = browser.execute_async_script(
        "const done = arguments[0];"
        "fetch('https://example.org').then(() => done('fetched'), error => done(error.message))"
    )
    assert refused == "Failed to fetch"
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]


def test_every_figure_is_drawn_in_both_schemes(browser, page):
    sources, grounds = [], []
    for scheme in ("light", "dark"):
        show(browser, page, scheme)
        pictures = browser.execute_script("return [...document.images]")
        assert all(picture.get_property("naturalWidth") > 100 for picture in pictures)
        sources.append([picture.get_property("currentSrc") for picture in pictures])
        body = browser.find_element(By.TAG_NAME, "body")
        grounds.append(body.value_of_css_property("background-color"))
    assert not set(sources[0]) & set(sources[1])
    assert grounds == ["rgba(255, 255, 255, 1)", "rgba(22, 25, 29, 1)"]


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_never_scrolls_sideways(browser, page, width):
    show(browser, page, width=width)
    root = browser.find_element(By.TAG_NAME, "html")
    assert root.get_property("scrollWidth") == root.get_property("clientWidth") > width - 20


def test_the_phone_shows_every_value_with_its_name(browser, page):
    show(browser, page, width=360)
    assert header(browser, "Score").is_displayed()
    for cell in browser.find_elements(By.CSS_SELECTOR, ".ranked td"):
        assert cell.rect["x"] >= 0
        assert cell.rect["x"] + cell.rect["width"] <= 360


def test_the_broken_case_is_red_and_said_first(browser, page):
    show(browser, page)
    alarm = browser.find_element(By.CLASS_NAME, "alarm")
    assert "the control oracle has 0.9 over 3 seeds where 1 is known" in alarm.text
    heading = browser.find_element(By.CSS_SELECTOR, "h3.broken")
    assert heading.value_of_css_property("color") == "rgba(179, 38, 30, 1)"
