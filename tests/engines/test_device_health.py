"""The device's state as read from files laid out like a Jetson's, and from none at all."""

import pytest

from engines.device_health import read_health, warnings_of

ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson Orin NX Engineering Reference Developer Kit\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081\nmore\n",
    "var/lib/nvpmodel/status": "pmode:0002\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE 1\n"
    "< POWER_MODEL ID=2 NAME=15W >\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "51000\n",
    "sys/class/thermal/thermal_zone2/type": "cv0-thermal\n",
    "sys/class/thermal/thermal_zone2/temp": "-256000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "729600\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1984000\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "918000000\n",
    "sys/class/hwmon/hwmon3/name": "ina3221\n",
    "sys/class/hwmon/hwmon3/in1_label": "VDD_IN\n",
    "sys/class/hwmon/hwmon3/in1_input": "5000\n",
    "sys/class/hwmon/hwmon3/curr1_input": "1500\n",
    "proc/meminfo": "MemTotal:       16384000 kB\nMemAvailable:   8192000 kB\n",
    "proc/loadavg": "0.52 0.58 0.59 1/467 12345\n",
}


@pytest.fixture
def orin(tmp_path):
    for name, text in ORIN.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_jetson(orin):
    assert read_health(orin) == {
        "board": "NVIDIA Jetson Orin NX Engineering Reference Developer Kit",
        "release": "R36 (release), REVISION: 4.3, GCID: 38968081",
        "power_mode": {"id": 2, "name": "15W"},
        "temperatures_c": {"cpu-thermal": 48.3, "gpu-thermal": 51.0},
        "hottest_c": 51.0,
        "clocks_mhz": {
            "cpu0": {"now": 729.6, "most": 1984.0},
            "17000000.gpu": {"now": 306.0, "most": 918.0},
        },
        "power_mw": {"VDD_IN": 7500.0},
        "memory_mib": {"total": 16000, "available": 8000},
        "load": 0.52,
    }


def test_slow_clocks_and_heat_are_told(orin):
    assert warnings_of(read_health(orin)) == [
        "17000000.gpu runs at 306 of 918 MHz: sudo jetson_clocks"
    ]
    (orin / "sys/class/devfreq/17000000.gpu/cur_freq").write_text("918000000")
    (orin / "sys/class/thermal/thermal_zone0/temp").write_text("91200")
    assert warnings_of(read_health(orin)) == ["91 C: near the limit at which clocks fall"]


@pytest.mark.parametrize("text", ["", "N/A\n", "\0\0"])
def test_sensors_that_say_nothing_are_left_out(orin, text):
    for name in ORIN:
        if name.endswith(("temp", "freq", "input", "status")):
            (orin / name).write_text(text)
    health = read_health(orin)
    assert set(health) == {"board", "release", "memory_mib", "load"}


def test_a_machine_that_has_nothing(tmp_path):
    assert read_health(tmp_path) == {}
    assert warnings_of({}) == []
