"""An OpenCV that is here and does not load is told from one that is not here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engines import opencv_here


def test_here_it_loads() -> None:
    assert opencv_here.trouble() == ""
    assert opencv_here.main() == 0


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of all others, and no OpenCV loaded yet."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [n for n in sys.modules if n == "cv2" or n.startswith("cv2.")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def test_one_built_for_another_numpy_is_not_missing(
    alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = "numpy.core.multiarray failed to import"
    (alone / "cv2.py").write_text(f"raise ImportError({error!r})\n")
    for version, advice in (("2.2.6", "pip install 'numpy<2'"), ("1.26.4", "numpy is 1.26.4")):
        monkeypatch.setattr("numpy.__version__", version)
        assert opencv_here.main() == 1
        message = capsys.readouterr().err
        assert f"cannot be loaded: {error}; numpy is {version}" in message
        assert advice in message
        assert "missing" not in message
        sys.modules.pop("cv2", None)


def test_none_at_all_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert opencv_here.trouble() == opencv_here.MISSING
