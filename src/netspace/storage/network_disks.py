"""Which kind of disk a path is on, and whether it is one of the network, where SQLite's locks cannot be trusted.

Source: the table of mounts that Linux shows, `proc_pid_mountinfo(5)`; elsewhere nothing is known and nothing refused.
"""

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_TYPES = """
9p acfs afs beegfs ceph cifs coda davfs fuse.ceph fuse.davfs2 fuse.gcsfuse fuse.glusterfs fuse.juicefs fuse.rclone
fuse.s3fs fuse.sshfs fuse.weka gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs panfs pvfs2 smb3 smbfs wekafs
"""
NETWORK = frozenset(_TYPES.split())
"""The types of file systems that several machines may write."""


def network_disk(path: Path) -> str | None:
    """Return the type of the network's file system that a path is on; None on a disk of this machine."""
    kind = disk(path)
    return kind if kind in NETWORK else None


def disk(path: Path) -> str | None:
    """Return the type of the file system of a path, which need not exist; None where that is not known."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        aim = Path(os.path.realpath(path))
    except (OSError, ValueError):  # ValueError: a path with a null byte
        return None
    found, length = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        # Of two mounts in one place the later one hides the earlier.
        if aim.is_relative_to(point) and len(point.parts) >= length:
            found, length = after.split(" ")[0], len(point.parts)
    return found
