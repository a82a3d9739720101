"""Which networks belong to a space, how many there are, and what a stranger breaks."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspace.errors import SpaceError
from netspace.networks.regnet import regnet
from netspace.networks.zoo import NETWORKS, network
from netspace.spaces.catalog import SPACES, space
from netspace.spaces.counting import ENUMERABLE, Estimate, _estimate_distinct, everything
from netspace.spaces.laws import Choice, LogUniform, Uniform
from netspace.spaces.membership import count_draws
from netspace.spaces.parameters import Parameter
from netspace.spaces.sample import NOT_DRAWN, sample
from netspace.spaces.union import SpaceUnion
from tests.spaces.brute import holds

ANYNETS = [f"anynetx_{letter}" for letter in "abcde"]
SMALL = {"depth": (1, 2), "width": (8, 40), "bottleneck_ratio": (1, 4), "group_width": (1, 16)}


def small(name, stages=2):
    """A space of the catalogue with few enough draws to list them all."""
    made = space(name, num_stages=stages)
    return made.narrow(**{key: given for key, given in SMALL.items() if key in made.parameter_names})


@given(st.sampled_from(SPACES), st.integers(0, 2**32))
def test_every_sampled_network_is_contained(name, seed):
    made = space(name)
    for spec in made.sample(3, seed=seed, resolution=224).networks:
        assert made.contains(spec), made.contains(spec).reason


@pytest.mark.parametrize("name", [*ANYNETS, "anynet_resnet"])
def test_listing_counting_and_membership_agree(name):
    made = small(name)
    listed = everything(made)
    assert listed is not None
    assert len(listed.positions) == made.size() == made.num_draws() <= ENUMERABLE
    specs = Counter(listed.networks[i] for i in range(len(listed.positions)))
    assert made.distinct() == len(specs)
    for spec, count in list(specs.items())[:: max(1, len(specs) // 40)]:
        assert count_draws(made, spec) == count


@pytest.mark.parametrize("name", [*ANYNETS, "vionet_group_width"])
def test_distinct_networks_are_counted_as_listing_counts_them(name, monkeypatch):
    made = small(name)
    listed = made.distinct()
    monkeypatch.setattr("netspace.spaces.counting.ENUMERABLE", 0)
    assert made.distinct() == listed  # by the automaton of sets of states
    estimate = _estimate_distinct(made)
    assert estimate.low * 0.97 <= listed <= estimate.high * 1.03


@pytest.mark.parametrize("bits", range(2))
def test_membership_is_what_brute_force_says(bits):
    """Networks of the parent space belong to the child exactly if some draw that becomes them obeys its relations."""
    parent = small("anynetx_a")
    child = [
        parent.increasing("width").share("group_width"),
        parent.decreasing("width", strict=True),
    ][bits]
    listed = everything(parent)
    columns = {
        name: np.stack([listed.drawn[f"{name}[{i}]"] for i in range(2)], axis=1) for name in parent.parameter_names
    }
    obeys = np.array(
        [
            all(holds(relation, columns[relation.parameter][row]) for relation in child.relations)
            for row in range(len(listed.positions))
        ]
    )
    table = [bytes(row) for row in listed.networks.table()]
    members = {table[row] for row in np.flatnonzero(obeys)}
    for row in range(0, len(table), 97):
        assert bool(child.contains(listed.networks[row])) == (table[row] in members)


def test_published_networks_belong_to_their_space_unless_their_parameters_are_off_its_grid():
    reasons = {
        name: space("regnetx").contains(network(name)).reason for name in NETWORKS if name.startswith("regnetx_")
    }
    assert {name for name, reason in reasons.items() if not reason} >= {"regnetx_200mf", "regnetx_400mf"}
    assert reasons["regnetx_600mf"].endswith("no draw of regnetx is adjusted to width 48 and group_width 24")
    grid = regnet(total_depth=16, initial_width=56, width_slope=35.7, width_multiplier=2.28, group_width=16)
    assert space("regnetx").contains(grid)


@given(st.integers(0, 2**32))
def test_the_rule_is_inverted_exactly(seed):
    made = space("regnetx")
    draws = made.draw(0, 200, seed=seed)
    for row in np.flatnonzero(draws.exists)[:2]:
        spec = draws.networks[int(row)]
        assert count_draws(made, spec) >= 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"block": "z"}, "block is z, and x in anynetx_c"),
        ({"num_classes": 10}, "num_classes is 10, and 1000 in anynetx_c"),
    ],
)
def test_a_stranger_s_frame_is_named(change, sentence):
    made = space("anynetx_c")
    spec = made.sample(1).networks[0]
    assert made.contains(dataclasses.replace(spec, **change)).reason == sentence


def test_a_stranger_s_stage_or_relation_is_named():
    c, d = space("anynetx_c"), space("anynetx_d")
    spec = network("regnetx_400mf")
    first, *rest = spec.stages

    def reason(tied, stages):
        member = tied.contains(dataclasses.replace(spec, stages=tuple(stages)))
        assert not member
        return member.reason

    assert "4 in anynetx_c" in reason(c, rest)
    assert reason(c, [dataclasses.replace(first, depth=17), *rest]).startswith(
        "stages[0].depth (=17) is not among 1..16"
    )
    assert "stride is 1, and 2" in reason(c, [dataclasses.replace(first, stride=1), *rest])
    odd = dataclasses.replace(first, width=2048)
    assert reason(c, [odd, *rest]) == "stages[0]: no draw of anynetx_c is adjusted to width 2048 and group_width 16"
    assert reason(d, spec.stages[::-1]) == "it breaks: width never falls"
    narrow = dataclasses.replace(first, group_width=8)
    assert reason(c, [narrow, *rest]) == "it breaks: group_width is shared"
    assert "against the blocks" in reason(c, [dataclasses.replace(first, group_width=None), *rest])
    band = c.within(flops=(1e6, 2e6))
    assert "is outside 1M..2M" in band.contains(spec).reason
    assert "RegNet rule" in reason(space("regnetx"), spec.stages[::-1])


def test_a_band_conditions_a_space():
    made = space("anynetx_e").within(flops=(360e6, 400e6))
    taken = made.sample(5)
    assert ((taken.complexity.flops >= 360e6) & (taken.complexity.flops <= 400e6)).all()
    plain = space("anynetx_e").sample(5, flops=(360e6, 400e6))
    assert taken.networks == plain.networks  # the same draws, whichever of the two keeps them
    size = made.size()
    assert isinstance(size, Estimate)
    assert size.low < size.value < size.high < space("anynetx_e").size()
    with pytest.raises(ValueError, match="have nothing in common"):
        made.within(flops=(1e6, 2e6))
    with pytest.raises(ValueError, match="did you mean 'flops'"):
        made.within(flop=(1e6, 2e6))


def test_a_union_counts_what_its_members_share_once(monkeypatch):
    a = small("anynetx_a").increasing("width")
    b = small("anynetx_a").share("group_width")
    union = a | b
    assert isinstance(union, SpaceUnion)
    listed = [everything(one) for one in (a, b)]
    rows = {
        tuple(float(one.drawn[name][i]) for name in listed[0].drawn)
        for one in listed
        for i in range(len(one.positions))
    }
    assert union.size() == len(rows)
    both = {spec for one in listed for spec in (one.networks[i] for i in range(0, len(one.positions), 50))}
    assert all(union.contains(spec) for spec in both)
    assert union.contains(network("regnetx_400mf")).reason == "anynetx_a: it has 4 stages, and 2 in anynetx_a"
    taken = union.sample(50, resolution=32)
    assert taken.networks[:20] == union.sample(20, resolution=32).networks
    assert any(a.contains(spec) and not b.contains(spec) for spec in taken.networks)
    assert any(b.contains(spec) and not a.contains(spec) for spec in taken.networks)
    exact = union.distinct()
    assert exact == len({one.networks[i] for one in listed for i in range(len(one.positions))})
    monkeypatch.setattr("netspace.spaces.counting.ENUMERABLE", 0)
    bounds = union.distinct()
    assert isinstance(bounds, Estimate)
    assert bounds.low <= exact <= bounds.high


def test_the_mlp_space_is_a_union_over_activation_and_residual():
    mlp = space("mlp", image_side=28)
    taken = mlp.sample(60, resolution=28, params=(50e3, 200e3))
    assert {(spec.activation, spec.residual) for spec in taken.networks} == {
        (activation, residual) for activation in ("relu", "gelu", "silu") for residual in (False, True)
    }
    assert list(taken.positions) == sorted(taken.positions)
    assert mlp.size() == mlp.distinct() == 6 * 4**3 * 32**3
    assert sum(member.size() for member in mlp.members) == mlp.size()


def test_coupled_samples_share_their_uniform_numbers():
    c, d = space("anynetx_c"), space("anynetx_d")
    one, other = c.draw(0, 500, coupled_to=c), d.draw(0, 500, coupled_to=c)
    for name in one.drawn:
        same = (one.drawn[name] == other.drawn[name]).all()
        assert same == (not name.startswith("width")), name
    assert d.sample(3, coupled_to=c).networks != d.sample(3).networks
    assert d.sample(3, coupled_to=d).networks == d.sample(3).networks
    with pytest.raises(ValueError, match="anynetx_c cannot share draws with regnetx: both must have"):
        c.draw(0, 1, coupled_to=space("regnetx"))


def test_uniform_draws_weigh_every_draw_alike():
    made = small("anynetx_e").uniform()
    listed = everything(made)
    names = list(listed.drawn)
    draws = made.draw(0, 40 * made.size())
    seen = Counter(zip(*(draws.drawn[name].tolist() for name in names), strict=True))
    assert len(seen) == made.size()
    counts = np.array(list(seen.values()))
    assert ((counts - 40) ** 2 / 40).sum() < made.size() + 4 * (2 * made.size()) ** 0.5


def test_violations_and_reversals_leave_the_other_relations():
    e = space("anynetx_e")
    for name in ("depth", "width", "bottleneck_ratio", "group_width"):
        violated, reversed_ = e.violate(name), space(f"vionet_{name}")
        kept = [relation for relation in e.relations if relation.parameter != name]
        assert [r for r in violated.relations if r.parameter != name] == kept
        assert [r for r in reversed_.relations if r.parameter != name] == kept
        assert not e.contains(reversed_.sample(1).networks[0])
        assert reversed_.size() < violated.size()
    with pytest.raises(ValueError, match="width: anynetx_c must have one relation on it, and has none"):
        space("anynetx_c").reverse("width")
    with pytest.raises(ValueError, match="did you mean 'width'"):
        e.violate("widht")
    with pytest.raises(ValueError, match="'depth falls' is no relation of anynetx_e, whose relations are: bottleneck"):
        e.violate(space("vionet_depth").relations[-1])


def test_small_images_scale_by_one_rule():
    made = space("regnetx", image_side=32)
    assert (made.stem.width, made.stem.stride) == (8, 1)
    assert made.law("initial_width").high == 56
    assert made.law("width_slope").high == 63.9
    assert made.law("group_width").high == 8
    assert made.law("width_multiplier") == space("regnetx").law("width_multiplier")
    assert space("anynetx_a", image_side=224) == space("anynetx_a")
    assert len(space("anynetx_a", num_stages=5).sample(1).networks[0].stages) == 5


def test_a_union_that_cannot_be_counted_says_so(monkeypatch):
    six = space("anynetx_a", num_stages=6).narrow(width=(8, 256))
    one, other = six.total("width", 1000, 1200), six.different("width")
    assert one.size() < six.size() > other.size()
    monkeypatch.setattr("netspace.spaces.chains.LARGEST_LAYER", 50_000)
    with pytest.raises(SpaceError, match="too many to count"):
        (one | other).size()
    disjoint = six.narrow(depth=1)
    for depth in range(2, 17):
        disjoint |= six.narrow(depth=depth)
    assert disjoint.size() == six.constant("depth").size()  # sixteen members, and no combination of them looked at
    with pytest.raises(TypeError):
        disjoint | None


def test_a_band_can_be_violated():
    inside = small("anynetx_e").within(flops=(1e5, 1e6), resolution=32)
    outside = inside.violate("flops")
    assert inside.size() + outside.size() == small("anynetx_e").size()
    for spec in outside.sample(5, resolution=32).networks:
        assert outside.contains(spec)
        assert not inside.contains(spec)
    assert "is inside 100k..1M" in outside.contains(inside.sample(1, resolution=32).networks[0]).reason


def test_bands_speak_of_one_resolution_and_are_told():
    banded = space("anynetx_a").within(flops="360M..400M")
    with pytest.raises(SpaceError, match=r"resolution \(=32\) must be 224, where anynetx_a has its bands already"):
        banded.within(params=(0, 1e9), resolution=32)
    assert banded.sample(2).asked == "flops in 360M..400M"
    assert banded.sample(2, params=(0, 1e9)).asked == "flops in 360M..400M, params in 0..1G"
    with pytest.raises(SpaceError, match=r"with flops in 1\.\.2 at resolution 224 .* the draws reach flops of"):
        sample(space("anynetx_a").within(flops=(1, 2)), 1, max_draws=5000)


def test_a_space_gives_all_it_holds_however_improbable(monkeypatch):
    two = space("anynetx_c", num_stages=2).narrow(depth=1, bottleneck_ratio=1, width=(8, 512), group_width=1)
    taken = sample(two, 5000, max_draws=8000, resolution=32)
    assert taken.exhausted
    assert len(set(taken.networks)) == len(taken.networks) == two.distinct() == 64**2
    assert taken.draws == 8000
    drawn = [position for position in taken.positions if position != NOT_DRAWN]
    assert drawn == sorted(drawn)
    assert 0 < len(drawn) < 64**2
    assert taken.duplicates == taken.in_band - len(drawn) > 0
    monkeypatch.setattr("netspace.spaces.counting.ENUMERABLE", 0)
    even = two.narrow(width=(8, 64)).uniform()
    assert sample(even, 100, max_draws=8000, resolution=32).exhausted  # all 64 were met, and there are no others
    with pytest.raises(SpaceError, match="the space holds few others there"):
        sample(two, 5000, max_draws=8000, resolution=32)


def test_estimates_cover_the_truth(monkeypatch):
    spaces = [
        small(name).narrow(width=(8, high)).within(flops=(0, 4e5), resolution=32)
        for name in ANYNETS
        for high in (24, 32, 40)
    ]
    truths = [(one.size(), one.distinct()) for one in spaces]
    monkeypatch.setattr("netspace.spaces.counting.ENUMERABLE", 0)
    monkeypatch.setattr("netspace.spaces.counting.ESTIMATE_DRAWS", 2000)
    monkeypatch.setattr("netspace.spaces.counting.ESTIMATE_NETWORKS", 150)
    for truth in range(2):
        estimates = [(one.size(), one.distinct())[truth] for one in spaces]
        covered = [e.low <= t[truth] <= e.high for e, t in zip(estimates, truths, strict=True)]
        assert sum(covered) >= len(spaces) - 3
        assert all(e.high - e.low < 0.5 * e.value for e in estimates)


def test_equal_spaces_have_equal_digests_and_draws():
    one = space("anynetx_a")
    law = LogUniform(low=8.0, high=1024.0, step=8.0)
    other = dataclasses.replace(
        one, parameters=tuple(Parameter(name=p.name, law=law) if p.name == "width" else p for p in one.parameters)
    )
    assert other == one
    assert other.digest == one.digest
    assert (other.draw(0, 50).networks.table() == one.draw(0, 50).networks.table()).all()
    for seed in (1.0, "x", -1, True):
        with pytest.raises(SpaceError, match="seed"):
            one.sample(1, seed=seed)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda a: a.narrow(width=None), r"range \(=\(None, None\)\) must be numbers"),
        (lambda a: a.fix(width=("a", 1, 2, 3)), "must be numbers"),
        (lambda a: a.within(flops=3), "flops .=3. must be a band"),
        (lambda a: a.ratio("width", "x", 2), "must be numbers"),
        (lambda a: space(None), "must be a name of the catalogue"),
        (lambda a: Uniform(low=1, high=1e12), "more than 1,048,576 values"),
        (lambda a: Choice(options=(float("nan"),)), "finite numbers"),
        (lambda a: Uniform(low=1, high=2, step=0), "step .=0. must be above 0"),
        (
            lambda a: dataclasses.replace(
                a, parameters=(Parameter(name="depth", law=Choice(options=(1.5,))), *a.parameters[1:])
            ),
            "depth: its values must be whole numbers",
        ),
    ],
)
def test_nonsense_is_one_sentence(make, sentence):
    with pytest.raises(SpaceError, match=sentence):
        make(space("anynetx_a"))
    with pytest.raises(ValueError, match="must be a NetworkSpec"):
        space("anynetx_a").contains("regnetx32")
