"""Frames through the whole GPU path, over the driver of software_gpu, in a process of its own.

    python gpu_scenarios.py SCENARIO MODELS FRAMES [MODULE OLD NEW]

MODULE is loaded with OLD replaced by NEW: what must be noticed. Prints one JSON object.
"""

import ctypes
import gc
import importlib.util
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

from tests.support.gpu_rig import frames_of, measured, opened, write_plans


def main():
    scenario, models, frames, *change = sys.argv[1:]
    if change:
        mutate(*change)
    print(json.dumps(globals()[scenario](Path(models), Path(frames))))


def mutate(module, old, new):
    """Put a changed module into place before anybody imports it."""
    spec = importlib.util.find_spec(module)
    source = Path(spec.origin).read_text("utf-8")
    assert source.count(old) == 1, f"{old!r} is there {source.count(old)} times"
    made = importlib.util.module_from_spec(spec)
    sys.modules[module] = made
    exec(compile(source.replace(old, new), spec.origin, "exec"), made.__dict__)


def driver():
    library = ctypes.CDLL("libcuda.so.1")
    library.stand_in_bytes.restype = ctypes.c_ulonglong
    return library


def live():
    """What the driver still holds: memory, contexts, pushed, streams, events, modules, graphs."""
    return [driver().stand_in_live(what) for what in range(7)]


def compare(models, frames, precision="fp16-flag", rounds=1, every=True, um_per_px=0.34, **more):
    """Every frame by both ways, `rounds` times by the GPU's."""
    frames = list(frames_of(frames))
    sensor, nets = opened(models, "cpu", every=every, um_per_px=um_per_px)
    cpu = measured(sensor, frames)
    sensor, nets = opened(models, "gpu", precision, every, um_per_px, **more)
    gpu = [measured(sensor, frames) for _ in range(rounds)]
    graph = sensor._gpu.graph
    for net in nets:
        net.close()
    gc.collect()
    return {
        "names": [name for name, _ in frames], "cpu": cpu, "gpu": gpu, "graph": graph,
        "live": live(), "graph_launches": driver().stand_in_graph_launches(),
    }  # fmt: skip


def copied(models, frames):
    return compare(models, frames)


def other_pixels(models, frames):
    """Of an objective with finer pixels, a second time by the graphs."""
    return compare(models, frames, rounds=2, um_per_px=0.272)


def mapped(models, frames):
    return compare(models, frames, rounds=3, frame_memory="mapped")


def papers_k(models, frames):
    return compare(models, frames, every=False)


def half_precision(models, frames):
    return compare(models, frames, "fp16-typed")


def three_times(models, frames):
    return compare(models, frames, rounds=3)


def meant(result):
    """The bytes of a Result's fields, 0 where those of an earlier frame may be left."""
    result = result.copy()
    for name in ("defocus_um", "spread_um", "optics", "novelty"):
        result[name][result["measured"] :] = 0
    # field by field: NumPy leaves the padding of a copied struct to chance
    return b"".join(result[name].tobytes() for name in result.dtype.names).hex()


def twice(models, frames):
    return compare(models, frames, rounds=2)


def graph_and_plain(models, frames):
    """The bytes of every Result, with and without graphs."""
    from edge.measure.gpu_sensor import view
    from engines.gpu.frame import ChoiceRule, GpuFrame

    _, (rin, dpn) = opened(models)
    frames = list(frames_of(frames)) * 3
    answers = {}
    for graphs in (True, False):
        gpu = GpuFrame(rin._cuda, rin, dpn, ChoiceRule(0.8, 31, 9, 3), graphs=graphs)
        answers[graphs] = [meant(gpu(view(frame))) for _, frame in frames], gpu.graph
    timed = [gpu.timed(view(frame)) for _, frame in frames]
    plain_and_timed = answers[False][0], [meant(result) for result, _ in timed]
    return {
        "equal": [each == answers[True][0] for each in plain_and_timed],
        "different": len(set(answers[True][0])),
        "modes": [answers[True][1], answers[False][1]],
        "graph_launches": driver().stand_in_graph_launches(),
        "stages": timed[0][1],
    }


def thousand(models, frames):
    """1,000 frames of one size: what lives on the GPU and in this process after 160 and at the end;
    every fiftieth has many patches, which cost this computer much."""
    import tensorrt

    sensor, nets = opened(models)
    few, many, some, none, _ = frames_of(frames)
    views = []
    for number in range(1000):
        if number in (160, 999):
            gc.collect()
            kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            objects = len(gc.get_objects())
            views.append([live(), driver().stand_in_bytes(), len(tensorrt.alive), objects, kib])
        answer = measured(
            sensor,
            [many if number % 50 == 49 else some if number % 10 == 9 else (few, none)[number % 2]],
        )
    for net in nets:
        net.close()
        net.close()  # twice is once
    del sensor, nets, net
    gc.collect()
    return {
        "after": views, "k": answer[0]["k"], "end": [live(), len(tensorrt.alive)],
        "launched": driver().stand_in_launched(),
    }  # fmt: skip


