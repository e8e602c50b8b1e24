"""A network and a folder with its plan; a GPU made of software, models and frames for it."""

import numpy as np
import pytest

from engines.build.plan_files import store
from engines.manifest import Manifest
from simulator.microscope import Microscope
from tests.support.gpu_answers import FIELDS
from tests.support.made_plans import DATA, plan_manifest
from tests.support.software_gpu_build import SoftwareGpu
from tests.support.tiny_models import write_dpn, write_rin


@pytest.fixture
def model(tmp_path):
    return Manifest.read(write_dpn(tmp_path))


@pytest.fixture
def folder(tmp_path, model):
    """A folder with a good plan of `model`."""
    folder = tmp_path / "plans"
    store(plan_manifest(model), DATA, folder)
    return folder


@pytest.fixture(scope="session")
def gpu(tmp_path_factory):
    return SoftwareGpu(tmp_path_factory.mktemp("gpu"))


@pytest.fixture(scope="session")
def slides(tmp_path_factory):
    """Five frames of the simulated microscope: patches from none to 31."""
    microscope, pictures = Microscope(3, workers=1), {}
    for kind, sparsity, heights in FIELDS:
        truth = microscope.load_field(kind, sparsity, 1)
        for defocus_um in heights:
            picture = microscope.picture(truth.z_focus_um - defocus_um)
            pictures[f"RGB8 {kind} {sparsity} {defocus_um}"] = picture
    path = tmp_path_factory.mktemp("slides") / "frames.npz"
    np.savez(path, **pictures)
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    write_rin(folder)
    write_dpn(folder, witnesses=True)
    return folder


def _field(rng, dark, height=2048, width=2448):
    """A picture in which `dark` cells count for the tiny RIN; each cell has its own colours."""
    cells = rng.integers(60, 250, (9, 9, 3))
    chosen = rng.permutation(81)[:dark]
    cells.reshape(81, 3)[chosen, 1] = rng.integers(0, 40, dark)
    picture = np.full((height, width, 3), 200, np.uint8)
    top, left = (height - 2016) // 2, (width - 2016) // 2
    picture[top : top + 2016, left : left + 2016] = cells.repeat(224, 0).repeat(224, 1)
    picture ^= rng.integers(0, 8, picture.shape, np.uint8)
    return picture


@pytest.fixture(scope="session")
def painted(tmp_path_factory):
    """Frames of several formats and sizes; the number of patches rises and falls."""
    rng = np.random.default_rng(5)
    frames = {f"RGB8 {i}": _field(rng, dark) for i, dark in enumerate((2, 40, 12, 0, 3, 39))}
    frames["BGR8 smaller"] = _field(rng, 14, 2018, 2030)
    frames["BayerGR8 mosaic"] = np.ascontiguousarray(_field(rng, 42)[..., 1])
    frames["Mono8 grey"] = np.ascontiguousarray(_field(rng, 5, 2016, 2021)[..., 1])
    frames["RGB8 again"] = _field(rng, 14)
    path = tmp_path_factory.mktemp("painted") / "frames.npz"
    np.savez(path, **frames)
    return path


@pytest.fixture(scope="session")
def grey(tmp_path_factory):
    """Small frames of one format: quick, with 3, 12 and 31 patches."""
    rng = np.random.default_rng(6)
    frames = {
        f"Mono8 {dark}": np.ascontiguousarray(_field(rng, dark, 2016, 2016)[..., 1])
        for dark in (3, 40, 12, 0, 42)
    }
    path = tmp_path_factory.mktemp("grey") / "frames.npz"
    np.savez(path, **frames)
    return path
