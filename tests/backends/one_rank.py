"""What each process of `test_distributed.py` does: `netspace train WORDS`, and besides it keeps its own network.

    python -m tests.backends.one_rank FOLDER DIES_AFTER

trains in a folder; process 1 dies after an epoch (0: after none).
"""

import os
import sys
from pathlib import Path

from netspace import single
from netspace.backends.conversion import save_network
from netspace.cli import main
from netspace.training.rank import Rank
from netspace.training.recipe import TrainingRecipe

WORDS = (
    *("mine.json", "--data", "npz:mine.npz", "--epochs", "1", "--batch-size", "20", "--lr", "0.1"),
    *("--flip", "--shift", "1", "--class-weights", "balanced"),
)
RECIPE = TrainingRecipe(  # that of WORDS
    epochs=1, batch_size=20, learning_rate=0.1, flip=True, shift=1, class_weights="balanced"
)


def train(folder: Path, dies_after: int) -> None:
    train_network = single.train_network

    def train_and_keep(*given, rank: Rank, on_epoch, **named):
        def said(record):
            on_epoch(record)
            if rank.number == 1 and record.epoch == dies_after:
                os._exit(3)

        done = train_network(*given, rank=rank, on_epoch=said, **named)
        save_network(done.network, Path(f"rank{rank.number}"), result=done.result)
        return done

    single.train_network = train_and_keep
    os.chdir(folder)
    more = ("--epochs", str(dies_after + 1), "--threads", "1", "--test", "--packed", "pack", "--output", "best")
    sys.argv = ["netspace", "train", *WORDS, *more]
    main()


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]))
