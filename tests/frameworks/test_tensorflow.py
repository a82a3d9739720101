"""What is Keras's alone: its defaults and layouts that are not PyTorch's, its `fit`, its saving, its other backends."""

# ruff: noqa: E402 - without the framework, the imports are not reached

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="the extra 'tensorflow' is not installed")
pytest.importorskip("tensorflow", reason="the extra 'tensorflow' is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is what Keras is compared with")

import netspace as ns
from netspace.backends import get_backend
from netspace.backends.tensorflow_fit import SGD, RecipeRates, ValidationError, loss
from netspace.backends.tensorflow_import import keras, layers, ops
from netspace.backends.tensorflow_model import AnyNet, Block, GroupedConv2D, variables
from netspace.backends.tensorflow_training import seed_dropping
from netspace.errors import InputError
from netspace.networks.plan import plan
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.networks.tensors import initial_tensors
from netspace.training.data import DataChoice, load
from netspace.training.epochs import Batches
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

ROOT = Path(__file__).parents[2]
SPEC = NetworkSpec(
    stages=(Stage(depth=2, width=16, group_width=8, stride=1), Stage(depth=1, width=32, group_width=8)),
    stem=Stem(width=8, stride=1),
    num_classes=10,
    in_channels=1,
)


@pytest.fixture(scope="module")
def backend():
    return get_backend("tensorflow")


@pytest.fixture(scope="module")
def digits():
    data = load(DataChoice(name="digits"))
    fewer = dataclasses.replace(data.training, images=data.training.images[:200], labels=data.training.labels[:200])
    return dataclasses.replace(data, training=fewer)


def parts(network, kind):
    return [layer for layer in network._flatten_layers() if isinstance(layer, kind)]


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


class TestLayout:
    def test_same_is_not_padding_1_at_stride_2_on_even_sides(self):
        x, kernel = normal(1, 8, 8, 3), normal(3, 3, 3, 4)
        network = AnyNet(dataclasses.replace(SPEC, in_channels=3, stem=Stem(width=4)))
        network.stem.conv.set_weights([kernel])
        padded = torch.nn.functional.conv2d(
            torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(kernel.transpose(3, 2, 0, 1)), stride=2, padding=1
        )
        ours = np.asarray(network.stem.conv(network.stem.pad(x)))
        np.testing.assert_allclose(ours, padded.permute(0, 2, 3, 1).numpy(), atol=1e-5)
        same = np.asarray(ops.conv(x, kernel, strides=2, padding="same", data_format="channels_last"))
        assert np.abs(same - ours).max() > 0.1

    @pytest.mark.parametrize("activation", ["silu", "gelu"])
    def test_the_max_pool_s_edge_never_wins(self, backend, activation):
        stem = Stem(width=8, kernel_size=7, stride=1, max_pool=True)
        spec = dataclasses.replace(SPEC, stem=stem, activation=activation)
        tensors = initial_tensors(spec, 0)
        tensors["stem.norm.bias"] -= 1.0  # all activations are then negative somewhere
        reference, images = get_backend("torch"), normal(2, 12, 12, 1)
        with torch.no_grad():
            theirs = reference.with_arrays(spec, tensors).stem(torch.from_numpy(images).permute(0, 3, 1, 2))
        ours = np.asarray(backend.with_arrays(spec, tensors).stem(images))
        np.testing.assert_allclose(ours, theirs.permute(0, 2, 3, 1).numpy(), atol=1e-5)
        assert ours.max(axis=(1, 2)).min() < 0

    @pytest.mark.parametrize("groups", [1, 2, 8])
    def test_groups_keep_keras_s_own_kernel(self, groups):
        x = normal(2, 6, 6, 8)
        ours, native = (
            kind(16, 3, groups=groups, data_format="channels_last") for kind in (GroupedConv2D, layers.Conv2D)
        )
        for layer in (ours, native):
            layer.build((None, None, None, 8))
        ours.set_weights(native.get_weights())
        np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(native(x)), atol=1e-5)

    def test_every_channel_a_group(self):
        x = normal(2, 6, 6, 8)
        ours, native = (kind(8, 3, 2, groups=8, data_format="channels_last") for kind in (GroupedConv2D, layers.Conv2D))
        for layer in (ours, native):
            layer.build((None, None, None, 8))
        ours.set_weights(native.get_weights())
        np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(native(x)), atol=1e-5)

    def test_channels_first_adds_the_bias_to_columns_where_width_equals_filters(self):
        """Why every layer here is channels last; when this fails, Keras has mended it."""
        given, bias = normal(1, 4, 4, 4), np.arange(4, dtype=np.float32)
        found = np.asarray(ops.add(ops.array(given), ops.reshape(bias, (1, 4, 1, 1))))
        assert not np.allclose(found, given + bias.reshape(1, 4, 1, 1))

    def test_a_user_s_own_defaults_change_nothing(self, backend):
        spec = dataclasses.replace(SPEC, conv_bias=True, block="z", se_ratio=0.5)
        tensors, images = initial_tensors(spec, 0), normal(2, 8, 8, 1)
        before = backend.logits(backend.with_arrays(spec, tensors), images)
        try:
            keras.config.set_image_data_format("channels_first")
            keras.config.set_floatx("float16")
            keras.config.set_dtype_policy("mixed_float16")
            after = backend.logits(backend.with_arrays(spec, tensors), images)
        finally:
            keras.config.set_image_data_format("channels_last")
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")
        np.testing.assert_array_equal(before, after)

    def test_mixed_up_axes_are_refused_by_the_module(self):
        network = ns.build(dataclasses.replace(SPEC, in_channels=3), backend="tensorflow")
        for call in (network, network.features):
            with pytest.raises(InputError, match=r"images \(of shape \(2, 3, 8, 8\)\) must be \(batch, height, width,"):
                call(normal(2, 3, 8, 8))

    def test_a_path_is_a_neutral_name(self):
        paths = [variable.path for variable in variables(AnyNet(SPEC)).values()]
        assert "anynet/stages_0/1/branch/a/conv/kernel" in paths
        assert len(set(paths)) == len(paths)


