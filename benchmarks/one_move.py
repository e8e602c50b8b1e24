"""The picture of the README: one simulated field before and after its move.

    python -m benchmarks.one_move [--out docs/one_move.jpg]

A minute of two cores. It is drawn as `sparsefocus simulate --report` draws it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from edge.appliance.config.config_file import read_config
from edge.appliance.files import write_result
from edge.appliance.report.pictures import draw_patches, side_by_side
from edge.decide.decision import Decision
from simulator.closed_loop import Scenario, SimulatedInstrument
from simulator.simulate_verb import NOMINAL

SCENARIO, SEED = Scenario(0, "tissue", "sparse", start_um=-12.0), 4
QUALITY = 85


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/one_move.jpg"))
    options = parser.parse_args()
    config = read_config(NOMINAL)
    with SimulatedInstrument(config, SEED) as instrument:
        record = instrument.focus(SCENARIO)
    if record.last.decision is not Decision.IN_FOCUS:
        raise SystemExit(f"{record.last.decision.value}: {record.last.reason}")
    um_per_px = config.objective.um_per_px
    first, last = (draw_patches(view, um_per_px) for view in (record.views[0], record.views[-1]))
    bgr = cv2.cvtColor(side_by_side(first, last), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    write_result(bytes(data.tobytes()), options.out, "--out")
    print(f"{options.out}: {record.error_um(record.z_start_um):.2f} um before, "
          f"{record.error_um(record.z_final_um):.2f} um after")  # fmt: skip


if __name__ == "__main__":
    main()
