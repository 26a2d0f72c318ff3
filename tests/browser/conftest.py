"""A headless Chromium, and a report's page for it to open."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)


@pytest.fixture(scope="session")
def page(tmp_path_factory) -> Path:
    """Return the page of a report on the embedded network, with every section."""
    from relulens.report.report import report

    out = tmp_path_factory.mktemp("browser") / "report"
    return report(samples=24, out=out).path / "index.html"


@pytest.fixture(scope="session")
def driver(tmp_path_factory) -> Iterator[object]:
    """Return a browser with a log of its console and its network, or skip."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    service = shutil.which("chromedriver")
    if chromium is None or service is None:
        pytest.skip(
            "no chromium or no chromedriver on the path: install both, on Debian with"
            " apt-get install chromium chromium-driver"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    started = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(service)
    )
    yield started
    started.quit()
