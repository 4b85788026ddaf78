"""The page at `/` in a real browser: what it shows is what the API answers, and what it lets one copy asks for the same."""

import asyncio
import json
import math
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from canari.model import Feeds, Model, Predictions
from canari.runtime import Runtime
from canari.serving.app import App
from canari.serving.http import Receive, Scope, Send
from canari.serving.page import page
from canari.serving.protocol import ModelProtocol
from canari.serving.server import uvicorn_settings
from canari.serving.settings import Settings
from canari.serving.warmup import warm
from canari.signature import Input, Output, Signature, Source
from tests.conftest import make_classifier, make_toy

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"),
    pytest.mark.alone,
]

NAMES = (
    'it\'s "quoted"',
    "</script><script>alert(1)</script>",
    "größe in m² 🙂",
    "back\\slash `tick` $(id)",
    "a b\n\u2028\u202ec",
    "__proto__",
    "if",
)
LEVELS = ("it's", 'a "b"', "<i>", "back\\slash", "", " x\n", "missing", "🙂")
SOURCE = Source(language="R", version="4.5.0", model_class="lm<x>", sha256="0" * 64)


class Hostile(Runtime):
    """A number that tells each value of its row, whose names are what no model should have."""

    inline = True

    def __init__(self) -> None:
        numbers = (Input(name=name, kind="number", unit="<b>m</b>", range=(0.0, 1.0), missing=True) for name in NAMES)
        others = (
            Input(name='it\'s a "level" \\ : x', kind="category", levels=LEVELS, missing=True),
            Input(name="TRUE", kind="boolean", missing=True),
            Input(name=".2x", kind="category"),
        )
        outputs = (Output(name="<u>sum", kind="number"),)
        super().__init__(Signature(name="hostile", version="1", inputs=(*numbers, *others), outputs=outputs, source=SOURCE))

    def predict(self, feeds: Feeds) -> Predictions:
        numbers, (levels, flags, texts) = list(feeds.values())[: len(NAMES)], list(feeds.values())[len(NAMES) :]
        total = sum(2**i * np.nan_to_num(array, nan=100.0) for i, array in enumerate(numbers))
        told = [LEVELS.index(level) if level in LEVELS else 50 for level in levels.ravel()]
        lengths = [sum(map(ord, text)) for text in texts.ravel()]
        extra = np.array([told, lengths]).T @ [[1e4], [1e-3]]
        return {"<u>sum": total + extra + 1e6 * np.nan_to_num(flags, nan=7.0)}


class Wide(Runtime):
    """200 inputs with long names; answers what no number says."""

    inline = True

    def __init__(self) -> None:
        inputs = tuple(Input(name=f"{'measurement_' * 8}{i}", kind="number", range=(0.0, 0.05)) for i in range(200))
        outputs = (Output(name="up", kind="number"), Output(name="down", kind="number"), Output(name="none", kind="number"))
        super().__init__(Signature(name="wide", version="1", inputs=inputs, outputs=outputs, source=SOURCE))

    def predict(self, feeds: Feeds) -> Predictions:
        n = len(next(iter(feeds.values())))
        values = {"up": math.inf, "down": -math.inf, "none": math.nan}
        return {name: np.full((n, 1), value) for name, value in values.items()}


@contextmanager
def listening(application: Any, **how: Any) -> Iterator[str]:
    """The URL of a server in a thread of this process."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, **(uvicorn_settings() | how)))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def served(runtime: Runtime, **settings: Any) -> Iterator[str]:
    app = App(runtime, Settings(access_log=0, **settings))
    try:
        with listening(app, http=ModelProtocol) as url:
            yield url
    finally:
        app.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def toy() -> Iterator[str]:
    with served(warm(make_toy())) as url:
        yield url


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    with served(Hostile()) as url:
        yield url


def control(browser: webdriver.Chrome, name: str) -> Any:
    """The control whose label says this name."""
    find = "return [...document.querySelectorAll('form label')].find(l => l.firstChild.data === arguments[0]).control"
    return browser.execute_script(find, name)


def enter(browser: webdriver.Chrome, name: str, text: str) -> None:
    field = control(browser, name)
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(text or Keys.DELETE)


def note(field: Any) -> str:
    """What stands under a field besides its hint."""
    return str(field.find_element(By.XPATH, "../p[2]").text)


def submit(browser: webdriver.Chrome) -> str:
    """Press Predict, and what is shown then."""
    browser.execute_script("document.getElementById('prediction').replaceChildren()")
    browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    return shown(browser)


def shown(browser: webdriver.Chrome) -> str:
    prediction = browser.find_element(By.ID, "prediction")
    WebDriverWait(browser, 10).until(lambda _: prediction.text)
    return prediction.text


def answer(browser: webdriver.Chrome) -> Any:
    """The API's answer, as the page has it."""
    return json.loads(str(browser.find_element(By.CSS_SELECTOR, "#details pre").get_property("textContent")))


