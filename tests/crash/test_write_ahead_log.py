"""The write-ahead log by itself: what it brings back, when it has room, what it does on errors."""

from __future__ import annotations

import errno
import logging
import os
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.crash.simulated_disk import File, ProcessFiles, ShortWrite, SimulatedDisk
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE, mr_data_set
from tests.examples import header
from xxhash import xxh3_128

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.spool import log_record
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.spool.log_record import (
    BLOCK,
    SegmentHead,
    decode_record_head,
    decode_segment_head,
    encode_record,
    encode_segment_head,
)
from seriesgate.adapters.spool.write_ahead_log import WriteAheadLog
from seriesgate.gateway.ports import SpoolUnavailable, StoreRequest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT, LOG = "/spool", "/log"
FOLDER = "f" * 32
#: A head, and two records of one block.
TWO = 3 * BLOCK


def name(number: int) -> str:
    return f"{FOLDER}/{number:032x}.dcm"


class Harness:
    """A log on a simulated disk. Checkpoints wait in `waiting` until they are run."""

    def __init__(
        self, disk: SimulatedDisk | None = None, *, is_used=True, before=None, segment_size=TWO
    ):
        self.disk = disk or SimulatedDisk({ROOT: None, LOG: None, f"{ROOT}/{FOLDER}": None})
        self.files = ProcessFiles(self.disk, before)
        self.waiting: list[Callable[[], None]] = []
        self.log = WriteAheadLog(
            LOG,
            ROOT,
            self.files,
            self.write_file,
            is_used=is_used,
            in_background=self.waiting.append,
            segment_size=segment_size,
        )
        self._segment_size = segment_size
        self.restored = self.log.recover(self.is_whole)

    def write_file(self, name, content):
        fd = self.files.open(f"{ROOT}/{name}", os.O_WRONLY | os.O_CREAT)
        self.files.pwrite(fd, content, 0)
        self.files.close(fd)

    def is_whole(self, name):
        return self.disk.image().get(f"{ROOT}/{name}") == content_of(name)

    def keep(self, number, *, named=True):
        """Take an instance as the spool does; return its entry."""
        entry = self.log.append(name(number), content_of(name(number)))
        if entry is not None and named:
            self.write_file(name(number), content_of(name(number)))
            self.log.named(entry)
        return entry

    def run_checkpoint(self):
        self.waiting.pop()()

    def after_power_loss(self) -> Harness:
        """Return the log of the next start, when all that was not synced is lost."""
        disk = SimulatedDisk(next(self.disk.crash_images(1, Random(1))))
        return Harness(disk, segment_size=self._segment_size)

    def spooled(self):
        return {path.removeprefix(f"{ROOT}/") for path in self.disk.image() if ".dcm" in path}


def content_of(name):
    return f"content of {name}".encode()


def test_what_is_appended_comes_back_after_a_loss_of_power():
    first = Harness()
    assert first.keep(1)
    assert first.keep(2, named=False)
    second = first.after_power_loss()
    assert second.restored == 2
    assert second.spooled() == {name(1), name(2)}


def test_file_that_is_whole_is_left_alone():
    first = Harness()
    first.keep(1)
    second = Harness(SimulatedDisk(first.disk.image()))
    assert second.restored == 0


def test_void_entry_does_not_come_back():
    first = Harness()
    for number in (1, 2):
        first.keep(number)
    first.log.void(first.log.take([name(1), name(9)]))
    second = Harness(SimulatedDisk({**first.disk.image(), f"{ROOT}/{name(2)}": b"torn"}))
    assert second.restored == 1
    assert second.is_whole(name(2))


def test_full_segment_gives_way_and_is_used_again_after_its_checkpoint():
    harness = Harness()
    assert all(harness.keep(number) for number in range(4))
    assert len(harness.waiting) == 1
    assert harness.keep(4) is None, "both are full"
    harness.run_checkpoint()
    assert harness.keep(5)
    survivor = harness.after_power_loss()
    assert survivor.spooled() == {name(number) for number in (0, 1, 2, 3, 5)}


