"""A file system in memory that knows what of it would survive the loss of power.

`SimulatedDisk` is the medium; `ProcessFiles` are the file operations of one process on it. When the
process dies, all that it wrote stays. When power is lost, only what was synced is sure to stay: of
the rest any part may, in any order that POSIX allows. `crash_images` gives such remains.

The model is harsher than ext4 or XFS: a name can last without the content of its file and the other
way round, changes of different names in one folder can last in any order, and a rename can last in
the new folder and not yet in the old one. A rename never loses the file.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

#: Paths of files with their content, and of folders with None.
Image: TypeAlias = "dict[str, bytes | None]"

_SECTOR, _PAGE = 512, 4096
_BLOCK = 4096
_DIRECTORY = stat.S_IFDIR | 0o700
_REGULAR = stat.S_IFREG | 0o600


@dataclass(eq=False, slots=True)
class File:
    """An inode. `durable` is its content as of the last fsync."""

    content: bytes = b""
    durable: bytes = b""
    modified: float = 0.0

    def remains(self) -> list[bytes]:
        """Return what may be left of it after the loss of power, the least of it first."""
        full = self.content
        if full == self.durable:
            return [full]
        if len(full) == len(self.durable):
            return self._remains_of_overwriting()
        return list(
            dict.fromkeys(
                (
                    self.durable,
                    full,
                    full[:_SECTOR],
                    full[: len(full) // 2 // _SECTOR * _SECTOR],
                    full[: len(full) // 2 // _PAGE * _PAGE],
                    bytes(len(full)),
                    bytes(_SECTOR) + full[_SECTOR:],
                    full[:_SECTOR] + bytes(max(0, len(full) - _SECTOR)),
                )
            )
        )

    def _remains_of_overwriting(self) -> list[bytes]:
        """Return what may be left where nothing was added: of each sector, what was or what is."""
        old, new = self.durable, self.content
        changed = [
            at
            for at in range(0, len(new), _SECTOR)
            if old[at : at + _SECTOR] != new[at : at + _SECTOR]
        ]
        half = len(changed) // 2
        kept = [changed[:0], changed, changed[:1], changed[-1:], changed[:half], changed[half:]]
        return list(dict.fromkeys(_mixed(old, new, sectors) for sectors in kept))


def _mixed(old: bytes, new: bytes, sectors: list[int]) -> bytes:
    mixed = bytearray(old)
    for at in sectors:
        mixed[at : at + _SECTOR] = new[at : at + _SECTOR]
    return bytes(mixed)


@dataclass(eq=False, slots=True)
class Change:
    """A name that was given, or taken away (`node` is None), and is not durable yet.

    A rename takes a name away only where the name that it gives is durable too: `after`.
    """

    name: str
    node: Node | None
    after: tuple[Folder, Change] | None = None


@dataclass(eq=False, slots=True)
class Folder:
    """A folder; `durable` are its entries without the `pending` changes."""

    entries: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> Change:
        _apply(self.entries, change)
        self.pending.append(change)
        return change

    def sync(self) -> None:
        changes, self.pending = self.pending, []
        for change in changes:
            if change.after is not None:
                folder, given = change.after
                if given in folder.pending:
                    folder.pending.remove(given)
                    _apply(folder.durable, given)
            _apply(self.durable, change)


Node: TypeAlias = "File | Folder"


@dataclass(frozen=True, slots=True)
class Status:
    """Implements `FileStatus`."""

    st_mode: int
    st_size: int
    st_mtime: float


@dataclass(frozen=True, slots=True)
class Volume:
    """Implements `VolumeStatus`."""

    f_bavail: int
    f_frsize: int


class SimulatedDisk:
    """The medium. All that is in `image` is durable; `capacity` is in bytes."""

    def __init__(
        self,
        image: Mapping[str, bytes | None],
        now: Callable[[], float] = lambda: 0.0,
        capacity: int = 1 << 40,
    ) -> None:
        self.now = now
        self.capacity = capacity
        self.used = 0
        self.root = Folder()
        for path in sorted(image):
            content = image[path]
            node = Folder() if content is None else File(content, content, now())
            self.used += len(content or b"")
            parent, name = self.parent_of(path)
            parent.entries[name] = parent.durable[name] = node

    def find(self, path: str) -> Node:
        node: Node = self.root
        for name in filter(None, path.split("/")):
            if not isinstance(node, Folder):
                raise _error(errno.ENOTDIR)
            if name not in node.entries:
                raise _error(errno.ENOENT)
            node = node.entries[name]
        return node

    def parent_of(self, path: str) -> tuple[Folder, str]:
        folder, _, name = path.rpartition("/")
        parent = self.find(folder)
        if not isinstance(parent, Folder):
            raise _error(errno.ENOTDIR)
        return parent, name

    def image(self) -> Image:
        """Return what a new process would find: what is left when a process dies."""
        image: Image = {}
        _walk("", self.root, lambda folder: folder.entries, lambda file: file.content, image)
        return image

    def crash_images(self, limit: int, random: Random) -> Iterator[Image]:
        """Yield what may be left after the loss of power, each once.

        All of it if there are no more than `limit` ways, else the ends, what lies one step from
        them, and some others.
        """
        names, files = self._unsynced()
        dimensions = [len(changes) + 1 for _, changes in names]
        dimensions += [len(file.remains()) for file in files]
        seen = set()
        for choice in itertools.islice(_choices(dimensions, limit, random), limit):
            image = self._crashed(names, files, choice)
            signature = frozenset(image.items())
            if signature not in seen:
                seen.add(signature)
                yield image

    def _unsynced(self) -> tuple[list[tuple[Folder, list[Change]]], list[File]]:
        """Return the unsynced changes, by folder and name, and the unsynced files."""
        folders: dict[Folder, None] = {self.root: None}
        files: dict[File, None] = {}
        todo = [self.root]
        while todo:
            folder = todo.pop()
            changed = (change.node for change in folder.pending)
            for node in (*folder.entries.values(), *folder.durable.values(), *changed):
                if isinstance(node, File):
                    if node.content != node.durable:
                        files[node] = None
                elif node is not None and node not in folders:
                    folders[node] = None
                    todo.append(node)
        names = []
        for folder in folders:
            by_name: dict[str, list[Change]] = {}
            for change in folder.pending:
                by_name.setdefault(change.name, []).append(change)
            names += [(folder, changes) for changes in by_name.values()]
        return names, list(files)

    def _crashed(
        self,
        names: list[tuple[Folder, list[Change]]],
        files: list[File],
        choice: tuple[int, ...],
    ) -> Image:
        lasting: dict[Folder, dict[str, Node]] = {}
        lasted: set[Change] = set()
        for (_, changes), count in zip(names, choice, strict=False):
            lasted.update(changes[:count])
        for folder, changes in names:
            entries = lasting.setdefault(folder, dict(folder.durable))
            for change in changes:
                if change in lasted and not _comes_too_early(change, lasted):
                    _apply(entries, change)
        contents = {
            file: file.remains()[number]
            for file, number in zip(files, choice[len(names) :], strict=True)
        }
        image: Image = {}
        _walk(
            "",
            self.root,
            lambda folder: lasting.get(folder, folder.durable),
            lambda file: contents.get(file, file.durable),
            image,
        )
        return image


class ProcessFiles:
    """The file operations of one process: implements `FileOperations`.

    `before` is called with the name of each operation, before it has an effect. It may raise
    OSError, or what ends the process; `ShortWrite` makes a write stop half-way.
    """

    def __init__(self, disk: SimulatedDisk, before: Callable[[str], None] | None = None) -> None:
        self._disk = disk
        self._before = before or (lambda _operation: None)
        self._open: dict[int, tuple[Node, list[int]]] = {}
        self._synchronous: set[int] = set()
        self._numbers = itertools.count(3)

    def open_count(self) -> int:
        return len(self._open)

    def is_folder(self, fd: int) -> bool:
        return isinstance(self._node(fd), Folder)

    def open(self, path: str, flags: int, _mode: int = 0o777, /) -> int:
        self._before("create" if flags & os.O_CREAT else "open")
        parent, name = self._disk.parent_of(path)
        node = parent.entries.get(name)
        if node is None:
            if not flags & os.O_CREAT:
                raise _error(errno.ENOENT)
            node = File(modified=self._disk.now())
            parent.change(Change(name, node))
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise _error(errno.EEXIST)
        elif flags & os.O_DIRECTORY and isinstance(node, File):
            raise _error(errno.ENOTDIR)
        elif flags & os.O_WRONLY and isinstance(node, Folder):
            raise _error(errno.EISDIR)
        fd = next(self._numbers)
        self._open[fd] = (node, [0])
        if flags & os.O_DSYNC == os.O_DSYNC:
            self._synchronous.add(fd)
        return fd

    def close(self, fd: int, /) -> None:
        self._node(fd)
        # Whatever close() says, Linux has closed it.
        del self._open[fd]
        self._before("close")

    def read(self, fd: int, length: int, /) -> bytes:
        self._before("read")
        node = self._node(fd)
        if isinstance(node, Folder):
            raise _error(errno.EISDIR)
        position = self._open[fd][1]
        piece = node.content[position[0] : position[0] + length]
        position[0] += len(piece)
        return piece

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int, /) -> int:
        length = len(data)
        try:
            self._before("pwrite")
        except ShortWrite:
            length = (length + 1) // 2
        node = self._node(fd)
        assert isinstance(node, File)
        growth = max(0, offset + length - len(node.content))
        if self._disk.used + growth > self._disk.capacity:
            raise _error(errno.ENOSPC)
        self._disk.used += growth
        before = node.content[:offset].ljust(offset, b"\0")
        node.content = before + bytes(data[:length]) + node.content[offset + length :]
        node.modified = self._disk.now()
        if fd in self._synchronous:
            self._before("dsync")
            end = offset + length
            before = node.durable[:offset].ljust(offset, b"\0")
            node.durable = before + node.content[offset:end] + node.durable[end:]
        return length

    def pread(self, fd: int, length: int, offset: int, /) -> bytes:
        self._before("pread")
        node = self._node(fd)
        if isinstance(node, Folder):
            raise _error(errno.EISDIR)
        return node.content[offset : offset + length]

    def fsync(self, fd: int, /) -> None:
        self._before("fsync")
        node = self._node(fd)
        if isinstance(node, File):
            node.durable = node.content
        else:
            node.sync()

    def fstat(self, fd: int, /) -> Status:
        self._before("fstat")
        return _status(self._node(fd))

    def lstat(self, path: str, /) -> Status:
        self._before("lstat")
        return _status(self._disk.find(path))

    def access(self, path: str, _mode: int, /, *, follow_symlinks: bool) -> bool:
        assert not follow_symlinks
        try:
            self._before("access")
            self._disk.find(path)
        except OSError:
            return False
        return True

    def rename(self, source: str, destination: str, /) -> None:
        self._before("rename")
        node = self._disk.find(source)
        old, old_name = self._disk.parent_of(source)
        new, new_name = self._disk.parent_of(destination)
        replaced = new.entries.get(new_name)
        if isinstance(replaced, Folder) and isinstance(node, File):
            raise _error(errno.EISDIR)
        if replaced is node:
            return
        given = new.change(Change(new_name, node))
        old.change(Change(old_name, None, after=(new, given)))
        if isinstance(replaced, File):
            self._disk.used -= len(replaced.content)

    def unlink(self, path: str, /) -> None:
        self._before("unlink")
        node = self._disk.find(path)
        if isinstance(node, Folder):
            raise _error(errno.EISDIR)
        parent, name = self._disk.parent_of(path)
        parent.change(Change(name, None))
        self._disk.used -= len(node.content)

    def mkdir(self, path: str, _mode: int = 0o777, /) -> None:
        self._before("mkdir")
        parent, name = self._disk.parent_of(path)
        if name in parent.entries:
            raise _error(errno.EEXIST)
        parent.change(Change(name, Folder()))

    def rmdir(self, path: str, /) -> None:
        self._before("rmdir")
        node = self._disk.find(path)
        if isinstance(node, File):
            raise _error(errno.ENOTDIR)
        if node.entries:
            raise _error(errno.ENOTEMPTY)
        parent, name = self._disk.parent_of(path)
        parent.change(Change(name, None))

    def listdir(self, path: str, /) -> list[str]:
        self._before("listdir")
        node = self._disk.find(path)
        if isinstance(node, File):
            raise _error(errno.ENOTDIR)
        return list(node.entries)

    def statvfs(self, path: str, /) -> Volume:
        self._before("statvfs")
        self._disk.find(path)
        return Volume(max(0, self._disk.capacity - self._disk.used) // _BLOCK, _BLOCK)

    def _node(self, fd: int) -> Node:
        if fd not in self._open:
            raise _error(errno.EBADF)
        return self._open[fd][0]


class ShortWrite(Exception):
    """The next write ends half-way, as write(2) may."""


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _status(node: Node) -> Status:
    if isinstance(node, Folder):
        return Status(_DIRECTORY, _BLOCK, 0.0)
    return Status(_REGULAR, len(node.content), node.modified)


def _apply(entries: dict[str, Node], change: Change) -> None:
    if change.node is None:
        entries.pop(change.name, None)
    else:
        entries[change.name] = change.node


def _comes_too_early(change: Change, lasted: set[Change]) -> bool:
    """Whether a name would be gone before the new one is there."""
    if change.after is None:
        return False
    folder, given = change.after
    return given in folder.pending and given not in lasted


def _walk(
    path: str,
    folder: Folder,
    entries_of: Callable[[Folder], dict[str, Node]],
    content_of: Callable[[File], bytes],
    image: Image,
) -> None:
    for name, node in entries_of(folder).items():
        if isinstance(node, Folder):
            image[f"{path}/{name}"] = None
            _walk(f"{path}/{name}", node, entries_of, content_of, image)
        else:
            image[f"{path}/{name}"] = content_of(node)


def _choices(dimensions: list[int], limit: int, random: Random) -> Iterator[tuple[int, ...]]:
    if math.prod(dimensions) <= limit:
        yield from itertools.product(*map(range, dimensions))
        return
    ends = [[0] * len(dimensions), [min(1, n - 1) for n in dimensions]]
    for end in ends:
        yield tuple(end)
    while True:
        for end in ends:
            choice = list(end)
            for _ in range(random.randrange(1, 3)):
                place = random.randrange(len(dimensions))
                choice[place] = random.randrange(dimensions[place])
            yield tuple(choice)
        yield tuple(map(random.randrange, dimensions))
