"""How the device is: temperatures, power mode, clocks, memory; for the record and the self-test.

Read from files only, so that nothing is started while a microscope runs. Sources: Linux's thermal,
cpufreq, devfreq and hwmon in /sys (Documentation/driver-api/thermal/sysfs-api.rst and so on);
NVIDIA's nvpmodel keeps its mode in /var/lib/nvpmodel/status and the modes' names in
/etc/nvpmodel.conf; the board and the release are in /proc/device-tree/model and
/etc/nv_tegra_release. What a machine does not have is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

HOT_C = 85.0  # Orin's software throttling begins below 100, by zone and board
_MODE = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>")
_TEXT_LIMIT = 1 << 20


def read_health(root: Path = Path("/")) -> dict[str, Any]:
    """What can be read below `root` now.

    Keys, each only where there is something: board, release, power_mode {id, name},
    temperatures_c {zone: degrees}, hottest_c, clocks_mhz {"cpu0" | device: {now, most}},
    power_mw {rail: mW}, memory_mib {total, available}, load.
    """
    temperatures = _temperatures(root)
    health = {
        "board": _text(root / "proc/device-tree/model").rstrip("\0\n "),
        "release": _text(root / "etc/nv_tegra_release").split("\n")[0].lstrip("# "),
        "power_mode": _power_mode(root),
        "temperatures_c": temperatures,
        "hottest_c": max(temperatures.values(), default=None),
        "clocks_mhz": _clocks(root),
        "power_mw": _power(root),
        "memory_mib": _memory(root),
        "load": _number(_text(root / "proc/loadavg").split(" ")[0]),
    }
    return {key: value for key, value in health.items() if value not in ("", None, {})}


def warnings_of(health: dict[str, Any]) -> list[str]:
    """What a person should know before believing a latency measured now."""
    warnings = []
    if health.get("hottest_c", 0.0) >= HOT_C:
        warnings.append(f"{health['hottest_c']:.0f} C: near the limit at which clocks fall")
    for name, clock in health.get("clocks_mhz", {}).items():
        if not name.startswith("cpu") and clock["now"] < 0.9 * clock["most"]:
            warnings.append(
                f"{name} runs at {clock['now']:g} of {clock['most']:g} MHz: sudo jetson_clocks"
            )
    return warnings


def _temperatures(root: Path) -> dict[str, float]:
    temperatures = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millidegrees = _number(_text(zone / "temp"))
        name = _text(zone / "type").strip() or zone.name
        # a zone that is switched off answers an error or -256 degrees
        if millidegrees is not None and -60_000 < millidegrees < 200_000:
            temperatures[name if name not in temperatures else zone.name] = round(
                millidegrees / 1000, 1
            )
    return temperatures


def _power_mode(root: Path) -> dict[str, Any]:
    """nvpmodel's status reads "pmode:0002"."""
    given = re.match(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status"))
    if not given:
        return {}
    number = int(given[1])
    names = {int(i): name for i, name in _MODE.findall(_text(root / "etc/nvpmodel.conf"))}
    return {"id": number, "name": names.get(number, "?")}


def _clocks(root: Path) -> dict[str, dict[str, float]]:
    clocks = {}
    for cpu in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*")):
        clocks[cpu.name] = _clock(cpu / "cpufreq", "scaling_cur_freq", "cpuinfo_max_freq", 1e3)
    for device in sorted((root / "sys/class/devfreq").glob("*")):
        clocks[device.name] = _clock(device, "cur_freq", "max_freq", 1e6)
    return {name: clock for name, clock in clocks.items() if clock}


def _clock(folder: Path, now: str, most: str, per_mhz: float) -> dict[str, float]:
    values = [_number(_text(folder / name)) for name in (now, most)]
    if values[0] is None or values[1] is None:
        return {}
    return {"now": values[0] / per_mhz, "most": values[1] / per_mhz}


def _power(root: Path) -> dict[str, float]:
    """Volts times amperes of the board's INA3221 rails, by label."""
    power = {}
    for sensor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _text(sensor / "name").strip() != "ina3221":
            continue
        for label in sorted(sensor.glob("in*_label")):
            number = label.name[2 : -len("_label")]
            millivolts = _number(_text(sensor / f"in{number}_input"))
            milliamperes = _number(_text(sensor / f"curr{number}_input"))
            if millivolts is not None and milliamperes is not None:
                power[_text(label).strip()] = round(millivolts * milliamperes / 1000, 1)
    return power


def _memory(root: Path) -> dict[str, int]:
    lines = dict(re.findall(r"^(\w+):\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE))
    wanted = {"total": "MemTotal", "available": "MemAvailable"}
    return {key: int(lines[name]) >> 10 for key, name in wanted.items() if name in lines}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_TEXT_LIMIT).decode("utf-8", "replace")
    except OSError:  # not here, or a sensor that is asleep
        return ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


__all__ = ["HOT_C", "read_health", "warnings_of"]
