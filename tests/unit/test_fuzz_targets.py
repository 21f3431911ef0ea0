"""The fuzz targets hold on their seeds and on seeds with a few bytes changed."""

from __future__ import annotations

import pytest
from fuzz.seeds import SEEDS
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_target_holds_on_mutated_seeds(name, data):
    mutated = bytearray(data.draw(st.sampled_from(SEEDS[name])))
    for place, value in data.draw(CHANGES):
        mutated[int(place * len(mutated))] = value
    TARGETS[name](bytes(mutated[: data.draw(st.integers(0, len(mutated)))]))
