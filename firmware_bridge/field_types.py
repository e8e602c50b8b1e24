"""The widths that a field of a message may have on the wire, little-endian and packed."""

from __future__ import annotations

from typing import Annotated

U8 = Annotated[int, "u8"]
U16 = Annotated[int, "u16"]
U32 = Annotated[int, "u32"]
U64 = Annotated[int, "u64"]
I32 = Annotated[int, "i32"]
STRUCT_CODE = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i32": "i"}
