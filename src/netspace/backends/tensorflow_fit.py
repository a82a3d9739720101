"""A recipe in Keras's own terms, for netspace's training and for anybody's `fit`: rates, optimiser, loss, callback.

network.compile(optimizer=SGD(RecipeRates(recipe, steps), recipe.momentum, recipe.weight_decay), loss=loss(recipe))
network.fit(batches, steps_per_epoch=steps, epochs=recipe.epochs, callbacks=[ValidationError(split, normalise)])
"""

from collections.abc import Callable
from typing import Any

from netspace import values
from netspace.backends.tensorflow_import import keras, ops
from netspace.errors import InputError
from netspace.training.epochs import FloatArray, share_wrong
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import ByteArray, Split


@keras.saving.register_keras_serializable(package="netspace")
class RecipeRates(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of every step of a recipe, as a table; a step after the last keeps the last one's."""

    def __init__(self, recipe: TrainingRecipe, steps_per_epoch: int) -> None:
        self._recipe, self._steps = recipe, steps_per_epoch
        self._rates = [recipe.rate(step, steps_per_epoch) for step in range(recipe.epochs * steps_per_epoch)]

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, counted from 0 over the whole run."""
        last = len(self._rates) - 1
        return ops.take(ops.array(self._rates, "float32"), ops.minimum(ops.cast(step, "int32"), last))

    def get_config(self) -> dict[str, Any]:
        """Return what Keras's own `save` writes."""
        return {"recipe": values.to_dict(self._recipe), "steps_per_epoch": self._steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RecipeRates":
        """Return the rates of a configuration."""
        return cls(values.from_dict(TrainingRecipe, config["recipe"], error=InputError), config["steps_per_epoch"])


@keras.saving.register_keras_serializable(package="netspace")
class SGD(keras.optimizers.Optimizer):
    """SGD whose momentum is PyTorch's: v = momentum v + g + decay w, then w = w - rate v.

    Keras's own takes the rate into v, so that a falling rate acts late; its weight decay stays out of v.
    """

    def __init__(
        self, learning_rate: Any = 0.05, momentum: float = 0.9, decay: float = 0.0, name: str = "sgd", **options: Any
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.momentum, self.decay = momentum, decay

    def build(self, variables: list[keras.Variable]) -> None:
        """Begin every velocity at 0."""
        if not self.built:
            super().build(variables)
            self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step along one variable's velocity."""
        velocity = self.velocities[self._get_variable_index(variable)]
        moved = self.momentum * velocity + ops.cast(gradient, velocity.dtype) + self.decay * variable
        self.assign(velocity, moved)
        self.assign_sub(variable, ops.cast(learning_rate, velocity.dtype) * moved)

    def get_config(self) -> dict[str, Any]:
        """Return what Keras's own `save` writes."""
        return {**super().get_config(), "momentum": self.momentum, "decay": self.decay}


def loss(recipe: TrainingRecipe) -> keras.losses.Loss:
    """Return the loss [nats] of logits against one-hot labels, smoothed as the recipe says."""
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=recipe.label_smoothing, dtype="float32"
    )


class ValidationError(keras.callbacks.Callback):
    """Judges a network after every epoch: `error` in [0, 1], and "validation_error" in Keras's logs and history."""

    def __init__(self, split: Split, normalise: Callable[[ByteArray], FloatArray], metric: str = "error") -> None:
        super().__init__()
        self.error = 1.0
        self._split, self._normalise, self._metric = split, normalise, metric

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take the split's error, by whether each image's highest logit is its label's."""
        network = self.model
        self.error = share_wrong(
            lambda images: network.predict_on_batch(self._normalise(images)),
            self._split.images,
            self._split.labels,
            self._metric,
        )
        if logs is not None:
            logs["validation_error"] = self.error
