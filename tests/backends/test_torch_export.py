"""An exported network computes the same logits elsewhere, for batches of any size; else there is no file."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

import netspace as ns
from netspace.backends.torch_export import compare, export_onnx, export_program, export_published
from netspace.backends.torch_model import AnyNet
from netspace.cli import main
from netspace.errors import CheckpointError, ExecutionError, InputError, SpecError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from tests.backends.disturbed import disturbed

X = NetworkSpec(
    stages=(Stage(depth=2, width=16, group_width=8),), stem=Stem(width=8), conv_bias=True, in_channels=1, num_classes=5
)
Z = NetworkSpec(
    stages=(Stage(depth=2, width=16, group_width=8, bottleneck_ratio=0.25),),
    block="z",
    activation="silu",
    se_ratio=0.25,
    head_width=24,
    num_classes=5,
)
Y = NetworkSpec(
    stages=tuple(Stage(depth=1, width=width, group_width=8) for width in (8, 16, 24, 32)),
    stem=Stem(width=16),
    se_ratio=0.25,
    num_classes=5,
)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing from a second thread, and wait for it where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def images(spec, batch):
    shape = (batch, spec.in_channels, 32, 32)
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def by_onnxruntime(path, batch):
    (logits,) = onnxruntime.InferenceSession(path).run(["logits"], {"images": batch.numpy()})
    return torch.from_numpy(logits)


def assert_close(logits, expected):
    assert logits.shape == expected.shape
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.fixture
def empty(tmp_path):
    """A folder that must be empty when the test is over."""
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quiet(capfd, caplog):
    """A test in which nothing is printed, and nothing logged that a user would see."""
    yield
    assert "".join(capfd.readouterr()) == ""
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("spec", [X, Z], ids=["x", "z"])
def test_onnx_computes_the_same_for_any_batch(tmp_path, quiet, spec):
    network = disturbed(spec).train()
    path = tmp_path / "model.onnx"
    exported = export_onnx(network, path, resolution=32)
    assert network.training
    assert exported.size == path.stat().st_size
    assert 0 < exported.difference <= 1e-5
    assert_close(by_onnxruntime(path, images(spec, 5)), network.eval()(images(spec, 5)))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert str(ns.__path__[0]).encode() not in path.read_bytes()


def test_a_program_computes_the_same_without_netspace(tmp_path, quiet):
    network = disturbed(Z)
    path = tmp_path / "model.pt2"
    exported = export_program(network, path, resolution=32)
    assert exported.size == path.stat().st_size
    assert exported.opset is None
    np.save(tmp_path / "images.npy", images(Z, 5).numpy())
    code = """
import sys, numpy, torch
network = torch.export.load("model.pt2").module()
numpy.save("logits.npy", network(torch.from_numpy(numpy.load("images.npy"))).detach().numpy())
assert "netspace" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert_close(torch.from_numpy(np.load(tmp_path / "logits.npy")), network(images(Z, 5)))
    assert str(ns.__path__[0]).encode() not in path.read_bytes()


@pytest.mark.parametrize("style", ["timm", "torchvision", "pycls"])
def test_published_names_are_written_and_read_again(tmp_path, style):
    network = disturbed(Y)
    path = tmp_path / "model.safetensors"
    export_published(network, path, style=style, resolution=32)
    assert "head.linear.weight" not in load_file(path)
    assert_close(ns.load_checkpoint(path)(images(Y, 5)), network(images(Y, 5)))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_network_that_a_library_lacks_is_refused(empty):
    with pytest.raises(CheckpointError, match="timm has no network with block"):
        export_published(disturbed(Z), empty / "model.safetensors", style="timm", resolution=32)


def test_other_logits_are_found():
    network = disturbed(Z)
    assert compare(network, disturbed(Z), 32) == 0.0
    with torch.no_grad():
        scale = network(images(Z, 1)).abs().max()
    compare(network, lambda batch: network(batch) + 1e-6 * scale, 32)
    for wrong in (
        lambda batch: network(batch) + 1e-2 * scale,
        lambda batch: network(batch) * torch.nan,
        lambda batch: network(batch[:1]).repeat(len(batch), 1),  # right for a batch of one only
    ):
        with pytest.raises(ExecutionError, match="other logits than the network"):
            compare(network, wrong, 32)


def test_what_does_not_compare_leaves_no_file(empty):
    network = disturbed(Z)
    with torch.no_grad():
        network.head.linear.bias[0] = torch.nan
    with pytest.raises(ExecutionError, match="differ by nan of the largest logit"):
        export_program(network, empty / "model.pt2", resolution=32)


