import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "engines"))  # tiny_models


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Manifests (rin, dpn) of two tiny networks, see tiny_models."""
    from tiny_models import write_dpn, write_rin

    folder = tmp_path_factory.mktemp("models")
    return write_rin(folder), write_dpn(folder)
