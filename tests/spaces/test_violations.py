"""Which space violates one relation of another."""

import pytest

from netspace.spaces.catalog import space
from netspace.spaces.relations import Increasing, Share
from netspace.spaces.violations import violated_relation

E = space("anynetx_e")


@pytest.mark.parametrize("name", ["bottleneck_ratio", "group_width", "width", "depth"])
def test_every_vionet_violates_its_relation_of_anynetx_e(name):
    (relation,) = E.relations_of(name)
    assert violated_relation(E, space(f"vionet_{name}")) == relation
    assert violated_relation(E, E.violate(name)) == relation
    assert violated_relation(space(f"vionet_{name}"), E) is None
    assert violated_relation(E.violate(name), E) is None


def test_all_else_must_be_the_same():
    assert violated_relation(E, E) is None
    assert violated_relation(E, space("anynetx_c")) is None
    assert violated_relation(E, space("vionet_width").narrow(depth=(1, 4))) is None
    assert violated_relation(E, space("vionet_width").framed(num_classes=7)) is None
    assert violated_relation(E, space("vionet_width").reverse("depth")) is None
    assert violated_relation(E, space("mlp")) is None


def test_a_relation_without_an_opposite_has_a_complement():
    total = E.total("depth", 4, 12)
    assert violated_relation(total, total.violate(total.relations[-1])) == total.relations[-1]
    plain = space("anynetx_a").share("group_width").increasing("width")
    assert violated_relation(plain, plain.reverse("width")) == Increasing(parameter="width")
    assert violated_relation(plain, plain.reverse("group_width")) == Share(parameter="group_width")
