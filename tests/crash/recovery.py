"""What a simulated site comes to in the end, and the invariants it is then held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.crash.invariants import (
    check_files,
    check_is_private,
    check_no_others,
    check_row,
    check_tally,
)
from tests.crash.simulated_disk import ProcessFiles
from tests.crash.site import LOG, LONG, SECRET, STATE, STOPS, Answer, Gateway, ProcessDied
from tests.examples import collected, summary

from seriesgate.adapters.spool.spooled_file import is_damaged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.crash.simulated_disk import Image
    from tests.crash.site import Process, Site

    from seriesgate.series.model import InstanceCopy
    from seriesgate.series.revision import KnownSeries


async def run_to_the_end(site: Site, *, process: Process | None = None) -> Gateway | None:
    """Start a gateway on what is left, with a server that is right, and let it do all its work.

    None if it stopped before, as a `process` with a fault may.
    """
    site.server.answer = Answer.RIGHT
    site.server.answers.clear()
    try:
        gateway = Gateway(site, process)
    except (ProcessDied, *STOPS):
        return None
    try:
        await gateway.advance(LONG)
        gateway.spool.close()
        assert gateway.files.open_count() == 0, "I4: open files"
    except (ProcessDied, *STOPS):
        return None
    finally:
        await gateway.kill()
    return gateway


async def check(site: Site) -> None:
    """Recover without faults, twice, and hold what came of it to what the senders saw."""
    gateway = await run_to_the_end(site)
    assert gateway is not None, "a start without a fault failed"
    _check_once(site, gateway)
    before = _remains(site)
    gateway = await run_to_the_end(site)
    assert gateway is not None, "a second start without a fault failed"
    _check_once(site, gateway)
    assert _remains(site) == before, "I7: a restart changed something"


def _remains(site: Site) -> object:
    return dict(site.server.rows), site.disk.image(), site.journal.tally()


def _check_once(site: Site, gateway: Gateway) -> None:
    image = site.disk.image()
    dead = {letter.series_instance_uid for letter in site.journal.dead_letters()}
    assert dead <= site.server.refuses, "I5: a dead letter that the server would take"
    counted = 0
    owed: set[str] = set()
    for series, contents in site.ledger.contents.items():
        known = _known(site, series, contents)
        acknowledged = site.ledger.acknowledged[series]
        if known is not None:
            counted += known.summary.instances
            _check_known(known, acknowledged)
        if series in dead:
            assert known is not None
            owed |= _check_dead(site, gateway, series, known)
            continue
        row = site.server.rows.get(series)
        sizes = {copy: len(content) for copy, content in contents.items()}
        check_row(series, sizes, acknowledged, row)
        assert (row is None) == (known is None)
        if row is not None and known is not None:
            assert row.InstancesInSeries == known.summary.instances, "I3: a wrong count"
            assert row.Revision == known.summary.revision, "I1: a revision is lost"
            is_described = row.PatientID == f"{SECRET}17"
            assert is_described or site.may_lack_descriptions, "I2: without its description"
    check_no_others(site.ledger.contents, site.server.rows)
    check_tally(site.journal.tally(), counted)
    _check_disk({path: image[path] for path in image if not path.startswith(LOG)}, owed)
    check_is_private(site.log, [SECRET])


def _known(site: Site, series: str, sent: Iterable[InstanceCopy]) -> KnownSeries | None:
    """Ask the journal for all that was sent of a series."""
    first = {copy.sop_instance_uid: copy for copy in sorted(sent, reverse=True)}
    asked = collected(
        series=series,
        instances={sop: summary(digest=copy.digest) for sop, copy in first.items()},
        conflicting=set(sent) - set(first.values()),
    )
    return site.journal.known(asked)


def _check_known(known: KnownSeries, acknowledged: set[InstanceCopy]) -> None:
    for copy in acknowledged:
        assert copy in known.copies, f"I1: {copy.sop_instance_uid} was acknowledged and is lost"
    assert known.summary.instances == len(known.instances), "I2: nobody has sent this"
    conflicts = set(known.summary.conflicting_instances)
    assert conflicts <= known.instances, "I2: nobody has sent this"


def _check_dead(site: Site, gateway: Gateway, series: str, known: KnownSeries) -> set[str]:
    """A dead letter has its files; return where they are."""
    image = site.disk.image()
    kept = {str(gateway.spool.path_of(series, copy)) for copy in known.copies} & image.keys()
    letters = [x for x in site.journal.dead_letters() if x.series_instance_uid == series]
    assert len(kept) >= sum(letter.instances for letter in letters), "I1: without its files"
    files = ProcessFiles(site.disk)
    assert not any(is_damaged(files, path) for path in kept), "I2: a damaged file"
    return kept


def _check_disk(image: Image, owed: set[str]) -> None:
    assert image["/elsewhere"] == b"not ours", "I8: something else was touched"
    names = [path for path in image if path not in {STATE, "/elsewhere"}]
    assert all(path.startswith(f"{STATE}/") for path in names), "I8: outside the state folder"
    check_is_private(names, [SECRET])
    check_files((path for path in names if image[path] is not None), owed)
