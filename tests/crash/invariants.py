"""The one check at the end of every test that breaks something: was anything lost, or made up?

The invariants, as the tests name them:

I1 no loss: what was acknowledged is at the server, or kept with its dead letter
I2 nothing partial: what is reported was sent, and is whole
I3 nothing twice: one row for each series, with the right count, and the sums add up
I4 nothing is left over: no files, no open files
I5 a bad peer, series or server holds up no other
I6 the peer saw the truth
I7 recovery is repeatable
I8 nothing outside the state folder is touched, and no patient is in a log or a name

These functions know neither disk nor database: a simulated site and real programs are held to the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from seriesgate.gateway.ports import Tally
    from seriesgate.series.model import InstanceCopy


class Row(Protocol):
    """What the server has of a series."""

    @property
    def InstancesInSeries(self) -> int: ...  # noqa: N802 - the names of the report
    @property
    def Bytes(self) -> int | None: ...  # noqa: N802
    @property
    def ConflictingInstances(self) -> Sequence[str]: ...  # noqa: N802
    @property
    def DamagedInstances(self) -> Sequence[str]: ...  # noqa: N802


def check_row(
    series: str,
    sent: Mapping[InstanceCopy, int],
    acknowledged: Collection[InstanceCopy],
    row: Row | None,
) -> None:
    """Hold the row of a series to what its senders know: each content sent, with its size."""
    if row is None:
        assert not acknowledged, f"I1: series {series} is not at the server"
        return
    promised = {copy.sop_instance_uid for copy in acknowledged}
    known = {copy.sop_instance_uid for copy in sent}
    assert row.InstancesInSeries >= len(promised), f"I1: instances of {series} are lost"
    assert row.InstancesInSeries <= len(known), f"I3: instances of {series} are counted twice"
    conflicts = _conflicts(acknowledged)
    assert conflicts <= set(row.ConflictingInstances), f"I1: a conflict of {series} is lost"
    assert set(row.ConflictingInstances) <= _conflicts(sent), f"I2: {series} has no such conflict"
    sizes: dict[str, list[int]] = {}
    for copy, size in sent.items():
        sizes.setdefault(copy.sop_instance_uid, []).append(size)
    if row.InstancesInSeries == len(known):
        least, most = (sum(map(pick, sizes.values())) for pick in (min, max))
        assert row.Bytes in range(least, most + 1), f"I2: {series} has other bytes"
    assert list(row.DamagedInstances) == [], f"I6: {series} has damage that was not done"


def check_no_others(sent: Collection[str], rows: Iterable[str]) -> None:
    """Check that every row is of a series that somebody sent."""
    assert set(rows) <= set(sent), "I2: a series that nobody has sent"


def check_tally(tally: Tally, counted: int) -> None:
    """Check the sums of the journal once all that can be delivered is."""
    assert tally.closed == counted, "I3: the sum of the closed instances"
    assert tally.closed == tally.delivered + tally.pending + tally.dead + tally.discarded, "I3"
    assert tally.pending == 0, "I1: something is still owed to a server that is right"


def check_files(files: Iterable[str], owed: Collection[str]) -> None:
    """Check which files are in spool, quarantine and incoming: those of dead letters, no other."""
    found = set(files)
    assert not any("/quarantine/" in path for path in found), "I1: a whole file was put away"
    assert found == set(owed), "I4: files are left over, or missing"


def check_is_private(texts: Iterable[str], secrets: Collection[str]) -> None:
    """Check that none of the texts, of logs or names, has one of the secrets."""
    for text in texts:
        assert not any(secret in text for secret in secrets), "I8: a patient in a log or a name"


def _conflicts(copies: Iterable[InstanceCopy]) -> set[str]:
    seen: set[str] = set()
    twice: set[str] = set()
    for copy in copies:
        (twice if copy.sop_instance_uid in seen else seen).add(copy.sop_instance_uid)
    return twice