class TestNorms:
    def test_have_the_network_s_epsilon_and_momentum(self):
        network = AnyNet(dataclasses.replace(SPEC, norm_eps=1e-4, norm_momentum=0.3))
        norms = parts(network, layers.BatchNormalization)
        assert len(norms) == 12
        assert {(norm.epsilon, norm.momentum) for norm in norms} == {(1e-4, 0.7)}

    def test_keep_the_biased_variance(self):
        network = ns.build(SPEC, backend="tensorflow")
        x = normal(2, 4, 4, 1)
        seen = np.asarray(network.stem.conv(network.stem.pad(x)))
        network(x, training=True)
        found = np.asarray(network.stem.norm.moving_variance)
        np.testing.assert_allclose(found, 0.9 + 0.1 * seen.var(axis=(0, 1, 2)), rtol=1e-4)


class TestDropping:
    def test_takes_whole_branches_of_single_images(self):
        block = Block(plan(SPEC).stages[0].rest, SPEC, 0.5)
        kept = np.asarray(block.drop(np.ones((64, 3, 3, 16), np.float32), training=True)).reshape(64, -1)
        assert (kept == kept[:, :1]).all()
        assert set(kept[:, 0]) == {0.0, 2.0}

    def test_leaves_alone_what_has_no_shortcut(self):
        spec = dataclasses.replace(SPEC, block="z", stochastic_depth=0.5)
        rates = [block.drop.rate for stage in AnyNet(spec).stages for block in stage.blocks]
        assert rates == [0.0, 0.25, 0.0]


