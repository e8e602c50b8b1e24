"""How a GPU's answers on frames differ from the CPU's, beyond what another order of sums makes."""

import numpy as np

from tests.support.stand_ins import ROOT

SHIPPED = ROOT / "engines" / "models"
#: what pycuda itself leaves on the driver's stack when it lets a primary context go
NOTHING = [0, 0, 1, 0, 0, 0, 0]
FIELDS = (
    ("cell", "ex-sparse", (4.0,)),
    ("tissue", "dense", (-9.0, 6.0)),
    ("cell", "sparse", (12.0,)),
    ("cell", "blank", (2.0,)),
)


def close_to(one, other, rtol=1e-4, atol=2e-3):
    if (one is None) or (other is None):
        return one is other
    one, other = np.array(one), np.array(other)
    return one.shape == other.shape and np.allclose(one, other, rtol, atol, equal_nan=True)


def in_order_of(cpu, gpu):
    """The GPU's patches in the CPU's order, where only equally important ones have swapped: the
    ways sum in another order, and importances near 1 differ in their last bit."""
    if cpu["cells"] == gpu["cells"] or sorted(cpu["cells"]) != sorted(gpu["cells"]):
        return gpu
    order = [gpu["cells"].index(cell) for cell in cpu["cells"]]
    sorted_so = np.array(gpu["importance"])[order]
    if np.abs(sorted_so - np.array(gpu["importance"])).max() > 1e-6:
        return gpu
    keys = ("cells", "importance", "patches_um", "spread_um", "optics", "novelty")
    swapped = {key: [gpu[key][i] for i in order] for key in keys if gpu[key] is not None}
    return {**gpu, **swapped}


def problems_of(result, um=0.02, half=False):
    """How the GPU's frames differ from the CPU's, which sums in another order (docs/speed.md)."""
    messages = []
    for way in result["gpu"]:
        for name, cpu, gpu in zip(result["names"], result["cpu"], way, strict=True):
            exact = ("k", "left_out", "sparsity", "reason", "photometry")
            order = sorted if half else list  # the same patches; nearly equal ones may swap
            gpu = gpu if half else in_order_of(cpu, gpu)
            if order(cpu["cells"]) != order(gpu["cells"]):
                messages.append(f"{name}: cells")
            messages += [f"{name}: {key}" for key in exact if cpu[key] != gpu[key]]
            if not close_to(cpu["importance"], gpu["importance"], 0, 0.02 if half else 1e-4):
                messages.append(f"{name}: importance")
            both = np.array([cpu["um"], gpu["um"]])
            if not (np.isnan(both).all() or abs(both[0] - both[1]) <= um):
                messages.append(f"{name}: {both} um")
            if not half:
                keys = ("patches_um", "spread_um", "optics", "novelty", "interval_um")
                messages += [f"{name}: {key}" for key in keys if not close_to(cpu[key], gpu[key])]
    return messages
