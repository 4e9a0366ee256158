"""Export a network by torch.export into the ONNX file that the other engines read."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from serving.engines import EXPORTED, INPUT, OUTPUT

_INLINE_BYTES = 1 << 30  # an ONNX file holds less than 2 GB: larger weights go into a file beside it


class ExportFailed(Exception):
    """A network that cannot be exported; the text says why."""


def export(net: nn.Module, instances: NDArray[Any], model_dir: Path) -> tuple[str, ...]:
    """Write `net` as model.onnx into `model_dir`; return the names of the files written.

    `instances` (N, …), at least one, are examples of its input; the exported batch size stays free. The
    same network gives the same bytes. Raises ExportFailed.
    """
    example = torch.from_numpy(
        np.repeat(instances[:1], 2, axis=0)
    )  # two rows: a batch size of 1 would become a constant
    size = sum(tensor.nbytes for tensor in net.state_dict().values())
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of optional packages
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch raises them about itself
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
        raise ExportFailed(f"expected a prediction for each row of a batch, got {given} for {taken}")
    _remove_origins(program.model)
    before = set(model_dir.glob(f"{EXPORTED}*"))
    for stale in before:
        stale.unlink()
    program.save(str(model_dir / EXPORTED), external_data=size > _INLINE_BYTES)
    return tuple(sorted(path.name for path in model_dir.glob(f"{EXPORTED}*")))


def _remove_origins(model: Any) -> None:
    """Remove stack traces and file names, which differ from machine to machine."""
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
