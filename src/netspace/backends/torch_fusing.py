"""Batch norms folded into the convolutions before them: the same function, fewer operators, for inference only.

On a CPU, a convolution and its ReLU are then one operator of oneDNN. It takes a copy of the weights in a layout of its
own, made at the first call with images of a size, so a folded network that has answered holds its weights twice.

How much faster that is, `netspace bench infer` measures and `docs/results/inference.md` shows.
"""

import copy
from typing import Any, Self

import torch
from torch import Tensor, nn

from netspace.backends.torch_model import AnyNet, ConvNorm
from netspace.errors import CheckpointError, InputError


class FoldedNet(AnyNet):
    """A network whose norms are folded into its convolutions, in evaluation mode, its weights channels-last.

    It has the parts of the network that it was made of, and its `spec`, but cannot be trained, and no file holds it:
    the network itself is trained and saved, and folded again when needed.
    """

    def __init__(self, network: AnyNet) -> None:
        nn.Module.__init__(self)
        self.spec = network.spec
        for name, part in network.named_children():
            self.add_module(name, copy.deepcopy(part))
        for layer in list(self.modules()):
            if isinstance(layer, ConvNorm) and hasattr(layer, "norm"):
                _fold(layer.conv, layer.norm)  # type: ignore[arg-type]
                del layer.norm
                relu = isinstance(getattr(layer, "activation", None), nn.ReLU)
                layer.conv = FoldedConv(layer.conv, relu=relu)  # type: ignore[arg-type]
                if relu:
                    del layer.activation
        self.eval().requires_grad_(False)
        # In this layout a CPU's convolutions need not reorder images between them, which gains as much as folding.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode. Raises: InputError where training is asked for."""
        if mode:
            raise InputError("network is folded and cannot be trained; train the network that was given to `fuse`")
        return super().train(mode)


class FoldedConv(nn.Module):
    """A convolution, and the ReLU after it where there is one, as one operator.

    On a CPU whose PyTorch has oneDNN the weights are laid out once, at the first call, as its kernels want them;
    elsewhere, and where a program is exported, the two operators run as they are.
    """

    def __init__(self, conv: nn.Conv2d, *, relu: bool) -> None:
        super().__init__()
        self.conv = conv
        self.relu = relu
        self._packed: Tensor | None = None
        self._packed_for: tuple[int, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_width, height, width) to (batch, out_width, height / stride, width / stride)."""
        conv = self.conv
        if not _has_onednn(x):
            y = conv(x)
            return y.relu() if self.relu else y  # type: ignore[no-any-return]
        shape = (conv.padding, conv.stride, conv.dilation, conv.groups)
        # Which weights, how often they were changed (but not by `.data`, behind PyTorch's back), and for which images:
        # a layout for other images may be one that only a slow kernel takes.
        version = -1 if conv.weight.is_inference() else conv.weight._version
        asked = (conv.weight.data_ptr(), version, *x.shape)
        if self._packed is None or self._packed_for != asked:
            weight = conv.weight.detach()
            self._packed_for = asked
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *shape, list(x.shape))
        y = torch.ops.mkldnn._convolution_pointwise(
            x, self._packed, conv.bias, *shape, "relu" if self.relu else "none", [], ""
        )
        return y  # type: ignore[no-any-return]

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._packed = None  # of weights that now go elsewhere, or become another type
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._packed = None
        super()._load_from_state_dict(*arguments)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_packed": None}


def _has_onednn(x: Tensor) -> bool:
    """Return whether oneDNN's operator takes these images: it has no gradient, and cannot be exported or traced."""
    fits = x.device.type == "cpu" and (
        x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )
    return (
        fits
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and not (torch.is_grad_enabled() and x.requires_grad)
        and not torch.compiler.is_exporting()
        and not torch._C._get_tracing_state()
    )


@torch.no_grad()
def fuse(network: Any) -> FoldedNet:
    """Return a copy of a network that computes the same logits with its norms folded into its convolutions.

    With y = gamma * (conv(x) - mean) / sqrt(var + eps) + beta, the weights are scaled by gamma / sqrt(var + eps) and
    the rest becomes the bias; computed in float64 and rounded once. A folded network folds to its copy.

    Raises: InputError for anything but a network that netspace built.
    """
    if not isinstance(network, AnyNet):
        raise InputError(f"network (={type(network).__name__}) must be one that `netspace.build` or `load` returned")
    return FoldedNet(network)


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Give a convolution the weights and the bias of itself and the norm after it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = conv.bias.double() if conv.bias is not None else 0.0
    folded = (bias - norm.running_mean.double()) * scale + norm.bias.double()
    dtype = conv.weight.dtype
    conv.weight.copy_((conv.weight.double() * scale[:, None, None, None]).to(dtype))
    conv.bias = nn.Parameter(folded.to(dtype))


def refuse_folded(network: AnyNet) -> None:
    """Raise CheckpointError for a folded network, whose tensors no file format of ours or of others holds."""
    if isinstance(network, FoldedNet):
        raise CheckpointError("network is folded and no file holds it; save the network that was given to `fuse`")
