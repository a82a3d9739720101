"""The loss of a batch: cross-entropy with smoothed labels, weights of classes, and mixed images."""

import torch
import torch.nn.functional as F
from torch import Tensor

from netspace.backends.torch_mixing import Mixed


def mean_loss(
    logits: Tensor,
    labels: Tensor,
    label_smoothing: float,
    class_weights: Tensor | None,
    mixed: Mixed | None = None,
    part: slice = slice(None),
) -> Tensor:
    """Return the mean over images of their cross-entropy [nats], times their class's weight where there are such.

    The loss of an image that was `mixed` is its own and its partner's, by their shares. `logits` are those of a `part`
    of the batch, `labels` and `mixed` the whole batch's.
    """
    if mixed is not None:
        pairs = (labels[part], labels[mixed.partner[part]])
        own, other = (losses(logits, each, label_smoothing, class_weights) for each in pairs)
        return torch.lerp(other, own, mixed.share[part]).mean()
    labels = labels[part]
    if class_weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return losses(logits, labels, label_smoothing, class_weights).mean()


def losses(logits: Tensor, labels: Tensor, label_smoothing: float, class_weights: Tensor | None) -> Tensor:
    """Return the loss [nats] of each image (batch,)."""
    found = F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    # PyTorch's own weights divide by their sum over the batch, and spread the smoothed part by weight.
    return found if class_weights is None else found * class_weights[labels]
