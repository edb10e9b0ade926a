"""ONNX files for the tests: networks by their weights, and files that are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: dict[str, Sequence[int | str] | None],
    weights: dict[str, np.ndarray] | None = None,
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model of nodes, with the shapes of its inputs and outputs."""
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(each, 1) for each in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def layers(
    weights: Sequence[np.ndarray],
    biases: Sequence[np.ndarray],
    activation: str | None,
    batch: int | str = "n",
    sizes: Sequence[int] | None = None,
    outputs: int = 1,
) -> onnx.ModelProto:
    """Fully connected layers x W + b, with an activation between them.

    Arguments
        sizes: of one sample; flattened first where they are several.
        outputs: 2 halves the last layer into mean and log-variance.
    """
    n_in = len(weights[0])
    nodes, named = [], {}
    value = "x"
    if sizes is not None and len(sizes) > 1:
        nodes.append(helper.make_node("Flatten", ["x"], ["flat"], axis=1))
        value = "flat"
    for at, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        named |= {f"w{at}": weight.astype(np.float32), f"b{at}": bias.astype(np.float32)}
        last = at == len(weights) - 1
        nodes.append(helper.make_node("Gemm", [value, f"w{at}", f"b{at}"], [f"h{at}"]))
        value = f"h{at}"
        if activation and not last:
            nodes.append(helper.make_node(activation, [value], [f"a{at}"]))
            value = f"a{at}"
    n_out = weights[-1].shape[1]
    if outputs == 2:
        nodes.append(helper.make_node("Split", [value], ["mean", "logvar"], axis=1, num_outputs=2))
        nodes[-1].ClearField("attribute")
        nodes[-1].attribute.append(helper.make_attribute("axis", 1))
        half = [batch, n_out // 2]
        return model_of(
            nodes, {"x": [batch, *(sizes or [n_in])]}, {"mean": half, "logvar": half}, named
        )
    return model_of(nodes, {"x": [batch, *(sizes or [n_in])]}, {value: [batch, n_out]}, named)


def write(model: onnx.ModelProto, path: Path) -> Path:
    """Write a model to a file."""
    path.write_bytes(model.SerializeToString())
    return path


def linear(n_in: int, n_out: int, seed: int = 0, **options: object) -> onnx.ModelProto:
    """One layer of random weights."""
    weight = np.random.default_rng(seed).normal(0, n_in**-0.5, (n_in, n_out))
    return layers([weight], [np.zeros(n_out)], None, **options)  # type: ignore[arg-type]