class TestFit:
    def test_the_optimiser_is_pytorch_s_when_the_rate_falls(self):
        recipe = TrainingRecipe(epochs=1, learning_rate=0.3, momentum=0.9, weight_decay=0.1)
        theirs = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        reference = torch.optim.SGD([theirs], lr=1.0, momentum=0.9, weight_decay=0.1)
        ours, keras_s = (keras.Variable([1.0, -2.0], dtype="float32") for _ in range(2))
        optimiser = SGD(RecipeRates(recipe, 5), recipe.momentum, recipe.weight_decay)
        native = keras.optimizers.SGD(RecipeRates(recipe, 5), momentum=0.9, weight_decay=0.1)
        for step in range(5):
            reference.param_groups[0]["lr"] = recipe.rate(step, 5)
            theirs.grad = theirs.detach() ** 3
            reference.step()
            optimiser.apply([ops.power(ours, 3)], [ours])
            native.apply([ops.power(keras_s, 3)], [keras_s])
        np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=1e-5)
        assert np.abs(np.asarray(keras_s) - np.asarray(ours)).max() > 0.01

    def test_a_user_s_own_is_the_backend_s_training(self, backend, digits):
        recipe = TrainingRecipe(epochs=1, batch_size=50, learning_rate=0.1, label_smoothing=0.1)
        trial = Trial(network=SPEC, recipe=recipe, data=digits.fingerprint)
        said = backend.train(trial, digits)

        network = backend.build(SPEC, seed=trial.stream_seed("initialisation"))
        batches = Batches(trial, digits)
        order = np.argsort(np.random.Philox(key=trial.stream_seed("order")).random_raw(200), kind="stable")
        stream = ((images, np.eye(10)[labels]) for images, labels in map(batches, np.split(order, 4)))
        network.compile(SGD(RecipeRates(recipe, 4), 0.9, recipe.weight_decay), loss(recipe), jit_compile=False)
        judge = ValidationError(digits.validation, batches.normalised)
        seed_dropping(network, 0)
        history = network.fit(stream, steps_per_epoch=4, callbacks=[judge], shuffle=False, verbose=0).history
        assert history["loss"] == [said.curve[0].training_loss]
        assert history["validation_error"] == [judge.error] == [said.error]

    def test_bfloat16_leaves_float32_weights_in_a_given_network(self, backend, digits):
        recipe = TrainingRecipe(epochs=1, batch_size=100, precision="bfloat16")
        network = backend.build(SPEC)
        before = backend.arrays(network)
        backend.train(Trial(network=SPEC, recipe=recipe, data=digits.fingerprint), digits, network=network)
        after = backend.arrays(network)
        for name, tensor in before.items():
            assert after[name].dtype == np.float32
            assert (after[name] != tensor).any(), name
        # Sums of bfloat16 products, but steps that bfloat16 has no numbers for.
        kernel = after["stages.1.0.branch.a.conv.weight"]
        assert (kernel != kernel.astype("bfloat16").astype(np.float32)).mean() > 0.5

    @pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's, under NumPy 2
    def test_keras_s_own_saving_keeps_network_and_rates(self, tmp_path):
        recipe = TrainingRecipe(epochs=1)
        network = ns.build(SPEC, backend="tensorflow", seed=3)
        network.compile(SGD(RecipeRates(recipe, 4), 0.8, 0.1), loss(recipe))
        network.optimizer.build(network.trainable_variables)  # as the first step does
        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        assert again.spec == SPEC
        assert again.optimizer.get_config() == network.optimizer.get_config()
        np.testing.assert_array_equal(np.asarray(again(normal(1, 8, 8, 1))), np.asarray(network(normal(1, 8, 8, 1))))

    def test_another_number_of_threads_is_refused(self, backend, digits):
        backend.logits(backend.build(SPEC), normal(1, 8, 8, 1))  # TensorFlow has begun
        trial = Trial(network=SPEC, recipe=TrainingRecipe(epochs=1), data=digits.fingerprint, threads=7)
        with pytest.raises(
            InputError, match=r"threads \(=7\) must be 1, .* start Python with TF_NUM_INTRAOP_THREADS=7"
        ):
            backend.train(trial, digits)


def test_its_versions_name_what_computes(backend):
    assert sorted(backend.versions()) == ["keras", "tensorflow"]


@pytest.mark.slow
@pytest.mark.parametrize("below", ["jax", "torch"])
def test_the_same_module_runs_on_keras_s_other_backends(below):
    pytest.importorskip(below, reason=f"{below} is not installed")
    chosen = "tensorflow and (chapter_s_network or come_back or (is_pytorch_s and -x) or another_layout or dropping_is)"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen]
    # Keras asks NumPy for PyTorch's tensors in a way that NumPy 2 gives up.
    command += ["-W", "ignore:__array__ implementation:DeprecationWarning", "tests/contracts"]
    done = run(command, KERAS_BACKEND=below)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n6 passed" in done.stdout


@pytest.mark.slow
def test_float64_is_refused_where_keras_would_lower_it():
    code = (
        "import numpy as np; from netspace.backends import get_backend; import netspace as ns;"
        "get_backend('tensorflow').module(ns.network('regnetx32'), np.dtype(np.float64))"
    )
    done = run([sys.executable, "-c", code], KERAS_BACKEND="torch")
    assert "InputError: float64 must run on Keras's backend 'tensorflow'" in done.stderr


def run(command, **environment):
    source = {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | source | environment, capture_output=True, text=True, timeout=300
    )
