"""Hypothesis strategies for the domain's values, a line each."""

from hypothesis import strategies as st

from netspace.networks.spec import BLOCKS, GROUPED, NetworkSpec, Stage, Stem

ratios = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])
activations = st.sampled_from(["relu", "silu", "gelu"])
padded_stems = st.builds(
    Stem,
    width=st.integers(1, 24),
    kernel_size=st.sampled_from([1, 3, 7]),
    stride=st.integers(1, 2),
    max_pool=st.booleans(),
)
patch_stems = st.integers(1, 5).map(lambda k: Stem(width=4 * k, kernel_size=k, stride=k, patchify=True))
stems = st.one_of(padded_stems, patch_stems)


@st.composite
def grouped_stages(draw: st.DrawFn) -> Stage:
    """A stage of X or Z blocks whose group width, where it has one, divides its inner width."""
    ratio, group_width, num_groups = draw(ratios), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    inner = group_width * num_groups
    if ratio < 1:
        inner *= round(1 / ratio)  # so that width = inner * ratio is whole, and still divisible
    return Stage(
        depth=draw(st.integers(1, 3)),
        width=round(inner * ratio),
        group_width=draw(st.sampled_from([None, group_width])),
        bottleneck_ratio=ratio,
        stride=draw(st.integers(1, 2)),
    )


plain_stages = st.builds(Stage, depth=st.integers(1, 3), width=st.integers(1, 24), stride=st.integers(1, 2))


@st.composite
def specs_of(draw: st.DrawFn, blocks: tuple[str, ...]) -> NetworkSpec:
    """A network of one of the blocks, every other choice free."""
    block = draw(st.sampled_from(blocks))
    grouped = block in GROUPED
    stages = st.lists(grouped_stages() if grouped else plain_stages, min_size=1, max_size=3)
    residual = draw(st.booleans())
    return NetworkSpec(
        stages=tuple(draw(stages)),
        block=block,
        stem=draw(stems),
        activation=draw(activations),
        residual=residual,
        num_classes=draw(st.integers(1, 12)),
        in_channels=draw(st.sampled_from([1, 3])),
        conv_bias=draw(st.booleans()),
        se_ratio=draw(st.sampled_from([None, 0.25])) if grouped else None,
        head_width=draw(st.sampled_from([None, 5])),
        dropout=draw(st.sampled_from([0.0, 0.2])),
        stochastic_depth=draw(st.sampled_from([0.0, 0.3])) if residual else 0.0,
        zero_init_last=draw(st.booleans()) if residual else False,
    )


specs = specs_of(BLOCKS)
