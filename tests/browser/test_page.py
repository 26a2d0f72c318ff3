"""A headless browser opens the report's page from a file, as a reader would."""

import base64
import json
from pathlib import Path

import pytest

from relulens.report.sections import SECTIONS

pytestmark = pytest.mark.browser

CONTRAST = Path(__file__).with_name("contrast.js")


def requests(driver) -> list[str]:
    """Return every address that the browser asked for since the last call."""
    asked = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    return asked


@pytest.fixture
def opened(driver, page):
    driver.get_log("browser")
    driver.get_log("performance")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.get(page.as_uri())
    driver.execute_script(
        "localStorage.clear(); delete document.documentElement.dataset.theme"
    )
    return driver


def test_the_console_is_silent_and_nothing_is_asked_for(opened, page):
    assert opened.get_log("browser") == []
    outside = [a for a in requests(opened) if not a.startswith(("data:", "about:"))]
    assert outside == [page.as_uri()]


def test_every_section_is_there_and_has_a_size(opened):
    for name in [*SECTIONS, "provenance"]:
        height = opened.execute_script(
            "return document.getElementById(arguments[0]).offsetHeight", name
        )
        assert height > 100, name
    script = "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
    assert opened.execute_script(script)


def test_the_page_is_ready_within_a_second(opened):
    assert opened.execute_script("return document.documentElement.dataset.ready")
    times = opened.execute_script(
        "const t = performance.getEntriesByType('navigation')[0];"
        " return t.loadEventEnd - t.startTime"
    )
    assert 0 < times < 1000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_toggle_changes_the_colours_from_either_scheme(opened, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    opened.execute_script("delete document.documentElement.dataset.theme")
    colour = "return getComputedStyle(document.body).backgroundColor"
    before = opened.execute_script(colour)
    dark = sum(int(c) for c in before.strip("rgb()").split(",")) < 3 * 128
    assert dark == (scheme == "dark")
    button = opened.find_element("id", "theme")
    button.click()
    assert opened.execute_script(colour) != before
    button.click()
    assert opened.execute_script(colour) == before
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_hangs_over_the_side(opened, width):
    size = {
        "width": width,
        "height": 900,
        "deviceScaleFactor": 1,
        "mobile": width < 600,
    }
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wide = opened.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width


def test_text_has_contrast_in_both_schemes(opened):
    script = CONTRAST.read_text(encoding="utf-8")
    for theme in ("light", "dark"):
        ratio, where = opened.execute_script(script, theme)
        assert ratio >= 4.5, (theme, where)


def test_the_checks_open_and_copy(opened):
    opened.execute_script("document.querySelector('details.check').open = true")
    button = opened.find_element("css selector", "details.check button.copy")
    opened.execute_script("arguments[0].click()", button)
    opened.set_script_timeout(5)
    said = opened.execute_async_script(
        "const [b, done] = arguments; const look = () => b.textContent === 'Copy'"
        " ? setTimeout(look, 20) : done(b.textContent); look();",
        button,
    )
    assert said in {"Copied", "Select and copy"}


def test_the_keyboard_reaches_the_skip_link_first(opened):
    body = opened.find_element("tag name", "body")
    body.send_keys("\ue004")
    focused = opened.switch_to.active_element
    assert focused.get_attribute("class") == "skip"


def test_the_page_prints_with_everything_open(opened):
    printed = opened.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    content = base64.b64decode(printed["data"])
    assert content.startswith(b"%PDF")
    assert len(content) > 20_000
    assert opened.execute_script(
        "return document.querySelectorAll('details[open]').length === 0"
    )
