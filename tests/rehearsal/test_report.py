"""The report in a real browser: readable on a desk and a phone, in light and dark, without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.rehearsal.conftest import Rehearsed

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"),
    pytest.mark.alone,
]


@pytest.fixture
def report(paused: Rehearsed) -> Path:
    """A short rehearsal's report: predictions, one gate, callers."""
    return paused.out / "report.html"


@pytest.fixture(params=[(375, "light"), (375, "dark"), (1280, "light"), (1280, "dark")], ids=lambda p: f"{p[0]}-{p[1]}")
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    width, scheme = request.param
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions", {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    )
    yield driver
    driver.quit()


def test_report_fits_and_reads_without_a_network(browser: webdriver.Chrome, report: Path) -> None:
    browser.get(report.as_uri())
    assert "paused" in browser.title
    assert "Paused" in browser.find_element(By.CSS_SELECTOR, ".verdict strong").text
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    width = browser.execute_script("return innerWidth")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    pictures = [svg for svg in browser.find_elements(By.CSS_SELECTOR, "svg[role=img]") if svg.is_displayed()]
    assert len(pictures) >= 5
    for picture in pictures:
        assert picture.get_attribute("aria-label")
        assert 0 < picture.size["width"] <= width
        assert picture.find_elements(By.CSS_SELECTOR, "text")
    for summary in browser.find_elements(By.CSS_SELECTOR, "details:not([open]) > summary"):
        summary.click()
    rules = " ".join(table.text for table in browser.find_elements(By.CSS_SELECTOR, "table.rules"))
    assert "prediction_shift" in rules
    assert "p95_vs_baseline" in rules
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_text_stands_out_from_the_paper(browser: webdriver.Chrome, report: Path) -> None:
    """Contrast of body text and of each outcome's colour is at least 4.5, WCAG's level AA."""
    browser.get(report.as_uri())
    for selector in ("body", ".soft", ".verdict p", ".verdict strong", "td.pass, td.fail, td.inconclusive"):
        colours = browser.execute_script(
            """
            const element = document.querySelector(arguments[0]);
            let paper = element;
            while (paper && getComputedStyle(paper).backgroundColor === 'rgba(0, 0, 0, 0)') paper = paper.parentElement;
            return [getComputedStyle(element).color, getComputedStyle(paper || document.body).backgroundColor];
            """,
            selector,
        )
        assert contrast(*colours) >= 4.5, (selector, colours)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two CSS colours (WCAG 2.2)."""
    first, second = sorted((luminance(one), luminance(other)))
    return (second + 0.05) / (first + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`."""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
