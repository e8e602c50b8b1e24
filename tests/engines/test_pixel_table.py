"""What a network does to single pixels becomes a table, and only that."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from engines import protobuf
from engines.engine import MODELS
from engines.manifest import Manifest
from engines.onnx_engine import OnnxEngine, _chunks
from engines.pixel_table import split
from engines.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field
from tests.support.tiny_models import write_dpn

LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 256)
NODE = helper.make_node

_NUMBERS = st.integers(1, (1 << 29) - 1)
FIELDS = st.lists(
    st.one_of(
        st.builds(Field, _NUMBERS, st.just(VARINT), st.integers(0, (1 << 64) - 1)),
        st.builds(Field, _NUMBERS, st.just(BYTES), st.binary(max_size=300)),
        st.builds(Field, _NUMBERS, st.just(FIXED32), st.binary(min_size=4, max_size=4)),
        st.builds(Field, _NUMBERS, st.just(FIXED64), st.binary(min_size=8, max_size=8)),
    ),
    max_size=6,
)


def _constant(name, value, dtype=np.float32):
    return numpy_helper.from_array(np.array(value, dtype), name)


def _model(nodes, constants=(), taken=TensorProto.UINT8, outputs=("y",)):
    """A network from x (1, 256) to y."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", taken, [1, 256])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def _answer(model, x):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    return session.run(None, {"x": x})