def test_checkpoint_waits_for_a_file_that_has_no_name_yet():
    harness = Harness()
    entry = harness.keep(0, named=False)
    for number in (1, 2):
        harness.keep(number)
    thread = threading.Thread(target=harness.waiting.pop())
    thread.start()
    assert harness.keep(3)
    assert harness.keep(4) is None, "the checkpoint is not over"
    harness.write_file(name(0), content_of(name(0)))
    harness.log.named(entry)
    thread.join()
    assert harness.keep(5)
    assert name(0) in harness.after_power_loss().spooled()


def test_checkpoint_passes_over_what_is_released_and_lasts():
    harness = Harness()
    for number in range(3):
        harness.keep(number)
    entries = harness.log.take([name(0)])
    harness.files.unlink(f"{ROOT}/{name(0)}")
    harness.run_checkpoint()
    harness.log.void(entries)
    assert harness.after_power_loss().spooled() == {name(1), name(2)}


def test_late_void_does_not_touch_what_was_written_in_its_place():
    harness = Harness()
    for number in range(3):
        harness.keep(number)
    entries = harness.log.take([name(0), name(1)])
    harness.run_checkpoint()
    for number in (3, 4, 5):
        harness.keep(number)
    harness.log.void(entries)
    image = {path: content for path, content in harness.disk.image().items() if ".dcm" not in path}
    assert {name(4), name(5)} <= Harness(SimulatedDisk(image)).spooled()


@pytest.mark.parametrize("victim", ["file", "folder"])
@pytest.mark.fault("F6")
def test_file_whose_sync_failed_is_written_anew_from_its_record(caplog, monkeypatch, victim):
    fails: list[bool] = []
    harness = Harness()
    sync = harness.files.fsync

    def failing(fd):
        if fails and harness.files.is_folder(fd) is (victim == "folder"):
            fails.pop()
            # The kernel has dropped the pages: another sync would succeed without them.
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    monkeypatch.setattr(harness.files, "fsync", failing)
    for number in range(3):
        harness.keep(number)
    fails.append(True)
    harness.run_checkpoint()
    assert "files of the spool cannot be synced: Input/output error" in caplog.text
    lost = f"{ROOT}/{name(0)}"
    node = harness.disk.find(lost)
    assert isinstance(node, File)
    node.content = bytes(len(node.content))
    harness.keep(3)
    for _ in range(40):
        assert harness.keep(9) is None, "it is tried again only now and then"
        if harness.waiting:
            break
    harness.run_checkpoint()
    assert harness.disk.image()[lost] == content_of(name(0))
    assert harness.keep(4)
    assert harness.after_power_loss().spooled() >= {name(0), name(1), name(2), name(4)}


@pytest.mark.fault("F6")
def test_record_that_cannot_be_written_is_not_promised_and_its_segment_is_left():
    fails: list[str] = []

    def before(operation):
        if fails and operation == fails[0]:
            fails.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    harness = Harness(before=before)
    failed = harness.log._segments[0]
    fails.append("dsync")
    with pytest.raises(OSError, match="Input/output error"):
        harness.keep(1)
    assert harness.keep(2).segment is not failed, "though it has room"
    harness.run_checkpoint()
    assert name(2) in harness.after_power_loss().spooled()


def test_short_writes_are_gone_on_with():
    def before(operation):
        if operation == "pwrite":
            raise ShortWrite

    harness = Harness()
    harness.files._before = before
    assert harness.keep(0, named=False)
    harness.files._before = lambda _operation: None
    assert harness.after_power_loss().spooled() == {name(0)}


def test_records_are_found_though_the_head_of_their_segment_is_damaged():
    first = Harness()
    first.keep(1)
    image = first.disk.image()
    for segment in (f"{LOG}/0", f"{LOG}/1"):
        image[segment] = bytes(BLOCK) + (image[segment] or b"")[BLOCK:]
    del image[f"{ROOT}/{name(1)}"]
    assert Harness(SimulatedDisk(image)).restored == 1


