"""The card of a trained network: what it is, on what it was trained, what its error is worth, and where it ends.

Plain facts first, for a program; then the same in Markdown, for a person. No path and no name of the user's machine is
among them, so that the card can go wherever the network goes.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from netspace import values
from netspace.networks.complexity import MEASURES, complexity
from netspace.networks.zoo import name_of
from netspace.report.wording import amount, counted, duration, printable
from netspace.stats import error_limits
from netspace.training.data import Dataset
from netspace.training.metrics import Judged, images_behind, metric_name
from netspace.training.recipe import PRESETS
from netspace.training.trial import Trial, TrialResult

LEVEL = 0.95
UNSTEADY = 0.1
"""The noise of a latency, as a share of it, above which it is called unsteady."""
MOST_CLASSES = 20
"""Classes that the card lists, those with the most errors; the facts have all."""


def facts(
    trial: Trial,
    result: TrialResult,
    data: Dataset,
    *,
    test: Judged | None,
    versions: Mapping[str, str],
    latency: Mapping[str, Any] | str,
    began: Sequence[str] = (),
    origin: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return all that a card says, as plain data.

    `latency` is what was measured, or why nothing was; `began` says from which weights it began, if not from fresh
    ones; `origin` is where the network was found.
    """
    splits = {"training": data.training, "validation": data.validation, "test": data.test}
    counts = {name: None if split is None else len(split) for name, split in splits.items()}
    by_class = [int((data.validation.labels == number).sum()) for number in range(data.num_classes)]
    assert result.error is not None
    validation = _error(trial.recipe.metric, result.error, images_behind(trial.recipe.metric, by_class))
    told: dict[str, Any] = {
        "network": {
            "name": name_of(trial.network),
            "digest": trial.network.digest,
            "resolution": data.resolution,
            **values.to_dict(complexity(trial.network, data.resolution)),
            "spec": _without_paths(trial.network.to_dict()),
        },
        "data": {
            "kind": data.name.partition(":")[0],
            "fingerprint": data.fingerprint,
            "images": counts,
            "training_share": data.choice.training_share,
            "channels": data.in_channels,
            "class_names": list(data.class_names),
            "mean": list(data.mean),
            "std": list(data.std),
            "notes": [note.partition(", namely ")[0] for note in data.notes],  # which are paths
        },
        "training": {
            "recipe": values.to_dict(trial.recipe),
            "recipe_name": next((name for name, one in PRESETS.items() if one == trial.recipe), None),
            "seed": trial.seed,
            "backend": trial.backend,
            "kernels": trial.kernels,
            "threads": trial.threads,
            "device": trial.device,
            "processes": trial.processes,
            "seconds": result.seconds,
            "images": result.images,
            "remark": result.reason,
            "began_from": list(began) or None,
        },
        "validation": validation,
        "test": None if test is None else _tested(test, data.class_names),
        "latency": latency if isinstance(latency, str) else dict(latency),
        "origin": None if origin is None else dict(origin),
        "versions": dict(versions),
    }
    return told | {"limitations": _limitations(told)}