def code(browser: webdriver.Chrome, language: str) -> str:
    browser.find_element(By.ID, f"tab-{language}").click()
    return str(browser.find_element(By.ID, "code").get_property("textContent"))


def complaints(browser: webdriver.Chrome) -> Any:
    """What the browser logged since it was asked last: errors, and what the policy refused."""
    return browser.get_log("browser")  # type: ignore[no-untyped-call]


def test_what_it_shows_is_what_the_api_answers(browser: webdriver.Chrome, toy: str) -> None:
    browser.get(toy)
    assert browser.title == "toy 1"
    assert "proved" in browser.find_element(By.ID, "source").text
    assert "unproved" not in browser.find_element(By.ID, "source").text
    enter(browser, "age", "30")
    enter(browser, "visits", "2")
    Select(control(browser, "smoker")).select_by_visible_text("true")
    Select(control(browser, "exercise")).select_by_visible_text("some")
    expected = httpx.post(f"{toy}predict", json={"age": 30, "visits": 2, "smoker": True, "exercise": "some"}).json()
    assert submit(browser) == f"prediction: yes\n33.46 %\n{expected['predictions'][0]['prediction']}"
    filled = "const t = document.querySelector('.track'); return t.firstChild.offsetWidth / t.offsetWidth"
    assert browser.execute_script(filled) == pytest.approx(0.3346, abs=0.01)
    assert answer(browser) == expected
    details = browser.find_element(By.ID, "details").text
    assert "toy 1" in details
    assert "request id" in details
    enter(browser, "age", "")
    assert browser.find_element(By.ID, "stale").is_displayed()
    assert "missing" in submit(browser)
    assert not browser.find_element(By.ID, "stale").is_displayed()
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    assert control(browser, "age").get_property("value") == "50.75"
    assert complaints(browser) == []


def test_a_class_and_its_probabilities(browser: webdriver.Chrome) -> None:
    with served(warm(make_classifier())) as url:
        browser.get(url)
        text = submit(browser).split("\n")
        predicted = httpx.post(f"{url}predict", json={"x": 1}).json()["predictions"][0]
        assert answer(browser)["predictions"] == [predicted]
        assert text[:3] == ["class", predicted["class"], "probabilities"]
        assert text[3::2] == list(predicted["probabilities"])
        shares = [float(share.removesuffix(" %")) / 100 for share in text[4::2]]
        assert shares == pytest.approx(list(predicted["probabilities"].values()), rel=1e-3)
        enter(browser, "x", "20")
        assert "> 99.99 %" in submit(browser)  # which is not 100 %
        enter(browser, "x", "")
        assert submit(browser).count("missing") == 4


def test_mistakes_stand_where_they_were_made(browser: webdriver.Chrome, toy: str) -> None:
    browser.get(toy)
    visits, age = control(browser, "visits"), control(browser, "age")
    for wrong in ("", "1e300", "2.5", "-"):
        enter(browser, "visits", wrong)
        assert "not right" in submit(browser)
        assert visits.get_attribute("aria-invalid") == "true"
        assert "expected a" in note(visits)
        assert browser.switch_to.active_element == visits
    enter(browser, "visits", "3")
    assert visits.get_attribute("aria-invalid") == "false"
    enter(browser, "age", "200")
    assert "outside" in note(age)
    assert "%" in submit(browser)  # a warning, no refusal


