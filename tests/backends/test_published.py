"""Published weights: what goes out under a library's names comes back bit for bit, and no bad file comes in.

That the names and numbers are the libraries' own, `tests/parity` proves with the libraries themselves.
"""

import argparse
import dataclasses
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

import netspace as ns
from netspace.backends.published import published_tensors
from netspace.backends.published_names import STYLES
from netspace.errors import CheckpointError, InputError, SpecError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from tests.backends.disturbed import disturbed


def stages(ratio=1.0):
    depths_widths = ((1, 8), (2, 16), (1, 24), (2, 40))
    return tuple(Stage(depth=d, width=w, group_width=4, bottleneck_ratio=ratio) for d, w in depths_widths)


X = NetworkSpec(stages=stages(), stem=Stem(width=8), num_classes=5)
Y = dataclasses.replace(X, stages=stages(2.0), se_ratio=0.25)
IMAGES = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    return disturbed(Y)


def written(tensors, folder, name="model.safetensors"):
    """Return the path of a file of tensors; pickled by PyTorch unless its name says otherwise."""
    path = folder / name
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def loaded(tensors, folder, name="model.safetensors", **options):
    return ns.load_checkpoint(written(tensors, folder, name), **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("spec", [X, Y, dataclasses.replace(Y, se_ratio=0.3)])
def test_a_network_comes_back_bit_for_bit(spec, style, dtype, tmp_path):
    network = disturbed(spec).to(dtype)
    again = loaded(published_tensors(network, style), tmp_path)
    assert again.spec == spec
    assert not again.training
    wanted = network.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in again.state_dict().items())
    assert torch.equal(again(IMAGES.to(dtype)), network(IMAGES.to(dtype)))


@pytest.mark.parametrize(
    ("style", "names"),
    [
        (
            "torchvision",
            "stem.0.weight stem.1.bias trunk_output.block2.block2-0.proj.0.weight "
            "trunk_output.block2.block2-1.f.se.fc1.bias trunk_output.block4.block4-1.f.c.1.running_var fc.bias",
        ),
        (
            "timm",
            "stem.conv.weight stem.bn.bias s2.b1.downsample.conv.weight s2.b2.se.fc1.bias s4.b2.conv3.bn.running_var "
            "head.fc.bias",
        ),
        (
            "pycls",
            "stem.conv.weight stem.bn.bias s2.b1.proj.weight s2.b2.f.se.f_ex.0.bias s4.b2.f.c_bn.running_var "
            "head.fc.bias",
        ),
    ],
)
def test_the_names_are_the_librarys(network, style, names):
    ours = network.state_dict()
    wanted = (
        ours["stem.conv.weight"].flip(1) if style == "pycls" else ours["stem.conv.weight"],
        ours["stem.norm.bias"],
        ours["stages.1.0.projection.conv.weight"],
        ours["stages.1.1.branch.se.reduce.bias"],
        ours["stages.3.1.branch.c.norm.running_var"],
        ours["head.linear.bias"],
    )
    tensors = published_tensors(network, style)
    assert len(tensors) == len(ours)
    for name, tensor in zip(names.split(), wanted, strict=True):
        assert torch.equal(tensors[name], tensor), name


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "epoch": 3},
        lambda tensors: {"model": tensors, "optimizer": {"state": {0: torch.ones(2)}}},
        lambda tensors: {"model_state": {f"module.{name}": tensor for name, tensor in tensors.items()}, "cfg": "text"},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_wrappers_of_training_checkpoints_are_taken_off(network, wrap, zipped, tmp_path):
    torch.save(wrap(published_tensors(network, "pycls")), tmp_path / "x.pyth", _use_new_zipfile_serialization=zipped)
    assert torch.equal(ns.load_checkpoint(tmp_path / "x.pyth")(IMAGES), network(IMAGES))


def test_linear_squeeze_and_excitation_is_taken(network, tmp_path):
    tensors = published_tensors(network, "timm")
    flat = {name: t.flatten(1) if ".se." in name and t.ndim == 4 else t for name, t in tensors.items()}
    assert flat["s1.b1.se.fc1.weight"].ndim == 2
    assert torch.equal(loaded(flat, tmp_path)(IMAGES), network(IMAGES))


def test_another_number_of_classes_is_a_fresh_head(network, tmp_path):
    path = written(published_tensors(network, "torchvision"), tmp_path)
    again = ns.load_checkpoint(path, num_classes=7, seed=3)
    assert again.spec == dataclasses.replace(Y, num_classes=7)
    assert torch.equal(again.features(IMAGES)[-1], network.features(IMAGES)[-1])
    fresh = ns.build(again.spec, seed=3).head.linear
    assert torch.equal(again.head.linear.weight, fresh.weight)
    assert not again.head.linear.bias.any()
    assert torch.equal(ns.load_checkpoint(path, num_classes=5)(IMAGES), network(IMAGES))
    with pytest.raises(SpecError, match="num_classes"):
        ns.load_checkpoint(path, num_classes=0)


