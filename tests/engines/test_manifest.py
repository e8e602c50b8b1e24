"""A manifest is read strictly; a model file is used only with the hash its manifest names."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.engine import MODELS
from engines.manifest import NOMINAL_OPTICS, EngineRejected, Manifest
from tests.support.tiny_models import write_dpn


@pytest.fixture
def path(tmp_path):
    return write_dpn(tmp_path)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    path = write_dpn(tmp_path_factory.mktemp("fuzz"))
    return path, path.read_text()


@pytest.mark.parametrize("name", ["rin", "dpn"])
def test_what_ships_tells_its_family(name):
    assert Manifest.read(MODELS / f"{name}.json").optics == NOMINAL_OPTICS


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ({"na": [0.3, 0.8], "pixel": [0.2, 0.7]}, "family.refractive_index: is missing"),
        ({"na": [0.8, 0.3], "pixel": [0.2, 0.7], "refractive_index": [1, 1]}, "family.na"),
        ({"na": 1, "pixel": [0.2, 0.7], "refractive_index": [1, 1]}, "family.na"),
    ],
)
def test_a_family_is_read_strictly(path, family, names):
    _change(path, lambda v: v["optics"].update(family=family))
    with pytest.raises(EngineRejected, match=names):
        Manifest.read(path)


def test_a_model_of_one_instrument_has_none(path):
    _change(path, lambda v: v["optics"].pop("family"))
    manifest = Manifest.read(path)
    assert manifest.optics.family is None
    manifest.write(path)
    assert "family" not in path.read_text()


def _change(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return path


def test_round_trip(path):
    manifest = Manifest.read(path)
    manifest.write(path.parent / "again.json")
    assert Manifest.read(path.parent / "again.json") == manifest
    assert manifest.inputs[0].shape == ("k", 224, 224, 3)
    assert manifest.optics.range_um == 27
    assert manifest.model_bytes() == (path.parent / "dpn.onnx").read_bytes()


def test_what_every_input_is_need_not_be_said_and_is_written_no_more(path):
    manifest = Manifest.read(path)
    formerly = {"dtype": "uint8", "layout": "NHWC", "channels": "RGB"}
    _change(path, lambda v: v["inputs"][0].update(formerly))
    assert Manifest.read(path) == manifest
    manifest.write(path)
    assert set(json.loads(path.read_text())["inputs"][0]) == {"name", "shape"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda v: v.pop("sha256"), "sha256: is missing"),
        (lambda v: v.pop("training"), "training: is missing"),
        (lambda v: v["optics"].pop("na"), "optics.na: is missing"),
        (lambda v: v.update(colour="red"), "colour: is unknown"),
        (lambda v: v["optics"].update(NA=1), "optics.NA: is unknown"),
        (lambda v: v["inputs"][0].update(extra=1), r"inputs\[0\].extra: is unknown"),
        (lambda v: v.update(schema=2), "schema: 2 is not 1"),
        (lambda v: v.update(schema=True), "schema"),
        (lambda v: v.update(name="yolo"), "name"),
        (lambda v: v.update(file="../dpn.onnx"), "file"),
        (lambda v: v.update(file="/etc/passwd"), "file"),
        (lambda v: v.update(sha256="ABC"), "sha256"),
        (lambda v: v.update(inputs=[]), "inputs"),
        (lambda v: v.update(inputs={}), "inputs"),
        (lambda v: v["inputs"][0].update(shape=[0]), r"inputs\[0\].shape"),
        (lambda v: v["inputs"][0].update(channels="BGR"), r'inputs\[0\].channels: .* is "RGB"'),
        (lambda v: v["inputs"][0].update(layout="NCHW"), r'inputs\[0\].layout: .* is "NHWC"'),
        (lambda v: v["inputs"][0].update(dtype=["uint8"]), r'inputs\[0\].dtype: .* is "uint8"'),
        (lambda v: v["optics"].update(na=-0.75), "optics.na"),
        (lambda v: v["optics"].update(na=float("nan")), "NaN is not a number"),
        (lambda v: v["optics"].update(wavelength_um=[0.5]), "wavelength_um"),
        (lambda v: v["preprocessing"].update(grid=[9]), "preprocessing.grid"),
        (lambda v: v.update(calibration=[]), "calibration"),
    ],
)
def test_bad_key_is_named_with_its_file(path, change, names):
    with pytest.raises(EngineRejected, match=names) as caught:
        Manifest.read(_change(path, change))
    assert str(path) in str(caught.value)


def test_key_given_twice(path):
    path.write_text(path.read_text().replace('"name": "dpn"', '"name": "rin", "name": "dpn"', 1))
    with pytest.raises(EngineRejected, match="'name' twice"):
        Manifest.read(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * 2_000_000])
def test_what_is_not_a_manifest(path, data):
    path.write_bytes(data)
    with pytest.raises(EngineRejected, match=r"dpn\.json"):
        Manifest.read(path)


def test_missing_files(path):
    with pytest.raises(EngineRejected, match=r"none\.json: cannot be read"):
        Manifest.read(path.parent / "none.json")
    manifest = Manifest.read(path)
    (path.parent / "dpn.onnx").unlink()
    with pytest.raises(EngineRejected, match=r"dpn\.onnx: cannot be read"):
        manifest.model_bytes()


def test_tampered_and_truncated_models(path):
    manifest, model = Manifest.read(path), path.parent / "dpn.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    for bad in (data, data[:-1], b""):
        model.write_bytes(bad)
        with pytest.raises(EngineRejected, match="SHA-256"):
            manifest.model_bytes()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
    st.data(),
)
def test_any_value_anywhere_is_read_or_rejected(scratch, value, data):
    path, text = scratch
    values = json.loads(text)
    target = data.draw(st.sampled_from([values, values["optics"], values["inputs"][0]]))
    target[data.draw(st.sampled_from(sorted(target)))] = value
    path.write_text(json.dumps(values))
    try:
        Manifest.read(path)
    except EngineRejected as error:
        assert str(path) in str(error)  # noqa: PT017 - success is also right


def test_a_link_out_of_the_folder_is_not_followed(path, tmp_path_factory):
    """The manifest speaks for the files beside it; what lies elsewhere has another owner."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "dpn.onnx"
    model = path.parent / "dpn.onnx"
    elsewhere.write_bytes(model.read_bytes())
    model.rename(path.parent / "real.onnx")
    model.symlink_to("real.onnx")  # inside: as good as the file
    assert Manifest.read(path).model_bytes() == elsewhere.read_bytes()
    model.unlink()
    model.symlink_to(elsewhere)
    with pytest.raises(EngineRejected, match=r"dpn\.onnx: is a link out of its manifest's folder"):
        Manifest.read(path).model_bytes()


@pytest.mark.parametrize("data", [b'{"a":' * 100_000, b"[" * 100_000, b"1" * 5000])
def test_bottomless_files_are_one_line(path, data):
    path.write_bytes(data)
    with pytest.raises(EngineRejected, match="is not the JSON of a manifest") as caught:
        Manifest.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["/dev/zero", "."])
def test_what_is_no_file_is_not_read(path, what):
    path.unlink()
    path.symlink_to(what)
    with pytest.raises(EngineRejected, match="cannot be read: it is a"):
        Manifest.read(path)
