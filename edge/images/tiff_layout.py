"""How the pixels of one TIFF picture lie in the file, and which layouts can be read at all."""

from __future__ import annotations

from dataclasses import dataclass

from edge.images import tiff_directory as t
from edge.images.tiff_directory import Directory, PictureFault, Tags

#: of one picture's pixels once it is decoded: a Jetson has 4 GiB for everything
MAX_PIXEL_BYTES = 1 << 29

NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 7, 8, 32946, 32773
_READ = (NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS)
_COMPRESSIONS = {
    2: "CCITT (fax)", 3: "CCITT (fax)", 4: "CCITT (fax)", 6: "JPEG of TIFF 6.0 (old-style)",
    9: "JBIG", 10: "JBIG", 22610: "JPEG XR", 32766: "NeXT", 32809: "ThunderScan",
    32771: "CCITT (fax)", 33003: "JPEG 2000 (Aperio)", 33004: "JPEG 2000 (Aperio)",
    33005: "JPEG 2000 (Aperio)", 33007: "JPEG (Alt)", 34661: "JBIG", 34676: "SGI LogLuv",
    34677: "SGI LogLuv", 34712: "JPEG 2000", 34713: "Nikon NEF", 34887: "LERC", 34892: "lossy DNG",
    34925: "LZMA", 34926: "Zstandard", 34927: "WebP", 34933: "PNG", 34934: "JPEG XR",
    48124: "JetRaw", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
    65000: "EER", 65001: "EER", 65002: "EER",
}  # fmt: skip
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR = range(7)
_PHOTOMETRICS = {
    _MASK: "a transparency mask", _CMYK: "CMYK (ink) colours", 8: "CIE L*a*b* colours",
    9: "ICC L*a*b* colours", 10: "ITU L*a*b* colours", 32803: "a raw colour mosaic (DNG)",
    32844: "LogL", 32845: "LogLuv", 34892: "linear raw values (DNG)", 51177: "a depth map",
}  # fmt: skip
_FORMATS = {2: "signed whole numbers", 3: "floating-point numbers", 4: "values of no kind",
            5: "complex numbers", 6: "complex numbers"}  # fmt: skip
