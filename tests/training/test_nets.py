"""The networks' own arithmetic: decoding, pooling, illumination, export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.engine import open_engine
from training.export import export, to_onnx
from training.muon import orthogonalise, split_parameters
from training.nets import DPN, RIN, Bins, averaging_matrix, build
from training.train import Plan, Run, loss_of


def numpy_quantile(mass: np.ndarray, bins: Bins, level: float) -> float:
    """Where the cumulated mass crosses `level`, straight inside a bin, in um."""
    edges = -bins.top + bins.step * np.arange(bins.count + 1)
    cumulated = np.concatenate([[0.0], mass.cumsum()])
    return float(np.sinh(np.interp(level, cumulated, edges)) * bins.scale_um)


def test_the_decoded_median_and_spread_are_numpys() -> None:
    bins = Bins()
    logits = torch.randn(20, bins.count, generator=torch.Generator().manual_seed(0)) * 3.0
    median, spread = bins(logits)
    mass = torch.softmax(logits, 1).double().numpy()
    for i in range(20):
        want = numpy_quantile(mass[i], bins, 0.5)
        assert median[i] == pytest.approx(want, abs=2e-3)
        low, high = (numpy_quantile(mass[i], bins, q) for q in (0.16, 0.84))
        assert spread[i] == pytest.approx((high - low) / 2, abs=5e-3)


def test_a_label_decodes_to_its_own_distance() -> None:
    bins = Bins()
    distance = torch.tensor([-50.0, -25.0, -3.0, -0.2, 0.0, 0.63, 7.0, 25.0, 50.0])
    targets = bins.targets(distance)
    np.testing.assert_allclose(targets.sum(1), 1.0, rtol=1e-5)
    median, _ = bins(torch.log(targets + 1e-12))
    np.testing.assert_allclose(median, distance, atol=0.02, rtol=0.004)


@pytest.mark.parametrize("size", [9, 16, 31, 32])
def test_pooling_matrices_are_adaptive_average_pooling(size: int) -> None:
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    matrix = averaging_matrix(size)
    want = torch.nn.functional.adaptive_avg_pool2d(x, 9)
    np.testing.assert_allclose(matrix @ x @ matrix.t(), want, atol=1e-6)


def test_shapes_and_ranges() -> None:
    rin, dpn = RIN().eval(), DPN().eval()
    with torch.no_grad():
        importance = rin(torch.randint(0, 256, (2, 512, 512, 3), dtype=torch.uint8))
        defocus, spread = dpn(torch.randint(0, 256, (3, 224, 224, 3), dtype=torch.uint8))
    assert importance.shape == (2, 9, 9)
    assert 0.0 <= importance.min() <= importance.max() <= 1.0
    assert defocus.shape == spread.shape == (3,)
    assert defocus.abs().max() <= 60.1
    assert spread.min() >= 0.0


def test_the_papers_regression_head_is_kept() -> None:
    net = build("dpn", "regression")
    images = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    loss = loss_of(net, images, torch.tensor([1.0, -2.0]))
    loss.backward()
    assert net(images)[0].shape == (2,)


def test_newton_schulz_evens_the_singular_values() -> None:
    for shape in ((16, 64), (64, 16), (32, 32)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        values = torch.linalg.svdvals(orthogonalise(x))
        assert 0.3 < values.min() <= values.max() < 1.4


def test_muon_takes_the_dense_hidden_convolutions_and_no_other() -> None:
    net = DPN()
    dense, rest = split_parameters(net)
    assert len(dense) + len(rest) == len(list(net.parameters()))
    assert len(dense) == 3 + 2 * 6  # three downsamplings, two 1x1 in each of six blocks
    assert all(p.ndim == 4 for p in dense)


@pytest.mark.parametrize("kind", ["dpn", "rin"])
def test_the_exported_file_is_the_network(kind: str, tmp_path: Path) -> None:
    net = build(kind)
    for module in net.modules():  # statistics that are not the identity
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    assert to_onnx(net, kind, tmp_path / "net.onnx") < 5e-3


@pytest.mark.parametrize("kind", ["dpn", "rin"])
def test_an_export_opens_with_its_manifest(kind: str, tmp_path: Path) -> None:
    run = Run(Plan(kind, steps=1))
    with pytest.raises(ValueError, match="belongs to model"):
        export(run, tmp_path, {"sha256": "0" * 64})
    manifest = export(run, tmp_path)
    assert export(run, tmp_path, {"sha256": manifest.sha256}).sha256 == manifest.sha256
    assert manifest.training["samples"] == 0
    engine = open_engine(tmp_path / f"{kind}.json", threads=1)
    if kind == "dpn":
        defocus, spread = engine.infer(np.zeros((3, 224, 224, 3), np.uint8))
        assert defocus.shape == spread.shape == (3,)
    else:
        (importance,) = engine.infer(np.zeros((1, 512, 512, 3), np.uint8))
        assert importance.shape == (1, 9, 9)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{kind}.json", f"{kind}.onnx"]
