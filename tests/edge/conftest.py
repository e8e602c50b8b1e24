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
    from tests.support.tiny_models import write_dpn, write_rin

    return lambda **calibration: (
        write_rin(tmp_path),
        write_dpn(tmp_path, witnesses=True, calibration=calibration),
    )