def test_the_servers_refusal_is_shown_at_its_field(browser: webdriver.Chrome, hostile: str) -> None:
    """As of a page that was opened before the model got other levels."""
    browser.get(hostile)
    index = len(NAMES)
    browser.execute_script(f"fields[{index}].column.levels[0] = 'else'")
    field = browser.find_element(By.ID, f"c{index}")
    Select(field).select_by_index(0)
    assert submit(browser).startswith("row 0, column ")
    assert note(field).startswith("expected one of")
    assert note(field).endswith("came 'else'")
    assert browser.switch_to.active_element == field
    assert [entry["source"] for entry in complaints(browser)] == ["network"]  # the browser's own line about status 400


def test_a_server_that_is_gone_is_told(browser: webdriver.Chrome) -> None:
    with served(Hostile()) as url:
        browser.get(url)
        submit(browser)
    assert "did not answer" in submit(browser)
    complaints(browser)


@pytest.mark.parametrize("place", ["models/toy", "models/toy/"])
def test_behind_a_path_prefix(browser: webdriver.Chrome, place: str) -> None:
    app, failing = App(warm(make_toy()), Settings(access_log=0)), threading.Event()

    async def behind_prefix(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if failing.is_set():
                await send({"type": "http.response.start", "status": 502, "headers": []})
                await send({"type": "http.response.body", "body": b"<h1>Bad gateway</h1>"})
                return
            scope = {**scope, "path": scope["path"].removeprefix("/models/toy") or "/"}
        await app(scope, receive, send)

    with listening(behind_prefix) as url:
        browser.get(url + place)
        assert "%" in submit(browser)
        links = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, "nav a")]
        assert links == [f"{url}models/toy/{path}" for path in ("openapi.json", "signature", "metrics")]
        assert f"{url}models/toy/predict" in code(browser, "curl")
        assert complaints(browser) == []
        failing.set()
        assert submit(browser) == "The server answered 502 Bad Gateway, without a prediction."
        complaints(browser)
    app.close()


def test_the_code_asks_for_the_same(browser: webdriver.Chrome, hostile: str, tmp_path: Path) -> None:
    browser.get(hostile)
    for index, name in enumerate(NAMES):
        enter(browser, name, f"0.{index}" if index != 3 else "")
    enter(browser, ".2x", "'\"\\ $HOME `id` %s ü🙂")
    asked = {"curl": curl, "Python": python, **({"R": r} if has_httr2() else {})}
    answered = set()
    for level, flag in ((0, 0), (1, 1), (3, 2), (4, 0), (5, 1), (7, 2), (8, 0)):
        Select(browser.find_element(By.ID, f"c{len(NAMES)}")).select_by_index(level)
        Select(control(browser, "TRUE")).select_by_index(flag)
        submit(browser)
        expected = answer(browser)["predictions"][0]["<u>sum"]
        answered.add(expected)
        for language, ask in asked.items():
            if language == "curl" or level in (0, 3, 5):  # true, missing, false
                assert ask(code(browser, language), tmp_path) == pytest.approx(expected, rel=1e-15), language
    assert len(answered) == 7
    assert complaints(browser) == []
    if "R" not in asked:
        pytest.skip("curl and Python ask for the same; R needs httr2")


def has_httr2() -> bool:
    return bool(shutil.which("Rscript")) and not subprocess.run(["Rscript", "-e", "library(httr2)"], check=False).returncode


def curl(text: str, folder: Path) -> float:
    command = f"{text} --silent --show-error --fail"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["predictions"][0]["<u>sum"])


def python(text: str, folder: Path) -> float:
    (folder / "ask.py").write_text(f"{text}\nimport json\nprint(json.dumps(answer.json()))")
    done = subprocess.run([sys.executable, folder / "ask.py"], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["predictions"][0]["<u>sum"])


def r(text: str, folder: Path) -> float:
    (folder / "ask.R").write_text(f'{text}\ncat(sprintf("%.17g", answer$predictions[[1]][["<u>sum"]]))')
    done = subprocess.run(["Rscript", folder / "ask.R"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])


