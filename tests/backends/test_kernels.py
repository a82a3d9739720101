"""Every form of an operator computes what PyTorch's own does; a trial names its form; the compiler may be missing."""

import dataclasses
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspace.backends import torch_native
from netspace.backends.torch_kernels import block_diagonal, convolve, own_form, use_kernels
from netspace.backends.torch_model import build
from netspace.backends.torch_training import train
from netspace.errors import ExecutionError, InputError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")

Gradients = list[Tensor]


@pytest.fixture(scope="module")
def operators() -> None:
    torch_native.load_operators()


def norm_inputs(channels: int, dtype: torch.dtype, added: bool) -> dict[str, Tensor]:
    """Images far from zero, odd in every size, and a norm that has seen something."""
    generator = torch.Generator().manual_seed(channels)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    images = (3 * draw(3, channels, 5, 7) + 5).to(dtype).contiguous(memory_format=torch.channels_last)
    found = {"x": images, "weight": draw(channels), "bias": draw(channels)}
    found |= {"added": draw(3, channels, 5, 7).to(dtype)} if added else {}
    return found | {"running_mean": draw(channels), "running_var": draw(channels).exp()}


def answers(
    compute: Callable[[dict[str, Tensor]], Tensor], given: dict[str, Tensor], dtype: torch.dtype | None = None
) -> list[Tensor]:
    """Return output, gradients and running statistics, in float64."""
    own = {name: tensor.detach().clone().to(dtype or tensor.dtype) for name, tensor in given.items()}
    learned = [own[name].requires_grad_() for name in ("x", "weight", "bias", "added") if name in own]
    y = compute(own)
    direction = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape)
    (y.double() * direction).sum().backward()
    found = [y, *(tensor.grad for tensor in learned), own["running_mean"], own["running_var"]]
    return [tensor.detach().double() for tensor in found if tensor is not None]


def plain_norm(given: dict[str, Tensor], relu: bool, training: bool) -> Tensor:
    y = F.batch_norm(
        given["x"], given["running_mean"], given["running_var"], given["weight"], given["bias"], training, 0.1, 1e-5
    )
    y = y + given["added"] if "added" in given else y
    return F.relu(y) if relu else y


def native_norm(given: dict[str, Tensor], relu: bool) -> Tensor:
    return torch.ops.netspace.norm_add_relu(  # type: ignore[no-any-return]
        given["x"],
        given.get("added"),
        given["weight"],
        given["bias"],
        given["running_mean"],
        given["running_var"],
        0.1,
        1e-5,
        relu,
    )


@needs_compiler
@pytest.mark.usefixtures("operators")
class TestNorm:
    @pytest.mark.parametrize("relu", [False, True])
    @pytest.mark.parametrize("added", [False, True])
    @pytest.mark.parametrize("channels", [1, 3, 8, 24, 64, 100])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_is_as_near_to_float64_as_pytorch(self, dtype: torch.dtype, channels: int, added: bool, relu: bool) -> None:
        given = norm_inputs(channels, dtype, added)
        exact = answers(lambda own: plain_norm(own, relu, True), given, torch.float64)
        ours = answers(lambda own: native_norm(own, relu), given)
        bound = 2e-5 if dtype is torch.float32 else 2**-6
        for true, found in zip(exact, ours, strict=True):
            assert float((true - found).abs().max()) <= bound * float(true.abs().max() + 1e-3)

    @pytest.mark.parametrize("added", [False, True])
    @pytest.mark.parametrize("channels", [3, 24])
    def test_knows_its_statistics_in_evaluation(self, channels: int, added: bool) -> None:
        given = norm_inputs(channels, torch.float32, added)
        known = (given["x"], given.get("added"), *(given[n] for n in ("weight", "bias", "running_mean", "running_var")))
        found = torch.ops.netspace.known_norm_add_relu(*known, 1e-5, True)
        torch.testing.assert_close(found, plain_norm(given, True, False), rtol=1e-5, atol=1e-5)

    def test_keeps_what_is_not_a_number(self) -> None:
        given = norm_inputs(8, torch.float32, False)
        given["x"][0, 2, 0, 0] = float("nan")
        found = native_norm(given, True)
        assert found[:, 2].isnan().all()
        assert not found[:, [0, 1, 3]].isnan().any()

    def test_is_the_same_whatever_the_threads(self) -> None:
        given = norm_inputs(24, torch.bfloat16, True)
        given["x"] = given["x"].repeat(40, 1, 3, 3).contiguous(memory_format=torch.channels_last)
        given["added"] = given["added"].repeat(40, 1, 3, 3)
        before = torch.get_num_threads()
        found = []
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                found.append(answers(lambda own: native_norm(own, True), given))
        finally:
            torch.set_num_threads(before)
        assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))

    def test_refuses_other_numbers(self) -> None:
        given = {name: tensor.double() for name, tensor in norm_inputs(8, torch.float32, False).items()}
        with pytest.raises(RuntimeError, match="must be float32 or bfloat16"):
            native_norm(given, True)


