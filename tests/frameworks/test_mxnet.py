"""What MXNet alone can get wrong: its norm, its pooling, its SGD, its two kinds of arrays, its threads, its exports."""

import dataclasses
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import netspace as ns
from netspace.backends import get_backend
from netspace.errors import InputError, MissingFrameworkError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial
from tests.contracts.test_backend_networks import STEMS, difference, disturbed, images_for, spec_of

try:
    mxnet = get_backend("mxnet")
except MissingFrameworkError as missing:
    pytest.skip(str(missing), allow_module_level=True)

import mxnet as mx

from netspace.backends.mxnet_model import array
from netspace.backends.mxnet_threads import get_threads
from netspace.backends.mxnet_training import set_rate

ROOT = Path(__file__).parents[2]
SMALL = NetworkSpec(
    stages=(Stage(depth=2, width=16, group_width=8),), stem=Stem(width=8, stride=1), num_classes=10, in_channels=1
)
RICH = {"se_ratio": 0.25, "activation": "gelu", "head_width": 24, "conv_bias": True}


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits"))


def trial(data, network=SMALL, threads=1, **recipe):
    recipe = TrainingRecipe(**({"epochs": 2, "batch_size": 100} | recipe))
    return Trial(network=network, recipe=recipe, data=data.fingerprint, threads=threads)