def test_records_of_an_earlier_generation_do_not_come_back():
    harness = Harness()
    for number in range(3):
        harness.keep(number)
    harness.run_checkpoint()
    image = {path: content for path, content in harness.disk.image().items() if ".dcm" not in path}
    assert Harness(SimulatedDisk(image)).spooled() == {name(2)}


def test_what_looks_like_a_record_of_another_place_is_ignored():
    harness = Harness()
    harness.keep(1)
    image = harness.disk.image()
    for segment in (f"{LOG}/0", f"{LOG}/1"):
        content = image[segment] or b""
        head = decode_segment_head(content[:BLOCK])
        assert head is not None
        forged = encode_record(head, f"../../../{'e' * 23}/{'0' * 32}.dcm", b"forged")
        image[segment] = content[: 2 * BLOCK] + forged
    survivor = Harness(SimulatedDisk(image))
    assert survivor.spooled() == {name(1)}


def forgery(disk, shift):
    """Return a content in whose second block a record stands: true in all but the place."""
    head = decode_segment_head((disk.image()[f"{LOG}/0"] or b"")[:BLOCK])
    assert head is not None
    record = encode_record(head._replace(generation=head.generation + shift), name(99), b"forged")
    content = bytes(BLOCK - log_record._HEAD_SIZE) + record
    believed = decode_record_head(encode_record(head, name(1), content)[BLOCK:])
    assert believed is not None
    assert believed.name == name(99)
    return content


@pytest.mark.parametrize("shift", [0, 1, 2**40])
@pytest.mark.fault("F6")
def test_content_cannot_pose_as_a_record(shift):
    """Not even with the mark, which no sender knows: nothing inside a content is looked at."""
    harness = Harness(segment_size=64 * BLOCK)
    assert harness.log.append(name(1), forgery(harness.disk, shift))
    assert harness.log.append(name(50), b"innocent")
    survivor = harness.after_power_loss()
    assert name(99) not in survivor.spooled()
    assert name(50) in survivor.spooled()


def test_content_of_a_torn_record_is_not_looked_at():
    harness = Harness(segment_size=64 * BLOCK)
    harness.keep(1)
    assert harness.log.append(name(2), forgery(harness.disk, 0))
    segment = f"{LOG}/0"
    image = {path: content for path, content in harness.disk.image().items() if ".dcm" not in path}
    content = image[segment] or b""
    # The first block of the record did not reach the disk, and the others did.
    image[segment] = content[: 2 * BLOCK] + bytes(BLOCK) + content[3 * BLOCK :]
    assert Harness(SimulatedDisk(image), segment_size=64 * BLOCK).spooled() == {name(1)}


def test_record_that_is_torn_hides_none_behind_it():
    harness = Harness(segment_size=64 * BLOCK)
    for number in (1, 2, 3):
        harness.keep(number)
    segment = f"{LOG}/0"
    image = {path: content for path, content in harness.disk.image().items() if ".dcm" not in path}
    content = bytearray(image[segment] or b"")
    content[2 * BLOCK + 200] ^= 1  # in the content of the second
    image[segment] = bytes(content)
    survivor = Harness(SimulatedDisk(image), segment_size=64 * BLOCK)
    assert survivor.spooled() >= {name(1), name(3)}


def test_what_is_written_behind_a_hole_is_not_promised():
    """A start would not find it: its file is synced instead."""
    harness = Harness(segment_size=64 * BLOCK)
    first, second = (harness.log._segments[0].enter(name(n), 10) for n in (1, 2))
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(second.segment.store(second, bytes(10))))
    thread.start()
    first.segment.give_up()
    thread.join(10)
    assert found == [False]
    assert harness.keep(3).segment is not first.segment