@needs_compiler
@pytest.mark.usefixtures("operators")
class TestProduct:
    """Of numbers that bfloat16 holds, so that only sums and what is rounded at the end can differ."""

    @pytest.fixture(autouse=True)
    def products(self, operators: None) -> None:
        if not torch_native.has_products():
            pytest.skip("the processor does not multiply in bfloat16")

    @staticmethod
    def given(batch: int, size: int, width: int, out: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(width)
        images = torch.randn(batch, width, size, size, generator=generator).bfloat16()
        weight = torch.randn(out, width, 1, 1, generator=generator).bfloat16().float()
        return images.contiguous(memory_format=torch.channels_last), weight

    @staticmethod
    def answers(compute: Callable[..., Tensor], images: Tensor, weight: Tensor, stride: int) -> list[Tensor]:
        own = [tensor.clone().requires_grad_() for tensor in (images, weight)]
        y = compute(*own, stride)
        direction = torch.linspace(-1, 1, y.numel()).bfloat16().view(y.shape).to(y.dtype)
        y.backward(direction)
        return [y.detach(), *(tensor.grad for tensor in own if tensor.grad is not None)]

    # Widths that fill vectors, halves, and neither; rows that fill no tile, or no pair; blocks of one to four vectors.
    @pytest.mark.parametrize(("batch", "size"), [(1, 1), (1, 3), (3, 7), (8, 14)])
    @pytest.mark.parametrize(("width", "out"), [(2, 6), (8, 16), (24, 40), (48, 64), (80, 18), (130, 200)])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_is_as_near_to_float64_as_rounding(self, batch: int, size: int, width: int, out: int, stride: int) -> None:
        images, weight = self.given(batch, size, width, out)
        exact = self.answers(lambda x, w, s: F.conv2d(x, w, stride=s), images.double(), weight.double(), stride)
        y, grad_images, grad_weight = self.answers(torch.ops.netspace.pointwise, images, weight, stride)
        assert (y.dtype, grad_images.dtype, grad_weight.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)
        for found, true, bound in zip((y, grad_images, grad_weight), exact, (2**-8, 2**-8, 1e-5), strict=True):
            assert found.shape == true.shape
            assert float((found.double() - true).abs().max()) <= bound * float(true.abs().max())

    @pytest.mark.parametrize("operator", ["pointwise", "grouped"])
    def test_is_the_same_whatever_the_threads(self, operator: str) -> None:
        images, weight = self.given(100, 14, 24, 24)
        if operator == "grouped":
            weight = torch.randn(24, 4, 3, 3, generator=torch.Generator().manual_seed(0))
        before = torch.get_num_threads()
        found = []
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                found.append(self.answers(getattr(torch.ops.netspace, operator), images, weight, 1))
        finally:
            torch.set_num_threads(before)
        assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))

    def test_takes_images_of_any_layout_and_type(self) -> None:
        images, weight = self.given(2, 4, 8, 6)
        expected = torch.ops.netspace.pointwise(images, weight, 1)
        assert torch.equal(torch.ops.netspace.pointwise(images.float().contiguous(), weight, 1), expected)

    def test_keeps_what_is_not_a_number(self) -> None:
        images, weight = self.given(2, 4, 8, 6)
        images[1, 3, 2, 2] = float("nan")
        found = torch.ops.netspace.pointwise(images, weight, 1)
        assert found[1, :, 2, 2].isnan().all()
        assert int(found.isnan().sum()) == 6

    @pytest.mark.parametrize(
        "conv",
        [
            nn.Conv2d(8, 8, 1, groups=2, bias=False),
            nn.Conv2d(8, 8, 3, bias=False),
            nn.Conv2d(3, 8, 1, bias=False),
            nn.Conv2d(8, 5, 1, bias=False),
            nn.Conv2d(48, 48, 3, groups=3, padding=1, bias=False),
            nn.Conv2d(9, 9, 3, groups=3, padding=1, bias=False),
            nn.Conv2d(8, 8, 3, groups=8, padding=1, bias=False),
            nn.Conv2d(8, 8, 3, groups=2, bias=False),
            nn.Conv2d(8, 8, 5, groups=2, padding=2, bias=False),
            nn.Conv2d(8, 16, 3, groups=4, padding=1, bias=False),
        ],
        ids=[
            "groups",
            "kernel",
            "odd-in",
            "odd-out",
            "wide",
            "odd-groups",
            "single",
            "unpadded",
            "kernel-5",
            "widening",
        ],
    )
    def test_is_not_for_other_convolutions(self, conv: nn.Conv2d) -> None:
        assert own_form(conv) is None

    # Channels that fill vectors, halves and neither; images of one pixel, odd sides, several at once, and alone.
    @pytest.mark.parametrize(
        ("channels", "group_width"), [(16, 1), (6, 2), (24, 2), (20, 4), (40, 4), (24, 8), (64, 8)]
    )
    @pytest.mark.parametrize(("batch", "height", "width"), [(2, 1, 1), (9, 2, 3), (3, 7, 4), (2, 9, 14)])
    @pytest.mark.parametrize("stride", [1, 2, 3])
    def test_of_narrow_groups_is_as_near_to_float64_as_rounding(
        self, batch: int, height: int, width: int, channels: int, group_width: int, stride: int
    ) -> None:
        generator = torch.Generator().manual_seed(channels)
        images = torch.randn(batch, channels, height, width, generator=generator).bfloat16()
        weight = torch.randn(channels, group_width, 3, 3, generator=generator).bfloat16().float()
        groups = channels // group_width
        plain = lambda x, w, s: F.conv2d(x, w, stride=s, padding=1, groups=groups)  # noqa: E731
        exact = self.answers(plain, images.double(), weight.double(), stride)
        images = images.contiguous(memory_format=torch.channels_last)
        found = self.answers(torch.ops.netspace.grouped, images, weight, stride)
        assert [tensor.dtype for tensor in found] == [torch.bfloat16, torch.bfloat16, torch.float32]
        for ours, true, bound in zip(found, exact, (2**-8, 2**-8, 1e-5), strict=True):
            assert ours.shape == true.shape
            assert float((ours.double() - true).abs().max()) <= bound * float(true.abs().max())


