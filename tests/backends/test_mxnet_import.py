"""Where MXNet cannot be imported, the sentence says which release is in the way; checked without MXNet."""

import pytest

from netspace.backends.mxnet_import import check_versions
from netspace.errors import MissingFrameworkError


@pytest.mark.parametrize("python", [(3, 12, 0), (3, 14, 2)])
def test_a_later_python_is_named(python):
    with pytest.raises(
        MissingFrameworkError, match=rf"needs Python 3\.11.* this is Python 3\.{python[1]}\.{python[2]};"
    ):
        check_versions(python, "1.23.5")


@pytest.mark.parametrize("numpy", ["1.24.0", "1.26.4", "2.4.6", "2.5.0rc1"])
def test_a_later_numpy_is_named(numpy):
    with pytest.raises(MissingFrameworkError, match=rf"needs NumPy 1\.23.* this is NumPy {numpy}; .* pip install"):
        check_versions((3, 11, 7), numpy)


def test_the_last_releases_that_it_knows_pass():
    check_versions((3, 11, 7), "1.23.5")
