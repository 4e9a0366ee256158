"""Export a network once, by torch.export, into the ONNX file that the other engines read."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from serving.engines import EXPORTED, INPUT, OUTPUT

_INLINE_BYTES = 1 << 30  # larger weights go into a file beside it: one ONNX file holds less than 2 GB


class ExportFailed(Exception):  # named for what happened
    """The network cannot be exported; the text says why."""


def export(net: nn.Module, instances: NDArray[Any], model_dir: Path) -> tuple[str, ...]:
    """Write `net` as model.onnx into `model_dir`; returns the names of the files written.

    `instances` of shape (N, …), one at least, show what it takes; the batch stays free. The same network
    gives the same bytes: where its code came from is left out. Raises ExportFailed.
    """
    example = torch.from_numpy(np.repeat(instances[:1], 2, axis=0))  # of two: 1 would be taken for a constant
    size = sum(tensor.nbytes for tensor in net.state_dict().values())
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that nobody asked for
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch, about itself
            program = torch.onnx.export(
                net.eval(),
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim(INPUT, min=1)},),
            )
    except (torch.onnx.errors.OnnxExporterError, torch.onnx.errors.UnsupportedOperatorError) as error:
        raise ExportFailed(" ".join(str(error).split())[:1000]) from error
    if program is None or len(program.model.graph.outputs) != 1:
        raise ExportFailed("expected a network with one tensor in and one tensor out")
    taken, given = program.model.graph.inputs[0].shape, program.model.graph.outputs[0].shape
    if not taken or not given or given[0] != taken[0]:
        raise ExportFailed(f"expected an answer for each row of a batch, got {given} for {taken}")
    _without_origins(program.model)
    before = set(model_dir.glob(f"{EXPORTED}*"))
    for stale in before:
        stale.unlink()
    program.save(str(model_dir / EXPORTED), external_data=size > _INLINE_BYTES)
    return tuple(sorted(path.name for path in model_dir.glob(f"{EXPORTED}*")))


def _without_origins(model: Any) -> None:
    """Forget stack traces and file names: they are of the machine that exported, not of the model."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.graph.doc_string = None
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
        value.doc_string = None
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
            value.doc_string = None
