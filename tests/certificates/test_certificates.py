"""Certificates are refused as soon as any of their parts is false."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from relulens.certificates.farkas import Farkas
from relulens.certificates.file import read_certificate, write_certificate
from relulens.certificates.rank import FullRank, Inverse, RowCount, Shift
from relulens.certificates.recession import Recession
from relulens.certificates.rounding import exact_dot
from relulens.certificates.spanning import PositiveSpanning
from relulens.certificates.subjects import GivenMatrix
from relulens.certificates.system import Rows, System, rows_of
from relulens.errors import CertificateError, InvalidArgumentError
from relulens.graph.domain import Box
from relulens.importers.layers import from_layers
from relulens.preimage.omnidirectionality import omnidirectionality
from relulens.preimage.preimage import preimage

TRIANGLE = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])


def given(matrix: np.ndarray, equal: list[int], below: list[int]) -> System:
    return System(
        subject=GivenMatrix(matrix=torch.from_numpy(matrix)),
        equal=rows_of(np.array(equal, dtype=np.int64)),
        below=rows_of(np.array(below, dtype=np.int64)),
    )


def inverse(rows: list[int], matrix: np.ndarray) -> Inverse:
    return Inverse(
        rows=torch.tensor(rows), inverse=torch.from_numpy(np.linalg.inv(matrix[rows]))
    )


def spanning() -> PositiveSpanning:
    return PositiveSpanning(
        system=given(TRIANGLE, [], [0, 1, 2]),
        multipliers=torch.ones(3, dtype=torch.float64),
        evidence=inverse([0, 1], TRIANGLE),
    )


def test_spanning_holds_and_each_corrupted_field_is_refused() -> None:
    proof = spanning()
    assert proof.verify()
    ones = torch.ones(3, dtype=torch.float64)
    wrong = [
        replace(proof, multipliers=ones * torch.tensor([1.0, 1.0, -1.0])),
        replace(proof, multipliers=ones * torch.tensor([1.0, 1.0, 0.5])),
        replace(proof, multipliers=ones * torch.tensor([1.0, 0.0, 1.0])),
        replace(proof, multipliers=ones[:2]),
        replace(proof, multipliers=ones * torch.nan),
        replace(proof, system=given(TRIANGLE, [], [0, 1, 1])),
        replace(proof, system=given(TRIANGLE, [], [0, 1, 7])),
        replace(proof, system=given(TRIANGLE * [[1], [1], [-1]], [], [0, 1, 2])),
        replace(proof, evidence=inverse([0, 2], -TRIANGLE)),
        replace(
            proof, evidence=Inverse(rows=torch.tensor([0, 0]), inverse=torch.eye(2))
        ),
        replace(
            proof, evidence=Inverse(rows=torch.tensor([0, 9]), inverse=torch.eye(2))
        ),
        replace(proof, evidence=Shift(shift=50.0)),
        replace(proof, evidence=Shift(shift=-1.0)),
    ]
    for case in wrong:
        assert not case.verify()


def test_a_residual_is_absorbed_only_up_to_the_rank_bound() -> None:
    proof = spanning()
    off = torch.tensor([1.0, 1.0, 1.0 + 1e-3], dtype=torch.float64)
    assert replace(proof, multipliers=off).verify()
    assert not replace(proof, multipliers=off + torch.tensor([0, 0, 1.0])).verify()
    nearly = np.array([[1.0, 0], [0.0, 1], [-1.0, -1e-9], [-1.0, 0]])
    claim = PositiveSpanning(
        system=given(nearly[[0, 1, 3]], [], [0, 1, 2]),
        multipliers=torch.tensor([1.0, 1e-9, 1.0], dtype=torch.float64),
        evidence=inverse([0, 1], nearly),
    )
    assert not claim.verify()


def test_full_rank() -> None:
    matrix = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]])
    proof = FullRank(
        system=given(matrix, [0, 1, 2], []), evidence=inverse([0, 1], matrix)
    )
    assert proof.verify()
    assert replace(proof, evidence=Shift(shift=0.1)).verify()
    assert not replace(proof, evidence=Shift(shift=1e3)).verify()
    assert not replace(proof, evidence=Shift(shift=1e-18)).verify()
    assert not replace(proof, system=given(matrix, [0, 0, 0], [])).verify()
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    guess = Inverse(rows=torch.tensor([0, 1]), inverse=torch.eye(2))
    assert not FullRank(system=given(singular, [0, 1], []), evidence=guess).verify()
    for shift in (1e-16, 1e-12, 1e-3):
        case = FullRank(system=given(singular, [0, 1], []), evidence=Shift(shift=shift))
        assert not case.verify()


def test_row_count() -> None:
    wide = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])
    proof = RowCount(
        system=given(wide, [0], [1]), equalities=1, inequalities=1, columns=3
    )
    assert proof.verify()
    assert not replace(proof, equalities=0).verify()
    assert not replace(proof, inequalities=2).verify()
    assert not replace(proof, columns=4).verify()
    tall = RowCount(
        system=given(TRIANGLE, [], [0, 1, 2]), equalities=0, inequalities=3, columns=2
    )
    assert not tall.verify()


def recession(direction: list[float]) -> Recession:
    rows = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return Recession(
        system=given(rows, [0], [1]),
        direction=torch.tensor(direction, dtype=torch.float64),
        held=torch.zeros(0, dtype=torch.int64),
    )


def test_an_exact_direction() -> None:
    assert recession([1.0, -1.0, 0.0]).verify()
    assert recession([1.0, -1.0, -3.0]).verify()
    assert not recession([1.0, -1.0, 1e-300]).verify()
    assert not recession([1.0, -1.0 + 2e-16, 0.0]).verify()
    assert not recession([0.0, 0.0, 0.0]).verify()
    assert not recession([1.0, torch.nan, 0.0]).verify()
    assert not recession([1.0, -1.0]).verify()


def test_a_direction_next_to_an_exact_one() -> None:
    rows = np.array([[0.1, 0.7, 0.1], [0.0, 0.3, -1.0]])
    held = torch.tensor([0])
    right = torch.from_numpy(np.linalg.pinv(rows[:1]))
    d = np.array([7.0, -1.0, 0.0])
    proof = Recession(
        system=given(rows, [0], [1]),
        direction=torch.from_numpy(d),
        held=held,
        evidence=right,
    )
    assert proof.verify()
    assert replace(proof, evidence=Shift(shift=0.05)).verify()
    assert not replace(proof, held=torch.zeros(0, dtype=torch.int64)).verify()
    assert not replace(proof, evidence=None).verify()
    assert not replace(proof, evidence=-right).verify()
    assert not replace(proof, evidence=Shift(shift=10.0)).verify()
    assert not replace(proof, direction=-proof.direction).verify()
    assert not replace(proof, held=torch.tensor([5])).verify()
    assert not replace(proof, direction=proof.direction * 0).verify()
    assert not replace(proof, system=given(rows, [0, 1], [])).verify()


def test_farkas() -> None:
    rows = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    proof = Farkas(
        system=given(rows, [0, 1], [2]),
        values=torch.tensor([1.0, 3.0, 0.0], dtype=torch.float64),
        multipliers=torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64),
    )
    assert proof.verify()
    less = torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64)
    assert not replace(proof, values=less).verify()
    assert not replace(proof, multipliers=-proof.multipliers).verify()
    assert not replace(proof, multipliers=proof.multipliers[:2]).verify()
    bent = torch.tensor([2.0, -1.0, 1e-30], dtype=torch.float64)
    assert not replace(proof, multipliers=bent).verify()
    negative = torch.tensor([2.0, -1.0, -1.0], dtype=torch.float64)
    assert not replace(proof, multipliers=negative).verify()


def test_exact_dot_rounds_once() -> None:
    a, b = np.array([1e16, 1.0, -1e16]), np.array([1.0, 1.0, 1.0])
    assert exact_dot(a, b) == 1.0
    third = np.array([1 / 3, -1.0])
    assert exact_dot(third, np.array([3.0, 1.0])) == -(2.0**-54)
    assert exact_dot(np.array([1e-200]), np.array([1e-200])) > 0


def networks() -> list[tuple[object, object]]:
    rows = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 1], [0, 0, -1]])
    net = from_layers([(rows, [1.0, -2, -2, -2, -2]), (torch.ones(1, 5), None)])
    open_ = from_layers([(rows[:4], [1.0, -2, -2, -2]), (torch.ones(1, 4), None)])
    x = torch.zeros(1, 3)
    return [
        preimage(net, x, layer=0)[0],
        preimage(open_, x, layer=0)[0],
        preimage(net, x, layer=0, domain=Box(0, 1))[0],
        preimage(net, layer=0, features=[[1.0, 1.0, 0.0, 0.0, 0.0]])[0],
    ]


def test_whole_verdicts_refuse_any_other_verdict_and_part() -> None:
    found = networks()
    assert [r.verdict for r in found] == ["bounded", "unbounded", "bounded", "empty"]
    for result in found:
        proof = result.certificate
        assert proof.verify()
        for verdict in ("singleton", "bounded", "unbounded", "empty", "sure"):
            if verdict != result.verdict:
                assert not replace(proof, verdict=verdict).verify()
        for part in ("tangent", "recession", "contradiction"):
            if getattr(proof, part) is not None:
                assert not replace(proof, **{part: None}).verify()
    bounded, open_, boxed, _ = (r.certificate for r in found)
    assert not replace(boxed, limits=None).verify()
    assert not replace(bounded, recession=open_.recession).verify()
    assert not replace(bounded, x=bounded.x + torch.tensor([0.0, 5.0, 0.0])).verify()
    assert not replace(open_, network=bounded.network).verify()
    assert not replace(boxed, x=boxed.x + 2).verify()


def test_a_proof_may_not_use_rows_the_features_do_not_give() -> None:
    bounded = networks()[0].certificate
    part = bounded.recession
    equal = part.system.below.with_rows(
        Rows(part.system.equal.index, part.system.equal.sign)
    )
    forged = replace(part, system=replace(part.system, equal=equal))
    assert not replace(bounded, recession=forged).verify()


def test_files_come_back_and_verify(tmp_path: Path) -> None:
    for place, result in enumerate(networks()):
        path = write_certificate(tmp_path / f"{place}.npz", result.certificate)
        again = read_certificate(path, result.certificate.network)
        assert again.verdict == result.verdict
        assert again.verify()
    path = write_certificate(
        tmp_path / "m.npz", omnidirectionality(TRIANGLE).certificate
    )
    assert read_certificate(path, TRIANGLE).verify()


def test_other_weights_are_refused(tmp_path: Path) -> None:
    proof = omnidirectionality(TRIANGLE).certificate
    path = write_certificate(tmp_path / "m.npz", proof)
    with pytest.raises(CertificateError, match="about weights"):
        read_certificate(path, TRIANGLE * 2)
    with pytest.raises(CertificateError, match="about a matrix"):
        read_certificate(path, networks()[0].certificate.network)


def test_every_damaged_array_is_refused(tmp_path: Path) -> None:
    for result in networks():
        path = write_certificate(tmp_path / "c.npz", result.certificate)
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        for name, values in arrays.items():
            if values.size == 0:
                continue
            changed = values.copy().reshape(-1)
            changed[0] = changed[0] + 1
            damaged = arrays | {name: changed.reshape(values.shape)}
            np.savez(tmp_path / "d.npz", **damaged)
            with pytest.raises(CertificateError):
                read_certificate(tmp_path / "d.npz", result.certificate.network)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(CertificateError, match="Pass a file"):
        read_certificate(tmp_path / "text.npz", TRIANGLE)
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    with pytest.raises(CertificateError, match="2 of its 2 headers"):
        read_certificate(tmp_path / "other.npz", TRIANGLE)
    pickled = tmp_path / "pickle.npz"
    np.savez(pickled, head=np.array([{}], dtype=object), checksum=np.zeros(1))
    with pytest.raises(CertificateError):
        read_certificate(pickled, TRIANGLE)
    with pytest.raises(CertificateError, match="No such file or directory"):
        read_certificate(tmp_path / "missing.npz", TRIANGLE)
    proof = omnidirectionality(TRIANGLE).certificate
    path = write_certificate(tmp_path / "m.npz", proof)
    with pytest.raises(InvalidArgumentError, match="subject of a certificate"):
        read_certificate(path, "triangle")


def test_folders_that_are_missing_are_refused(tmp_path: Path) -> None:
    proof = omnidirectionality(TRIANGLE).certificate
    with pytest.raises(CertificateError, match="No such file or directory"):
        write_certificate(tmp_path / "missing" / "m.npz", proof)


def test_certificates_of_preimages_are_one_line() -> None:
    for result in networks():
        assert "\n" not in repr(result.certificate)
        assert result.verdict in repr(result.certificate)


def test_every_field_is_covered_above() -> None:
    """The tests name each field once; a new field must be added to them."""
    known = {
        PositiveSpanning: {"system", "multipliers", "evidence"},
        FullRank: {"system", "evidence"},
        RowCount: {"system", "equalities", "inequalities", "columns"},
        Recession: {"system", "direction", "held", "evidence"},
        Farkas: {"system", "values", "multipliers", "evidence"},
    }
    for kind, names in known.items():
        assert {field.name for field in fields(kind)} == names
