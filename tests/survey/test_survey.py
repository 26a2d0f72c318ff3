"""Budgets, engines, failures and the cut into shards."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, whole

from relulens.data.read import array_data
from relulens.errors import InvalidArgumentError, ShapeError, SolverError
from relulens.graph.smooth import TANH
from relulens.importers.layers import from_layers
from relulens.survey.catalogue import CATALOGUE, chosen_questions
from relulens.survey.engine import SerialEngine
from relulens.survey.fingerprint import fingerprint
from relulens.survey.plan import Plan
from relulens.survey.question import Answer, Column, Question
from relulens.survey.run_task import run_task
from relulens.survey.survey import survey

NAMES = ("prediction", "activity", "slope", "spectra")


def sums(network, batch, options):
    """Answer with the sum of every input; inputs that start with 7 fail."""
    if bool((batch.x[:, 0] == 7).any()):
        raise SolverError("cannot sum 7: it is odd. Leave it out.")
    total = batch.x.sum(1).numpy()
    column = np.ma.masked_where(total == 0, total)
    return Answer(columns={"sum": column}, arrays={"x": batch.x.numpy()})


def question(**changes):
    made = Question(
        name="sums",
        version=1,
        columns=(Column(name="sum", type="float"),),
        run=sums,
        rows_per_shard=3,
    )
    return replace(made, **changes)


@pytest.fixture
def network():
    return from_layers([(whole(4, 2), whole(4)), (whole(3, 4, seed=1), None)])


def test_budget_zero_gives_nulls_and_the_reason(tmp_path, network):
    x = whole(5, 2)
    found = survey(network, x, out=tmp_path, questions=NAMES, budget=0)
    assert not found.complete
    for name in NAMES:
        answers = found.answers[name]
        assert answers.done == 0
        assert answers.reason == "not reached: the budget of 0 s"
        assert set(answers.table["status"]) == {answers.reason}
        for column in answers.question.columns:
            assert answers.table[column.name].isna().all()
    assert not list(tmp_path.rglob("part-*"))
    assert survey(network, x, out=tmp_path, questions=NAMES).complete


def test_single_questions_have_budgets(tmp_path, network):
    x = whole(5, 2)
    found = survey(
        network, x, out=tmp_path, questions=NAMES, budgets={"slope": 0, "spectra": 99}
    )
    assert found.answers["slope"].done == 0
    assert "0 s that slope may take" in found.answers["slope"].reason
    assert all(found.answers[name].reason == "" for name in NAMES if name != "slope")


def test_a_question_past_its_time_stops_and_is_continued(tmp_path, network):
    asked = question(rows_per_shard=1)
    slow = replace(asked, run=slowly)
    x = whole(6, 2)
    found = survey(network, x, out=tmp_path, questions=[slow], budget=0.05)
    done = found.answers["sums"].done
    assert 0 < done < 6
    status = found.answers["sums"].table["status"].tolist()
    assert status[:done] == ["ok"] * done
    assert set(status[done:]) == {"not reached: the budget of 0.05 s"}
    more = survey(network, x, out=tmp_path, questions=[slow])
    assert (
        more.answers["sums"].table["sum"].tolist()[:done]
        == (found.answers["sums"].table["sum"].tolist()[:done])
    )


def slowly(network, batch, options):
    import time

    time.sleep(0.02)
    return Answer(columns={"sum": batch.x.sum(1).numpy() + 100.0})


def test_no_inputs_give_empty_tables(tmp_path, network):
    found = survey(network, np.empty((0, 2)), out=tmp_path, questions=NAMES)
    assert found.complete
    for answers in found.answers.values():
        names = [column.name for column in answers.question.columns]
        assert answers.table.columns.tolist() == ["input", "item", *names, "status"]
        assert len(answers.table) == 0


def test_a_row_that_fails_is_null_and_the_others_are_answered(tmp_path, network):
    x = np.array([[1.0, 2], [7, 0], [3, 4], [5, -5]])
    found = survey(network, x, out=tmp_path, questions=[question()]).answers["sums"]
    assert found.table["status"].tolist() == [
        "ok",
        "failed: cannot sum 7: it is odd. Leave it out.",
        "ok",
        "ok",
    ]
    assert found.table["sum"].isna().tolist() == [False, True, False, True]
    assert found.table["sum"].tolist()[2] == 7.0
    assert found.done == 4
    assert found.reason == ""
    assert sorted(found.arrays[0]) == ["x.0", "x.2"]


class Backwards:
    """Runs the tasks last to first, to show that the order does not matter."""

    def run(self, plan, tasks, limits, finished) -> Mapping[str, str]:
        for task in reversed(tasks):
            run_task(plan, task)
            finished(task)
        return {}


def test_engines_plug_in(tmp_path, network):
    x = whole(9, 2)
    survey(network, x, out=tmp_path / "a", questions=NAMES)
    survey(network, x, out=tmp_path / "b", questions=NAMES, engine=Backwards())
    survey(network, x, out=tmp_path / "c", questions=NAMES, engine=SerialEngine())
    for path in (tmp_path / "a").rglob("part-*"):
        for other in "bc":
            twin = tmp_path / other / path.relative_to(tmp_path / "a")
            assert path.read_bytes() == twin.read_bytes()


def test_progress_counts_rows(tmp_path, network):
    seen = []
    asked = [question(), *chosen_questions(network, ["prediction"])]
    survey(
        network,
        whole(7, 2),
        out=tmp_path,
        questions=asked,
        progress=lambda *counts: seen.append(counts),
    )
    assert seen == [(3, 14), (6, 14), (7, 14), (14, 14)]


def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path, network):
    out = tmp_path / "s"
    for wrong in ({"questions": ["nothing"]}, {"engine": "quantum"}):
        with pytest.raises(InvalidArgumentError, match="Choose"):
            survey(network, whole(3, 2), out=out, **wrong)
    with pytest.raises(InvalidArgumentError, match="each needs its own"):
        survey(network, whole(3, 2), out=out, questions=["slope", "slope"])
    with pytest.raises(InvalidArgumentError, match="brings its own"):
        survey(network, array_data(whole(3, 2)), [0, 1, 2], out=out)
    with pytest.raises(ShapeError):
        survey(network, whole(3, 4), out=out)
    assert not out.exists()


@given(
    inputs=st.integers(0, 40),
    size=st.integers(1, 9),
    items=st.integers(1, 5),
    most=st.none() | st.integers(1, 6),
)
def test_tasks_cover_every_row_once(inputs, size, items, most):
    asked = question(rows_per_shard=size, items=items, inputs=most)
    data = array_data(np.zeros((inputs, 2)))
    plan = Plan(
        network=from_layers([([[1.0, 1.0]], None)]),
        network_sha256="",
        data=data,
        questions={"sums": asked},
        out=None,
        seed=0,
    )
    tasks = list(plan.tasks("sums"))
    rows = [row for task in tasks for row in range(task.start, task.stop)]
    expected = min(inputs, inputs if most is None else most) * items
    assert rows == list(range(expected))
    assert [task.part for task in tasks] == list(range(len(tasks)))
    assert all(0 < task.stop - task.start <= size for task in tasks)
    assert all(task.stop - task.start == size for task in tasks[:-1])


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network_is_surveyed(tmp_path, name):
    network, x = NETWORKS[name]()
    found = survey(network, x, out=tmp_path, questions=NAMES)
    assert found.complete
    statuses = {s for a in found.answers.values() for s in a.table["status"]}
    assert statuses == {"ok"}


def test_a_fingerprint_is_of_what_a_network_computes():
    seen = {}
    for name, make in NETWORKS.items():
        assert fingerprint(make()[0]) == fingerprint(make()[0])
        seen.setdefault(fingerprint(make()[0]), []).append(name)
    assert all(len(names) == 1 for names in seen.values())
    one, more = np.array([[1.0]]), np.array([[1.0 + 2**-52]])
    base = from_layers([(one, None), (one, None)])
    other = from_layers([(one, None), (more, None)])
    assert fingerprint(base) != fingerprint(other)
    assert fingerprint(base) != fingerprint(replace(base, output=2))


def test_a_fingerprint_tells_smooth_functions_apart():
    network, _ = NETWORKS["smooth"]()
    changed = tuple(
        replace(node, function=replace(node.function, name="other"))
        if getattr(node, "function", None) is TANH
        else node
        for node in network.nodes
    )
    assert any(a is not b for a, b in zip(changed, network.nodes, strict=True))
    assert fingerprint(network) != fingerprint(replace(network, nodes=changed))


def test_all_of_the_catalogue_is_asked_by_default():
    network, _ = NETWORKS["wide"]()
    asked = [item.name for item in chosen_questions(network, None)]
    assert asked == list(CATALOGUE)