CAST = NODE("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
TURNED = NODE("Transpose", ["f"], ["t"], perm=[1, 0])


@pytest.mark.parametrize(
    "nodes",
    [
        [CAST, NODE("Sub", ["c", "f"], ["a"]), NODE("Softmax", ["a"], ["y"])],
        [CAST, NODE("Sub", ["f", "c"], ["a"]), NODE("Softmax", ["a"], ["y"])],
        [CAST, NODE("Div", ["f", "c"], ["a"]), NODE("Neg", ["a"], ["b"]),
         NODE("Softmax", ["b"], ["y"])],
        [CAST, NODE("Mul", ["f", "c"], ["a"]), NODE("Add", ["a", "c"], ["b"]),
         NODE("Log", ["b"], ["l"]), NODE("ReduceSum", ["l"], ["y"])],
        [CAST, TURNED, NODE("Div", ["t", "c"], ["a"]), NODE("Softmax", ["a"], ["y"])],
        # two users of the last value: both read the table's
        [CAST, NODE("Div", ["f", "c"], ["a"]), NODE("Softmax", ["a"], ["s"]),
         NODE("Mul", ["a", "s"], ["y"])],
        [CAST, TURNED, NODE("Div", ["t", "c"], ["a"]), NODE("Softmax", ["a"], ["s"]),
         NODE("Mul", ["a", "s"], ["y"])],
    ],
)  # fmt: skip
def test_the_rest_on_the_table_answers_as_the_whole(nodes):
    whole = _model(nodes, [_constant("c", 7.5)])
    parts = split(whole)
    left = [node.op_type for node in onnx.load_from_string(parts.model).graph.node]
    assert "Cast" not in left
    assert "Div" not in left
    (want,), (got,) = _answer(whole, LEVELS), _answer(parts.model, parts.table[LEVELS])
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_a_constant_node_counts_as_a_constant():
    four = NODE("Constant", [], ["c"], value=_constant("value", 4.0))
    nodes = [CAST, four, NODE("Div", ["f", "c"], ["a"]), NODE("Softmax", ["a"], ["y"])]
    np.testing.assert_array_equal(split(_model(nodes)).table, np.arange(256) / np.float32(4))


@pytest.mark.parametrize(
    ("nodes", "more"),
    [
        ([NODE("Cast", ["x"], ["y"], to=TensorProto.DOUBLE)], {}),  # not float32
        ([NODE("Softmax", ["x"], ["y"])], {"taken": TensorProto.FLOAT}),
        ([CAST, NODE("Neg", ["f"], ["y"])], {"taken": TensorProto.FLOAT}),
        ([CAST, NODE("Log", ["f"], ["a"]), NODE("Softmax", ["a"], ["y"])], {}),  # log 0
        # the input itself is used beside its float
        ([CAST, NODE("Shape", ["x"], ["s"]), NODE("Reshape", ["f", "s"], ["y"])], {}),
        ([CAST, NODE("If", ["yes"], ["y"], then_branch=helper.make_graph([], "g", [], []))], {}),
    ],
)
def test_what_cannot_be_told_for_sure_stays_whole(nodes, more):
    assert split(_model(nodes, [_constant("yes", True, bool)], **more)) is None


@pytest.mark.parametrize("size", [2, 256])
def test_a_constant_per_column_is_no_table(size):
    nodes = [CAST, NODE("Add", ["f", "c"], ["a"]), NODE("Softmax", ["a"], ["y"])]
    parts = split(_model(nodes, [_constant("c", np.arange(size))]))
    np.testing.assert_array_equal(parts.table, np.arange(256))  # the cast alone
    assert "Add" in [node.op_type for node in onnx.load_from_string(parts.model).graph.node]


def test_a_value_that_is_also_an_answer_stays():
    nodes = [CAST, NODE("Neg", ["f"], ["a"]), NODE("Neg", ["a"], ["y"])]
    parts = split(_model(nodes, outputs=("y", "a")))
    y, a = _answer(_model(nodes, outputs=("y", "a")), LEVELS)
    got = _answer(parts.model, parts.table[LEVELS])
    np.testing.assert_array_equal(got[0], y)
    np.testing.assert_array_equal(got[1], a)


@pytest.mark.parametrize("name", ["rin", "dpn"])
def test_the_shipped_networks_answer_alike_with_and_without_the_table(name):
    manifest = Manifest.read(MODELS / f"{name}.json")
    fast, plain = OnnxEngine(manifest, 2), OnnxEngine(manifest, 1, table=False)
    assert fast._table is not None
    np.testing.assert_allclose(
        fast._table, (-np.log((np.arange(256) + 1) / 256) - 0.30) / 0.35, rtol=1e-5, atol=1e-6
    )
    shape = tuple(7 if size == "k" else size for size in manifest.inputs[0].shape)
    rng = np.random.default_rng(5)
    for most in (40, 256):  # dark and bright
        batch = rng.integers(0, most, shape, dtype=np.uint8)
        for one, other in zip(fast.infer(batch), plain.infer(batch), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=5e-4)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("table", [True, False])
def test_chunks_and_threads_change_no_bit(tmp_path, threads, table):
    manifest = Manifest.read(write_dpn(tmp_path))
    engine, alone = OnnxEngine(manifest, threads, table), OnnxEngine(manifest, 1, table)
    rng = np.random.default_rng(2)
    for k in (1, 2, 3, 9, 31, 4):  # a smaller batch after a larger one
        batch = rng.integers(0, 256, (k, 224, 224, 3), dtype=np.uint8)
        parts = [alone.infer(each[None]) for each in batch]
        want = [np.concatenate(x) for x in zip(*parts, strict=True)]
        for got, each in zip(engine.infer(batch), want, strict=True):
            np.testing.assert_array_equal(got, each)
    engine.close()
    alone.close()


def test_an_error_in_any_chunk_reaches_the_caller(tmp_path, monkeypatch):
    engine = OnnxEngine(Manifest.read(write_dpn(tmp_path)), 2)

    def broken(chunk, values):
        raise IndexError("inside the network")

    monkeypatch.setattr(engine, "_run", broken)
    with pytest.raises(IndexError, match="inside"):
        engine.infer(np.zeros((31, 224, 224, 3), np.uint8))


@given(st.integers(1, 81), st.integers(1, 16))
def test_chunks_cover_the_batch_once(size, streams):
    chunks = _chunks(size, streams)
    assert [i for each in chunks for i in range(each.start, each.stop)] == list(range(size))
    sizes = [each.stop - each.start for each in chunks]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 5
    assert len(sizes) == 1 or min(sizes) >= 3


@given(FIELDS)
def test_a_message_comes_back(message):
    assert protobuf.parse(protobuf.write(message)) == message


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_junk_is_no_network(data):
    assert split(data) is None


@pytest.mark.parametrize("name", ["rin", "dpn"])
def test_a_network_cut_short_is_no_network(name):
    data = (MODELS / f"{name}.onnx").read_bytes()
    assert protobuf.write(protobuf.parse(data)) == data
    for size in (1, 100, len(data) // 2, len(data) - 1):
        assert split(data[:size]) is None
