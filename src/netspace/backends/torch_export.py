"""Networks as files for other programs: ONNX, PyTorch's exported programs, the key names of other libraries.

Nothing is written before what was exported has computed the same logits as the network.
"""

import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from netspace.backends import needed_by
from netspace.backends.published import load_checkpoint, published_tensors
from netspace.backends.torch_model import AnyNet
from netspace.errors import ExecutionError, InputError
from netspace.files import written_aside
from netspace.networks.complexity import complexity

CHECKED_BATCHES = (1, 3)
"""The batch sizes [images] on which an export is held against its network; neither is the one it is traced with."""
TRACED_BATCH = 2
TOLERANCE = 1e-4
"""The largest difference between logits that passes, as a share of the largest logit."""
ONNX_LIMIT = 2**31
"""What an ONNX file must stay below [bytes]: the limit of the protocol buffer that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file that was written: `size` [bytes], and how it compares with its network.

    `difference` is the largest over all logits of the checked batches, as a share of the largest logit. `opset` is
    the version of the operators of an ONNX file.
    """

    path: Path
    size: int
    difference: float
    opset: int | None = None


def export_onnx(network: AnyNet, path: Path, *, resolution: int = 224) -> Exported:
    """Write a network as ONNX: `images` (batch, in_channels, resolution, resolution) to `logits` (batch, classes).

    The batch may have any size. What onnxruntime makes of the file is held against PyTorch.

    Raises: MissingFrameworkError; SpecError, InputError where this network cannot be written there; ExecutionError
    where the logits differ.
    """
    with needed_by("the export to ONNX", extra="onnx"):
        import onnxruntime
        import onnxscript  # noqa: F401  # torch.onnx translates through it

    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    if weights >= ONNX_LIMIT:
        raise InputError(f"an ONNX file must be smaller than 2 GiB, and the weights alone are {weights:,} bytes")
    dtype = next(network.parameters()).dtype
    if dtype != torch.float32:
        raise InputError(f"an ONNX file is written in float32, and the weights are {dtype}; convert the network first")
    network = _prepared(network, path, resolution, suffix=".onnx")
    with _quiet():
        program: Any = torch.onnx.export(
            network,
            (_images(network, TRACED_BATCH, resolution),),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    # Traces of our source with the paths of this machine, which nobody needs to run the file.
    graph = program.model.graph
    for described in (graph, *graph.all_nodes()):
        described.metadata_props.clear()
    content = program.model_proto.SerializeToString()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    difference = compare(
        network, lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), resolution
    )
    _write(path, content)
    return Exported(path=path, size=len(content), difference=difference, opset=program.model.opset_imports[""])


def export_program(network: AnyNet, path: Path, *, resolution: int = 224) -> Exported:
    """Write a network as a program of `torch.export`, for batches of any size of images of one resolution.

    `torch.export.load(path).module()` is the network, without a line of netspace.

    Raises: SpecError, InputError where this network cannot be written there; ExecutionError where the logits differ.
    """
    network = _prepared(network, path, resolution, suffix=".pt2")
    program = torch.export.export(
        network,
        (_images(network, TRACED_BATCH, resolution),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    file = io.BytesIO()
    torch.export.save(program, file)
    content = file.getvalue()
    difference = compare(network, torch.export.load(io.BytesIO(content)).module(), resolution)
    _write(path, content)
    return Exported(path=path, size=len(content), difference=difference)


def export_published(network: AnyNet, path: Path, *, style: str, resolution: int = 224) -> Exported:
    """Write a network's weights as safetensors under the key names of a library: torchvision, timm or pycls.

    The file is read again as one of that library's, and images of `resolution` are put through it.

    Raises: SpecError, InputError where this network cannot be written there; CheckpointError where the library has no
    such network; ExecutionError where the logits differ.
    """
    network = _prepared(network, path, resolution, suffix=".safetensors")
    tensors = {name: tensor.contiguous() for name, tensor in published_tensors(network, style).items()}
    content = save(tensors, metadata={"format": "pt"})
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / path.name
        written.write_bytes(content)
        difference = compare(network, load_checkpoint(written), resolution)
    _write(path, content)
    return Exported(path=path, size=len(content), difference=difference)


@torch.no_grad()
def compare(network: AnyNet, exported: Callable[[Tensor], Tensor], resolution: int) -> float:
    """Return by how much the logits of an export differ from the network's, as a share of the largest logit.

    Raises: ExecutionError where that is more than the tolerance.
    """
    differences = []
    for batch in CHECKED_BATCHES:
        images = _images(network, batch, resolution)
        logits = network(images)
        scale = logits.abs().max().clamp_min(torch.finfo(logits.dtype).tiny)
        differences.append(float((exported(images) - logits).abs().max() / scale))
    if not all(difference <= TOLERANCE for difference in differences):  # NaN is not
        raise ExecutionError(
            f"the export computes other logits than the network: they differ by {max(differences):.2g} of the largest "
            f"logit, and at most {TOLERANCE:g} may be; nothing was written"
        )
    return max(differences)


def _prepared(network: AnyNet, path: Path, resolution: int, *, suffix: str) -> AnyNet:
    """Return a copy in evaluation mode on the CPU, after everything that can be wrong has been looked at."""
    complexity(network.spec, resolution)  # says why where images of this size cannot pass through
    if path.is_dir():
        raise InputError(f"output {str(path)!r} is a folder; name a file that ends in {suffix}")
    if path.suffix != suffix:
        raise InputError(f"output {str(path)!r} must end in {suffix}; nearest: {str(path.with_suffix(suffix))!r}")
    if not path.parent.is_dir():
        raise InputError(f"output {str(path)!r}: the folder {str(path.parent)!r} does not exist")
    # In the plain layout: PyTorch's archive warns of tensors that are laid out otherwise.
    plain: AnyNet = copy.deepcopy(network).cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return plain


def _images(network: AnyNet, batch: int, resolution: int) -> Tensor:
    shape = (batch, network.spec.in_channels, resolution, resolution)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(batch))
    return images.to(next(network.parameters()).dtype)


def _write(path: Path, content: bytes) -> None:
    try:
        with written_aside(path) as file:
            file.write(content)
    except OSError as problem:
        raise InputError(f"output {str(path)!r} cannot be written ({problem.strerror})") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back two remarks of PyTorch's exporter on itself: a name of its own, and a package that we do not use."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    registration.addFilter(_says_something)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        registration.removeFilter(_says_something)


def _says_something(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("torchvision is not installed")
