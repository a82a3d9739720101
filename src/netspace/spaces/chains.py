"""One parameter along the stages: its law and all its relations as one automaton, to count, draw and recognise.

The automaton's state after a stage is what its relations remember. Going backwards through the stages gives, for
every state, how many ways lead to an end that all relations accept, and with which weight: the first is an exact
count, the second makes a draw direct, stage by stage, with nothing rejected. What is drawn has the law of
independent stages *conditioned* on the relations; ties weigh what they weigh there.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.errors import ContradictionError, SpaceError
from netspace.networks.spec import FloatArray, IntArray
from netspace.spaces.laws import Inverse, Law, law_values, probabilities
from netspace.spaces.relations import Relation, Share

LARGEST_LAYER = 2**22
"""The most transitions (states x values) of a stage; more would take minutes."""

DEAD = -1
"""The state that no accepted end can be reached from."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Chain:
    """The values that a parameter can take along the stages.

    `values` has shape (v,). `steps[i]` has shape (states before stage i, v): the state after each value, or DEAD.
    There is one state before the first stage, and every state can reach an accepted end.
    """

    values: FloatArray
    steps: tuple[IntArray, ...]
    inverses: tuple[Inverse, ...]

    def draw(self, uniform: FloatArray) -> FloatArray:
        """Return values of shape (n, stages) from uniform numbers in [0, 1) of that shape."""
        index = np.empty(uniform.shape[::-1], dtype=np.int64)  # stage by stage, which is how all that follows reads it
        state = np.zeros(len(uniform), dtype=np.int64)
        for stage, (step, inverse) in enumerate(zip(self.steps, self.inverses, strict=True)):
            index[stage] = inverse(uniform[:, stage], state)
            if stage + 1 < len(self.steps) and len(self.steps[stage + 1]) > 1:
                state = step.ravel().take(state * len(self.values) + index[stage])
            else:
                state = np.zeros(len(uniform), dtype=np.int64)
        return self.values.take(index).T

    def count(self) -> int:
        """Return the exact number of value sequences."""
        ways: Any = np.ones(self.steps[-1].max() + 1, dtype=object)
        for step in reversed(self.steps):
            ways = np.where(step == DEAD, 0, ways[step]).sum(axis=1)
        return int(ways[0])

    def reads(self, sequence: Sequence[float]) -> bool:
        """Return whether a draw can be this sequence of values."""
        state = 0
        for step, value in zip(self.steps, sequence, strict=True):
            index = int(np.searchsorted(self.values, value))
            if index == len(self.values) or self.values[index] != value:
                return False
            state = int(step[state, index])
            if state == DEAD:
                return False
        return True

    def sequences(self, allowed: Sequence[npt.NDArray[np.bool_]] | None = None) -> FloatArray:
        """Return all value sequences, shape (count, stages); `allowed[i]` (v,) keeps some values of stage i."""
        rows = np.empty((1, 0))
        state = np.zeros(1, dtype=np.int64)
        for stage, step in enumerate(self.steps):
            alive = step[state] != DEAD
            if allowed is not None:
                alive &= allowed[stage]
            row, index = np.nonzero(alive)
            rows = np.column_stack([rows[row], self.values[index]])
            state = step[state[row], index]
        return rows


@functools.lru_cache(maxsize=512)
def chain(law: Law, relations: tuple[Relation, ...], num_stages: int) -> Chain:
    """Return the automaton of a parameter's law and relations (all about that parameter).

    Raises: SpaceError where no values satisfy them, naming two that contradict each other where two do.
    """
    made = _chain(law, relations, num_stages)
    if made is not None:
        return made
    for one, other in itertools.combinations_with_replacement(relations, 2):
        if _chain(law, (one, other), num_stages) is None:
            names = " and ".join(dict.fromkeys(repr(r.describe()) for r in (one, other)))
            raise ContradictionError(
                f"{names} {'contradicts' if one is other else 'contradict'} "
                f"{'the law ' if one is other else 'each other under '}{law.describe()} "
                f"in {num_stages} stages: no values satisfy {'it' if one is other else 'both'}"
            )
    together = ", ".join(repr(relation.describe()) for relation in relations)
    raise ContradictionError(f"{together} contradict each other: no values of {law.describe()} satisfy all of them")


def _chain(law: Law, relations: tuple[Relation, ...], num_stages: int) -> Chain | None:
    values, chances = law_values(law), probabilities(law)
    layers, accepted = _forward(values, relations, num_stages)
    if not accepted.any():
        return None
    drawn_once = any(isinstance(relation, Share) for relation in relations)
    steps: list[IntArray] = []
    inverses: list[Inverse] = []
    weight: FloatArray = accepted.astype(np.float64)
    for stage in reversed(range(num_stages)):
        step = layers[stage]
        ahead = np.where(step == DEAD, 0.0, weight[step])
        table = ahead * (1.0 if drawn_once and stage else chances)
        steps.append(np.where(ahead > 0, step, DEAD))
        inverses.append(Inverse.of(table))
        weight = table.sum(axis=1)
    if not weight[0] > 0:
        return None
    return Chain(values=values, steps=tuple(reversed(steps)), inverses=tuple(reversed(inverses)))


def _forward(
    values: FloatArray, relations: tuple[Relation, ...], num_stages: int
) -> tuple[list[IntArray], npt.NDArray[np.bool_]]:
    """Return every stage's transitions between states that can be reached, and which last ones are accepted."""
    states: FloatArray = np.array([[relation.start for relation in relations]])
    layers = []
    for stage in range(num_stages):
        if relations and len(states) * len(values) > LARGEST_LAYER:
            raise SpaceError(
                f"{relations[0].parameter}: its relations together have {len(states):,} states for {len(values):,} "
                "values, too many to count; narrow its range or take one relation away"
            )
        after = np.empty((len(states), len(values), len(relations)))
        for i, relation in enumerate(relations):
            after[:, :, i] = relation.step(stage, states[:, i, None], values[None, :])
        allowed = ~np.isnan(after).any(axis=2)
        step = np.full(allowed.shape, DEAD, dtype=np.int64)
        if relations:
            states, number = np.unique(after[allowed], axis=0, return_inverse=True)
            step[allowed] = number.reshape(-1)
        else:
            step[:] = 0
        layers.append(step)
        if not allowed.any():
            return layers, np.zeros(0, dtype=bool)
    accepted = np.ones(len(states), dtype=bool)
    for i, relation in enumerate(relations):
        accepted &= relation.accepts(states[:, i])
    return layers, accepted
