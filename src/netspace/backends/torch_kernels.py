"""Other forms of a network's operators that compute the same and cost less: which, where, and for how long.

`use_kernels` changes how the modules of one network compute while it lasts; weights, names and modules stay.

- "torch": PyTorch's own operators, in channels-last layout.
- "contiguous": the same in PyTorch's default layout, which is the faster one for some operators of some devices.
- "blocked": in bfloat16, a convolution of groups 2 or 4 wide becomes one of groups 8 wide whose weights are
  block-diagonal, for which oneDNN has fast code; a strided depthwise one is computed at stride 1 and thinned, because
  the gradient of the strided one is oneDNN's reference code there.
- "native": besides, batch norm, the sum with the shortcut and ReLU are one operator of our own, and in bfloat16 1x1
  convolutions and 3x3 ones of narrow groups are others, where the processor multiplies such numbers
  (`torch_native.py`).

The sums are the same ones in another order, so that a trial names its kernels. `benchmarks/kernels.py` prints what each
form gains.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspace.backends.torch_model import AnyNet, Block, ConvNorm
from netspace.backends.torch_native import has_products, load_operators

WIDE = 8
"""Channels of a block on the diagonal: the narrowest group for which oneDNN's code is fast."""

Forward = Callable[..., Tensor]


@contextmanager
def use_kernels(network: AnyNet, kernels: str) -> Iterator[None]:
    """Have a network compute by these kernels until the end of the block. Raises: ExecutionError without a compiler."""
    forms: dict[nn.Module, Forward] = {}
    if kernels == "native":
        load_operators()
    for module in network.modules():  # convolutions of a user's own blocks stay as they are
        if isinstance(module, ConvNorm) and kernels in ("blocked", "native"):
            conv = module.get_submodule("conv")
            forms[conv] = (kernels == "native" and own_form(conv)) or convolve
        if isinstance(module, ConvNorm | Block) and kernels == "native":
            forms[module] = conv_norm if isinstance(module, ConvNorm) else block
    for module, form in forms.items():
        module.forward = partial(form, module)
    try:
        yield
    finally:
        for module in forms:
            del module.forward


def plain(conv: nn.Conv2d, x: Tensor, *, biased: bool = True) -> Tensor:
    """Return a convolution's output by PyTorch's own operator."""
    bias = conv.bias if biased else None
    return F.conv2d(x, conv.weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)


def convolve(conv: nn.Conv2d, x: Tensor, *, biased: bool = True) -> Tensor:
    """Return a convolution's output, in the form that is fast for its groups. In float32 that is PyTorch's own."""
    group_width, stride = conv.weight.shape[1], conv.stride[0]
    if conv.groups == 1 or not torch.is_autocast_enabled(x.device.type):
        return plain(conv, x, biased=biased)
    weight, bias, missing = conv.weight, conv.bias if biased else None, -conv.in_channels % WIDE
    if group_width == 1 and stride > 1:
        return F.conv2d(x, weight, bias, 1, conv.padding, 1, conv.groups)[:, :, ::stride, ::stride]
    if group_width in (1, WIDE) or WIDE % group_width:
        return plain(conv, x, biased=biased)
    if missing:  # channels of zeros fill the last block
        x = F.pad(x, (0, 0, 0, 0, 0, missing))
        weight = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, missing))
        bias = None if bias is None else F.pad(bias, (0, missing))
    groups = len(weight) // WIDE
    found = F.conv2d(x, block_diagonal(weight, WIDE), bias, conv.stride, conv.padding, 1, groups)
    return found[:, : conv.out_channels] if missing else found


def own_form(conv: nn.Module) -> Forward | None:
    """Return how our own operator computes a convolution in bfloat16, None where there is none for it."""
    if not isinstance(conv, nn.Conv2d) or not has_products():
        return None
    even = conv.in_channels % 2 == 0 and conv.out_channels % 2 == 0
    if conv.kernel_size == (1, 1) and conv.groups == 1 and even:  # sums go over pairs
        return partial(compute, torch.ops.netspace.pointwise)
    # Single channels at stride 1 are left to oneDNN, which is as fast.
    narrow = conv.weight.shape[1] in ((2, 4, 8) if conv.stride == (1, 1) else (1, 2, 4, 8))
    square = conv.kernel_size == (3, 3) and conv.padding == (1, 1) and conv.in_channels == conv.out_channels
    if square and conv.groups > 1 and narrow:
        return partial(compute, torch.ops.netspace.grouped)
    return None


