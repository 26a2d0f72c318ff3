"""The page of whole reports: what it says, shows, hides and leaves out."""

import re
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import NETWORKS

from relulens.importers.layers import from_layers
from relulens.report.report import report
from relulens.report.sections import SECTIONS

ADDRESS = re.compile(r"""(?:src|href|action|data|poster)\s*=\s*["']([^"']*)["']""")


@dataclass
class Outline(HTMLParser):
    """What a page consists of."""

    def __post_init__(self):
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "img":
            self.pictures.append(found)

    def handle_data(self, data):
        self.text.append(data)


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    return found


def read(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def case():
    network, x = NETWORKS["max_pool"]()
    return network, x, np.arange(len(x)) % 3


@pytest.fixture(scope="module")
def page(tmp_path_factory, case):
    return read(report(*case, out=tmp_path_factory.mktemp("page") / "r").path)


def test_every_section_and_the_provenance_are_there_once(page):
    ids = outline(page).ids
    for name in [*SECTIONS, "provenance", "setup"]:
        assert ids.count(name) == 1
    assert len(ids) == len(set(ids))


def test_no_address_leaves_the_page(page):
    for address in ADDRESS.findall(page):
        assert address.startswith(("#", "data:")), address
    assert "@import" not in page
    assert "default-src 'none'" in unescape(page)


def test_every_identifier_that_is_used_exists(page):
    ids = set(outline(page).ids)
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert used
    assert set(used) <= ids


def test_pictures_have_words_and_landmarks_are_there(page):
    found = outline(page)
    assert found.pictures
    assert all(picture.get("alt") for picture in found.pictures)
    assert {"header", "nav", "main", "footer", "h1"} <= set(found.tags)
    for svg in re.findall(r"<svg[^>]*>", page):
        assert "aria-hidden" in svg or "aria-label" in svg


def test_styles_of_drawings_do_not_leak_into_the_page(page):
    assert page.count("<style>") == 1


def test_colours_of_drawings_follow_the_theme(page):
    drawings = re.findall(r'<svg role="img".*?</svg>', page, re.DOTALL)
    assert drawings
    assert all("var(--ink)" in drawing for drawing in drawings)
    assert not any("#1c2330" in drawing for drawing in drawings)


def test_a_sensitive_report_shows_no_input(tmp_path, case):
    page = read(report(*case, out=tmp_path / "r", sensitive=True).path)
    assert "data:image/png" not in page
    assert outline(page).pictures == []
    for name in SECTIONS:
        assert f'id="{name}"' in page


def test_names_from_outside_are_escaped(tmp_path, case):
    network, x, _ = case
    evil = "<script>alert(1)</script>"
    labels = np.array([evil, "a", "b", "a"])
    page = read(report(network, x, labels, out=tmp_path / "r").path)
    assert evil not in page
    assert "&lt;script&gt;" in page


def test_inputs_without_labels_have_no_accuracy(tmp_path, case):
    network, x, _ = case
    page = read(report(network, x, out=tmp_path / "r").path)
    assert "without labels" in page
    assert ">accuracy<" not in page


def test_one_output_means_no_classes(tmp_path):
    network = from_layers([(torch.eye(2), None), (torch.ones(1, 2), None)])
    x = torch.tensor([[1.0, 2.0], [-1.0, 3.0]])
    page = read(report(network, x, out=tmp_path / "r").path)
    assert "one output" in page


def test_no_inputs_make_a_page_that_says_so(tmp_path, case):
    network, x, _ = case
    page = read(report(network, x[:0], out=tmp_path / "r").path)
    assert "There are no inputs." in page


def test_a_budget_of_nothing_leaves_out_and_says_so(tmp_path, case):
    made = report(*case, out=tmp_path / "r", budget=0.0)
    page = read(made.path)
    assert "Not reached." in page
    assert "left out" in page


def test_curved_networks_say_what_is_not_exact(tmp_path):
    network, x = NETWORKS["smooth"]()
    page = read(report(network, x, out=tmp_path / "r").path)
    assert "Not every operation is piecewise affine" in page
    assert "certified radius of an input" not in page


def test_the_checks_of_every_section_hold_when_they_are_run(tmp_path, case):
    import pandas as pd

    import relulens as rl

    network, x, labels = case
    made = report(network, x, labels, out=tmp_path / "r")
    samples = pd.read_parquet(made.path / "samples.parquet")
    page = read(made.path)
    blocks = re.findall(
        r'<details class="check">.*?<code>(.*?)</code>', page, re.DOTALL
    )
    assert len(blocks) == len(SECTIONS)
    for block in blocks:
        code = unescape(block)
        assert len(code.splitlines()) == 3
        exec(code, {"rl": rl, "network": network, "x": x, "samples": samples})
