"""Hypothesis strategies for the domain's values, a line each."""

from hypothesis import strategies as st

from netspace.networks.spec import NetworkSpec, Stage, Stem

ratios = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])
stems = st.builds(Stem, width=st.integers(1, 24), kernel_size=st.sampled_from([1, 3, 5]), stride=st.integers(1, 2))


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    """A stage whose group width divides its inner width."""
    ratio, group_width, num_groups = draw(ratios), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    inner = group_width * num_groups
    if ratio < 1:
        inner *= round(1 / ratio)  # so that width = inner * ratio is whole, and still divisible
    return Stage(
        depth=draw(st.integers(1, 3)),
        width=round(inner * ratio),
        group_width=group_width,
        bottleneck_ratio=ratio,
        stride=draw(st.integers(1, 2)),
    )


specs = st.builds(
    NetworkSpec,
    stages=st.lists(stages(), min_size=1, max_size=3).map(tuple),
    stem=stems,
    num_classes=st.integers(1, 12),
    in_channels=st.sampled_from([1, 3]),
    conv_bias=st.booleans(),
    se_ratio=st.sampled_from([None, 0.25]),
)
