"""What every InstanceSpool promises."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.data_sets import mr_data_set
from tests.examples import header
from tests.fakes import MemorySpool

from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.spool.spooled_file import is_same_data_set
from seriesgate.gateway.ports import KeptAs, StoreRequest
from seriesgate.series.model import InstanceCopy

EXPLICIT_LE = "1.2.840.10008.1.2.1"
COMPARISON = "seriesgate.adapters.spool.file_spool.is_same_data_set"


@pytest.fixture(params=["memory", "file, power", "file, process"])
def spool(request, tmp_path):
    kind, _, durability = request.param.partition(", ")
    if kind == "memory":
        yield MemorySpool()
    else:
        yield FileSpool(tmp_path, Durability(durability), HeaderScanner)


def receive(spool, sop="1.1", series="1.2", content=None, keep=True):
    data_set = content or mr_data_set(sop=sop, series=series)
    file = spool.create(StoreRequest("MODALITY", EXPLICIT_LE, "1.2.840.10008.5.1.4.1.1.4", sop))
    middle = len(data_set) // 2
    file.write(memoryview(data_set)[:middle])
    file.write(data_set[middle:])
    assert file.size == len(data_set)
    if keep:
        return file.keep(header(sop, series))
    file.discard()
    return None


def recovered(spool):
    return sorted(
        (i.header.series_instance_uid, i.header.sop_instance_uid) for i in spool.recover()
    )


def test_kept_instance_is_recovered_with_what_is_known_of_it(spool):
    assert receive(spool) is KeptAs.NEW
    (instance,) = spool.recover()
    assert instance.header.series_instance_uid == "1.2"
    assert instance.calling_ae_title == "MODALITY"
    assert instance.size == len(mr_data_set(sop="1.1", series="1.2"))
    assert instance.stored_at.tzinfo is not None


def test_discarded_instance_leaves_nothing(spool):
    receive(spool, keep=False)
    assert recovered(spool) == []


def test_discard_after_keep_and_twice_does_nothing(spool):
    data_set = mr_data_set(sop="1.1", series="1.2")
    file = spool.create(StoreRequest("MODALITY", EXPLICIT_LE, "1.2", "1.1"))
    file.write(data_set)
    file.keep(header("1.1", "1.2"))
    file.discard()
    file.discard()
    assert recovered(spool) == [("1.2", "1.1")]


def test_repeated_instance_is_kept_once(spool):
    assert receive(spool) is KeptAs.NEW
    assert receive(spool) is KeptAs.REPEATED
    assert recovered(spool) == [("1.2", "1.1")]


def test_other_content_is_kept_beside_the_first(spool):
    other = mr_data_set(sop="1.1", series="1.2", patient_id="B")
    assert receive(spool) is KeptAs.NEW
    assert receive(spool, content=other) is KeptAs.NEW
    assert receive(spool, content=other) is KeptAs.REPEATED
    assert receive(spool) is KeptAs.REPEATED
    first, second = spool.recover()
    assert first.header.sop_instance_uid == second.header.sop_instance_uid == "1.1"
    assert first.digest != second.digest


def test_same_instance_uid_in_two_series_is_two_instances(spool):
    assert receive(spool, "1.1", "1.2") is KeptAs.NEW
    assert receive(spool, "1.1", "1.4") is KeptAs.NEW
    assert len(recovered(spool)) == 2


def test_release_removes_what_is_named_and_tolerates_what_is_gone(spool):
    for sop in ("1.1", "1.7", "1.9"):
        receive(spool, sop)
    copies = {instance.copy.sop_instance_uid: instance.copy for instance in spool.recover()}
    receive(spool, content=mr_data_set(sop="1.1", series="1.2", patient_id="B"))
    named = [copies["1.1"], copies["1.9"], InstanceCopy("never.came", bytes(16))]
    assert spool.release("1.2", named) == 2
    assert recovered(spool) == [("1.2", "1.1"), ("1.2", "1.7")]
    spool.release("1.2", [instance.copy for instance in spool.recover()])
    assert spool.release("1.2", [copies["1.7"]]) == 0
    assert recovered(spool) == []
    assert receive(spool, "1.7") is KeptAs.NEW


def test_whole_copy_and_missing_copy_are_not_damaged(spool):
    receive(spool)
    (instance,) = spool.recover()
    assert instance.is_recovered
    assert not spool.is_damaged("1.2", instance.copy)
    assert not spool.is_damaged("1.2", InstanceCopy("never.came", bytes(16)))
    assert recovered(spool) == [("1.2", "1.1")]


def test_there_is_room(spool):
    assert spool.has_room()


def test_resend_that_meets_the_release_of_its_first_copy_is_kept_or_known(spool, monkeypatch):
    """The first copy is there when it is looked for, and gone when it is compared."""
    assert receive(spool) is KeptAs.NEW

    copies = [instance.copy for instance in spool.recover()]

    def release_then_compare(files, path, other_path):
        spool.release("1.2", copies)
        return is_same_data_set(files, path, other_path)

    monkeypatch.setattr(COMPARISON, release_then_compare)
    assert receive(spool) in {KeptAs.NEW, KeptAs.REPEATED}


def test_resend_that_is_released_after_its_comparison_is_known(spool, monkeypatch):
    assert receive(spool) is KeptAs.NEW
    copies = [instance.copy for instance in spool.recover()]

    def compare_then_release(files, path, other_path):
        is_same = is_same_data_set(files, path, other_path)
        spool.release("1.2", copies)
        return is_same

    monkeypatch.setattr(COMPARISON, compare_then_release)
    assert receive(spool) is KeptAs.REPEATED


def test_same_instance_on_many_threads_is_kept_once(spool):
    barrier = threading.Barrier(8)

    def store(_):
        barrier.wait()
        return receive(spool)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(store, range(8)))
    assert sorted(outcome.name for outcome in outcomes) == ["NEW"] + ["REPEATED"] * 7
    assert recovered(spool) == [("1.2", "1.1")]


def test_free_bytes_and_quarantine_are_known(spool):
    assert spool.free_bytes() > 0
    assert spool.quarantine_count() == 0
