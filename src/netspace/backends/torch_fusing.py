"""Batch norms folded into the convolutions before them: the same function, fewer operators, for inference only.

How much faster that is, `netspace bench infer` measures and `docs/results/inference.md` shows.
"""

import copy
from typing import Any, Self

import torch
from torch import nn

from netspace.backends.torch_model import AnyNet, ConvNorm
from netspace.errors import InputError


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
        for layer in self.modules():
            if isinstance(layer, ConvNorm) and hasattr(layer, "norm"):
                _fold(layer.conv, layer.norm)  # type: ignore[arg-type]
                del layer.norm
        self.eval().requires_grad_(False)
        # In this layout a CPU's convolutions need not reorder images between them, which gains as much as folding.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode. Raises: InputError where training is asked for."""
        if mode:
            raise InputError("network is folded and cannot be trained; train the network that was given to `fuse`")
        return super().train(mode)


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
