"""What setup.cfg cannot say: the C is compiled into the wheel, so that an instrument
needs no compiler. Where the machine that builds has none, the wheel is one for every platform, and
its C is compiled on first use as in a checkout.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from engines.compiled_c import prebuild  # noqa: E402
from firmware_bridge.firmware.prebuilt import build_prebuilt  # noqa: E402

#: folder of sources -> what makes the files of a wheel from it; both answer their names
C_SOURCES = ("edge/measure/scale.c", "training/depthwise.c")


class BuildWithC(build_py):
    """The Python files, and beside the C what it was compiled to."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # compiled on first use, as the sources change
            return
        target = Path(self.build_lib)
        try:
            build_prebuilt(target / "firmware_bridge" / "firmware")
            for source in C_SOURCES:
                prebuild(HERE / source, (target / source).parent)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"without compiled C: {error}", file=sys.stderr)


class WithC(Distribution):
    """A wheel for this platform and any Python, where the compiler says that it can be made."""

    def has_ext_modules(self) -> bool:
        return _compiler() is not None


def _compiler() -> str | None:
    import shutil

    return shutil.which("cc") or shutil.which("gcc")


def _commands() -> dict[str, Any]:
    try:
        from setuptools.command.bdist_wheel import bdist_wheel
    except ImportError:  # setuptools below 70.1: the package wheel has it
        from wheel.bdist_wheel import bdist_wheel  # type: ignore[no-redef]

    class AnyPython(bdist_wheel):  # type: ignore[misc]
        """The compiled files are no extension modules: no Python's ABI is in them."""

        def get_tag(self) -> tuple[str, str, str]:
            python, abi, platform = super().get_tag()
            return (python, abi, platform) if platform == "any" else ("py3", "none", platform)

    return {"build_py": BuildWithC, "bdist_wheel": AnyPython}


setup(cmdclass=_commands(), distclass=WithC)
