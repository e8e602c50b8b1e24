"""The calibrated 95 % interval of a frame: it gates every move.

What a median over patches can be off is told by the network's own spread, how the patches differ
and how many they are; training.fit_interval fits the coefficients, a DPN's manifest carries them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from edge.measure.by_patches import ByPatches, NumberByPatches, by_patches, number_for, value_for
from edge.measure.preprocess import MAX_PATCHES
from engines.manifest import EngineRejected, Manifest

#: of a stained slide, where nobody looked (edge.measure.photometry)
TYPICAL_PHOTOMETRY: Mapping[str, float] = MappingProxyType({"colour": 0.06, "background": 215.0})
#: of a frame with so many patches a brightest hundredth below this grey level may be specimen; with
#: fewer there is clear glass, which tells the lamp, and thins the colour
_COVERED, _DARKEST_WHITE = MAX_PATCHES, 230.0
# a frame of which more patches hold content than were measured is judged by the coefficients for at
#: most so many: those for more are fitted on fields that have no more
_MOST_K_CHOSEN = 8
FEW_PATCHES = 2  # which nothing else in the frame confirms
_GREATEST_LOG = 700.0  # exp() of more overflows
_GREATEST_EXPONENT = 4.0
#: what manifests of earlier releases call a coefficient
_FORMER_NAMES = {
    "ground": "background",
    "lone_um": "single_patch_um",
    "lone_relative": "single_patch_relative",
}


@dataclass(frozen=True, slots=True)
class IntervalModel:
    """Exponents of the interval: a product of powers, times a factor for the k. Each exponent and
    the scale may differ by k: what many patches agree on is known by how they differ, what few
    say by the network's own spread.

    network: of the network's own spread; patches: of the standard error between patches; distance:
    of |defocus|, negative where far frames have a wider spread than they deserve; importance: of
    what the chosen patches' mean importance falls short of 1; of a dense frame, where nothing but
    specimen is seen (edge.measure.photometry), colour: of how coloured it is, and ground: of how
    dark its brightest hundredth is. All but distance and colour are >= 0: doubt never narrows an
    interval. scale_um: the whole; factors: by k, from the conformal step of training.calibrate;
    least_um: no interval is narrower, and none is narrower than two standard errors between the
    patches. disagree_um, disagree_relative: spread between patches, or the network's own in the
    middle patch, above which there is no focus. single_patch_um, single_patch_relative: the same
    limit for a patch which nothing confirms (k = 1). few_importance: mean importance that one or
    two patches must have unless the network's own spread is at most few_um: a speck on the sensor
    looks a little like content everywhere. range_um: |defocus| up to this was calibrated. The
    defaults are cautious; a model's manifest carries measured ones in calibration.interval.
    """

    range_um: float
    scale_um: NumberByPatches = 2.0
    network: NumberByPatches = 1.0
    patches: NumberByPatches = 0.0
    distance: NumberByPatches = 0.0
    importance: NumberByPatches = 0.0
    colour: NumberByPatches = 0.0
    background: NumberByPatches = 0.0
    least_um: float = 0.1
    factors: ByPatches[float] = ((1, 1.0),)
    disagree_um: float = 4.0
    disagree_relative: float = 0.25
    single_patch_um: float = math.inf
    single_patch_relative: float = 0.0
    few_importance: float = 0.0
    few_um: float = 0.0

    @classmethod
    def of(cls, manifest: Manifest) -> IntervalModel:
        """From a DPN's manifest; EngineRejected for an unknown or impossible coefficient."""
        given = interval_coefficients(manifest.calibration)
        if not isinstance(given, dict):
            raise EngineRejected(f"{manifest.file}: calibration.interval must be an object")
        allowed = set(cls.__dataclass_fields__) - {"range_um"}
        values: dict[str, Any] = {}
        for key, value in given.items():
            try:
                if key not in allowed:
                    raise ValueError
                read: Callable[[Any], Any] = _READ.get(key, _coefficient)
                values[key] = read(value)
            except ValueError as error:
                where = f"{manifest.file}: calibration.interval.{key} = {value!r}"
                raise EngineRejected(where) from error
        return cls(range_um=manifest.optics.range_um, **values)

    def widened(self, factor: float) -> IntervalModel:
        """The same with every interval `factor` times as wide."""
        factors = tuple((k, each * factor) for k, each in self.factors)
        return replace(self, factors=factors, least_um=self.least_um * factor)

    def interval_um(
        self,
        defocus_um: float,
        network_um: float,
        spread_um: float,
        k: int,
        importance: float = 1.0,
        photometry: Mapping[str, float] = TYPICAL_PHOTOMETRY,
        left_out: int = 0,
    ) -> float:
        """Half-width of the 95 % interval of a median over `k` patches.

        `importance` is the mean of the chosen patches', 0..1; `photometry` as in
        edge.measure.photometry; `left_out`: how many more hold content. A sum of squares was tried
        first and separated clean slides from thick ones less well (docs/ablations.md).
        """
        logs = interval_logs(defocus_um, network_um, spread_um, k, importance, photometry)
        exponents = (
            self.network,
            self.patches,
            self.distance,
            self.importance,
            self.colour,
            self.background,
        )
        at_k = min(k, _MOST_K_CHOSEN) if left_out else k
        power = sum(number_for(e, at_k) * x for e, x in zip(exponents, logs, strict=True))
        scale_um = value_for(self.factors, at_k) * number_for(self.scale_um, at_k)
        half_um = scale_um * math.exp(min(power, _GREATEST_LOG))
        least_um = max(self.least_um, 2.0 * spread_um / math.sqrt(k))
        return least_um if half_um < least_um else half_um  # NaN stays NaN

    def believes_alone(self, defocus_um: float, network_um: float) -> bool:
        """Whether a single patch is sure enough of itself; a far one never is as sure as a near
        one."""
        return network_um <= self.single_patch_um + self.single_patch_relative * abs(defocus_um)

    def believes_few(self, k: int, importance: float, network_um: float) -> bool:
        """Whether so few patches are clearly content, or the network is sure of them."""
        return k > FEW_PATCHES or importance >= self.few_importance or network_um <= self.few_um

    def disagree(self, defocus_um: float, spread_um: float) -> bool:
        """Whether the patches contradict each other (two layers, dust, a fold)."""
        return not spread_um <= self.disagree_um + self.disagree_relative * abs(defocus_um)