@pytest.mark.parametrize("style", STYLES)
def test_other_channels_keep_the_logits_of_images_that_repeat_theirs(network, style, tmp_path):
    path = written(published_tensors(network, style), tmp_path)
    grey = IMAGES[:, :1]
    one = ns.load_checkpoint(path, in_channels=1)
    torch.testing.assert_close(one(grey), network(grey.expand(-1, 3, -1, -1)))
    for channels in (4, 6, 8):
        many = ns.load_checkpoint(path, in_channels=channels)
        assert many.spec.in_channels == channels
        torch.testing.assert_close(many(IMAGES[:, torch.arange(channels) % 3]), network(IMAGES))
    with pytest.raises(CheckpointError, match=r"in_channels \(=2\) must be 1 or at least the file's 3"):
        ns.load_checkpoint(path, in_channels=2)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda t: t.pop("s2.b1.downsample.conv.weight"), "missing: s2.b1.downsample.conv.weight"),
        (lambda t: t.pop("head.fc.weight"), "missing: head.fc.weight"),
        (lambda t: t.pop("s3.b1.conv2.conv.weight"), "missing: s3.b1.conv2.conv.weight"),
        (lambda t: t.pop("s3.b1.conv1.bn.num_batches_tracked"), "missing: s3.b1.conv1.bn.num_batches_tracked"),
        (lambda t: t.update(final_conv=torch.ones(1)), "unknown: final_conv"),
        (lambda t: t.update({"s2.b9.conv1.conv.weight": torch.ones(1)}), "unknown: s2.b9.conv1.conv.weight"),
        (lambda t: t.update({"stem.bn.bias": torch.ones(7)}), r"misshapen: stem.bn.bias \(7,\) instead of \(8,\)"),
        (lambda t: t.update({"stem.conv.weight": torch.ones(8, 3)}), r"stem.conv.weight \(8, 3\) must have 4 dim"),
        (lambda t: t.update({"head.fc.weight": torch.ones(0, 40)}), r"head.fc.weight \(0, 40\) must have 2 dim"),
        (lambda t: t.update({"s4.b1.conv2.conv.weight": torch.ones(20, 7, 3, 3)}), "group_width"),
        (lambda t: t.update({"s4.b1.se.fc1.weight": torch.ones(9, 20, 1, 1)}), "no se_ratio reduces"),
        (lambda t: t["head.fc.bias"].fill_(float("nan")), "not finite: head.fc.bias"),
        (lambda t: t["head.fc.bias"].fill_(float("inf")), "not finite: head.fc.bias"),
        (lambda t: t.update({"head.fc.bias": torch.ones(5).double()}), "head.fc.bias torch.float64 instead of"),
        (lambda t: t.update({n: x.half() for n, x in t.items() if x.is_floating_point()}), "torch.float16 instead of"),
        (lambda t: t.update({"head.fc.bias": torch.ones(5, dtype=torch.int64)}), "torch.int64 instead of"),
        (lambda t: t.clear(), "no RegNet of torchvision, timm, pycls"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_other_tensors_are_listed_by_name(network, edit, sentence, name, tmp_path):
    tensors = published_tensors(network, "timm")
    edit(tensors)
    with pytest.raises(CheckpointError, match=sentence):
        loaded(tensors, tmp_path, name)


class Code:
    """What a pickle would run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(network, zipped, tmp_path):
    tensors = published_tensors(network, "timm") | {"code": Code(tmp_path / "ran")}
    torch.save(tensors, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    (tmp_path / "y.pkl").write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    for name in ("x.pth", "y.pkl"):
        with pytest.raises(CheckpointError, match="no code in it was run"):
            ns.load_checkpoint(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_pytorch_files(network, zipped, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(published_tensors(network, "timm"), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for damaged in (b"", b"PK\x03\x04", b"text", bytes(1000), whole[:100], whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"^[^\n]*x.pth: not a PyTorch file of plain data [^\n]*$"):
            ns.load_checkpoint(path)


def test_damaged_safetensors_files(network, tmp_path):
    path = written(published_tensors(network, "timm"), tmp_path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1], (2**60).to_bytes(8, "little") + whole[8:], pickle.dumps({"a": 1})):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="not a safetensors file"):
            ns.load_checkpoint(path)


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ([torch.ones(1)], "holds a list instead of named tensors"),
        (torch.ones(1), "holds a Tensor instead of named tensors"),
        ({"a": 1}, "'a' must be the name of a plain tensor"),
        ({1: torch.ones(1)}, "1 must be the name of a plain tensor"),
        ({"a": torch.eye(2).to_sparse()}, "'a' must be the name of a plain tensor"),
        ({"a": torch.ones(1, device="meta")}, "'a' must be the name of a plain tensor"),
        ({"conv1.weight": torch.ones(64, 3, 7, 7), "fc.weight": torch.ones(10, 64)}, "no RegNet of"),
        ({}, "no RegNet of"),
    ],
)
def test_plain_data_that_is_no_network(plain, sentence, tmp_path):
    with pytest.raises(CheckpointError, match=sentence):
        loaded(plain, tmp_path, "x.pt")


def test_sizes_that_the_file_does_not_hold_are_refused_before_memory_is_taken(network, tmp_path):
    tensors = published_tensors(network, "timm")
    huge = torch.ones(1).expand(2**40, 40)
    with pytest.raises(CheckpointError, match="larger than the file"):
        loaded(tensors | {"head.fc.weight": huge}, tmp_path, "view.pth")
    shared = torch.ones(100_000)
    with pytest.raises(CheckpointError, match="larger than the file"):
        loaded(tensors | {f"copy{i}": shared for i in range(100)}, tmp_path, "shared.pth")
    plain = written({"zeros": torch.zeros(100_000)}, tmp_path, "plain.pth")
    with zipfile.ZipFile(plain) as whole, zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        for entry in whole.namelist():
            bomb.writestr(entry, whole.read(entry))
    with pytest.raises(CheckpointError, match="a compressed archive"):
        ns.load_checkpoint(tmp_path / "bomb.pth")


def test_what_is_no_file(tmp_path):
    for name in ("nothing.safetensors", "nothing.pth"):
        with pytest.raises(CheckpointError, match="cannot be read"):
            ns.load_checkpoint(tmp_path / name)
    (tmp_path / "folder.safetensors").mkdir()
    for path in (tmp_path, tmp_path / "folder.safetensors", os.devnull):
        with pytest.raises(CheckpointError, match="must be a file"):
            ns.load_checkpoint(str(path))


@pytest.mark.parametrize(
    ("style", "change", "sentence"),
    [
        ("pycls", {"block": "z"}, r"pycls has no network with block \(='z'\); it must be 'x'"),
        ("timm", {"conv_bias": True}, "conv_bias"),
        ("torchvision", {"stem": Stem(width=8, stride=1)}, "stem"),
        ("timm", {"activation": "silu"}, "activation"),
        ("timm", {"head_width": 8}, "head_width"),
        ("timm", {"residual": False}, "residual"),
        ("timm", {"norm_eps": 1e-3}, "norm_eps"),
        ("torchvision", {"in_channels": 1}, r"in_channels \(=1\); it must be 3"),
        ("pycls", {"in_channels": 1}, r"in_channels \(=1\); it must be 3"),
        ("pycls", {"stages": (Stage(depth=1, width=8, stride=1),)}, "stage of stride 1"),
        ("timm", {"stages": stages()[:3]}, "four stages, rising widths and one ratio"),
        ("timm", {"stages": stages()[::-1]}, "four stages, rising widths and one ratio"),
    ],
)
def test_a_network_that_a_library_does_not_have_is_refused(style, change, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        published_tensors(ns.build(dataclasses.replace(X, **change)), style)


def test_what_matters_in_training_only_goes_out_unseen(tmp_path):
    spec = dataclasses.replace(X, dropout=0.2, stochastic_depth=0.1, zero_init_last=True, norm_momentum=0.01)
    assert loaded(published_tensors(disturbed(spec), "torchvision"), tmp_path).spec == X


def test_wrong_styles_and_folded_networks_are_refused(network):
    with pytest.raises(InputError, match="did you mean 'torchvision'"):
        published_tensors(network, "torchvison")
    with pytest.raises(CheckpointError, match="network is folded and no file holds it"):
        published_tensors(ns.fuse(network), "timm")


def test_exported_tensors_are_copies(network, tmp_path):
    tensors = published_tensors(network, "timm")
    path = written(tensors, tmp_path)
    tensors["stem.bn.bias"].fill_(9.0)
    assert torch.equal(load_file(path)["stem.bn.bias"], network.state_dict()["stem.norm.bias"])


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.complex64], ids=str)
def test_types_that_no_network_has_are_named(network, tmp_path, dtype):
    tensors = published_tensors(network, "timm")
    tensors["stem.bn.bias"] = tensors["stem.bn.bias"].to(dtype)
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=rf"of another type: stem.bn.bias {dtype} instead of torch.float32"):
        ns.load_checkpoint(tmp_path / "x.pth")


def test_what_is_not_the_weights_alone_is_told_apart(network, tmp_path):
    torch.save({"state_dict": {}, "claim": bytearray(10)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds a bytearray"):
        ns.load_checkpoint(tmp_path / "x.pth")
    torch.save({"model": published_tensors(network, "timm"), "args": argparse.Namespace(lr=1)}, tmp_path / "y.pth")
    with pytest.raises(CheckpointError, match="save the state dict alone"):
        ns.load_checkpoint(tmp_path / "y.pth")
    ns.save(network, tmp_path / "ours")
    with pytest.raises(CheckpointError, match="of netspace's own; `load` reads its folder"):
        ns.load_checkpoint(tmp_path / "ours" / "model.safetensors")
