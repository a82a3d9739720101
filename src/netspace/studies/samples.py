"""The networks of a study: its spaces fitted to its data, a sample of each inside the budget.

Whatever its file says that cannot be is one sentence here, before anything is written.
"""

from netspace.backends import get_backend
from netspace.errors import InputError, OwnBlockError, SpaceError, SpecError, StudyFileError
from netspace.findings.assisted import draw_census
from netspace.spaces.own_blocks import check_own_blocks
from netspace.spaces.sample import Sample, sample
from netspace.spaces.union import Space
from netspace.studies.spec import StudySpec
from netspace.training.data import Dataset


def draw_samples(spec: StudySpec, data: Dataset) -> tuple[dict[str, Space], dict[str, Sample]]:
    """Return the spaces of a study and their samples, by name; recipe and own blocks are checked too.

    Raises: any InputError that the file deserves; MissingFrameworkError.
    """
    backend = get_backend(spec.backend)
    spec.check_fits(data)
    try:
        backend.check_recipe(spec.recipe)
    except InputError as problem:
        raise StudyFileError(f"recipe.{problem}") from None
    spaces = spec.design_spaces(num_classes=data.num_classes, in_channels=data.in_channels, resolution=data.resolution)
    try:
        for one in spaces.values():
            check_own_blocks(one, lambda spec: backend.check(spec, data.resolution))
        samples = {
            name: sample(
                space,
                spec.networks,
                seed=spec.seed,
                resolution=data.resolution,
                budget=spec.budget.budget(),
            )
            for name, space in spaces.items()
        }
    except OwnBlockError:
        raise  # it names the file itself
    except SpecError as problem:
        raise StudyFileError(f"num_stages (={spec.num_stages}) or stem: {problem}") from None
    except SpaceError as problem:
        raise StudyFileError(f"budget: {problem}") from None
    for name, drawn in samples.items():
        if drawn.exhausted:
            raise StudyFileError(
                f"networks (={spec.networks}): {name} holds only {len(drawn.networks)} in the budget; "
                f"the nearest is {len(drawn.networks)}"
            )
    return spaces, samples


def draw_censuses(spec: StudySpec, data: Dataset) -> dict[str, Sample]:
    """Return many fresh networks of every space inside the budget, by another seed than the study's; none is trained.

    Raises: OwnBlockError.
    """
    spaces = spec.design_spaces(num_classes=data.num_classes, in_channels=data.in_channels, resolution=data.resolution)
    seed, budget = (spec.seed + 1) % 2**63, spec.budget.budget()
    return {
        name: draw_census(space, seed=seed, resolution=data.resolution, budget=budget) for name, space in spaces.items()
    }
