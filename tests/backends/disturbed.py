"""Networks none of whose numbers is what a fresh one has, so that no number can be mistaken for another."""

import torch

import netspace as ns


def disturbed(spec):
    """A network none of whose numbers is what a fresh one has."""
    network = ns.build(spec, seed=1)
    generator = torch.Generator().manual_seed(2)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval()
