"""Networks none of whose numbers is what a fresh one has, so that no number can be mistaken for another."""

import torch

import netspace as ns


def disturbed(spec, seed=2):
    """A network none of whose numbers is what a fresh one has."""
    network = ns.build(spec, seed=1)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith(("norm.weight", "running_var")):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.is_floating_point():
            tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.1)
    return network.eval()