class TestConvolution:
    @pytest.mark.parametrize("stride", [1, 2])
    @pytest.mark.parametrize(("channels", "group_width"), [(16, 1), (16, 2), (24, 4), (20, 2), (16, 8), (12, 3)])
    def test_is_pytorchs(self, channels: int, group_width: int, stride: int) -> None:
        """Even sides, where a thinned convolution and a strided one could part; exact up to the order of sums."""
        torch.manual_seed(0)
        conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels // group_width)
        x = torch.randn(2, channels, 6, 8).bfloat16().contiguous(memory_format=torch.channels_last)
        found = []
        for compute in (convolve, nn.Conv2d.forward):
            conv.zero_grad(set_to_none=True)
            own = x.clone().requires_grad_()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y = compute(conv, own)
            (y.float() * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()  # type: ignore[no-untyped-call]
            gradients = [tensor.grad for tensor in (own, conv.weight, conv.bias) if tensor is not None]
            found.append([tensor.detach().float() for tensor in (y, *gradients) if tensor is not None])
            assert len(found[-1]) == 4
        for ours, theirs in zip(*found, strict=True):
            assert float((ours - theirs).abs().max()) <= 2**-7 * float(theirs.abs().max())

    @needs_compiler
    def test_adds_a_bias_that_no_norm_takes_out(self) -> None:
        torch_native.load_operators()
        conv, images = nn.Conv2d(8, 6, 1), torch.rand(2, 8, 3, 3)
        form = own_form(conv)
        assert form is not None or not torch_native.has_products()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = form(conv, images) if form else conv(images)
        torch.testing.assert_close(found.float(), conv(images), rtol=0.02, atol=0.02)

    def test_puts_zeros_off_the_diagonal(self) -> None:
        weight = torch.arange(1.0, 17.0).view(8, 2, 1, 1)
        wide = block_diagonal(weight, 4)[..., 0, 0]
        assert wide[2].tolist() == [0, 0, 5, 6]
        assert int((wide != 0).sum()) == 16


SPEC = NetworkSpec(
    stages=(Stage(depth=2, width=16, group_width=1, stride=2), Stage(depth=2, width=24, group_width=4, stride=2)),
    stem=Stem(width=8, stride=1),
    in_channels=1,
)


CHANGES: list[dict[str, Any]] = [
    {},
    {"activation": "silu"},
    {"block": "z"},
    {"block": "basic", "stages": (Stage(depth=2, width=16, stride=2),)},
    {"residual": False},
    {"stochastic_depth": 0.3},
    {"se_ratio": 0.25},
    {"head_width": 32, "stem": Stem(width=8, kernel_size=7, max_pool=True)},
    {"conv_bias": True},
]
"""What a form could get wrong: blocks, activations and shortcuts that follow a norm each in their own way."""


@pytest.mark.parametrize("kernels", ["blocked", pytest.param("native", marks=needs_compiler)])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: "-".join(change) or "x")
def test_a_network_computes_the_same(change: dict[str, Any], kernels: str) -> None:
    spec = dataclasses.replace(SPEC, **change)
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 1, 14, 14), np.float32))
    found = []
    for form in ("torch", kernels):
        network = build(spec, seed=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.manual_seed(0)
        with use_kernels(network, form):
            logits = network(images)
            F.cross_entropy(logits, torch.arange(6)).backward()  # type: ignore[no-untyped-call]
            network.eval()
            evaluated = network(images)
        state = [tensor for name, tensor in network.state_dict().items() if "num_batches" not in name]
        found.append([logits, evaluated, *state, *(parameter.grad for parameter in network.parameters())])
        assert not any("forward" in vars(module) for module in network.modules())
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@needs_compiler
@pytest.mark.parametrize("conv_bias", [False, True])
def test_a_network_in_bfloat16_computes_the_same_but_for_rounding(conv_bias: bool) -> None:
    """Of logits, gradients and running means together, a wrong one would be another vector altogether.

    The gradient of a bias that a norm takes out again is nothing but rounding.
    """
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((16, 1, 14, 14), np.float32))
    found, biases = [], {}
    for kernels, enabled in (("torch", False), ("torch", True), ("native", True)):
        network = build(dataclasses.replace(SPEC, conv_bias=conv_bias), seed=1)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        biases = {name: p for name, p in network.named_parameters() if name.endswith("conv.bias")}
        with torch.no_grad():
            for parameter in biases.values():
                parameter.add_(torch.linspace(-1, 1, len(parameter)))
        with use_kernels(network, kernels), torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            logits = network(images).float()
            F.cross_entropy(logits, torch.arange(16) % 10).backward()  # type: ignore[no-untyped-call]
            evaluated = network.eval()(images).detach().float()
        gradients = [p.grad for name, p in network.named_parameters() if name not in biases and p.grad is not None]
        means = [tensor for name, tensor in network.state_dict().items() if name.endswith("running_mean")]
        each = (logits.detach(), evaluated, *gradients, *means)
        found.append(torch.cat([tensor.flatten() / tensor.norm() for tensor in each]))
    exact, theirs, ours = found
    assert float((ours - exact).norm()) <= 1.2 * float((theirs - exact).norm())
    assert all(parameter.grad is not None for parameter in biases.values())  # what has none would not decay


