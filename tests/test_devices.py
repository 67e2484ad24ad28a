"""Tests of a GPU do not look as if they had passed where there is none."""

import pytest
from devices import need_gpu

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("asked", ["gpu", "gpu and unit", "unit or gpu"])
def test_asked_for_they_fail(asked):
    with pytest.raises(pytest.fail.Exception, match="sees no CUDA device: nothing was tried"):
        need_gpu(asked, is_there=False)


@pytest.mark.parametrize("asked", ["", "unit", "e2e or pipeline"])
def test_beside_others_they_are_skipped(asked):
    with pytest.raises(pytest.skip.Exception):
        need_gpu(asked, is_there=False)


def test_where_there_is_one_they_run():
    need_gpu("gpu", is_there=True)
