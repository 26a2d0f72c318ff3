"""The network that the package ships: small, accurate, and what its metadata say."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from relulens.data.digits import embedded_data
from relulens.embedded import CLASSES, DOMAIN, digits_model


@pytest.fixture(scope="module")
def model():
    with digits_model() as path:
        assert path.stat().st_size <= 150_000
        return onnx.load(path)


@pytest.fixture(scope="module")
def about(model):
    return {item.key: item.value for item in model.metadata_props}


def test_the_accuracy_in_the_file_is_the_one_that_onnxruntime_finds(about):
    data = embedded_data()
    with digits_model() as path:
        session = onnxruntime.InferenceSession(path)
    x = data.take(range(len(data))).astype(np.float32)
    said = session.run(None, {"image": x})[0].argmax(1)
    reached = float((said == data.labels).mean())
    assert reached >= 0.975
    assert reached == pytest.approx(float(about["accuracy_test"]), abs=1e-6)


def test_the_metadata_are_those_of_the_package(about):
    assert tuple(json.loads(about["classes"])) == CLASSES
    assert tuple(json.loads(about["domain"])) == DOMAIN


def test_no_first_filter_answers_to_an_empty_background(model):
    held = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    empty = (DOMAIN[0] - held["mean"]) / held["std"]
    answer = held["conv1.bias"] + empty * held["conv1.weight"].sum((1, 2, 3))
    assert (answer < 0).all()
