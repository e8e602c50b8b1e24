"""Opens the networks that the config names and puts a frame's way to its estimate together."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

from edge.errors import ConfigError, EngineRejected
from edge.measure.budget import PatchBudget
from edge.measure.colour_order import ColourOrder
from edge.measure.defocus import Defocus
from edge.measure.importance import ClassRule, Importance
from edge.measure.interval import IntervalModel
from edge.measure.plain_look import PlainLook
from edge.measure.preprocess import PAPER, CpuPreprocessor, PatchGrid
from edge.measure.sensor import CpuMeasurer, Measurer
from edge.measure.training_range import TrainingRange
from edge.settings import ModelSettings, Objective
from engines import engine as engines
from engines.gpu.ready import gpu_is_ready
from engines.manifest import Family, Manifest

OPTICS_TOLERANCE = 0.03  # relative: NA, magnification and pixel size of the model and the config


def build_sensor(
    models: ModelSettings,
    objective: Objective,
    classes: ClassRule,
    budget_ms: float | None = None,
    enough_um: float | None = None,
    clock: Callable[[], int] = monotonic_ns,
) -> tuple[Measurer, tuple[engines.Engine, ...]]:
    """The frame's way as far as the estimate, and its engines (rin, dpn) to be closed.

    `clock` measures the budget (monotonic ns; the loop's own).

    ConfigError for a budget on the GPU, where a frame's patches are measured at once.
    """
    on_gpu = models.backend == "gpu" or (models.backend == "auto" and gpu_is_ready())
    if on_gpu and (budget_ms, enough_um) != (None, None):
        raise ConfigError("loop.budget_ms and loop.enough_um need models.backend = cpu")
    if on_gpu:
        return _gpu_sensor(models, objective, classes)
    return _cpu_sensor(models, objective, classes, PatchBudget(budget_ms, clock), enough_um)


def exchanged_colours_hold(sensor: Measurer, hold: bool) -> None:
    """Whether pictures whose red and blue look exchanged are held or only told; a sensor that
    cannot tell stays as it is. A slide of eosin alone looks exchanged."""
    order = getattr(sensor, "order", None)
    if isinstance(order, ColourOrder):
        order.holds = hold


def _cpu_sensor(
    models: ModelSettings,
    objective: Objective,
    classes: ClassRule,
    budget: PatchBudget,
    enough_um: float | None,
) -> tuple[Measurer, tuple[engines.Engine, ...]]:
    rin = engines.open_engine(models.rin, models.threads, models.runtime)
    dpn = engines.open_engine(models.dpn, models.threads, models.runtime)
    _check(rin.manifest, "rin", objective)
    _check(dpn.manifest, "dpn", objective)
    here = objective.normalised(dpn.manifest.optics)
    grid = _grid(rin.manifest, dpn.manifest)
    interval_model = IntervalModel.of(dpn.manifest).widened(models.interval_factor)
    training_range = TrainingRange.of(dpn.manifest)
    preprocess = CpuPreprocessor(models.threads, grid, here.pixels)
    defocus = Defocus(dpn, preprocess, budget)
    parts = preprocess, Importance(rin, classes), defocus
    hurried = (budget.budget_ms, enough_um) != (None, None)  # no time for a second look
    order = None if hurried else ColourOrder(defocus.again)
    looks = PlainLook(grid, here.pixels), order
    enough = None if enough_um is None else enough_um / here.axial_unit
    sensor = CpuMeasurer(
        *parts, interval_model, training_range, budget, enough, *looks, here.axial_unit
    )
    return sensor, (rin, dpn)


def _gpu_sensor(
    models: ModelSettings, objective: Objective, classes: ClassRule
) -> tuple[Measurer, tuple[engines.Engine, ...]]:
    from edge.measure.gpu_sensor import open_gpu_sensor

    manifests = Manifest.read(models.rin), Manifest.read(models.dpn)
    for manifest, name in zip(manifests, ("rin", "dpn"), strict=True):
        _check(manifest, name, objective)
        manifest.model_bytes()  # the plan was made of these
    if (grid := _grid(*manifests)) != PAPER:
        raise EngineRejected(
            f"{manifests[0].folder}: {grid.rows} x {grid.columns} patches; the GPU takes "
            f"{PAPER.rows} x {PAPER.columns} only, use models.backend = cpu"
        )
    sensor, nets = open_gpu_sensor(*manifests, classes, models.frame_memory)
    sensor.interval_model = sensor.interval_model.widened(models.interval_factor)
    here = objective.normalised(manifests[1].optics)
    sensor.axial_unit, sensor.pixels = here.axial_unit, here.pixels
    sensor.plain = PlainLook(pixels=here.pixels)
    return sensor, nets


def _grid(rin: Manifest, dpn: Manifest) -> PatchGrid:
    """How both cut a frame; EngineRejected where they differ."""
    grid = PatchGrid.of_manifest(rin)
    if PatchGrid.of_manifest(dpn) != grid:
        raise EngineRejected(
            f"{dpn.folder / dpn.file}: made for a grid of {dpn.preprocessing.grid} patches, "
            f"{rin.file} for {rin.preprocessing.grid}: they belong to different model folders"
        )
    return grid


def _check(manifest: Manifest, name: str, objective: Objective) -> None:
    """The model must be the one asked for, made for these optics or for a family that has them."""
    here = f"{manifest.folder / manifest.file}"
    if manifest.name != name:
        raise EngineRejected(f"{here}: is a {manifest.name}, not a {name}")
    family = manifest.optics.family
    if family is not None:
        outside = _outside(family, objective)
        if outside:
            raise EngineRejected(f"{here}: {outside}; take models for this objective, or calibrate")
        return
    for key in ("na", "magnification", "um_per_px"):
        model, ours = getattr(manifest.optics, key), getattr(objective, key)
        if not abs(model - ours) <= OPTICS_TOLERANCE * model:
            raise EngineRejected(
                f"{here}: made for {key} = {model:g}, objective.{key} = {ours:g} "
                f"({manifest.optics.objective}); take models for this objective, or calibrate"
            )


def _outside(family: Family, objective: Objective) -> str:
    """Why an objective is none of a family's, with the range; "" when it is one."""
    per_px = objective.wavelength_um / objective.na  # um per lambda/NA
    for key, (low, high), unit in (
        ("na", family.na, 1.0),
        ("refractive_index", family.refractive_index, 1.0),
        ("um_per_px", family.pixel, per_px),
    ):
        value = getattr(objective, key)
        if not low * unit <= value <= high * unit:
            why = "" if key != "um_per_px" else f" ({low:g} to {high:g} lambda/NA)"
            return (
                f"objective.{key} = {value:g} is outside {low * unit:.3g} to {high * unit:.3g}"
                f"{why}, for which these models are made"
            )
    return ""
