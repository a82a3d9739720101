"""The same network in every backend: one set of weights gives one set of logits, and one step changes them alike.

PyTorch is what the others are held to. Every number of a network is disturbed first, running statistics too, so that
none can be mistaken for another.
"""

import dataclasses
import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspace as ns
from netspace.backends import BACKENDS, get_backend
from netspace.errors import CheckpointError, InputError, MissingFrameworkError, SpecError
from netspace.networks.plan import sides
from netspace.networks.spec import BLOCKS, NetworkSpec, Stage, Stem
from netspace.networks.tensors import initial_tensors
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial
from tests.strategies import specs

STEMS = {
    "stride-2": Stem(width=8),
    "stride-1": Stem(width=8, stride=1),
    "max-pool": Stem(width=8, kernel_size=7, max_pool=True),
    "patchify": Stem(width=8, kernel_size=2, stride=2, patchify=True),
}
OPTIONS = {
    "plain": {},
    "silu-bias-head": {"activation": "silu", "conv_bias": True, "head_width": 24},
    "gelu-vanilla": {"activation": "gelu", "residual": False},
    "norm": {"norm_eps": 0.1, "norm_momentum": 0.3},
    "dropping": {"dropout": 0.2, "stochastic_depth": 0.3, "zero_init_last": True},
}


def spec_of(block, stem, **options):
    """A network of two stages: the first keeps the width, so that it has an identity and a projection."""
    grouped = {"group_width": 8} if block in ("x", "z") else {}
    stages = (
        Stage(depth=2, width=16, stride=1, **grouped),
        Stage(depth=2, width=32, **grouped, **({"bottleneck_ratio": 2.0} if grouped else {})),
    )
    return NetworkSpec(stages=stages, stem=stem, block=block, num_classes=7, in_channels=3, **options)


def available(name):
    try:
        return get_backend(name)
    except MissingFrameworkError as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=sorted(BACKENDS), scope="module")
def backend(request):
    return available(request.param)


@pytest.fixture(params=sorted(set(BACKENDS) - {"torch"}), scope="module")
def other(request):
    return available(request.param)


@pytest.fixture(scope="module")
def torch():
    return get_backend("torch")


def disturbed(spec, seed=0, dtype=np.float32):
    """All tensors of a network, none of whose numbers is what a fresh one has."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, fresh in initial_tensors(spec, seed).items():
        positive = name.endswith(("norm.weight", "running_var"))
        noise = generator.uniform(0.5, 1.5, fresh.shape) if positive else 0.1 * generator.standard_normal(fresh.shape)
        tensors[name] = (noise if positive else fresh + noise).astype(dtype)
    return tensors


def images_for(spec, resolution, batch=3, dtype=np.float32):
    generator = np.random.default_rng(1)
    return generator.standard_normal((batch, resolution, resolution, spec.in_channels)).astype(dtype)


def difference(backend, torch, spec, resolution, dtype=np.float32):
    """The largest difference of logits from PyTorch's, as a share of the largest logit."""
    tensors, images = disturbed(spec, dtype=dtype), images_for(spec, resolution, dtype=dtype)
    ours = backend.logits(backend.with_arrays(spec, tensors), images)
    theirs = torch.logits(torch.with_arrays(spec, tensors), images)
    assert ours.shape == theirs.shape == (len(images), spec.num_classes)
    assert ours.dtype == theirs.dtype == dtype
    assert np.abs(theirs).max() > 0
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


class TestTheSameLogits:
    """Within 1e-4 of the largest logit in float32, 1e-9 in float64."""

    @pytest.mark.parametrize("resolution", [16, 17], ids=["even", "odd"])
    @pytest.mark.parametrize("stem", STEMS)
    @pytest.mark.parametrize("block", BLOCKS)
    def test_of_every_block_and_stem(self, other, torch, block, stem, resolution):
        assert difference(other, torch, spec_of(block, STEMS[stem]), resolution) < 1e-4

    @pytest.mark.parametrize("options", OPTIONS)
    @pytest.mark.parametrize("block", BLOCKS)
    def test_of_every_option(self, other, torch, block, options):
        squeezed = {"se_ratio": 0.25} if block in ("x", "z") else {}
        assert difference(other, torch, spec_of(block, STEMS["stride-2"], **OPTIONS[options], **squeezed), 16) < 1e-4

    @pytest.mark.parametrize("channels", [1, 3])
    def test_of_the_chapter_s_network(self, other, torch, channels):
        spec = dataclasses.replace(ns.network("regnetx32"), in_channels=channels)
        assert difference(other, torch, spec, 32) < 1e-4

    @pytest.mark.parametrize("name", ["resnet56_cifar", "regnety_200mf"])
    def test_of_the_zoo_s_small_members(self, other, torch, name):
        assert difference(other, torch, ns.network(name), 33) < 1e-4

    @settings(max_examples=10)
    @given(spec=specs, extra=st.integers(0, 1))
    def test_of_drawn_networks(self, other, torch, spec, extra):
        assert difference(other, torch, spec, least_resolution(spec) + extra) < 1e-4

    def test_in_float64(self, other, torch):
        spec = spec_of("x", STEMS["stride-2"], se_ratio=0.25)
        assert difference(other, torch, spec, 17, dtype=np.float64) < 1e-9


