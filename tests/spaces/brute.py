"""Relations once more, in the plainest words: what the library's automata are held against."""

import itertools

from netspace.spaces.relations import Constant, Decreasing, Different, Fixed, Increasing, Ratio, Total, Violation


def holds(relation, row):
    row = list(row)
    steps = list(itertools.pairwise(row))
    match relation:
        case Constant():  # and Share
            return len(set(row)) == 1
        case Increasing(strict=strict):
            return all(a < b if strict else a <= b for a, b in steps)
        case Decreasing(strict=strict):
            return all(a > b if strict else a >= b for a, b in steps)
        case Different():
            return all(a != b for a, b in steps)
        case Ratio(low=low, high=high):
            return all(low * a <= b <= high * a for a, b in steps)
        case Total(low=low, high=high):
            return low <= sum(row) <= high
        case Fixed(values=values):
            return row == list(values)
        case Violation(relation=inner):
            return not holds(inner, row)
    raise AssertionError(relation)