class TestNumbers:
    @pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
    def test_activations_are_of_double_precision_too(self, activation):
        # Gluon's own GELU has an error function of single precision: 1e-8.
        spec = spec_of("x", STEMS["max-pool"], se_ratio=0.25, activation=activation)
        assert difference(mxnet, get_backend("torch"), spec, 17, dtype=np.float64) < 1e-9

    def test_running_statistics_follow_the_biased_variance_by_the_new_batch_s_weight(self):
        network = mxnet.build(dataclasses.replace(SMALL, norm_momentum=0.3))
        x = array(images_for(SMALL, 8).transpose(0, 3, 1, 2))
        with mx.autograd.record():
            loss = network.stem(x).sum()
        loss.backward()  # which is when MXNet moves them
        y = network.stem.conv(x).asnumpy()
        mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3))
        np.testing.assert_allclose(network.stem.norm.running_mean.data().asnumpy(), 0.3 * mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(network.stem.norm.running_var.data().asnumpy(), 0.7 + 0.3 * variance, rtol=1e-4)

    def test_max_pooling_ignores_its_padding_where_all_is_negative(self):
        network = mxnet.build(spec_of("x", STEMS["max-pool"], activation="gelu"))
        pooled = network.stem.pool(array(np.full((1, 8, 5, 5), -2.0, np.float32))).asnumpy()
        np.testing.assert_array_equal(pooled, np.full((1, 8, 3, 3), -2.0))

    def test_features_are_the_stages_outputs(self):
        spec = spec_of("x", STEMS["stride-2"])
        tensors, images = disturbed(spec), images_for(spec, 16).transpose(0, 3, 1, 2).copy()
        ours = mxnet.with_arrays(spec, tensors).features(array(images))
        with torch.no_grad():
            theirs = get_backend("torch").with_arrays(spec, tensors).features(torch.from_numpy(images))
        assert len(ours) == len(theirs) == 2
        for found, expected in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(found.asnumpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


class TestDropping:
    def test_a_branch_is_dropped_by_the_image_and_else_scaled(self):
        network = mxnet.build(dataclasses.replace(SMALL, stochastic_depth=0.5))
        first, last = network.stages[0]
        assert "drop" not in first.branch._children  # the rate of the first block is 0
        mx.random.seed(0)
        with mx.autograd.train_mode():
            dropped = last.branch.drop(mx.nd.ones((400, 16, 2, 2))).asnumpy()
        kept = dropped[:, 0, 0, 0] > 0
        np.testing.assert_array_equal(dropped, np.broadcast_to(2.0 * kept[:, None, None, None], dropped.shape))
        assert 150 < kept.sum() < 250

    def test_a_branch_without_a_shortcut_is_never_dropped(self):
        # The last block of an MLP that changes its width has no shortcut: nothing would be left.
        stages = (Stage(depth=1, width=16, stride=1), Stage(depth=1, width=32, stride=1))
        spec = NetworkSpec(stages=stages, stem=Stem(width=16), block="mlp", stochastic_depth=0.5)
        assert "drop" not in mxnet.build(spec).stages[1][0].branch._children

    def test_what_was_drawn_before_changes_no_trial(self, digits):
        dropping = trial(digits, dataclasses.replace(SMALL, dropout=0.5, stochastic_depth=0.5))
        first = mxnet.train(dropping, digits)
        mx.nd.random.normal(shape=(7,)).wait_to_read()
        assert [r.training_loss for r in mxnet.train(dropping, digits).curve] == [r.training_loss for r in first.curve]


class TestSteps:
    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    def test_a_changing_rate_and_weight_decay_act_as_in_pytorch(self, momentum):
        begin, slopes = np.array([1.0, -2.0], np.float32), np.array([0.5, 0.25], np.float32)
        ours = mx.gluon.Parameter("gamma", shape=(2,))  # whose weight does not decay in MXNet's older trainers
        ours.initialize(mx.init.Zero())
        ours.set_data(array(begin))
        optimiser = mx.optimizer.SGD(learning_rate=0.1, momentum=momentum, wd=0.1)
        trainer = mx.gluon.Trainer([ours], optimiser, kvstore=None)
        theirs = torch.nn.Parameter(torch.tensor(begin))
        reference = torch.optim.SGD([theirs], lr=0.1, momentum=momentum, weight_decay=0.1)
        for rate in (0.1, 0.4, 0.2, 0.01):
            with mx.autograd.record():
                loss = (ours.data() * array(slopes)).sum()
            loss.backward()
            set_rate(optimiser, rate, momentum)
            trainer.step(1)
            reference.param_groups[0]["lr"] = rate
            theirs.grad = torch.tensor(slopes)
            reference.step()
        np.testing.assert_allclose(ours.data().asnumpy(), theirs.detach().numpy(), rtol=1e-6)


class TestGluon:
    def test_a_hybridized_and_an_exported_network_have_the_same_logits(self, tmp_path):
        spec = spec_of("x", STEMS["max-pool"], stochastic_depth=0.3, dropout=0.2, **RICH)
        network = mxnet.with_arrays(spec, disturbed(spec))
        images = images_for(spec, 17)
        expected = mxnet.logits(network, images)
        network.hybridize()
        np.testing.assert_array_equal(mxnet.logits(network, images), expected)
        network.export(str(tmp_path / "net"))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Cannot decide type")
            again = mx.gluon.SymbolBlock.imports(
                str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params")
            )
        np.testing.assert_array_equal(again(array(images.transpose(0, 3, 1, 2))).asnumpy(), expected)

    def test_arrays_of_mx_np_give_the_same_numbers(self, digits):
        spec = dataclasses.replace(SMALL, **RICH)
        images = images_for(spec, 8)
        expected = mxnet.logits(mxnet.build(spec), images)
        losses = [record.training_loss for record in mxnet.train(trial(digits, spec), digits).curve]
        with mx.util.np_shape(True), mx.util.np_array(True):
            network = mxnet.build(spec)
            assert type(network(array(images.transpose(0, 3, 1, 2)))) is mx.np.ndarray
            np.testing.assert_array_equal(mxnet.logits(network, images), expected)
            again = mxnet.train(trial(digits, spec), digits)
        assert [record.training_loss for record in again.curve] == losses

    def test_images_with_channels_last_are_refused_by_the_block_itself(self):
        network = mxnet.build(SMALL)
        for _ in range(2):
            with pytest.raises(
                InputError, match=r"\(2, 8, 8, 1\)\) must be \(batch, channels, height, width\) .* 1 chan"
            ):
                network(mx.nd.zeros((2, 8, 8, 1)))
            with pytest.raises(InputError, match=r"\(2, 8, 8, 1\)\) must be \(batch, channels, height, width\)"):
                network.features(mx.nd.zeros((2, 8, 8, 1)))
            network.hybridize()

    def test_weights_of_half_precision_are_refused(self):
        with pytest.raises(InputError, match="'mxnet' has no networks of float16, only of float32 and float64"):
            mxnet.with_arrays(SMALL, disturbed(SMALL, dtype=np.float16))


LOSSES = """
import sys
{first}
from netspace.backends import get_backend
from netspace.training.data import DataChoice, load
from tests.frameworks.test_mxnet import trial
data = load(DataChoice(name="digits"))
print([record.training_loss for record in get_backend("mxnet").train(trial(data), data).curve])
"""


class TestProcesses:
    def run(self, *arguments, **environment):
        inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        return subprocess.run(
            [sys.executable, *arguments],
            env=inherited | {"PYTHONPATH": paths} | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    @pytest.mark.parametrize("first", ["import torch", "import netspace.backends.mxnet_model"])
    def test_another_process_finds_the_same_numbers_whoever_set_the_threads_first(self, digits, first):
        expected = [record.training_loss for record in mxnet.train(trial(digits), digits).curve]
        assert self.run("-c", LOSSES.format(first=first), OMP_NUM_THREADS="2") == f"{expected}\n"

    def test_threads_are_the_trial_s(self, digits):
        for threads in (2, 1):
            mxnet.train(trial(digits, threads=threads, epochs=1, batch_size=1000), digits)
            assert get_threads() == threads


def test_a_network_of_another_backend_becomes_a_gluon_block():
    network = ns.convert(ns.build(SMALL), to="mxnet")
    assert isinstance(network, mx.gluon.HybridBlock)
    assert "stages.0.1.branch.b.norm.gamma" in network._collect_params_with_prefix()