def least_resolution(spec):
    """The least resolution from 16 up that a network takes."""
    resolution = 16
    while True:
        try:
            sides(spec, resolution)
        except SpecError:
            resolution += 1
        else:
            return resolution


class TestTheSameWeights:
    """Weights travel bit for bit, by hand and by file."""

    def test_come_back(self, backend):
        spec = spec_of("x", STEMS["max-pool"], se_ratio=0.25, conv_bias=True, head_width=24)
        tensors = disturbed(spec)
        same_arrays(backend.arrays(backend.with_arrays(spec, tensors)), tensors)

    def test_are_drawn_from_the_seed(self, backend):
        spec = spec_of("z", STEMS["stride-1"], zero_init_last=True)
        first, again, other = (backend.arrays(backend.build(spec, seed=seed)) for seed in (3, 3, 4))
        same_arrays(first, again)
        assert not np.array_equal(first["stem.conv.weight"], other["stem.conv.weight"])
        fresh = initial_tensors(spec, 3)
        for name, tensor in first.items():
            assert tensor.shape == fresh[name].shape
            if fresh[name].std() == 0:
                np.testing.assert_array_equal(tensor, fresh[name])
            else:
                assert tensor.std() == pytest.approx(fresh[name].std(), rel=0.2)

    def test_go_through_a_file(self, backend, torch, tmp_path):
        spec = spec_of("basic", STEMS["stride-2"])
        tensors = disturbed(spec)
        ns.save(backend.with_arrays(spec, tensors), tmp_path)
        same_arrays(torch.arrays(ns.load(tmp_path)), tensors)
        again = ns.load(tmp_path, backend=backend.name)
        assert again.spec == spec
        same_arrays(backend.arrays(again), tensors)

    def test_are_converted_there_and_back(self, backend, torch):
        spec = spec_of("x", STEMS["stride-2"])
        network = torch.with_arrays(spec, disturbed(spec))
        there = ns.convert(network, to=backend.name)
        same_arrays(torch.arrays(ns.convert(there, to="torch")), disturbed(spec))

    def test_a_foreign_module_is_refused(self, backend):
        with pytest.raises(CheckpointError, match=r"network \(=object\) must be one that"):
            ns.convert(object(), to=backend.name)

    def test_a_part_of_a_network_is_refused(self, backend, tmp_path):
        part = backend.build(spec_of("x", STEMS["stride-2"])).stem
        for carry in (lambda: ns.convert(part, to="torch"), lambda: ns.save(part, tmp_path / "part")):
            with pytest.raises(CheckpointError, match=r"network \(=\w+\) must be one that `netspace.build` or"):
                carry()

    def test_float8_in_a_file_is_refused(self, backend, tmp_path):
        ns.save(backend.build(spec_of("basic", STEMS["stride-2"])), tmp_path)
        header = {"stem.conv.weight": {"dtype": "F8_E4M3", "shape": [8, 3, 3, 3], "data_offsets": [0, 216]}}
        told = json.dumps(header).encode()
        (tmp_path / "model.safetensors").write_bytes(len(told).to_bytes(8, "little") + told + bytes(216))
        with pytest.raises(
            CheckpointError, match="such as float8, that is none of float16, bfloat16, float32, float64"
        ):
            ns.load(tmp_path, backend=backend.name)


