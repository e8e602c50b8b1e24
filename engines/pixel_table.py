"""What a network does to each pixel before it first mixes two is a table of 256 numbers.

Both networks begin by turning uint8 into optical density: eight operations on every value, a
logarithm among them, which took ONNX Runtime a third to a half of the whole network
(docs/speed.md). `split` takes that beginning off an ONNX file and returns it as a table: the
same float32 numbers, looked up. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines import protobuf
from engines.protobuf import BYTES, VARINT, Field, Message

F32 = npt.NDArray[np.float32]

_GRAPH = 7  # of ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12  # of GraphProto
_FLOAT, _UINT8 = 1, 2  # TensorProto.DataType

_TWO: Mapping[str, Callable[[F32, F32], F32]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}
_ONE: Mapping[str, Callable[[F32], F32]] = {"Neg": np.negative, "Log": np.log, "Abs": np.abs}


@dataclass(frozen=True, slots=True)
class Split:
    """table: (256,) float32 by grey level. model: the rest of the ONNX file, whose input has the
    same name and shape but is float32: the table's values in the place of the levels."""

    table: F32
    model: bytes


@dataclass(frozen=True, slots=True)
class _Node:
    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Message]


def split(model: bytes) -> Split | None:
    """Take the pointwise beginning off; None where there is none that can be told for sure:
    the network is then to be used as it is."""
    try:
        return _split(protobuf.parse(model))
    except ValueError:
        return None


def _split(model: Message) -> Split | None:
    graph = protobuf.parse(protobuf.one_of(model, _GRAPH))
    inputs = [protobuf.parse(each) for each in protobuf.all_of(graph, _INPUT)]
    if len(inputs) != 1 or (as_float := _as_float(inputs[0])) is None:
        return None
    nodes = [_node(each) for each in protobuf.all_of(graph, _NODE)]
    constants = _constants(graph, nodes)
    answers = {
        protobuf.one_of(protobuf.parse(each), 1).decode()
        for each in protobuf.all_of(graph, _OUTPUT)
    }
    name = protobuf.one_of(inputs[0], 1).decode()
    at, table, gone, kept_layout = name, np.arange(256, dtype=np.float32), set[int](), None
    while (index := _only_user(nodes, at)) is not None:
        node = nodes[index]
        if node.output in answers:
            break
        if node.op == "Transpose" and kept_layout is None:
            kept_layout = index  # stays: it moves values, it does not change them
        elif (value := _applied(node, at, table, constants)) is not None:
            table = value
            gone.add(index)
        else:
            break
        at = node.output
    if not gone or table.shape != (256,) or not np.isfinite(table).all():
        return None
    return Split(table, _rest(model, graph, as_float, name, at, gone, kept_layout))


def _applied(node: _Node, at: str, table: F32, constants: Mapping[str, F32]) -> F32 | None:
    """The table after `node`; None for what is not a function of one value."""
    if node.op == "Cast":
        to = protobuf.numbers(node.attributes.get("to", []), 3)
        return table if to == [_FLOAT] else None
    with np.errstate(all="ignore"):
        if node.op in _ONE:
            return _ONE[node.op](table)
        if node.op not in _TWO or len(node.inputs) != 2:
            return None
        first, second = (table if name == at else constants.get(name) for name in node.inputs)
        if first is None or second is None:
            return None
        return _TWO[node.op](first, second)


def _rest(
    model: Message,
    graph: Message,
    as_float: Field,
    name: str,
    at: str,
    gone: set[int],
    kept_layout: int | None,
) -> bytes:
    """The file without the nodes `gone`; what read `at` reads what is left of the beginning."""
    out: Message = []
    index = -1
    for field in graph:
        if field.number == _INPUT:
            out.append(as_float)
        if field.number == _NODE:
            index += 1
        if field.number == _INPUT or (field.number == _NODE and index in gone):
            continue
        if field.number == _NODE:
            node = protobuf.parse(field.data)
            if index == kept_layout:
                node = _renamed(_renamed(node, 1, None, name), 2, None, at)
            elif kept_layout is None:
                node = _renamed(node, 1, at, name)
            field = Field(_NODE, BYTES, protobuf.write(node))
        out.append(field)
    whole = Field(_GRAPH, BYTES, protobuf.write(out))
    return protobuf.write(whole if field.number == _GRAPH else field for field in model)


def _renamed(node: Message, number: int, old: str | None, new: str) -> Message:
    return [
        Field(number, BYTES, new.encode())
        if field.number == number and (old is None or field.data == old.encode())
        else field
        for field in node
    ]


def _only_user(nodes: list[_Node], name: str) -> int | None:
    users = [index for index, node in enumerate(nodes) if name in node.inputs]
    return users[0] if len(users) == 1 else None


def _node(data: bytes) -> _Node:
    message = protobuf.parse(data)
    attributes = [protobuf.parse(each) for each in protobuf.all_of(message, 5)]
    if any(field.number in (6, 11) for each in attributes for field in each):
        raise ValueError("a graph within the graph may use any name")
    outputs = protobuf.all_of(message, 2)
    return _Node(
        protobuf.one_of(message, 4).decode(),
        tuple(name.decode() for name in protobuf.all_of(message, 1)),
        outputs[0].decode() if len(outputs) == 1 else "",
        {protobuf.one_of(each, 1).decode(): each for each in attributes},
    )


def _constants(graph: Message, nodes: list[_Node]) -> dict[str, F32]:
    """The float32 scalars of the graph by name."""
    tensors = [protobuf.parse(each) for each in protobuf.all_of(graph, _INITIALIZER)]
    named = [(protobuf.one_of(tensor, 8).decode(), tensor) for tensor in tensors]
    for node in nodes:
        if node.op == "Constant" and "value" in node.attributes:
            named.append(
                (node.output, protobuf.parse(protobuf.one_of(node.attributes["value"], 5)))
            )
    constants = {}
    for name, tensor in named:
        data = protobuf.one_of(tensor, 9)  # raw_data
        if protobuf.numbers(tensor, 2) == [_FLOAT] and len(data) == 4:
            constants[name] = np.frombuffer(data, "<f4").astype(np.float32)[0]
    return constants


def _as_float(value: Message) -> Field | None:
    """A graph input that is uint8, as one that is float32; None when it is something else."""
    kind = protobuf.parse(protobuf.one_of(value, 2))
    tensor = protobuf.parse(protobuf.one_of(kind, 1))
    if protobuf.numbers(tensor, 1) != [_UINT8]:
        return None
    tensor = [Field(1, VARINT, _FLOAT) if f.number == 1 else f for f in tensor]
    kind = [Field(1, BYTES, protobuf.write(tensor)) if f.number == 1 else f for f in kind]
    value = [Field(2, BYTES, protobuf.write(kind)) if f.number == 2 else f for f in value]
    return Field(_INPUT, BYTES, protobuf.write(value))
