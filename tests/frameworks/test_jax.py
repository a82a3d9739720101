"""What is JAX's alone: Flax's defaults that are not ours, groups, streams of random numbers, threads, float64."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netspace as ns
from netspace.backends import get_backend
from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial
from tests.own_blocks import CONVNEXT

jax = pytest.importorskip("jax", reason="JAX is not installed")
nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed")
pytest.importorskip("optax", reason="optax is not installed")

ROOT = Path(__file__).parents[2]
SPEC = NetworkSpec(
    stages=(Stage(depth=2, width=16, group_width=8), Stage(depth=1, width=32, group_width=8)),
    stem=Stem(width=16, stride=1),
    num_classes=10,
    in_channels=1,
)
DROPPING = dataclasses.replace(SPEC, dropout=0.5, stochastic_depth=0.5)


@pytest.fixture(scope="module")
def backend():
    return get_backend("jax")


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits"))


def images(side, batch=4, channels=1):
    return np.random.default_rng(0).standard_normal((batch, side, side, channels)).astype(np.float32)


def fresh(code, **environment):
    """What a fresh process prints, of which JAX has not yet started."""
    clean = {"PATH": "", "PYTHONPATH": str(ROOT / "src"), **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


class TestTheModule:
    def test_is_flax_s_own(self):
        network = ns.build(SPEC, backend="jax")
        assert isinstance(network, nnx.Module)
        assert isinstance(network.stages[0][1].branch.b.conv, nnx.Conv)
        assert [part.shape for part in network.features(images(8))] == [(4, 4, 4, 16), (4, 2, 2, 32)]
        assert network(images(8)).shape == (4, 10)

    def test_pads_both_sides_alike_where_same_padding_would_not(self):
        conv = ns.build(SPEC, backend="jax").stages[0][0].branch.b.conv
        assert conv.strides == 2
        assert conv.padding == ((1, 1), (1, 1))
        x = jax.numpy.asarray(np.random.default_rng(0).standard_normal((1, 8, 8, 16)), jax.numpy.float32)
        same = nnx.clone(conv)
        same.padding = "SAME"
        assert same(x).shape == conv(x).shape
        assert np.abs(same(x) - conv(x)).max() > 0.1

    def test_has_our_epsilon_and_momentum_in_flax_s_sense(self):
        spec = dataclasses.replace(SPEC, norm_eps=1e-4, norm_momentum=0.3)
        network = ns.build(spec, backend="jax")
        norms = [module for _, module in nnx.iter_modules(network) if isinstance(module, nnx.BatchNorm)]
        assert len(norms) == 12
        assert {(norm.epsilon, norm.momentum) for norm in norms} == {(1e-4, 0.7)}

    def test_keeps_the_variance_of_numbers_far_from_zero(self):
        network = ns.build(SPEC, backend="jax")
        far = 3000.0 + np.random.default_rng(0).standard_normal((4, 8, 8, 16)).astype(np.float32)
        network.stem.norm(far)
        expected = 0.9 + 0.1 * far.astype(np.float64).var((0, 1, 2))  # of n, where PyTorch keeps that of n - 1
        np.testing.assert_allclose(network.stem.norm.var.get_value(), expected, rtol=1e-4)

    def test_has_the_exact_gelu(self):
        network = ns.build(dataclasses.replace(SPEC, activation="gelu"), backend="jax")
        assert network.stem.activation(2.0) == pytest.approx(1.9544997, abs=1e-6)  # the approximation: 1.9545977

    def test_tells_the_layout_that_it_takes(self):
        network = ns.build(dataclasses.replace(SPEC, in_channels=3), backend="jax")
        with pytest.raises(InputError, match=r"\(4, 3, 8, 8\)\) must be \(batch, height, width, channels\) with .* 3"):
            network(images(8, channels=3).transpose(0, 3, 1, 2))

    def test_in_training_mode_moves_running_statistics_and_in_evaluation_mode_does_not(self, backend):
        network = ns.build(SPEC, backend="jax")
        before = backend.arrays(network)["stem.norm.running_var"]
        backend.logits(network, images(8))
        assert np.array_equal(backend.arrays(network)["stem.norm.running_var"], before)
        network(images(8))
        assert not np.array_equal(backend.arrays(network)["stem.norm.running_var"], before)

    def test_has_no_blocks_of_a_user_s_own(self):
        spec = dataclasses.replace(SPEC, block="own", own_block=ns.OwnBlock.of(CONVNEXT))
        with pytest.raises(InputError, match=r"backend 'jax' has no blocks of a user's own"):
            ns.build(spec, backend="jax")


class TestDropping:
    def test_is_per_image_and_divided_by_the_kept_share(self):
        drop = ns.build(DROPPING, backend="jax").stages[0][1].drop
        assert drop.rate == 0.25  # the second of three
        dropped = np.asarray(drop(np.ones((400, 2, 2, 3), np.float32)))
        assert (dropped == dropped[:, :1, :1, :1]).all()
        assert set(dropped.ravel().tolist()) == {0.0, np.float32(1 / 0.75)}
        assert dropped.mean() == pytest.approx(1.0, abs=0.15)

    def test_draws_anew_at_every_call_and_layer(self):
        network = ns.build(DROPPING, backend="jax")
        ones = np.ones((64, 1, 1, 1), np.float32)
        drops = [network.stages[0][1].drop, network.stages[1][0].drop]
        drawn = [np.asarray(drop(ones)) > 0 for drop in (*drops, drops[0])]
        assert not any(np.array_equal(drawn[i], drawn[j]) for i, j in ((0, 1), (0, 2), (1, 2)))

    def test_depends_on_all_bits_of_the_seed(self):
        from netspace.backends.jax_model import abstract, fresh_streams

        network = abstract(DROPPING)
        keys = [
            [
                jax.random.key_data(leaf).tolist()
                for leaf in jax.tree.leaves(fresh_streams(network, seed))
                if leaf.dtype != np.uint32
            ]
            for seed in (1, 1 + 2**32, 1 + 2**62)
        ]
        assert len({str(key) for key in keys}) == 3
        assert len({str(key) for key in keys[0]}) == 3  # one for dropout, two for the blocks that may be dropped


GROUPS = [(16, 2), (16, 4), (24, 12), (32, 2), (8, 8), (40, 20), (136, 17)]


class TestGroups:
    @pytest.mark.parametrize(("width", "groups"), GROUPS)
    @pytest.mark.parametrize("stride", [1, 2])
    def test_every_form_gives_the_same_outputs_and_gradients(self, width, groups, stride):
        from netspace.backends import jax_grouped

        generator = np.random.default_rng(0)
        x = generator.standard_normal((2, 6, 6, width)).astype(np.float32)
        kernel = generator.standard_normal((3, 3, width // groups, width)).astype(np.float32)

        def outputs(form):
            def loss(x, kernel):
                numbers = ("NHWC", "HWIO", "NHWC")
                sides = ((1, 1), (1, 1))
                y = form(x, kernel, (stride,) * 2, sides, dimension_numbers=numbers, feature_group_count=groups)
                return (y**2).sum()

            return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(x, kernel)

        expected = jax.tree.leaves(outputs(jax_grouped.native))
        for form in (jax_grouped.split, jax_grouped.block_diagonal, jax_grouped.product, jax_grouped.convolution):
            for found, wanted in zip(jax.tree.leaves(outputs(form)), expected, strict=True):
                assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()

    @pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator has XLA's own groups alone")
    @pytest.mark.parametrize(
        ("width", "groups", "side", "stride", "form"),
        [
            (128, 16, 4, 1, "split"),
            (136, 17, 4, 1, "product"),
            (136, 17, 8, 2, "product"),
            (136, 17, 5, 1, "split"),
            (68, 17, 4, 1, "product"),
            (68, 17, 5, 1, "block_diagonal"),
            (17, 17, 4, 1, "native"),
        ],
    )
    def test_many_groups_on_few_places_are_compiled_as_one_product(self, width, groups, side, stride, form):
        from netspace.backends import jax_grouped

        shapes = (64, side, side, width), (3, 3, width // groups, width)
        found = jax_grouped.form_for(*shapes, (stride,) * 2, ((1, 1),) * 2, groups=groups)
        assert found is getattr(jax_grouped, form)

    @pytest.mark.skipif(
        jax.default_backend() != "cpu", reason="XLA's own groups are used where there is an accelerator"
    )
    @pytest.mark.parametrize(("width", "groups", "convolutions"), [(16, 1, 1), (16, 2, 2), (24, 12, 1), (8, 8, 1)])
    def test_on_a_processor_xla_s_groups_are_used_for_single_channels_only(self, width, groups, convolutions):
        spec = NetworkSpec(stages=(Stage(depth=1, width=width, group_width=width // groups),), stem=Stem(width=width))
        conv = ns.build(spec, backend="jax").stages[0][0].branch.b.conv
        assert conv.kernel.shape == (3, 3, width // groups, width)
        told = str(jax.make_jaxpr(lambda x: conv(x))(np.zeros((1, 8, 8, width), np.float32)))
        assert told.count("conv_general_dilated[") == convolutions
        assert ("feature_group_count=8" in told) == (groups == width)


class TestFloat64:
    def test_is_not_cut_to_float32_in_silence(self, backend):
        tensors = {
            name: array.astype(np.float64) for name, array in backend.arrays(ns.build(SPEC, backend="jax")).items()
        }
        network = backend.with_arrays(SPEC, tensors)
        assert {array.dtype for array in backend.arrays(network).values()} == {np.dtype(np.float64)}
        given = images(8).astype(np.float64)
        with pytest.raises(InputError, match=r"network \(of float64\) would be computed in float32; .*enable_x64"):
            network(given)
        with jax.enable_x64(True):
            found = network(given)
        np.testing.assert_array_equal(found, backend.logits(network, given))
        assert found.dtype == np.float64


class TestTraining:
    def test_changes_the_network_that_it_is_given_and_leaves_its_mode(self, backend, digits):
        given = backend.arrays(ns.build(SPEC, backend="jax"))
        kept = {name: array.copy() for name, array in given.items()}
        network = backend.with_arrays(SPEC, given)
        network.train()
        before = backend.arrays(network)
        said = []

        def on_epoch(record):
            said.append(backend.arrays(network)["head.linear.weight"])

        trial = Trial(network=SPEC, recipe=TrainingRecipe(epochs=2, batch_size=500), data=digits.fingerprint)
        backend.train(trial, digits, network=network, on_epoch=on_epoch)
        assert not np.array_equal(said[0], before["head.linear.weight"])
        assert not np.array_equal(said[0], said[1])
        assert np.array_equal(said[1], backend.arrays(network)["head.linear.weight"])
        for name, array in kept.items():
            assert np.array_equal(before[name], array)
            assert np.array_equal(given[name], array)
        assert network.stem.norm.use_running_average is False

    def test_leaves_a_network_when_an_epoch_is_interrupted(self, backend, digits, monkeypatch):
        """After its first step, whose numbers have taken the memory of the network's own."""
        from netspace.backends.jax_training import Trained

        network, taken = ns.build(SPEC, backend="jax"), []
        before = backend.arrays(network)["head.linear.weight"]
        step = Trained.step

        def interrupted(self, *args):
            if taken:
                raise KeyboardInterrupt
            taken.append(step(self, *args))
            return taken[0]

        monkeypatch.setattr(Trained, "step", interrupted)
        trial = Trial(network=SPEC, recipe=TrainingRecipe(epochs=1, batch_size=500), data=digits.fingerprint)
        with pytest.raises(KeyboardInterrupt):
            backend.train(trial, digits, network=network)
        assert not np.array_equal(backend.arrays(network)["head.linear.weight"], before)
        assert np.isfinite(backend.logits(network, images(8))).all()

    def test_compiles_a_step_once_for_all_rates_and_recipes(self, backend, digits):
        from netspace.backends.jax_training import compiled

        compiled.cache_clear()
        for rate in (0.1, 0.2):
            recipe = TrainingRecipe(epochs=2, batch_size=500, learning_rate=rate, warmup_epochs=1.0, momentum=rate)
            backend.train(Trial(network=SPEC, recipe=recipe, data=digits.fingerprint), digits)
        step, logits = compiled(SPEC, "float32")
        assert compiled.cache_info().misses == 1
        assert step._cache_size() == logits._cache_size() == 1

    def test_in_bfloat16_keeps_weights_and_norms_in_float32(self, backend, digits):
        from netspace.backends.jax_model import abstract

        network = abstract(SPEC, dtype=jax.numpy.bfloat16)
        block = network.stages[0][0].branch
        x = jax.ShapeDtypeStruct((1, 8, 8, 16), np.float32)
        seen = nnx.eval_shape(lambda block, x: (block.b.conv(x), block.b.norm(block.b.conv(x)), block.b(x)), block, x)
        assert [part.dtype for part in seen] == [jax.numpy.bfloat16, np.float32, jax.numpy.bfloat16]
        recipe = TrainingRecipe(epochs=1, batch_size=500, precision="bfloat16")
        trained = ns.build(SPEC, backend="jax")
        backend.train(Trial(network=SPEC, recipe=recipe, data=digits.fingerprint), digits, network=trained)
        assert {array.dtype for array in backend.arrays(trained).values()} == {np.dtype(np.float32)}


