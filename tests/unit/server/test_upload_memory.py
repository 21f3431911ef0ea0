"""What the bodies of all requests may hold together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.server.http import upload_memory
from seriesgate.server.http.upload_memory import UploadMemory

MOST = 100


class Upload:
    def __init__(self):
        self.is_cut = False

    def cut(self):
        assert not self.is_cut
        self.is_cut = True


@pytest.fixture
def given_back():
    return []


@pytest.fixture
def memory(given_back):
    return UploadMemory(MOST, lambda: given_back.append(True))


def test_upload_that_has_been_coming_longest_is_cut_for_others(memory):
    first, second, third = Upload(), Upload(), Upload()
    memory.take(first, 40)
    memory.take(second, 40)
    memory.take(first, 1)
    memory.take(third, 40)
    assert (first.is_cut, second.is_cut, third.is_cut) == (True, False, False)
    assert memory.total == 80


def test_upload_that_is_complete_is_never_cut(memory):
    complete, coming, new = Upload(), Upload(), Upload()
    memory.take(complete, 60)
    memory.completed(complete)
    memory.take(coming, 40)
    memory.take(new, 1)
    assert (complete.is_cut, coming.is_cut, new.is_cut) == (False, True, False)
    memory.take(new, 40)
    assert new.is_cut
    assert memory.total == 60
    memory.let_go(complete)
    assert memory.total == 0


def test_memory_is_given_back_once_after_much_was_held(memory, given_back, monkeypatch):
    monkeypatch.setattr(upload_memory, "_MANY", 50)
    monkeypatch.setattr(upload_memory, "_FEW", 10)
    few, many = Upload(), Upload()
    memory.take(few, 49)
    memory.let_go(few)
    assert given_back == []
    memory.take(few, 9)
    memory.take(many, 41)
    memory.completed(many)
    memory.let_go(many)
    assert given_back == [True]
    memory.let_go(few)
    memory.take(few, 9)
    memory.let_go(few)
    assert given_back == [True]


@given(st.lists(st.tuples(st.sampled_from(["take", "completed", "let_go"]), st.integers(0, 9))))
def test_no_more_than_the_most_is_held_and_all_is_let_go(steps):
    memory = UploadMemory(MOST, lambda: None)
    uploads = [Upload() for _ in range(10)]
    complete = set()
    for step, number in steps:
        upload = uploads[number]
        if step == "take" and not upload.is_cut and upload not in complete:
            memory.take(upload, 30)
        elif step == "completed":
            memory.completed(upload)
            complete.add(upload)
        elif step == "let_go":
            memory.let_go(upload)
        assert 0 <= memory.total <= MOST
    for upload in uploads:
        memory.let_go(upload)
    assert memory.total == 0


def test_system_gets_free_memory_back_where_the_c_library_can():
    upload_memory.give_memory_back()