def test_record_counts_once_all_before_it_are_durable():
    harness = Harness(segment_size=64 * BLOCK)
    entries = [harness.log._segments[0].enter(name(n), 10) for n in range(4)]
    done: list[int] = []

    def store(number):
        assert entries[number].segment.store(entries[number], bytes(10))
        done.append(number)

    threads = [threading.Thread(target=store, args=(number,)) for number in (3, 2, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(0.05)
    assert done == []
    store(0)
    for thread in threads:
        thread.join(10)
    assert sorted(done) == [0, 1, 2, 3]


@pytest.mark.parametrize("generation", [2**48 + 1, 2**64 - 1])
def test_absurd_generation_is_damage_and_said_so(caplog, generation):
    harness = Harness()
    harness.keep(1)
    image = harness.disk.image()
    for segment in (f"{LOG}/0", f"{LOG}/1"):
        head = SegmentHead(generation, bytes(16))
        image[segment] = encode_segment_head(head) + (image[segment] or b"")[BLOCK:]
    del image[f"{ROOT}/{name(1)}"]
    survivor = Harness(SimulatedDisk(image))
    assert "the head of a segment of the write-ahead log is damaged" in caplog.text
    assert survivor.restored == 1, "the first record tells of the others"
    survivor.run_checkpoint()
    assert survivor.keep(2)


def old_segment(generation, *contents, size):
    """Return a segment in the form of the version before the mark."""
    number = generation.to_bytes(8, "little")
    parts = [
        struct.pack("<8sQ16s", b"SGWAL-01", generation, xxh3_128(b"SGWAL-01" + number).digest())
    ]
    for given, content in contents:
        digest = xxh3_128(number + given.encode() + content).digest()
        head = struct.pack(
            "<8sQI16s69s", b"SGREC-01", generation, len(content), digest, given.encode()
        )
        parts.append(head + content)
    blocks = (part.ljust(-(-len(part) // BLOCK) * BLOCK, b"\0") for part in parts)
    return b"".join(blocks).ljust(size, b"\0")


def test_log_of_the_version_before_is_read_once_and_then_written_in_the_form_of_today():
    size = 8 * BLOCK
    forged = old_segment(2**40, (name(99), b"forged"), size=2 * BLOCK)[BLOCK:]
    contents = [(name(n), content_of(name(n))) for n in (1, 2)]
    image = {
        ROOT: None,
        LOG: None,
        f"{ROOT}/{FOLDER}": None,
        f"{LOG}/0": (old_segment(7, *contents, size=3 * BLOCK) + forged).ljust(size, b"\0"),
        f"{LOG}/1": old_segment(3, size=size),
    }
    harness = Harness(SimulatedDisk(image), segment_size=size)
    assert harness.spooled() == {name(1), name(2)}
    assert harness.keep(3) is None, "nothing goes in before it has a mark"
    harness.run_checkpoint()
    assert harness.keep(4)
    for number in (0, 1):
        assert decode_segment_head((harness.disk.image()[f"{LOG}/{number}"] or b"")[:BLOCK])
    assert harness.after_power_loss().spooled() >= {name(1), name(2), name(4)}


def test_log_that_is_not_used_gives_back_what_is_in_it_and_takes_nothing():
    first = Harness()
    first.keep(1, named=False)
    second = Harness(SimulatedDisk(first.disk.image()), is_used=False)
    assert second.restored == 1
    second.run_checkpoint()
    assert second.keep(2) is None
    assert Harness(SimulatedDisk({ROOT: None, LOG: None}), is_used=False).keep(1) is None


def test_closed_log_promises_nothing_and_ends_its_checkpoint():
    harness = Harness()
    harness.keep(0, named=False)
    for number in (1, 2):
        harness.keep(number)
    thread = threading.Thread(target=harness.waiting.pop())
    thread.start()
    harness.log.close()
    thread.join()
    assert harness.files.open_count() == 2, "what is under way keeps its segment open"
    assert harness.keep(3) is None
    assert harness.after_power_loss().spooled() == {name(0), name(1), name(2)}


def spool_on(disk):
    return FileSpool(
        Path("/state"),
        Durability.POWER,
        HeaderScanners(),
        files=ProcessFiles(disk),
        in_background=lambda checkpoint: checkpoint(),
        segment_size=TWO,
    )


def store(spool, sop="1.1"):
    file = spool.create(StoreRequest("MODALITY", EXPLICIT_LE, MR_IMAGE_STORAGE, sop))
    file.write(mr_data_set(sop=sop, series="1.2"))
    return file.keep(header(sop, "1.2"))


def test_what_was_released_comes_back_neither_whole_nor_torn():
    """Whatever the loss of power leaves of it: a torn file would be taken for damage."""
    disk = SimulatedDisk({"/state": None})
    spool = spool_on(disk)
    store(spool)
    spool.release("1.2", [instance.copy for instance in spool.recover()])
    assert list(spool_on(SimulatedDisk(disk.image())).recover()) == []
    for image in disk.crash_images(200, Random(1)):
        survivor = spool_on(SimulatedDisk(image))
        assert len(list(survivor.recover())) <= 1
        assert survivor.quarantine_count() == 0


def test_without_room_for_the_log_instances_are_synced_by_themselves(caplog):
    disk = SimulatedDisk({"/state": None}, capacity=TWO - BLOCK)
    with caplog.at_level(logging.WARNING):
        spool = spool_on(disk)
    assert "there is no room for /state/write-ahead/0" in caplog.text
    store(spool)
    survivor = SimulatedDisk(next(disk.crash_images(1, Random(1))))
    assert any(path.endswith(".dcm") for path in survivor.image())


def test_without_a_thread_the_checkpoint_waits(caplog, monkeypatch):
    harness = Harness()

    def no_thread(_work):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(harness.log, "_in_background", no_thread)
    assert all(harness.keep(number) for number in range(4))
    assert "can't start new thread" in caplog.text
    assert harness.keep(4) is None


def test_many_threads_over_many_segments_lose_nothing(tmp_path):
    spool = FileSpool(tmp_path, Durability.POWER, HeaderScanners(), segment_size=8 * BLOCK)
    barrier = threading.Barrier(8)

    def store(thread):
        barrier.wait()
        for number in range(40):
            sop = f"1.{thread}.{number}"
            file = spool.create(StoreRequest("MODALITY", EXPLICIT_LE, MR_IMAGE_STORAGE, sop))
            file.write(mr_data_set(sop=sop, series=f"1.{thread}"))
            file.keep(header(sop, f"1.{thread}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store, range(8)))
    spool.close()
    again = FileSpool(tmp_path, Durability.POWER, HeaderScanners(), segment_size=8 * BLOCK)
    assert len(list(again.recover())) == 8 * 40
    assert again.quarantine_count() == 0
    again.close()


def test_damaged_file_is_written_anew_while_the_log_has_it(tmp_path):
    spool = FileSpool(tmp_path, Durability.POWER, HeaderScanners(), segment_size=8 * BLOCK)
    file = spool.create(StoreRequest("MODALITY", EXPLICIT_LE, MR_IMAGE_STORAGE, "1.1"))
    file.write(mr_data_set(sop="1.1", series="1.2"))
    file.keep(header("1.1", "1.2"))
    (instance,) = spool.recover()
    path = spool.path_of("1.2", instance.copy)
    spool.close()
    whole = path.read_bytes()
    path.unlink()
    path.mkdir()
    again = FileSpool(tmp_path, Durability.POWER, HeaderScanners(), segment_size=8 * BLOCK)
    assert path.read_bytes() == whole
    assert again.quarantine_count() == 1, "what was in its place is not thrown away"
    again.close()


def test_instance_with_a_record_and_no_name_is_not_acknowledged(monkeypatch):
    """The file cannot be written: the sender is told so, and nothing comes back by itself."""
    disk = SimulatedDisk({"/state": None})
    spool = spool_on(disk)

    def fail(_files, _source, _destination):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(ProcessFiles, "rename", fail)
        with pytest.raises(SpoolUnavailable):
            store(spool)
    assert list(spool_on(SimulatedDisk(disk.image())).recover()) == []