class TestTrial:
    @pytest.mark.parametrize("kernels", ["torch", "blocked", pytest.param("native", marks=needs_compiler)])
    def test_gives_the_same_numbers_again(self, kernels: str) -> None:
        data = load(DataChoice(name="digits", training_share=0.2))
        recipe = TrainingRecipe(epochs=1, batch_size=50, precision="bfloat16")
        trial = Trial(network=SPEC, recipe=recipe, data=data.fingerprint, kernels=kernels)
        first, again = train(trial, data), train(trial, data)
        assert first.error == again.error
        assert first.curve[0].training_loss == again.curve[0].training_loss

    def test_is_another_trial_by_its_kernels_alone(self) -> None:
        plain = Trial(network=SPEC, recipe=TrainingRecipe(), data="0" * 32)
        assert dataclasses.replace(plain, kernels="torch").id == plain.id
        assert dataclasses.replace(plain, kernels="blocked").id != plain.id

    def test_refuses_kernels_that_are_not_there(self) -> None:
        with pytest.raises(InputError, match="did you mean 'native'"):
            Trial(network=SPEC, recipe=TrainingRecipe(), data="", kernels="nativ")
        with pytest.raises(InputError, match="must be 'torch' for backend 'jax'"):
            Trial(network=SPEC, recipe=TrainingRecipe(), data="", backend="jax", kernels="native")


