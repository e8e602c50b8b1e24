"""kill -9 at random moments: is anything lost of what was on the disk, and is every file read?

A child records frames of a microscope of numbers as fast as it can, each flushed, and says how many
are on the disk; it is killed at a random moment. Then its file is read and replayed: nothing that
was said to be there may be missing, and no decision may differ.

python -m benchmarks.record_kills [--times 100] [--seed 1] [--json FILE]
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine
from edge.appliance.record.files import records_in
from edge.appliance.record.replay import replay

MOST_S = 0.4  # after the first frame
CHILD = """
import sys
from pathlib import Path
from edge.appliance.record import writer
from edge.appliance.record.recorder import Recorder
from edge.settings import RecordSettings
from tests.support.reference_records import Bench, nominal
writer.FLUSH_S = 0.0
with Recorder(RecordSettings(), Path(sys.argv[1])) as recorder:
    bench = Bench(recorder, nominal(), {})
    count = 0
    while True:
        bench.eye.focus_um = bench.stage.glass_um + (3.0 if count % 16 else -8.0)
        bench.frames(1, new_field=not count % 8)
        count += 1
        while recorder._taken < recorder._put:
            pass
        print(count, flush=True)
"""


def main() -> int:
    """0 = nothing was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made = random.Random(options.seed)
    lost, differ, frames, torn = 0, 0, 0, 0
    for _ in range(options.times):
        with TemporaryDirectory() as folder:
            there = killed(Path(folder), made.uniform(0.0, MOST_S))
            (path,) = records_in(Path(folder))
            replayed = replay(path)
            lost += max(0, there - replayed.frames)
            differ += replayed.difference is not None
            frames += replayed.frames
            torn += bool(replayed.ended)
    numbers = {"kills": options.times, "frames": frames, "torn_files": torn,
               "frames_lost": lost, "files_that_differ": differ}  # fmt: skip
    machine.write(options.json, numbers)
    return int(bool(lost or differ))


def killed(folder: Path, after_s: float) -> int:
    """How many frames the child had said to be on the disk."""
    words = [sys.executable, "-c", CHILD, str(folder)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    rest = child.communicate()[0]
    said = (first + rest).split("\n")[:-1]  # what stands behind the last line's end was cut
    return int(said[-1])


if __name__ == "__main__":
    raise SystemExit(main())