def _without_paths(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a network's plain data with the bare name of its own block's file."""
    block = spec.get("own_block")
    return spec if block is None else {**spec, "own_block": {**block, "file": PurePath(block["file"]).name}}


def card(told: Mapping[str, Any]) -> str:
    """Return the card that says some `facts`, in Markdown."""
    network, data, training = told["network"], told["data"], told["training"]
    side = network["resolution"]
    lines = [
        f"# {network['name'] or 'Network ' + network['digest'][:8]}",
        "",
        f"A convolutional network for images of {data['channels']}x{side}x{side}, in {len(data['class_names'])} "
        "classes.",
        "",
        *_table(("error", "value", "95 % limits", "images"), _errors(told)),
        "",
        "The limits are those of the images (Clopper and Pearson): with other images of the same kind the error would "
        "be found between them. "
        + (
            "The test images were judged once, by the network as it is, after everything was chosen."
            if told["test"]
            else "The test images were not touched."
        ),
        "",
    ]
    if told["test"]:
        lines += ["## Classes", "", *_classes(told["test"]["classes"]), ""]
    lines += ["## The network", "", *_table(("", "at this resolution"), _costs(network)), ""]
    lines += [*_latency(told["latency"]), f"Digest {network['digest']}; its choices stand in `network.json`.", ""]
    if told["origin"] is not None:
        lines += ["## Where it comes from", "", _origin(told["origin"]), ""]
    images = ", ".join(f"{count:,} for {name}" for name, count in data["images"].items() if count is not None)
    kind = {"folder": "a folder of images", "npz": "an array file", "parquet": "Parquet files", "hub": "the Hub"}
    lines += [
        "## The images",
        "",
        f"{kind.get(data['kind'], data['kind'])}: {images}. "
        + (f"Of the training images {100 * data['training_share']:g} % were taken. " * (data["training_share"] < 1))
        + f"Fingerprint {data['fingerprint']}. An image is brought to {side}x{side} pixels, its shorter side "
        "scaled and the rest cropped at the centre; the network takes (pixels - mean) / deviation, by channel, with "
        f"pixels from 0 to 1, mean {_listed(data['mean'])} and deviation {_listed(data['std'])}.",
        "",
        "## The training",
        "",
        f"{training['backend']}, {counted(training['threads'], 'thread')}, "
        + (f"{training['processes']} processes, " * (training["processes"] > 1))
        + f"kernels {training['kernels']}, on {training['device']}, seed {training['seed']}; "
        f"{training['images']:,} images in {duration(training['seconds'])}."
        + "".join(f" {sentence[0].upper()}{sentence[1:]}." for sentence in training["began_from"] or ()),
        "",
        *_table(("recipe", training["recipe_name"] or "own"), [(k, f"{v}") for k, v in training["recipe"].items()]),
        "",
        "## Limitations",
        "",
        *(f"- {sentence}" for sentence in told["limitations"]),
        "",
        "Made by " + ", ".join(f"{name} {version}" for name, version in told["versions"].items()) + ".",
        "",
    ]
    return printable("\n".join(lines))


def _error(metric: str, error: float, images: int) -> dict[str, Any]:
    low, high = error_limits([error], images, level=LEVEL)
    return {"metric": metric, "error": error, "images": images, "low": float(low[0]), "high": float(high[0])}


def _tested(test: Judged, class_names: Sequence[str]) -> dict[str, Any]:
    classes = [
        {"class": name, "wrong": wrong}
        | {k: v for k, v in _error("error", wrong / count, count).items() if k != "metric"}
        for name, wrong, count in zip(class_names, test.wrong, test.images, strict=True)
        if count
    ]
    return _error(test.metric, test.error, test.weight) | {"classes": classes}


def _limitations(told: Mapping[str, Any]) -> list[str]:
    data, validation = told["data"], told["validation"]
    found = [
        "It tells the classes above apart and nothing else: of an image that shows none of them it names one all the "
        "same, and how far its probabilities can be believed was not measured.",
        "Its error is that on images of the same source. On images of other cameras, places or people it may be much "
        "higher, and this card does not know.",
        "It is one training from one seed; another seed gives another network, with another error.",
        "Images were divided at random, class by class: pictures of one thing on both sides, such as frames of one "
        "film, make errors look lower than they are."
        if data["kind"] in ("folder", "npz", "parquet")
        else "The validation images were taken from the training images at random.",
    ]
    if told["test"] is None:
        found.append(
            "It was judged by validation images only; where these chose anything (network, recipe, epochs), its true "
            "error is probably higher."
        )
    elif validation["error"] < told["test"]["low"]:
        found.append("Its validation error is below the limits of its test error: the test error is the one to go by.")
    fewest = min((one["images"] for one in told["test"]["classes"]), default=0) if told["test"] else None
    if fewest is not None and fewest < 100:
        found.append(f"Of the rarest class there were {fewest} test images: the errors of single classes say little.")
    if data["notes"]:
        found.append(f"When the images were read: {'; '.join(data['notes'])}.")
    if told["training"]["remark"]:
        found.append(f"Of its training: {told['training']['remark']}.")
    return found


def _errors(told: Mapping[str, Any]) -> list[tuple[str, ...]]:
    both = (("test", told["test"]), ("validation", told["validation"]))
    return [
        (metric_name(one["metric"], split), _percent(one["error"]), _limits(one), f"{one['images']:,}")
        for split, one in both
        if one
    ]


def _classes(classes: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = sorted(classes, key=lambda one: -one["error"])[:MOST_CLASSES]
    rows = [
        (one["class"].replace("|", "\\|"), f"{one['wrong']} of {one['images']:,}", _percent(one["error"]), _limits(one))
        for one in shown
    ]
    rest = len(classes) - len(shown)
    more = ["", f"The other {rest} have fewer errors; `card.json` has all."] if rest else []
    return _table(("class", "wrong", "test error", "95 % limits"), rows) + more


def _costs(network: Mapping[str, Any]) -> list[tuple[str, ...]]:
    words = {name: amount(network[name]).replace("\N{NO-BREAK SPACE}", " ") for name in MEASURES}
    return [(name, f"{network[name]:,} ({short})") for name, short in words.items()]


def _latency(latency: Mapping[str, Any] | str) -> list[str]:
    if isinstance(latency, str):
        return [f"Latency was not measured: {latency}.", ""]
    sentence = (
        f"One image takes {latency['median_ms']:.3g} ms (± {latency['noise_ms']:.2g}), norms folded, float32, by "
        f"{counted(latency['threads'], 'thread')} of {latency['machine']} with {counted(latency['cores'], 'core')}, in "
        "PyTorch. Another machine takes another time."
    )
    if latency["noise_ms"] > UNSTEADY * latency["median_ms"]:
        sentence += (
            f" It varied by more than {100 * UNSTEADY:g} % while it was measured: other work was running, and the "
            "figure is rough."
        )
    return [sentence, ""]


def _origin(origin: Mapping[str, Any]) -> str:
    found = (
        f"From the study “{origin['study']}”, where {', '.join(origin['spaces'])} drew it, one of "
        f"{origin['networks']:,} networks."
    )
    if origin["error"] is not None:
        found += (
            f" Trained by the study's own recipe it had a validation error of {_percent(origin['error'])} there; it "
            "may have been chosen for that, and then this is too low."
        )
    return found


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _limits(one: Mapping[str, Any]) -> str:
    return f"{100 * one['low']:.2f} to {100 * one['high']:.2f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.4f}" for number in numbers)
