import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Manifests (rin, dpn) of two tiny networks, see tiny_models."""
    from tests.support.tiny_models import write_dpn, write_rin

    folder = tmp_path_factory.mktemp("models")
    return write_rin(folder), write_dpn(folder)


@pytest.fixture
def witnesses(tmp_path):
    """The same, by a function of the DPN's calibration; the DPN also tells optics and novelty."""
    from tests.support.tiny_models import CALIBRATED, write_dpn, write_rin

    return lambda **calibration: (
        write_rin(tmp_path),
        write_dpn(
            tmp_path,
            witnesses=True,
            calibration={"interval": CALIBRATED["interval"], **calibration},
        ),
    )


@pytest.fixture(scope="session")
def simulated_sensor():
    """The shipped networks, and frames of a simulated field at four heights."""
    import numpy as np

    from edge.camera import Frame, PixelFormat
    from edge.measure.importance import ClassRule
    from edge.open_sensor import build_sensor
    from edge.optics import NOMINAL
    from edge.settings import ModelSettings
    from simulator.microscope import Microscope

    sensor, nets = build_sensor(ModelSettings(threads=1), NOMINAL, ClassRule())
    microscope = Microscope(5, (2016, 2016), dirt=0.0, tilt_um_per_mm=0.0)
    truth = microscope.load_field("tissue", "dense", 0)
    pictures = [microscope.picture(truth.z_focus_um + z) for z in (6.0, -14.0, 11.0, -9.0)]

    def frames(exchanged):
        step = -1 if exchanged else 1
        for n, picture in enumerate(pictures):
            pixels = np.ascontiguousarray(picture[..., ::step])
            yield Frame(pixels, PixelFormat.RGB8, n, 0, 1)

    yield sensor, frames
    for net in nets:
        net.close()