def test_keys_are_enough(browser: webdriver.Chrome, toy: str) -> None:
    browser.get(toy)
    keys = webdriver.ActionChains(browser)
    control(browser, "age").click()
    keys.key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys("42", Keys.ENTER).perform()
    WebDriverWait(browser, 10).until(lambda _: browser.find_elements(By.CSS_SELECTOR, "#details pre"))
    assert "%" in shown(browser)
    assert browser.switch_to.active_element == control(browser, "age")
    browser.find_element(By.ID, "tab-curl").send_keys(Keys.ARROW_RIGHT)
    assert browser.switch_to.active_element.text == "Python"
    assert '"age": 42,' in str(browser.find_element(By.ID, "code").get_property("textContent"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_fits_and_reads(browser: webdriver.Chrome, hostile: str, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    try:
        browser.get(hostile)
        submit(browser)
        browser.find_element(By.CSS_SELECTOR, "summary").click()
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        unnamed = """return [...document.querySelectorAll('input, select, button')].filter(c => c.checkVisibility() &&
            !c.labels?.length && !c.ariaLabel && !c.textContent).length"""
        assert browser.execute_script(unnamed) == 0
        assert browser.execute_script("return document.querySelectorAll('h1 b, label b, label i, option i, p u').length") == 0
        assert "unproved" in browser.find_element(By.CSS_SELECTOR, "header").text
        for selector in ("body", ".badge", ".field p", "#prediction .output", "button[type=submit]", "input", "dd", "nav a"):
            assert contrast(browser, selector) >= 4.5, selector
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def contrast(browser: webdriver.Chrome, selector: str) -> float:
    """The contrast ratio (WCAG 2.2) of an element's text and what is behind it."""
    colours = """
        let paper = document.querySelector(arguments[0]);
        const ink = getComputedStyle(paper).color;
        while (getComputedStyle(paper).backgroundColor === 'rgba(0, 0, 0, 0)') paper = paper.parentElement;
        return [ink, getComputedStyle(paper).backgroundColor].map((colour) => colour.match(/[0-9]+/g).slice(0, 3).map(Number));
    """
    channels = np.array(browser.execute_script(colours, selector)) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return float((high + 0.05) / (low + 0.05))


def test_two_hundred_inputs_stay_usable(browser: webdriver.Chrome) -> None:
    with served(Wide()) as url:
        browser.get(url)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.find_element(By.CSS_SELECTOR, "button[type=submit]").is_displayed()
        browser.find_element(By.ID, "filter").send_keys("_19")
        assert browser.find_element(By.ID, "found").text == "11 of 200"
        assert len([box for box in browser.find_elements(By.CSS_SELECTOR, ".field") if box.is_displayed()]) == 11
        field = control(browser, f"{'measurement_' * 8}7")
        browser.execute_script("arguments[0].value = ''", field)
        assert "not right" in submit(browser)
        assert field.is_displayed()  # the mistake is never hidden
        enter(browser, f"{'measurement_' * 8}7", "0.03")
        field.send_keys(Keys.ARROW_UP)
        assert field.get_property("value") == "0.031"
        text = submit(browser)
        assert "up\n∞" in text
        assert "down\n-∞" in text
        assert "none\nmissing" in text


def test_it_can_be_switched_off(toy_model: Model) -> None:
    with served(warm(toy_model), page=False) as url:
        assert httpx.get(url).status_code == 404


def test_nothing_from_elsewhere_may_run_in_it(browser: webdriver.Chrome, toy: str) -> None:
    got = httpx.get(toy)
    policy = got.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    assert got.headers["cache-control"] == "no-store"
    assert "://" not in got.text
    browser.get(toy)
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)"
    )
    assert browser.execute_script("return window.ran") is None
    assert "Content Security Policy" in complaints(browser)[0]["message"]


def test_it_links_to_the_services_description_where_there_is_one() -> None:
    signature = make_toy().signature
    assert b'href="docs.json"' in page(signature, docs=True).body
    assert b"docs.json" not in page(signature).body
