"""The networks' own arithmetic: decoding, pooling, illumination, export."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.engine import open_engine
from training.depthwise import DepthwiseConv2d, compiled
from training.export import export, outputs, regrid, set_depth_share, to_onnx
from training.heads import OPTICS, Bins, Novelty, SlideHead
from training.losses import loss_of
from training.muon import orthogonalise, split_parameters
from training.nets import (
    DPN,
    RIN,
    averaging_matrix,
    build,
    density,
    density_table,
)
from training.run import Run, look_up
from training.schedule import Schedule


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
def test_a_patch_averages_its_own_area_and_no_more(size: int) -> None:
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    matrix = averaging_matrix(size)
    fine = x.repeat_interleave(9, dim=2).repeat_interleave(9, dim=3)  # size x 9: splits evenly
    want = torch.nn.functional.avg_pool2d(fine, size)
    np.testing.assert_allclose(matrix @ x @ matrix.t(), want, atol=1e-5)


def test_shapes_and_ranges() -> None:
    rin, dpn = RIN().eval(), DPN().eval()
    with torch.no_grad():
        importance = rin(torch.randint(0, 256, (2, 512, 512, 3), dtype=torch.uint8))
        patches = torch.randint(0, 256, (3, 224, 224, 3), dtype=torch.uint8)
        defocus, spread, optics, novelty, order = dpn(patches)
    assert importance.shape == (2, 9, 9)
    assert 0.0 <= importance.min() <= importance.max() <= 1.0
    assert defocus.shape == spread.shape == novelty.shape == order.shape == (3,)
    assert not order.any()  # nothing is known before it is fitted
    assert optics.shape == (3, 4)
    assert optics[:, 1::2].min() > 0.0  # standard deviations
    assert defocus.abs().max() <= 60.1
    assert spread.min() >= 0.0


def test_the_papers_regression_head_is_kept() -> None:
    net = build("dpn", "regression")
    images = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    loss = loss_of(net, images, torch.tensor([[1.0, 0.4, 1.0], [-2.0, 0.5, 0.9]]))
    loss.backward()
    assert net(images)[0].shape == (2,)


def test_the_density_table_is_the_networks_own() -> None:
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    want = density(grey)
    got = density(look_up(grey.contiguous().numpy(), density_table()))
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_the_optics_head_learns_from_its_likelihood() -> None:
    torch.manual_seed(0)
    head = SlideHead(16, OPTICS)
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(250):
        truth = torch.rand(256, 2) * 0.6 + torch.tensor([0.2, 0.7])
        noise = torch.tensor([0.05, 0.20]) * torch.randn(256, 2)
        summary = torch.cat([truth + noise, torch.randn(256, 6)], 1), torch.randn(256, 8)
        optimiser.zero_grad()
        head.loss(*summary, truth).backward()
        optimiser.step()
    answer = head(*summary).detach()
    assert (answer[:, 0] - truth[:, 0]).abs().mean() < 0.06
    # the posterior of a uniform prior and the noise: 0.05, and 0.13 where the prior helps
    assert answer[:, 1].mean() == pytest.approx(0.05, rel=0.35)
    assert answer[:, 3].mean() == pytest.approx(0.13, rel=0.35)


def test_a_thick_section_widens_the_spread_in_squares() -> None:
    net = DPN(widths=(8, 8), depths=(1, 1)).eval()
    image = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    strongest, texture = net.summaries(image)
    with torch.no_grad():
        last = net.thickness.body[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight.zero_()
        last.bias.copy_(torch.tensor([(3.0 - 1.0) / 1.2, 0.0]))  # 3 um, surely
        assert torch.allclose(net.thickness(strongest, texture)[:, 0], torch.tensor(3.0))
        before, plain = net(image)[:2]
        net.depth_share.fill_(0.5)
        after, wider = net(image)[:2]
        assert torch.equal(before, after)
        assert torch.allclose(wider.square(), plain.square() + 1.5**2, rtol=1e-5)
        last.bias[0] = -9.0  # no section is thinner than nothing
        assert torch.allclose(net(image)[1], plain, rtol=1e-6)


def test_the_depth_share_is_a_dpns_and_bounded() -> None:
    run = Run(Schedule("dpn"))
    set_depth_share(run, 0.3)
    assert isinstance(run.average, DPN)
    assert run.average.depth_share.item() == pytest.approx(0.3)
    for bad, other in ((Run(Schedule("rin")), 0.3), (run, -0.1), (run, float("nan"))):
        with pytest.raises(SystemExit, match="0 to 2"):
            set_depth_share(bad, other)


def test_the_texture_is_each_stages_mean_and_deviation() -> None:
    net = DPN(widths=(4, 8), depths=(1, 1)).eval()
    image = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    strongest, texture = net.summaries(image)
    last = net.features(density(image))
    assert torch.allclose(strongest, last.amax((2, 3)))
    assert texture.shape == (2, 2 * (4 + 8))
    assert torch.allclose(texture[:, 8:16], last.mean((2, 3)), atol=1e-5)
    away = (last - last.mean((2, 3), keepdim=True)).abs().mean((2, 3))
    assert torch.allclose(texture[:, 16:], away, atol=1e-5)


def test_novelty_is_one_inside_and_grows_outside() -> None:
    torch.manual_seed(1)
    mix = torch.eye(16) + 0.2 * torch.randn(16, 16)
    novelty = Novelty(16)
    novelty.fit(torch.randn(4000, 16) @ mix + 3.0)
    fresh = torch.randn(500, 16) @ mix + 3.0
    assert novelty(fresh).mean() == pytest.approx(1.0, abs=0.15)
    assert novelty(fresh + 4.0 * mix[0]).mean() > 1.7


def test_a_rin_takes_another_grid_at_export() -> None:
    net = RIN().eval()
    image = torch.randint(0, 256, (1, 512, 512, 3), dtype=torch.uint8)
    whole = net(image)
    regrid(net, "5x7")
    assert net(image).shape == (1, 5, 7)
    assert [o.shape for o in outputs(net, "rin")] == [(1, 5, 7)]
    regrid(net, "9x9")
    assert torch.equal(net(image), whole)
    for wrong in ("9", "0x9", "9x33", "axb"):
        with pytest.raises(SystemExit, match="ROWSxCOLUMNS"):
            regrid(net, wrong)


@pytest.mark.parametrize(("channels", "size", "kernel", "stride"), [
    (16, 12, 7, 1), (8, 4, 7, 1), (24, 9, 5, 2), (8, 16, 3, 2), (16, 7, 3, 1),
])  # fmt: skip
def test_the_fast_depthwise_gradient_is_autograds(
    channels: int, size: int, kernel: int, stride: int
) -> None:
    if compiled() is None:
        pytest.skip("no C compiler: PyTorch's own gradient is used")
    torch.manual_seed(2)
    layer = DepthwiseConv2d(channels, kernel, stride).train()
    x = torch.randn(3, channels, size, size).to(memory_format=torch.channels_last)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    fast = layer(a)
    plain = torch.nn.functional.conv2d(b, layer.weight, None, stride, kernel // 2, 1, channels)
    assert torch.equal(fast, plain)
    weight = torch.randn_like(fast)
    (want,) = torch.autograd.grad((plain * weight).sum(), layer.weight, retain_graph=True)
    (plain * weight).sum().backward()
    layer.zero_grad()
    (fast * weight).sum().backward()
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.weight.grad, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(a.grad, b.grad, rtol=1e-5, atol=1e-5)


def test_the_fast_depthwise_gradient_changes_nobody_elses_arithmetic() -> None:
    """A library linked with -ffast-math makes its process flush subnormal numbers to zero."""
    if compiled() is None:
        pytest.skip("no C compiler: PyTorch's own gradient is used")
    words = "import numpy; from training.depthwise import compiled; compiled(); "
    words += "print(numpy.float64(5e-324) * 1.0)"
    command = [sys.executable, "-c", words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "5e-324"


def test_without_a_compiler_the_convolution_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.depthwise.compiled", lambda: None)
    layer = DepthwiseConv2d(8, 3).train()
    layer(torch.randn(1, 8, 6, 6)).sum().backward()
    assert layer.weight.grad is not None


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
    run = Run(Schedule(kind, steps=1))
    with pytest.raises(ValueError, match="belongs to model"):
        export(run, tmp_path, {"sha256": "0" * 64})
    manifest = export(run, tmp_path)
    assert export(run, tmp_path, {"sha256": manifest.sha256}).sha256 == manifest.sha256
    assert manifest.training["samples"] == 0
    engine = open_engine(tmp_path / f"{kind}.json", threads=1)
    if kind == "dpn":
        defocus, spread, optics, novelty, order = engine.infer(np.zeros((3, 224, 224, 3), np.uint8))
        assert defocus.shape == spread.shape == novelty.shape == order.shape == (3,)
        assert optics.shape == (3, 4)
    else:
        (importance,) = engine.infer(np.zeros((1, 512, 512, 3), np.uint8))
        assert importance.shape == (1, 9, 9)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{kind}.json", f"{kind}.onnx"]
