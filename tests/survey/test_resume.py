"""A survey that is stopped at any moment is continued to the same bits."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import NETWORKS

from relulens.errors import OutputFolderError
from relulens.survey.catalogue import CATALOGUE
from relulens.survey.survey import survey


def questions(network):
    """Return the report's questions, cut into small shards."""
    names = ("prediction", "activity", "slope", "spectra")
    made = [CATALOGUE[name](network) for name in names]
    return [replace(q, rows_per_shard=min(q.rows_per_shard, 2)) for q in made]


def files(folder):
    """Return the bytes of every shard by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("part-*"))
    }


@pytest.fixture
def case():
    network, x = NETWORKS["max_pool"]()
    return network, x, np.arange(len(x)) % 3


@pytest.fixture
def run(case):
    network, x, labels = case

    def start(out, **options):
        asked = questions(network)
        return survey(network, x, labels, out=out, questions=asked, **options)

    return start


CHILD = """
import os, random, signal, sys, time
sys.path.insert(0, {tests!r})
import numpy as np
import torch
torch.set_num_threads(1)
from networks import NETWORKS
import pyarrow.parquet as pq
from relulens.survey.survey import survey
from survey.test_resume import questions

network, x = NETWORKS["max_pool"]()
labels = np.arange(len(x)) % 3
whole = pq.write_table

def ask(out, **options):
    asked = questions(network)
    return survey(network, x, labels, out=out, questions=asked, **options)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def after(count, out):
    def stop(done, total):
        if done >= count:
            die()
    ask(out, progress=stop)

def half_a_table(count, out):
    left = [count]
    def write(table, place, **options):
        whole(table, place, **options)
        left[0] -= 1
        if left[0] == 0:
            with open(place, "r+b") as file:
                file.truncate(60)
            die()
    pq.write_table = write
    ask(out)

def in_child(work, *arguments):
    pid = os.fork()
    if pid == 0:
        work(*arguments)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

base = {base!r}
for place, work, count in (("a", after, 3), ("b", half_a_table, 4), ("c", after, 12)):
    assert in_child(work, count, base + place) == signal.SIGKILL
    parts = os.popen(f"find {{base}}{{place}} -name 'part-*.parquet'").read().split()
    print(place, len(parts))
    assert not ask(base + place).recomputed

generator = random.Random(0)
kills = 0
for attempt in range(6):
    pid = os.fork()
    if pid == 0:
        ask(base + "d", progress=lambda done, total: time.sleep(0.01))
        os._exit(0)
    time.sleep(generator.uniform(0.02, 0.12))
    os.kill(pid, signal.SIGKILL)
    kills += os.waitpid(pid, 0)[1] == signal.SIGKILL