def interval_coefficients(calibration: Mapping[str, Any]) -> Any:
    """calibration.interval of a manifest as it stands there, by today's names; {} without any.

    A coefficient under both its names keeps the former too, so that it is refused as unknown.
    """
    given = calibration.get("interval", {})
    if not isinstance(given, dict):
        return given
    former = {old: new for old, new in _FORMER_NAMES.items() if new not in given}
    return {former.get(name, name): value for name, value in given.items()}


def interval_logs(
    defocus_um: float,
    network_um: float,
    spread_um: float,
    k: int,
    importance: float,
    photometry: Mapping[str, float],
) -> tuple[float, ...]:
    """Logarithms of what the exponents of an IntervalModel apply to, in their order.

    What can be 0 has a least value, below which it says nothing more.
    """
    values = photometry if k >= _COVERED else TYPICAL_PHOTOMETRY
    return (
        math.log(max(network_um, 1e-3)),  # max() keeps a NaN that comes first
        math.log(math.hypot(spread_um / math.sqrt(k), 0.05)),
        math.log1p(abs(defocus_um)),
        math.log(max(1.002 - importance, 0.002)),
        math.log(max(_of(values, "colour"), 0.0) + 0.01),
        math.log(max(_DARKEST_WHITE - _of(values, "background"), 0.0) + 10.0),
    )


def _of(photometry: Mapping[str, float], name: str) -> float:
    return photometry.get(name, TYPICAL_PHOTOMETRY[name])


def _coefficient(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1000:
        raise ValueError
    return float(value)


def _factor(value: Any) -> float:
    factor = _coefficient(value)
    if not factor > 0:
        raise ValueError
    return factor


def _factors(value: Any) -> ByPatches[float]:
    return by_patches(value, _factor)


def _exponent(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError
    if not abs(value) <= _GREATEST_EXPONENT:
        raise ValueError
    return float(value)


def _doubt_exponent(value: Any) -> float:
    exponent = _exponent(value)
    if exponent < 0:
        raise ValueError
    return exponent


def _of_k(entry: Callable[[Any], float]) -> Callable[[Any], NumberByPatches]:
    return lambda value: by_patches(value, entry) if isinstance(value, Mapping) else entry(value)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "factors": _factors,
    "scale_um": _of_k(_factor),
    "network": _of_k(_doubt_exponent),
    "patches": _of_k(_doubt_exponent),
    "importance": _of_k(_doubt_exponent),
    "background": _of_k(_doubt_exponent),
    "distance": _of_k(_exponent),
    "colour": _of_k(_exponent),
}
