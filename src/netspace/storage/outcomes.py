"""What became of a population whose networks are known only as numbers: anyone's, not only ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Errors of trained networks with whatever numbers came with them; every array has shape (networks,).

    `errors` are in [0, 1], infinite for failures. `complexity` holds those of flops, params and activations that are
    known; `parameters` every other number, NaN where a network has none.
    """

    name: str
    errors: FloatArray
    complexity: Mapping[str, FloatArray] = field(default_factory=dict)
    parameters: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.errors)

    @property
    def trained(self) -> tuple[int, ...]:
        """The positions of the networks that have a result: all of them."""
        return tuple(range(len(self)))

    @property
    def varying(self) -> dict[str, FloatArray]:
        """The parameters that differ between networks."""
        return {
            name: column for name, column in self.parameters.items() if np.unique(column[column == column]).size > 1
        }
