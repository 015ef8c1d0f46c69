"""What a traced network's layers are like: channels, stride, and how far beyond a position they look."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from nst.errors import UserError

SIDE = 256  # of the picture that shapes are found for: a multiple of every usual stride
WHOLE_PICTURE = 2**20  # margin of a layer that looks at all positions: more than any picture's side


class Layer(NamedTuple):
    """One layer: channels, pixels a position, and pixels beyond its own that a position looks at."""

    channels: int
    stride: int
    margin: int


class _Reach(fx.Interpreter):
    """Runs the graph on shapes alone and sums how far each operation looks, in pixels of the picture."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.reach: dict[fx.Node, int] = {}
        self.shapes: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        reach = max((self.reach[node] for node in n.all_input_nodes), default=0)
        if isinstance(result, Tensor):
            self.shapes[n] = result.shape
            before = next((self.shapes[node] for node in n.all_input_nodes if node in self.shapes), None)
            operation = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
            if before is not None and len(before) == 4:
                reach += self._looks(operation, n) * (SIDE // before[-1])
                # A size that becomes 1×1 is a mean or maximum over the whole picture.
                if before[-1] > 1 and len(result.shape) == 4 and tuple(result.shape[2:]) == (1, 1):
                    reach = WHOLE_PICTURE
        self.reach[n] = min(reach, WHOLE_PICTURE)
        return result

    @staticmethod
    def _looks(operation: nn.Module | None, node: fx.Node) -> int:
        """Positions beyond its own that an operation looks at; blocks that are not traced through count as their parts."""
        if operation is None:
            if node.op != "call_function" or "pool" not in getattr(node.target, "__name__", ""):
                return 0
            kernel = node.kwargs.get("kernel_size", node.args[1] if len(node.args) > 1 else 1)
            return _half(kernel, 1)
        reach, stride = 0, 1
        for part in operation.modules():
            if isinstance(part, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
                return WHOLE_PICTURE
            if hasattr(part, "kernel_size"):
                reach += stride * _half(part.kernel_size, getattr(part, "dilation", 1))
                stride *= max(_pair(part.stride))
        return reach


def _pair(sides: Any) -> tuple[int, int]:
    return tuple(sides) if isinstance(sides, Sequence) else (sides, sides)  # type: ignore[return-value]


def _half(kernel: Any, dilation: Any) -> int:
    """How far a kernel reaches to either side."""
    return max((d * (k - 1) + 1) // 2 for k, d in zip(_pair(kernel), _pair(dilation), strict=True))


def measure_layers(body: fx.GraphModule, layers: Sequence[str]) -> dict[str, Layer]:
    """Measure the outputs of a feature extractor, a graph that returns a dict of tensors, without computing them.

    Raises:
        UserError: a layer without positions, or whose positions are not evenly spaced.
    """
    run = _Reach(deepcopy(body).to("meta").eval())
    run.run(torch.empty(1, 3, SIDE, SIDE, device="meta"))
    outputs: dict[str, fx.Node] = next(node for node in run.module.graph.nodes if node.op == "output").args[0]  # type: ignore[union-attr,assignment]
    measured = {}
    for layer in layers:
        shape = run.shapes[outputs[layer]]
        if len(shape) != 4 or shape[2] != shape[3] or shape[2] < 2 or SIDE % shape[2]:
            raise UserError(
                f"layer {layer!r} gives {tuple(shape)} for a {SIDE}×{SIDE} picture: an encoder needs "
                "(batch, channels, height, width) with a side that divides the picture's."
            )
        measured[layer] = Layer(shape[1], SIDE // shape[2], run.reach[outputs[layer]])
    return measured
