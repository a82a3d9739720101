"""What ties the stages of a space's networks together, in words."""

from netspace.spaces.union import Space, SpaceUnion


def ties(space: Space) -> tuple[str, ...]:
    """Return a few words for each thing that ties the stages of a space together.

    >>> from netspace.spaces.catalog import space
    >>> ties(space("regnety"))[1:]
    ('bottleneck_ratio is shared', 'group_width is shared', 'squeeze-and-excitation 0.25')
    """
    if isinstance(space, SpaceUnion):
        return (f"union of {len(space.members)}: {', '.join(member.name for member in space.members)}",)
    tied = [relation.describe() for relation in space.relations]
    if space.is_linear:
        tied.insert(0, "widths and depths by the RegNet rule")
    if space.se_ratio is not None:
        tied.append(f"squeeze-and-excitation {space.se_ratio:g}")
    return tuple(tied) or ("every stage free",)
