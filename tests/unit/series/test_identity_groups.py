from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.examples import summary

from seriesgate.series.identity_groups import (
    MAX_GROUPS,
    MAX_LISTED,
    IdentityGroups,
    disagreements,
)
from seriesgate.series.model import Identity


def someone(number: int) -> Identity:
    return Identity(f"1.{number}", b"%d" % number)


def joined(groups: IdentityGroups, named: dict[str, int]) -> IdentityGroups:
    added = {uid: summary(identity=someone(number)) for uid, number in named.items()}
    return groups.joined_by(added, {})


batches = st.lists(st.lists(st.integers(0, 5), max_size=10), min_size=1, max_size=6)


@given(batches)
def test_majority_is_the_most_named_and_all_others_are_strays(named):
    groups, counts, uids = IdentityGroups(), dict[int, int](), dict[str, int]()
    for place, batch in enumerate(named):
        added = {f"{place}.{i}": number for i, number in enumerate(batch)}
        groups = joined(groups, added)
        uids |= added
        for number in batch:
            counts[number] = counts.get(number, 0) + 1
        if not counts:
            continue
        most = max(counts, key=lambda number: counts[number])
        assert groups.majority.identity == someone(most)
        assert groups.majority.instances == counts[most]
        assert set(groups.strays()) <= {uid for uid, number in uids.items() if number != most}


def test_nobody_is_named_where_all_agree():
    groups = joined(IdentityGroups(), {str(n): 1 for n in range(50)})
    assert (groups.majority.members, groups.strays()) == ((), [])


def test_every_instance_of_another_patient_is_bounded():
    groups = joined(IdentityGroups(), {str(n): n for n in range(5000)})
    assert len(groups.groups) == MAX_GROUPS
    assert len(groups.strays()) == MAX_LISTED
    assert groups.majority.identity == someone(0)


def test_majority_outlasts_any_number_of_strays():
    groups = joined(IdentityGroups(), {"a": 0})
    for number in range(1, 100):
        groups = joined(groups, {str(number): number})
        assert groups.majority.identity == someone(0)
    assert len(groups.strays()) == 99


def test_group_that_grows_late_is_not_kept_out_by_earlier_strays():
    groups = joined(IdentityGroups(), {f"s{n}": n for n in range(1, 200)})
    for number in range(50):
        groups = joined(groups, {f"real{number}": 0})
    assert groups.majority.identity == someone(0)
    assert groups.majority.instances == 50
    assert not any(uid.startswith("real") for uid in groups.strays())


def test_attributes_that_differ_are_named():
    assert disagreements([]) == disagreements([someone(1)]) == frozenset()
    assert disagreements([Identity("1", b"a"), Identity("1", b"b")]) == {"PatientID"}
    assert disagreements([Identity("1", b"a"), Identity("2", b"a")]) == {"StudyInstanceUID"}