_ASSOCIATED = 1
_JPEG_TAGS = (t.JPEG_TABLES, t.YCBCR_SUBSAMPLING)


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths in px, `samples` values per pixel of `bits` each. `planes` > 1: one after the other.

    `tile_width` = 0: strips of `strip_rows`. `differences`: the horizontal predictor was used.
    """

    width: int
    height: int
    bits: int
    samples: int
    planes: int
    compression: int
    photometric: int
    differences: bool
    strip_rows: int
    tile_width: int
    tile_height: int

    @property
    def samples_per_plane(self) -> int:
        """Values that lie beside each other for one pixel."""
        return self.samples if self.planes == 1 else 1

    @property
    def palette(self) -> bool:
        """The values are numbers of colours."""
        return self.photometric == _PALETTE

    @property
    def white_is_zero(self) -> bool:
        """Grey in which 0 is white."""
        return self.photometric == _WHITE_IS_ZERO

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of one plane."""
        return _bytes(self.width * self.samples_per_plane * self.bits)

    @property
    def pieces_per_plane(self) -> int:
        """Strips or tiles."""
        if not self.tile_width:
            return -(-self.height // self.strip_rows)
        return -(-self.height // self.tile_height) * -(-self.width // self.tile_width)

    def as_grey_bytes(self) -> Tags:
        """Tags of a plane whose bytes are taken for grey pixels."""
        return {
            t.WIDTH: (self.row_bytes,), t.HEIGHT: (self.height,), t.BITS: (8,),
            t.COMPRESSION: (self.compression,), t.PHOTOMETRIC: (_BLACK_IS_ZERO,),
            t.SAMPLES: (1,), t.PLANAR: (1,), **self._cut(self.samples_per_plane * self.bits),
        }  # fmt: skip

    def as_jpeg(self, directory: Directory) -> Tags:
        """Tags of a picture whose colours OpenCV decodes."""
        own = {tag: directory.tags[tag] for tag in _JPEG_TAGS if tag in directory.tags}
        return {
            t.WIDTH: (self.width,), t.HEIGHT: (self.height,), t.BITS: (8,) * self.samples,
            t.COMPRESSION: (JPEG,), t.PHOTOMETRIC: (self.photometric,),
            t.SAMPLES: (self.samples,), t.PLANAR: (1,), **self._cut(8), **own,
        }  # fmt: skip

    def _cut(self, bits_across: int) -> Tags:
        """Strips or tiles, of `bits_across` per pixel."""
        if not self.tile_width:
            return {t.STRIP_ROWS: (self.strip_rows,)}
        return {
            t.TILE_WIDTH: (_bytes(self.tile_width * bits_across),),
            t.TILE_HEIGHT: (self.tile_height,),
        }


def layout_of(directory: Directory) -> Layout:
    """PictureFault with the name of what cannot be read."""
    compression = directory.number(t.COMPRESSION, NONE)
    if compression not in _READ:
        name = _COMPRESSIONS.get(compression, f"number {compression}")
        raise PictureFault(
            f"is compressed by {name}, which cannot be read; "
            "uncompressed, LZW, deflate, PackBits and JPEG can"
        )
    layout = _described(directory, compression)
    _check_values(directory, layout)
    _check_size(layout)
    return layout


def _described(directory: Directory, compression: int) -> Layout:
    samples = directory.number(t.SAMPLES, 1)
    depths = set(directory.numbers(t.BITS)) or {1}
    if len(depths) != 1:
        raise PictureFault(f"has channels of different depths: {sorted(depths)} bits")
    height = directory.number(t.HEIGHT)
    predictor = directory.number(t.PREDICTOR, 1) if compression != JPEG else 1
    if predictor not in (1, 2):
        raise PictureFault(f"uses predictor {predictor}, which cannot be read")
    tiled = bool(directory.numbers(t.TILE_WIDTH))
    return Layout(
        width=directory.number(t.WIDTH),
        height=height,
        bits=depths.pop(),
        samples=samples,
        planes=samples if directory.number(t.PLANAR, 1) == 2 and samples > 1 else 1,
        compression=compression,
        photometric=directory.number(t.PHOTOMETRIC),
        differences=predictor == 2 and compression in (LZW, DEFLATE, OLD_DEFLATE),
        strip_rows=max(1, min(directory.number(t.STRIP_ROWS, height), height)),
        tile_width=directory.number(t.TILE_WIDTH) if tiled else 0,
        tile_height=directory.number(t.TILE_HEIGHT) if tiled else 0,
    )


def _check_values(directory: Directory, layout: Layout) -> None:
    """What the values are; PictureFault for all but grey, RGB and palettes of whole numbers."""
    form = directory.number(t.SAMPLE_FORMAT, 1)
    if form != 1:
        raise PictureFault(f"holds {_FORMATS.get(form, 'values of an unknown kind')}, "
                           "not whole numbers of 8 to 16 bits")  # fmt: skip
    kind, samples = layout.photometric, layout.samples
    if kind > _YCBCR or kind in (_MASK, _CMYK):
        what = _PHOTOMETRICS.get(kind, f"photometric kind {kind}")
        raise PictureFault(f"holds {what}, which cannot be read; grey, RGB and palettes can")
    if not 8 <= layout.bits <= 16:
        raise PictureFault(f"has {layout.bits} bits per value; 8 to 16 can be read")
    if layout.compression == JPEG:
        if layout.bits != 8 or layout.planes > 1 or (kind, samples) not in (
            (_BLACK_IS_ZERO, 1), (_RGB, 3), (_YCBCR, 3),
        ):  # fmt: skip
            raise PictureFault("is a JPEG of an unusual kind; 8-bit grey or colour can be read")
        return
    if kind == _YCBCR:
        raise PictureFault("holds YCbCr colours without JPEG, which cannot be read")
    colours = {_RGB: 3, _PALETTE: 1}.get(kind, 1)
    if not colours <= samples <= colours + (kind != _PALETTE):
        raise PictureFault(f"has {samples} channels; grey and RGB can be read, both with alpha")
    if samples > colours and directory.number(t.EXTRA_SAMPLES, 0) == _ASSOCIATED:
        raise PictureFault("has its colours multiplied with their transparency (associated alpha)")
    if layout.palette and layout.bits != 8:
        raise PictureFault(f"has a palette of {layout.bits} bits; 8 can be read")
    if directory.number(t.FILL_ORDER, 1) != 1:
        raise PictureFault("has the bits of its bytes reversed (fill order 2)")
    if layout.bits not in (8, 16) and (layout.tile_width or layout.differences):
        raise PictureFault(f"has {layout.bits} bits per value in tiles or differences")


def _check_size(layout: Layout) -> None:
    """From the header, before anything is decoded."""
    sides = layout.width, layout.height
    if min(sides) < 1 or (layout.tile_width and min(layout.tile_width, layout.tile_height) < 1):
        raise PictureFault("is damaged: it has no size")
    check_pixel_bytes(*sides, layout.samples * (1 if layout.bits == 8 else 2))
    tile_bytes = layout.tile_width * layout.tile_height * layout.samples * 2
    if tile_bytes > MAX_PIXEL_BYTES:
        raise PictureFault("is damaged: its tiles are larger than any picture")


def check_pixel_bytes(width: int, height: int, bytes_per_pixel: int) -> None:
    """PictureFault when the decoded picture would be too large for a small device."""
    needed = width * height * bytes_per_pixel
    if needed > MAX_PIXEL_BYTES:
        raise PictureFault(
            f"of {width} x {height} px is too large: {needed >> 20} MiB decoded, "
            f"{MAX_PIXEL_BYTES >> 20} are the limit"
        )


def _bytes(bits: int) -> int:
    return -(-bits // 8)