class TestCompiler:
    @pytest.fixture(autouse=True)
    def fresh(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def load(self) -> None:
        torch_native.load_operators.__wrapped__()

    def test_that_is_missing_gives_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(ExecutionError, match=r"there is no C\+\+ compiler \(CXX=no-such-compiler\)"):
            self.load()

    def test_that_fails_gives_a_sentence_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / "broken"
        broken.write_text("#!/bin/sh\necho 'fatal error: no headers' >&2\nexit 1\n")
        broken.chmod(0o755)
        monkeypatch.setenv("CXX", str(broken))
        with pytest.raises(ExecutionError, match="cannot compile the native operators: fatal error: no headers"):
            self.load()
        assert not list((tmp_path / "cache" / "netspace").iterdir())

    def test_a_user_without_a_home_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(uid: int) -> None:
            raise KeyError(uid)

        for name in ("XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(pwd, "getpwuid", unknown)
        with pytest.raises(ExecutionError, match="has no home folder; set XDG_CACHE_HOME to a folder"):
            self.load()

    def test_a_folder_that_others_may_write_gives_no_code(self, tmp_path: Path) -> None:
        folder = tmp_path / "cache" / "netspace"
        folder.mkdir(parents=True)
        folder.chmod(0o770)
        with pytest.raises(ExecutionError, match=r"netspace' is not this user's alone, .* \(chmod 700\), or set XDG"):
            self.load()

    def test_a_cache_that_cannot_be_written_gives_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("no folder")
        with pytest.raises(ExecutionError, match=r"the native operators cannot be kept or loaded \(.*cache"):
            self.load()

    @needs_compiler
    def test_is_part_of_the_librarys_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = torch_native.library_path()
        monkeypatch.setattr(torch_native, "_processor", lambda: "another")
        assert torch_native.library_path() != before
