"""A network on the Hugging Face Hub: the same two files as in a folder that `netspace.save` wrote, and a model card."""

from pathlib import Path
from typing import Any, Self

from netspace.backends import needed_by
from netspace.errors import CheckpointError

with needed_by("HubNetwork", extra="hub"):
    import torch
    from huggingface_hub import PyTorchModelHubMixin, snapshot_download

    from netspace.backends.checkpoints import SPEC_FILE, WEIGHTS_FILE
    from netspace.backends.conversion import load_network, save_network
    from netspace.backends.torch_fusing import refuse_folded
    from netspace.backends.torch_model import AnyNet
    from netspace.networks.spec import NetworkSpec

CARD = """---
{{ card_data }}
---

A convolutional network of netspace: `network.json` says what it is, `model.safetensors` holds its weights.

```python
import netspace as ns

network = ns.HubNetwork.from_pretrained("OWNER/NAME")  # of this repository
```
"""
"""The page that the Hub shows where the folder has no README.md of its own."""


class HubNetwork(
    AnyNet,
    PyTorchModelHubMixin,
    library_name="netspace",
    pipeline_tag="image-classification",
    model_card_template=CARD,
):
    """A network with the Hub's `push_to_hub`, `save_pretrained` and `from_pretrained`.

    `netspace.load` reads what `save_pretrained` writes, and `from_pretrained` what `netspace.save` writes.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self._hub_mixin_config = None  # no config.json: the spec stands in network.json alone

    @classmethod
    def of(cls, network: AnyNet) -> Self:
        """Return a network as a HubNetwork; both share their numbers."""
        refuse_folded(network)
        with torch.device("meta"):
            shared = cls(network.spec)
        shared.load_state_dict(network.state_dict(), assign=True)
        return shared.train(network.training)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **where: Any) -> Self:
        """Return the network of a folder, or of a repository on the Hub, in evaluation mode.

        `where` is what `huggingface_hub.snapshot_download` takes: `revision`, `token`, `cache_dir`,
        `local_files_only`, `force_download`.

        Raises: CheckpointError; what `snapshot_download` raises.
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            name = str(pretrained_model_name_or_path)
            if name.startswith((".", "/", "~")) or isinstance(pretrained_model_name_or_path, Path):
                raise CheckpointError(f"folder {name!r} does not exist")
            folder = Path(snapshot_download(name, allow_patterns=[SPEC_FILE, WEIGHTS_FILE], **where))
        return cls.of(load_network(folder))

    def _save_pretrained(self, save_directory: Path) -> None:
        save_network(self, save_directory)
