"""In which order the trials of a run begin."""

from collections import Counter

from netspace.launching import in_turn
from netspace.networks.complexity import complexity
from netspace.networks.spec import NetworkSpec, Stage
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial


def trial(width: int) -> Trial:
    spec = NetworkSpec(stages=(Stage(depth=1, width=width, stride=2),), in_channels=1)
    return Trial(network=spec, recipe=TrainingRecipe(), data="0" * 32)


def test_spaces_take_turns_and_the_last_quarter_goes_from_large_to_small() -> None:
    spaces = [tuple(trial(8 * (1 + 3 * i + space)) for i in range(4)) for space in range(3)]
    order = in_turn(spaces, 16)
    assert order[:9] == [space[i] for i in range(3) for space in spaces]
    sizes = [complexity(one.network, 16).activations for one in order[9:]]
    assert sizes == sorted(sizes, reverse=True) != sorted(sizes)
    assert Counter(one.id for one in order) == Counter(one.id for space in spaces for one in space)


def test_few_trials_stay_in_turn() -> None:
    spaces = [(trial(8),), (trial(64),)]
    assert in_turn(spaces, 16) == [trial(8), trial(64)]
    assert in_turn([], 16) == []