THREADS = """
import os
from netspace.backends import get_backend
from netspace.backends.jax_threads import take_threads
from netspace.errors import InputError
get_backend("jax")
take_threads(3)
import jax.numpy
jax.numpy.zeros(3).block_until_ready()
tasks = os.listdir("/proc/self/task")
print(sum("XLAEigen" in open(f"/proc/self/task/{task}/comm").read() for task in tasks))
try:
    take_threads(1)
except InputError as problem:
    print(str(problem).replace(" ", "_"))
"""


ALONE = """
import os
import netspace as ns
from netspace.single import train_network, trial_of
from netspace.training.data import DataChoice, load
from netspace.networks.spec import NetworkSpec, Stage, Stem
spec = NetworkSpec(stages=(Stage(depth=1, width=8, group_width=8),), stem=Stem(width=8))
recipe = ns.TrainingRecipe(epochs=1, batch_size=500)
data = load(DataChoice(name="digits"))
done = train_network(trial_of(spec, data, recipe=recipe, backend="jax", threads=3), data)
tasks = os.listdir("/proc/self/task")
print(sum("XLAEigen" in open(f"/proc/self/task/{task}/comm").read() for task in tasks))
print(done.result.status)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
class TestThreads:
    def test_are_the_trial_s_where_jax_has_not_started(self):
        threads, refusal = fresh(THREADS, JAX_PLATFORMS="cpu")
        assert threads == "3"
        assert refusal.startswith("threads_(=1)_must_be_3,_with_which_JAX_has_started_in_this_process;")

    def test_are_taken_before_a_network_alone_is_built(self):
        assert fresh(ALONE, JAX_PLATFORMS="cpu") == ["3", "finished"]

    def test_that_were_chosen_otherwise_are_refused(self, backend):
        with pytest.raises(InputError, match=r"threads \(=7\) must be \d+, .* start Python with PJRT_NPROC=7"):
            backend.train(Trial(network=SPEC, recipe=TrainingRecipe(), data="", threads=7), None)