def compute(operator: Forward, conv: nn.Conv2d, x: Tensor, *, biased: bool = True) -> Tensor:
    """Return a convolution's output by an operator of our own. In float32 that is PyTorch's."""
    if not torch.is_autocast_enabled(x.device.type):
        return plain(conv, x, biased=biased)
    found = operator(x, conv.weight, conv.stride[0])
    return found + conv.bias.to(found.dtype).view(-1, 1, 1) if biased and conv.bias is not None else found


def block_diagonal(weight: Tensor, width: int) -> Tensor:
    """Return weights (channels, group width, height, width) as those of groups `width` wide, zeros off the diagonal."""
    channels, group_width, *kernel = weight.shape
    groups = width // group_width
    eye = torch.eye(groups, dtype=weight.dtype, device=weight.device).view(1, groups, 1, groups, 1, 1, 1)
    spread = weight.view(channels // width, groups, group_width, 1, group_width, *kernel) * eye
    return spread.reshape(channels, width, *kernel).contiguous(memory_format=torch.channels_last)


def conv_norm(module: ConvNorm, x: Tensor, added: Tensor | None = None, *, relu: bool = False) -> Tensor:
    """Return what the module would; with `added`, or `relu`, what its block makes of that."""
    rest = dict(module.named_children())
    conv = rest.pop("conv")
    norm = rest.pop("norm", None)
    if isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d):
        relu = relu or isinstance(rest.get("activation"), nn.ReLU)
        form: Forward = vars(conv)["forward"]
        found = norm_add_relu(norm, form(x, biased=False), added, conv.bias, relu=relu)
        if relu:
            rest.pop("activation", None)
    else:
        found = conv(x)
    for later in rest.values():
        found = later(found)
    return found


def norm_add_relu(
    norm: nn.BatchNorm2d, x: Tensor, added: Tensor | None, bias: Tensor | None = None, *, relu: bool
) -> Tensor:
    """Return relu(norm(x + bias) + added), each but the norm only where asked for, by our own operator.

    In training a bias moves nothing but the running mean: it is in the mean of the batch too. Its gradient is zero, and
    not absent, since weights without a gradient do not decay.
    """
    shift: Tensor = norm.bias
    mean = norm.running_mean
    assert mean is not None
    assert norm.running_var is not None
    if bias is not None and not norm.training:
        mean = mean - bias
    elif bias is not None:
        shift = shift + 0.0 * bias
    known = (x, added, norm.weight, shift, mean, norm.running_var)
    if not norm.training:
        return torch.ops.netspace.known_norm_add_relu(*known, norm.eps, relu)  # type: ignore[no-any-return]
    found: Tensor = torch.ops.netspace.norm_add_relu(*known, norm.momentum, norm.eps, relu)
    if bias is not None:
        mean.add_(bias.detach(), alpha=norm.momentum)
    return found


def block(module: Block, x: Tensor) -> Tensor:
    """Return what the block would; its last norm takes the shortcut and ReLU where both follow it at once."""
    dropping = module.training and module.drop_rate
    *parts, last = module.branch
    if not module.has_shortcut or dropping or not isinstance(last, ConvNorm) or not ends_in_norm(last):
        return Block.forward(module, x)
    shortcut = x if module.projection is None else module.projection(x)
    for part in parts:
        x = part(x)
    relu = isinstance(module.activation, nn.ReLU)
    found = conv_norm(last, x, shortcut, relu=relu)
    return found if relu else module.activation(found)


def ends_in_norm(module: ConvNorm) -> bool:
    """Return whether a norm is the last that a module does."""
    return [name for name, _ in module.named_children()] == ["conv", "norm"]