def test_what_cannot_be_written_is_said_before_anything_is_exported(tmp_path):
    network = disturbed(Z)
    (tmp_path / "a.pt2").mkdir()
    for path, sentence in (
        ("a.pt2", "is a folder; name a file that ends in .pt2"),
        ("nowhere/a.pt2", "nowhere' does not exist"),
        ("a.pth", r"must end in .pt2; nearest: .*a.pt2"),
    ):
        with pytest.raises(InputError, match=sentence):
            export_program(network, tmp_path / path, resolution=32)
    with pytest.raises(SpecError, match=r"resolution"):
        export_program(network, tmp_path / "b.pt2", resolution=0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt2"]


def test_a_network_too_large_for_one_onnx_file_is_refused(empty):
    with torch.device("meta"):
        large = AnyNet(NetworkSpec(stages=(Stage(depth=2, width=16384),)))
    with pytest.raises(InputError, match="must be smaller than 2 GiB"):
        export_onnx(large, empty / "model.onnx")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_types_than_float32_are_refused_by_onnx_and_kept_by_a_program(tmp_path, dtype):
    network = disturbed(Z).to(dtype)
    with pytest.raises(InputError, match=f"written in float32, and the weights are {dtype}"):
        export_onnx(network, tmp_path / "model.onnx", resolution=32)
    export_program(network, tmp_path / "model.pt2", resolution=32)
    batch = images(Z, 5).to(dtype)
    assert torch.equal(torch.export.load(tmp_path / "model.pt2").module()(batch), network(batch))
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run `netspace export` in a folder that holds the network `best`; return exit code, output and errors."""
    ns.save(disturbed(Y), tmp_path / "best")
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["netspace", "export", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capfd.readouterr()

    return run


def test_the_command_says_what_it_checked(command):
    code, said, errors = command("best", "--to", "onnx", "-o", "model.onnx", "--resolution", 32)
    assert (code, errors) == (0, "")
    size = Path("model.onnx").stat().st_size / 2**20
    assert said.startswith(f"onnx: model.onnx ({size:.1f} MiB), opset ")
    assert said.endswith(" of the largest logit over batches of 1 and 3\n")
    assert_close(by_onnxruntime("model.onnx", images(Y, 5)), ns.load("best")(images(Y, 5)))


@pytest.mark.parametrize("package", ["onnxruntime", "onnxscript"])
def test_without_its_packages_onnx_is_one_sentence_with_the_line_that_installs_them(command, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # as on a machine without it
    code, _, errors = command("best", "--to", "onnx", "-o", "model.onnx")
    assert code == 2
    assert errors == (
        f"netspace: the export to ONNX needs the package '{package}'; install it with: pip install 'netspace[onnx]'\n"
    )


def test_the_command_writes_a_program(command):
    code, said, errors = command("best", "--to", "torch", "-o", "model.pt2", "--resolution", 32)
    assert (code, errors) == (0, "")
    assert said.startswith("torch: model.pt2 (")
    assert "opset" not in said


def test_the_command_reads_a_published_file(command):
    words = ("--resolution", 32, "--to")
    assert command("best", "-o", "timm.safetensors", *words, "timm")[0] == 0
    code, said, errors = command("timm.safetensors", "-o", "pycls.safetensors", *words, "pycls")
    assert (code, errors) == (0, "")
    assert said.startswith("pycls: pycls.safetensors (")
    assert_close(ns.load_checkpoint("pycls.safetensors")(images(Y, 5)), ns.load("best")(images(Y, 5)))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere", "--to", "onnx", "-o", "a.onnx"), "'nowhere': there is no such folder or file"),
        (("regnetx_400mf", "--to", "onnx", "-o", "a.onnx"), "is a name, and its weights would be random"),
        (("best", "--to", "onxn", "-o", "a.onnx"), "did you mean 'onnx'?"),
        (("best", "--to", "onnx"), "Missing option '--output'"),
        (("best", "--to", "onnx", "-o", "best"), "'best' is a folder"),
        (("best", "--to", "torch", "-o", "no/a.pt2"), "'no' does not exist"),
        (("best", "--to", "torch", "-o", "a.pt2", "--resolution", "0"), "resolution"),
        (("best/network.json", "--to", "torch", "-o", "a.pt2"), "best/network.json: "),
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(given),
)
def test_a_wrong_word_is_one_sentence_and_exit_2(command, words, sentence):
    code, said, errors = command(*words)
    assert (code, said) == (2, "")
    assert sentence in errors
    assert len(errors.strip().splitlines()) == 1
    assert [path.name for path in Path().iterdir()] == ["best"]