class TestWhatIsGiven:
    """One sentence for images and networks that are not what a backend takes."""

    @pytest.fixture
    def network(self, backend):
        return backend.build(spec_of("x", STEMS["stride-2"]))

    def test_another_layout_is_refused(self, backend, network):
        with pytest.raises(InputError, match=r"\(2, 3, 16, 16\)\) must be \(batch, height, width, channels\)"):
            backend.logits(network, images_for(network.spec, 16, batch=2).transpose(0, 3, 1, 2))

    @pytest.mark.parametrize("dtype", ["float64", "uint8"])
    def test_images_of_another_type_are_refused(self, backend, network, dtype):
        images = images_for(network.spec, 16).astype(dtype)
        with pytest.raises(
            InputError, match=rf"images \(of {dtype}\) must be of float32, as the network's weights are"
        ):
            backend.logits(network, images)

    def test_images_that_are_no_array_are_refused(self, backend, network):
        with pytest.raises(InputError, match=r"images \(a list\) must be an array of NumPy"):
            backend.logits(network, images_for(network.spec, 16).tolist())

    def test_a_network_of_bfloat16_takes_and_gives_bfloat16(self, backend, network):
        if backend.name == "mxnet":
            pytest.skip("MXNet has no bfloat16 on a CPU")
        half = {name: array.astype(ml_dtypes.bfloat16) for name, array in backend.arrays(network).items()}
        images = images_for(network.spec, 16)
        found = backend.logits(backend.with_arrays(network.spec, half), images.astype(ml_dtypes.bfloat16))
        assert found.dtype == ml_dtypes.bfloat16
        expected = backend.logits(network, images)
        assert np.abs(found.astype(np.float32) - expected).max() < 0.05 * np.abs(expected).max()

    def test_no_images_have_no_logits(self, backend, network):
        found = backend.logits(network, images_for(network.spec, 16, batch=0))
        assert (found.shape, found.dtype) == ((0, 7), np.float32)

    @pytest.mark.parametrize("change", [{"in_channels": 1}, {"num_classes": 10}, {"activation": "silu"}], ids=str)
    def test_another_network_than_the_trial_s_is_not_trained(self, backend, network, one_batch, change):
        trial = trial_of(dataclasses.replace(network.spec, **change), one_batch)
        with pytest.raises(InputError, match=rf"network \(of digest {network.spec.digest}\) must be the trial's"):
            backend.train(trial, one_batch, network=network)

    def test_a_float64_network_is_not_trained(self, backend, one_batch):
        spec = dataclasses.replace(spec_of("x", STEMS["stride-2"]), in_channels=1, num_classes=10)
        network = backend.with_arrays(spec, disturbed(spec, dtype=np.float64))
        with pytest.raises(InputError, match=r"network \(of float64\) must have weights of float32"):
            backend.train(trial_of(spec, one_batch), one_batch, network=network)

    @pytest.mark.parametrize("change", [{"in_channels": 3}, {"num_classes": 7}], ids=str)
    def test_data_of_other_channels_or_more_classes_are_not_trained_on(self, backend, one_batch, change):
        spec = dataclasses.replace(spec_of("x", STEMS["stride-2"]), **{"in_channels": 1, "num_classes": 10} | change)
        with pytest.raises(
            InputError, match=r"must be for the data 'digits', whose images have 1 channels in 10 class"
        ):
            backend.train(trial_of(spec, one_batch), one_batch)


def trial_of(spec, data):
    return Trial(network=spec, recipe=TrainingRecipe(epochs=1, batch_size=40), data=data.fingerprint)


def same_arrays(found, expected):
    assert sorted(found) == sorted(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


@pytest.fixture(scope="module")
def one_batch():
    data = load(DataChoice(name="digits"))
    images, labels = data.training.images[:40], data.training.labels[:40]
    return dataclasses.replace(data, training=dataclasses.replace(data.training, images=images, labels=labels))


class TestOneStep:
    """One batch, one step: the same loss, the same new weights, and running statistics by the stated rule."""

    @pytest.mark.parametrize("block", BLOCKS)
    def test_is_pytorch_s(self, other, torch, one_batch, block):
        spec = dataclasses.replace(spec_of(block, Stem(width=8, stride=1)), in_channels=1, num_classes=10)
        recipe = TrainingRecipe(epochs=1, batch_size=40, learning_rate=0.01, weight_decay=0.01, label_smoothing=0.1)
        trial = Trial(network=spec, recipe=recipe, data=one_batch.fingerprint)
        before, after, losses = disturbed(spec), {}, {}
        for trained in (torch, other):
            network = trained.with_arrays(spec, before)
            result = trained.train(trial, one_batch, network=network)
            losses[trained.name] = result.curve[0].training_loss
            after[trained.name] = trained.arrays(network)
        assert losses[other.name] == pytest.approx(losses["torch"], rel=1e-4)
        side = one_batch.training.images.shape[1]
        counts = counts_of(spec, side, batch=40)
        for name, expected in after["torch"].items():
            found = after[other.name][name]
            if name.endswith("running_var") and other.name != "torch":
                # PyTorch divides the sum of squares by n - 1, and the others by n.
                n = counts[name]
                kept = (1 - spec.norm_momentum) * before[name]
                expected = kept + (expected - kept) * (n - 1) / n
            moved = np.abs(expected - before[name]).max()
            assert moved > 0, name
            assert np.abs(found - expected).max() < 1e-3 * moved + 1e-6, name


def counts_of(spec, resolution, batch):
    """How many numbers each running variance is taken over."""
    after = sides(spec, resolution)
    counts, side = {}, after.stem
    counts["stem.norm.running_var"] = batch * after.convolution**2
    for i, (stage, stage_side) in enumerate(zip(spec.stages, after.stages, strict=True)):
        for j in range(stage.depth):
            for name in ("branch.a", "branch.b", "branch.c", "projection"):
                # Only the first convolution of an X or Z block comes before the stride.
                wide = name == "branch.a" and spec.block in ("x", "z")
                counts[f"stages.{i}.{j}.{name}.norm.running_var"] = batch * (side if wide else stage_side) ** 2
            side = stage_side
    return counts
