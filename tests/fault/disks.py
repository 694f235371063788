"""Disks of a test's own: one that loses power, and one that fills up. Both need root."""

import contextlib
import filecmp
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import until

_SIZE = 96 * 2**20


def run(*command: str) -> None:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where Debian keeps mkfs, and not every root looks
    subprocess.run(command, check=True, capture_output=True, timeout=60, env=os.environ | {"PATH": path, "LC_ALL": "C"})


def unavailable(why: str) -> None:
    """Skip with the reason; `make fault` takes no excuse."""
    if os.environ.get("FAULT_MUST_RUN"):
        pytest.fail(f"can't be tested here: {why}")
    pytest.skip(f"NOT TESTED: {why}")


def need_root() -> None:
    if os.geteuid() != 0:
        unavailable("mounting a disk of one's own needs root")


class LoopDisk:
    """An ext4 file system in a file. What was written and not synced is in this machine's memory and not in the file."""

    def __init__(self, folder: Path) -> None:
        need_root()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder / "disk"
        self._images, self._number = folder, 0
        self.folder.mkdir()
        with self._image.open("wb") as image:
            image.truncate(_SIZE)
        try:
            run("mkfs.ext4", "-q", "-F", str(self._image))
            self._mount()
        except (OSError, subprocess.CalledProcessError) as error:
            unavailable(f"no loop device or no ext4: {getattr(error, 'stderr', b'') or error}")

    @property
    def _image(self) -> Path:
        return self._images / f"{self._number}.img"

    def _mount(self) -> None:
        run("mount", "-o", "loop,commit=60", str(self._image), str(self.folder))

    def _is_unmounted(self) -> bool:
        try:
            run("umount", str(self.folder))
        except subprocess.CalledProcessError as error:
            if b"busy" in error.stderr:
                return False
            raise
        return True

    def copy(self) -> None:
        """What is on the disk at this moment; `cut` goes on with it.

        The kernel may write while we copy, and what was copied before and after is then of no one moment: a disk that never was. A
        copy that the disk still equals when it is complete is of the moment between.
        """
        copy = self._images / f"{self._number + 1}.img"

        def of_one_moment() -> bool:
            shutil.copyfile(self._image, copy)
            return filecmp.cmp(self._image, copy, shallow=False)

        until("the disk to rest while it is copied", of_one_moment)

    def cut(self) -> None:
        """The machine comes up again, with what was on the disk when it was copied."""
        until("the disk to be let go by all that were killed", self._is_unmounted)
        self._image.unlink()
        self._number += 1
        self._mount()

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("umount", str(self.folder))


@contextlib.contextmanager
def loop_disk(folder: Path) -> Iterator[LoopDisk]:
    found = LoopDisk(folder)
    try:
        yield found
    finally:
        found.close()


class SmallDisk:
    """A file system in memory of few megabytes."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        need_root()
        self.folder = folder
        folder.mkdir(parents=True)
        try:
            run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
        except (OSError, subprocess.CalledProcessError) as error:
            unavailable(f"no tmpfs: {getattr(error, 'stderr', b'') or error}")

    def fill(self) -> None:
        """Not a byte is free."""
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)

    def enlarge(self, megabytes: int) -> None:
        run("mount", "-o", f"remount,size={megabytes}m", str(self.folder))


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    found = SmallDisk(folder, megabytes)
    try:
        yield found
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("umount", str(folder))
