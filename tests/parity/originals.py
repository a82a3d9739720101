"""The real RegNets of torchvision, timm and pycls, every number of which is drawn. Importing this file needs none."""

import functools
from importlib.util import find_spec

import torch

from netspace.networks import zoo

ABSENT = [library for library in ("torchvision", "timm", "pycls") if find_spec(library) is None]

SIZES = ("002", "004", "006", "008", "016", "032", "040", "064", "080", "120", "160", "320")
"""The published sizes as timm writes them, in the zoo's order."""

ZOO_NAMES = {
    "timm": {
        f"{family}_{size}": f"{family}_{ours}"
        for family, table in (("regnetx", zoo._REGNETX), ("regnety", zoo._REGNETY))
        for size, ours in zip(SIZES, table, strict=True)
    }
    | {
        "regnetx_004_tv": "regnetx_400mf_torchvision",
        "regnety_008_tv": "regnety_800mf_torchvision",
        "regnety_080_tv": "regnety_8.0gf_torchvision",
    },
    "torchvision": {
        "regnet_x_400mf": "regnetx_400mf_torchvision",
        "regnet_x_800mf": "regnetx_800mf",
        "regnet_x_1_6gf": "regnetx_1.6gf",
        "regnet_x_3_2gf": "regnetx_3.2gf",
        "regnet_x_8gf": "regnetx_8.0gf",
        "regnet_x_16gf": "regnetx_16gf",
        "regnet_x_32gf": "regnetx_32gf",
        "regnet_y_400mf": "regnety_400mf",
        "regnet_y_800mf": "regnety_800mf_torchvision",
        "regnet_y_1_6gf": "regnety_1.6gf",
        "regnet_y_3_2gf": "regnety_3.2gf",
        "regnet_y_8gf": "regnety_8.0gf_torchvision",
        "regnet_y_16gf": "regnety_16gf",
        "regnet_y_32gf": "regnety_32gf",
        "regnet_y_128gf": None,
    },
    "pycls": {name: name for name in zoo.NETWORKS if name.startswith(("regnetx_", "regnety_")) and name[-1] == "f"},
}
"""For every library, what the zoo calls each of its networks."""


def original(library, name):
    """Return a library's own network."""
    if library == "pycls":
        return _pycls(name).eval()
    models = _torchvision_models()  # timm imports torchvision too
    if library == "torchvision":
        return getattr(models, name)().eval()
    import timm

    return timm.create_model(name).eval()


def without_memory(library, name, monkeypatch):
    """Return a library's own network on PyTorch's `meta` device."""
    if library == "torchvision":  # its rule computes with tensors, so only what follows the rule is made without memory
        regnet = _torchvision_models().regnet
        monkeypatch.setattr(regnet, "_regnet", functools.partial(_on_meta, regnet._regnet))
        return original(library, name)
    return _on_meta(original, library, name)


@torch.no_grad()
def drawn(library, name, dtype):
    """Return a library's own network with all its numbers drawn, no two layers alike."""
    network = original(library, name).to(dtype)
    generator = torch.Generator().manual_seed(3)
    for key, tensor in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            tensor.random_(1, 1000, generator=generator)
        elif tensor.ndim > 1:
            tensor.normal_(0.0, tensor[0].numel() ** -0.5, generator=generator)
        elif key.endswith(("weight", "running_var")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.normal_(0.0, 0.3, generator=generator)
    return network


@functools.cache
def _torchvision_models():
    """Import torchvision beside a PyTorch for the CPU: its compiled operators are missing, but must be declared.

    No RegNet uses one.
    """
    try:
        import torchvision.models as models
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
        import torchvision.models as models
    return models


_DECLARED = []
"""Declarations last as long as these objects."""


def _pycls(name):
    from pycls.core.config import cfg
    from pycls.models.regnet import RegNet

    family, size = name.split("_")
    row = {"regnetx": zoo._REGNETX, "regnety": zoo._REGNETY}[family][size]
    cfg.REGNET.DEPTH, cfg.REGNET.W0, cfg.REGNET.WA, cfg.REGNET.WM, cfg.REGNET.GROUP_W = row
    cfg.REGNET.SE_ON = family == "regnety"
    cfg.MODEL.NUM_CLASSES = 1000
    return RegNet()


def _on_meta(make, *args, **kw):
    with torch.device("meta"):
        return make(*args, **kw)
