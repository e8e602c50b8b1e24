"""One scan from its first field to its last, recorded field by field so that it can be taken up.

The pipeline says what happened to each field, the folder keeps it. A scan that is taken up tells
the pipeline what was visited, gives its map the anchors that the records hold, and goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from edge.appliance.scan.gates import Kept
from edge.wsi.focus_map import Anchor, FocusMap
from edge.wsi.grade import grade_of
from edge.wsi.path import Field
from edge.wsi.pipelines import Eye, KeyPoints, Looked, Pipeline, Seen, Taken
from edge.wsi.scan_folder import LOOKED, FieldRecord, ScanFolder
from edge.wsi.walk import Answer, answer_of, sides_of, text_of


class KeepingEye(Eye, Protocol):
    """An eye that keeps the frame of its last look (edge.appliance.scan.eye)."""

    kept: Kept | None


@dataclass(slots=True)
class Scan:
    """What a scan is made of. `encode`: a frame as the bytes of a file; `half_depth_um`: of the
    depth of field; `report`: called with each record; `clock`: ns."""

    folder: ScanFolder
    pipeline: Pipeline
    eye: KeepingEye
    focus_map: FocusMap
    half_depth_um: float
    encode: Callable[[Kept], bytes]
    report: Callable[[FieldRecord], None] = lambda record: None
    clock: Callable[[], int] = lambda: 0

    def run(self) -> None:
        """To the end, or to an error of the instrument or the disk, which passes through."""
        self._anchor()
        self._mend()
        looked = looked_of(self.folder)
        walk = self.folder.walk_again()
        if isinstance(self.pipeline, KeyPoints):  # a look at one of these is not its visit
            walk = self.folder.walk_again(looked)
            looked = looked_of(self.folder, taken_since=True)
        for event in self.pipeline.fields(walk, self.focus_map, self.eye, looked):
            if isinstance(event, Looked):
                self._looked(event)
            else:
                self._taken(event)

    def _anchor(self) -> None:
        """The map from what was measured before; its last moment was now, as far as drift goes:
        another session's clock began elsewhere."""
        records = self.folder.records.values()
        newest_ns = max((r.exposure_start_ns or 0 for r in records), default=0)
        for record in records:
            focus_um, interval_um = focus_of(record), record.interval_um
            if focus_um is not None and interval_um is not None:
                then_ns = self.clock() - newest_ns + (record.exposure_start_ns or 0)
                anchor = Anchor(record.x_um, record.y_um, focus_um, interval_um, then_ns, "record")
                self.focus_map.add(anchor)

    def _mend(self) -> None:
        """Fields whose frame is not as it was written are taken once more, where they were."""
        for field_id in sorted(self.folder.spoilt):
            before = self.folder.records[field_id]
            field = self.folder.walk.plan.by_id[field_id]
            if before.z_um is not None:
                reading = self.eye.one_shot(field, before.z_um)
                answer = answer_of(before.patches)
                self._keep(field, reading, answer, before.grade, tries=before.tries + 1)

    def _looked(self, event: Looked) -> None:
        reading, blank = event.reading, answer_of(event.reading.patches) is Answer.BLANK
        if event.walked and blank:
            self._keep(event.field, reading, Answer.BLANK)
        else:
            patches = reading.patches if event.walked else None
            record = _record(event.field, reading, patches, LOOKED, 1)
            self.folder.record(record)
            self.report(record)

    def _taken(self, event: Taken) -> None:
        before = self.folder.records.get(event.field.id)
        if before is not None and before.grade != LOOKED and not event.late:
            return  # blank at the first look, and kept then
        self._keep(event.field, event.reading, event.answer, tries=event.tries, late=event.late,
                   patches=before.patches if before is not None else None)  # fmt: skip

    def _keep(
        self,
        field: Field,
        reading: Seen | None,
        answer: Answer,
        grade: str | None = None,
        tries: int = 1,
        late: bool = False,
        patches: int | None = None,
    ) -> None:
        """The frame that the eye has kept is this field's: frame and line go to the disk."""
        kept = self.eye.kept
        if kept is None or kept.field.id != field.id:
            raise ValueError(f"the frame of field {field.id} was not kept")
        if reading is not None and reading.patches is not None:
            patches = reading.patches
        reading = reading or Seen(patches, None, math.inf, kept.frame.exposure_mid_ns, kept.z_um)
        record = _record(field, reading, patches, grade or "", tries, kept)
        if grade is None:
            judged = grade_of(answer, record.defocus_um, record.interval_um, self.half_depth_um)
            record = replace(record, grade=judged.value)
        self.folder.record(record, self.encode(kept), late=late)
        self.report(self.folder.records[field.id])


def _record(
    field: Field,
    reading: Seen,
    patches: int | None,
    grade: str,
    tries: int,
    kept: Kept | None = None,
) -> FieldRecord:
    """Of a look, or of a kept frame: `defocus_um` is how far above that its focus lies."""
    z_um = reading.z_um if kept is None else kept.z_um
    offset_um = 0.0 if kept is None else kept.offset_um
    defocus_um = None if reading.focus_um is None else reading.focus_um - (z_um - offset_um)
    if defocus_um is not None and not math.isfinite(defocus_um):
        defocus_um = None
    frame = None if kept is None else kept.frame
    return FieldRecord(
        id=field.id,
        x_um=field.x_um,
        y_um=field.y_um,
        z_um=z_um,
        patches=patches,
        grade=grade,
        defocus_um=defocus_um,
        interval_um=None if defocus_um is None else reading.interval_um,
        exposure_start_ns=reading.time_ns if frame is None else frame.exposure_start_ns,
        exposure_end_ns=reading.time_ns if frame is None else frame.exposure_end_ns,
        frame_id=None if frame is None else frame.frame_id,
        tries=tries,
        toward=text_of(reading.toward),
        offset_um=offset_um,
    )


def focus_of(record: FieldRecord) -> float | None:
    """Where a record says that the field is sharpest, without any offset; None = it does not."""
    if record.z_um is None or record.defocus_um is None:
        return None
    return record.z_um - record.offset_um + record.defocus_um


def looked_of(folder: ScanFolder, taken_since: bool = False) -> dict[int, Seen]:
    """What was looked at and not taken, in the order of the looks; or taken since, too."""
    looked = {}
    for record in folder.first.values():
        last = record if taken_since else folder.records[record.id]
        if last.grade == LOOKED:
            z_um = math.nan if record.z_um is None else record.z_um
            interval_um = math.inf if record.interval_um is None else record.interval_um
            looked[record.id] = Seen(
                record.patches, focus_of(record), interval_um, record.exposure_start_ns or 0,
                z_um, sides_of(record.toward),
            )  # fmt: skip
    return looked
