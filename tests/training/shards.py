"""Arrays put into shards by hand."""

import numpy as np

from netspace.training.shards import Shard, Shards, pixel_digest


def in_shards(images, folder, size, rows=None):
    """Return images from shards in a folder, `size` in each."""
    shards = []
    for first in range(0, len(images), size):
        piece = np.ascontiguousarray(images[first : first + size])
        np.save(folder / f"{first}.npy", piece)
        shards.append(Shard(file=f"{first}.npy", images=len(piece), sha256=pixel_digest(piece)))
    return Shards(folder, shards, rows)
