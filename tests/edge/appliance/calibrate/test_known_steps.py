"""Scale and offset from a handful of pictures at known heights."""

import numpy as np
import pytest

from edge.appliance.calibrate.drive_calibration import CalibrationRefused
from edge.appliance.calibrate.fit import Look
from edge.appliance.calibrate.known_steps import known_steps


def field(scale, focus_um=100.0, offset_um=0.0, z=(-9, -6, -3, -1, 0, 1, 3, 6, 9), noise=0.0):
    """Looks at heights about the sharpest plane, at `focus_um`; the networks' zero lies
    `offset_um` below it."""
    rng = np.random.default_rng(4)
    return [
        Look(
            focus_um + d,
            scale * (-d - offset_um) + noise * rng.normal(),
            0.3 + 0.05 * abs(d),
            1.0 / (1.0 + d * d),
            "known",
        )
        for d in z
    ]


@pytest.mark.parametrize("scale", [0.6, 0.82, 1.0, 1.2])
@pytest.mark.parametrize("offset_um", [0.0, -0.7])
def test_the_line_through_readings_tells_both(scale, offset_um):
    fit = known_steps([field(scale, offset_um=offset_um)])
    assert fit.reading_scale == pytest.approx(scale, abs=1e-6)
    assert fit.focus_offset_um == pytest.approx(offset_um, abs=0.01)
    assert 0.01 < fit.reading_scale_95 < 0.1


def test_noise_stays_within_the_interval_told():
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        looks = [
            Look(z, 0.8 * -z + 0.3 * rng.normal(), 0.6, 1.0 / (1 + z * z), "known")
            for z in np.linspace(-10, 10, 7)
        ]
        fit = known_steps([looks])
        inside += abs(fit.reading_scale - 0.8) <= fit.reading_scale_95
    assert inside >= 55


def test_fields_lie_at_heights_of_their_own():
    fields = [field(0.8, focus, z=(-6, 0.0, 6)) for focus in (10.0, 55.0, -30.0)]
    fit = known_steps(fields)
    assert fit.reading_scale == pytest.approx(0.8, abs=1e-6)
    assert fit.looks == 9


def test_without_a_sharpest_picture_there_is_a_scale_and_no_offset():
    fit = known_steps([field(0.9, z=(3, 5, 7, 9, 11))])
    assert fit.reading_scale == pytest.approx(0.9, abs=1e-6)
    assert (fit.focus_offset_um, fit.focus_offset_95_um) == (None, None)


@pytest.mark.parametrize(
    ("fields", "unit", "says"),
    [
        ([], 1.0, "0 pictures over 0.0 um tell a defocus; 4 over 6 um of one field"),
        ([field(0.8, z=(-1, 0, 1, 2))], 1.0, "4 pictures over 3.0 um"),
        ([field(0.8, z=(-5, 0, 5, 6))], 2.0, "4 over 12 um of one field are the least"),
        ([field(-0.8)], 1.0, r"read -0.80 um for each um .*does a greater z lower the objective"),
        ([field(1.7)], 1.0, r"read \+1.70 um for each um of defocus, 0.4 to 1.6 can be believed"),
        ([field(0.8, z=(-6, -3, 3, 6), noise=2.0)], 1.0, r"the scale is .*more pictures"),
    ],
)
def test_what_does_not_tell_a_scale_is_refused(fields, unit, says):
    with pytest.raises(CalibrationRefused, match=says):
        known_steps(fields, unit)