assert not ask(base + "d").recomputed
print("kills", kills)
"""


def test_killed_surveys_end_with_the_same_bits(tmp_path, run):
    run(tmp_path / "whole")
    tests = str(Path(__file__).resolve().parents[1])
    script = CHILD.format(tests=tests, base=f"{tmp_path}/")
    child = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    said = dict(line.split() for line in child.stdout.splitlines())
    wanted = files(tmp_path / "whole")
    total = sum(name.endswith(".parquet") for name in wanted)
    assert all(0 < int(said[place]) < total for place in "abc")
    assert int(said["kills"]) > 0
    for place in "abcd":
        assert files(tmp_path / place) == wanted
        assert not list((tmp_path / place).rglob("*.tmp-*"))


def test_an_interrupt_leaves_what_was_finished(tmp_path, run):
    def interrupt(done, total):
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", progress=interrupt)
    assert 0 < len(files(tmp_path / "s")) < len(files_of_whole(tmp_path, run))
    run(tmp_path / "s")
    assert files(tmp_path / "s") == files(tmp_path / "whole")


def files_of_whole(tmp_path, run):
    run(tmp_path / "whole")
    return files(tmp_path / "whole")


def test_nothing_is_answered_twice(tmp_path, run):
    first = run(tmp_path / "s")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("part-*")}
    counted = []
    again = run(tmp_path / "s", progress=lambda *counts: counted.append(counts))
    assert not counted
    assert {p: p.stat().st_mtime_ns for p in before} == before
    for name, answers in first.answers.items():
        assert answers.table.equals(again.answers[name].table)


@pytest.mark.parametrize("what", ["parquet", "safetensors"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-5],
        lambda content: b"",
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        None,
    ],
)
def test_damaged_shards_are_answered_again_and_said(tmp_path, run, what, damage):
    out = tmp_path / "s"
    run(out)
    wanted = files(out)
    folder = "activity" if what == "safetensors" else "slope"
    broken = sorted((out / folder).glob(f"part-*.{what}"))[-1]
    if damage is None:
        broken.unlink()
    else:
        broken.write_bytes(damage(broken.read_bytes()))
    again = run(out)
    assert files(out) == wanted
    lost = damage is None and what == "parquet"
    assert len(again.recomputed) == (0 if lost else 1)
    assert lost or broken.stem in again.recomputed[0]


def test_shards_of_another_survey_are_answered_again(tmp_path, run, case):
    network, x, labels = case
    run(tmp_path / "s")
    wanted = files(tmp_path / "s")
    survey(network, x + 1, labels, out=tmp_path / "o", questions=questions(network))
    for name in ("slope/part-00000.parquet", "slope/part-00001.parquet"):
        (tmp_path / "s" / name).write_bytes((tmp_path / "o" / name).read_bytes())
    assert len(run(tmp_path / "s").recomputed) == 2
    assert files(tmp_path / "s") == wanted


def test_another_network_or_data_is_refused_with_both_hashes(tmp_path, run, case):
    network, x, labels = case
    first = run(tmp_path / "s")
    asked = questions(network)
    other = tmp_path / "s"
    with pytest.raises(OutputFolderError, match="its data is") as caught:
        survey(network, x + 1, labels, out=other, questions=asked)
    assert first.plan.data.sha256 in str(caught.value)
    with pytest.raises(OutputFolderError, match="its data is"):
        survey(network, x, (labels + 1) % 3, out=other, questions=asked)
    with pytest.raises(OutputFolderError, match="its seed is 0"):
        survey(network, x, labels, out=other, questions=asked, seed=1)
    network2, _ = NETWORKS["ragged_max_pool"]()
    with pytest.raises(OutputFolderError, match="its network is") as caught:
        survey(network2, x, labels, out=other, questions=questions(network2))
    assert first.plan.network_sha256 in str(caught.value)
    assert files(other) == files(run(other).path)


def test_other_options_of_a_question_are_refused(tmp_path, run, case):
    network, x, labels = case
    run(tmp_path / "s")
    for change in ({"version": 99}, {"rows_per_shard": 3}, {"options": {"a": 1}}):
        changed = [replace(questions(network)[0], **change)]
        with pytest.raises(OutputFolderError, match="its answers to prediction"):
            survey(network, x, labels, out=tmp_path / "s", questions=changed)


def test_questions_can_be_added(tmp_path, run, case):
    network, x, labels = case
    asked = questions(network)
    survey(network, x, labels, out=tmp_path / "s", questions=asked[:1])
    survey(network, x, labels, out=tmp_path / "s", questions=asked[2:])
    content = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert set(content["questions"]) == {"prediction", "slope", "spectra"}
    assert set(content["shards"]) == {"prediction", "slope", "spectra"}
    run(tmp_path / "s")
    assert files(tmp_path / "s") == files_of_whole(tmp_path, run)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: "{}",
        lambda text: "[1, 2]",
        lambda text: text.replace('"version": 1', '"version": 2', 1),
        lambda text: "\x00",
    ],
)
def test_damaged_manifests_are_refused(tmp_path, run, damage):
    run(tmp_path / "s")
    manifest = tmp_path / "s" / "manifest.json"
    manifest.write_text(damage(manifest.read_text()))
    with pytest.raises(OutputFolderError, match=r"manifest.json is damaged"):
        run(tmp_path / "s")


def test_a_folder_with_other_things_is_refused(tmp_path, run):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputFolderError, match=r"thesis.txt"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_leftovers_are_removed(tmp_path, run):
    out = tmp_path / "s"
    run(out)
    (out / "slope" / "part-00000.parquet.tmp-999999999").write_text("half")
    mine = out / "slope" / "part-00000.parquet.tmp-1"
    mine.write_text("of a process that runs")
    run(out)
    assert [path.name for path in out.rglob("*.tmp-*")] == [mine.name]


def test_threads_are_put_back(tmp_path, run):
    before = torch.get_num_threads()
    run(tmp_path / "s", threads=2)
    assert torch.get_num_threads() == before