def refused(models, frames):
    """What opening and measuring end with when STAND_IN_FAULT is refused."""
    from edge.errors import EngineRejected
    from engines.errors import GpuFailed

    words = ""
    try:
        sensor, nets = opened(models)
        measured(sensor, list(frames_of(frames)))
        for net in nets:
            net.close()
    except (EngineRejected, GpuFailed) as error:
        words = f"{type(error).__name__}: {error}"
        if "nets" in locals():
            for net in nets:
                net.close()
    gc.collect()
    return {"messages": words, "live": live()}


def broken(models, frames):
    """A GPU that fails for good: what is said, twice, and that closing still works."""
    from engines.errors import GpuFailed

    sensor, nets = opened(models)
    frames = list(frames_of(frames))
    good = measured(sensor, frames[:1])[0]["k"]
    driver().stand_in_break()
    messages = []
    for _ in range(2):
        try:
            measured(sensor, frames[:1])
        except GpuFailed as error:
            messages.append(str(error))
    for net in nets:
        net.close()
    return {"good": good, "messages": messages, "live": live()}


def selftest(models, frames):
    """The verb on this GPU: exit status, its JSON, and what still lives."""
    from edge.appliance.cli import main
    from edge.appliance.selftest import verb as selftest_verb
    from engines.gpu import open_gpu as gpu_open
    from engines.gpu import ready as gpu_ready

    folder = Path(tempfile.mkdtemp(dir=os.environ["STAND_IN_SCRATCH"]))
    write_plans(models, folder)
    gpu_open.open_gpu.__defaults__ = gpu_ready.gpu_is_ready.__defaults__ = (folder,)
    document, page = folder / "told.json", folder / "page.html"
    words = ["selftest", "--frames", "2", "--quiet", "--json", str(document), "--report", str(page)]
    status = main(words)
    gc.collect()
    return {
        "status": status, "report": json.loads(document.read_text()), "page": page.read_text(),
        "live": live(), "backend": selftest_verb.ModelSettings().backend,
    }  # fmt: skip


def ready(models, frames):
    """Whether "auto" takes the GPU before and after there are plans."""
    import logging

    from engines.gpu.ready import gpu_is_ready

    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("engines.gpu.ready").addHandler(handler)
    folder = Path(tempfile.mkdtemp(dir=os.environ["STAND_IN_SCRATCH"]))
    before = gpu_is_ready(folder)
    write_plans(models, folder)
    return {"before": before, "after": gpu_is_ready(folder), "messages": messages}


def harmed(models, frames):
    """What opening says when the DPN's plan was harmed, and how many plans TensorRT has seen."""
    import tensorrt

    from engines.errors import EngineRejected
    from engines.gpu.open_gpu import open_gpu
    from engines.manifest import Manifest

    folder = Path(tempfile.mkdtemp(dir=os.environ["STAND_IN_SCRATCH"]))
    write_plans(models, folder)
    (plan,) = folder.glob("dpn-*.plan")
    data = bytearray(plan.read_bytes())
    if os.environ["STAND_IN_HARM"] == "tampered":
        data[len(data) // 2] ^= 1
    elif os.environ["STAND_IN_HARM"] == "truncated":
        del data[-1:]
    else:
        tensorrt.__version__ = "10.3.1"
    plan.write_bytes(data)
    words = ""
    try:
        open_gpu(*(Manifest.read(models / f"{name}.json") for name in ("rin", "dpn")), folder)
    except EngineRejected as error:
        words = str(error)
    return {"messages": words, "alive": len(tensorrt.alive), "live": live()}


def golden(models, frames):
    """Both engines by the Engine contract on their golden pictures, against the CPU's."""
    from engines.golden import batches, compare, reference

    _, nets = opened(models)
    worst = {}
    for net in nets:
        given = batches(net.manifest.name)
        names = [output.name for output in net.manifest.outputs]
        results = [dict(zip(names, net.infer(batch), strict=True)) for batch in given]
        worst |= compare("stand-in", net.manifest, reference(net.manifest, given), results)
        five = dict(zip(names, net.infer(given[-1][:1]), strict=True))
        assert all(len(answer) == 1 for answer in five.values())
        net.close()
    return {"worst": worst, "live": live()}


if __name__ == "__main__":
    main()
