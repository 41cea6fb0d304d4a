"""`python -m mamlbook adapt` and `export`: a trained network on a folder, a cell as a model."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from mamlbook.errors import InputError
from mamlbook.fewshot import models, training
from mamlbook.fewshot.data import images, pictures
from mamlbook.fewshot.data.decode import DataError
from mamlbook.fewshot.settings import Cell, Cifar, Omniglot, Settings
from mamlbook.fewshot.training.classifier import Classifier, fit


def adapt(
    model: tyro.conf.Positional[str], folder: tyro.conf.Positional[Path], steps: int = 1
) -> None:
    """Adapt a trained network to FOLDER/support/CLASS/*.png and name what is in FOLDER/query.

    Args:
        model: a name, such as omniglot-large-maml-lineage-0, or the path of a .safetensors file.
        folder: holds `support`, a folder of pictures for each class, and `query`, of pictures;
            where these lie in folders of their classes' names, the accuracy is printed too.
        steps: inner steps.
    """
    network = models.load(model)
    support = _labelled(folder / "support")
    for path, _ in support:
        if path.parent == folder / "support":
            raise DataError(f"The picture {path} is in no class; move it into its class's folder.")
    query = _labelled(folder / "query")
    known = [label for _, label in support]
    adapted = models.adapt(network, _read(network, support), known, steps)
    found = models.predict(adapted, _read(network, query))
    for (path, _), label in zip(query, found, strict=True):
        print(f"{path.relative_to(folder / 'query')}\t{label}")
    true = [label for _, label in query]
    if set(true) <= set(known):
        right = sum(one == other for one, other in zip(true, found, strict=True))
        print(f"{right} of {len(true)} right ({100 * right / len(true):.1f}%)")


def export_omniglot(
    settings: Annotated[Omniglot, tyro.conf.OmitArgPrefixes],
    seed: int = 0,
    runs: Path = Path("runs/cells"),
    iteration: int | None = None,
    commit: str | None = None,
    out: Path = Path("runs/models"),
) -> None:
    """Write a trained cell of Table 1 as a model; its settings as `train omniglot` had them."""
    _export(settings, seed, runs, iteration, commit, out)


def export_cifar(
    settings: Annotated[Cifar, tyro.conf.OmitArgPrefixes],
    seed: int = 0,
    runs: Path = Path("runs/cells"),
    iteration: int | None = None,
    commit: str | None = None,
    out: Path = Path("runs/models"),
) -> None:
    """Write a trained cell of Table 2 as a model; its settings as `train cifar` had them."""
    _export(settings, seed, runs, iteration, commit, out)


def export_classifier(
    classifier: Annotated[Classifier, tyro.conf.OmitArgPrefixes],
    setting: Literal["large", "small"] = "large",
    configuration: Literal["text", "lineage", "strided"] = "lineage",
    seed: int = 0,
    out: Path = Path("runs/models"),
) -> None:
    """Train a plain classifier of all of Table 1's training characters; write it as a model.

    Args:
        setting: whose training characters.
        configuration: of the network and the inner loop that adapts it.
        seed: of the split of the alphabets, the initialization and the batches.
        out: the folder to write to.
    """
    settings = Omniglot(setting=setting, algorithm="nal-1", configuration=configuration)
    dataset = images.load(settings.data)
    with training.single_threaded():
        trained = fit(classifier, Cell(settings, seed), dataset)
        print(models.export(trained, dataset, out, classifier=classifier))


def _export(
    settings: Settings, seed: int, runs: Path, iteration: int | None, commit: str | None, out: Path
) -> None:
    cell = Cell(settings, seed)
    folder = runs / cell.label
    kept = [int(path.stem) for path in folder.glob("[0-9]*.json")]
    if not kept:
        raise InputError(
            f"There is no checkpoint in {folder}; give the settings it was trained with, or --runs."
        )
    dataset = images.load(settings.data)
    with training.single_threaded():
        trained = training.at(cell, dataset, folder, max(kept) if iteration is None else iteration)
        print(models.export(trained, dataset, out, commit=commit))


def _labelled(folder: Path) -> list[tuple[Path, str]]:
    """The pictures of a folder and of the folders in it, each with its folder's name."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; `adapt` needs one `support` and one `query`.")
    inner = sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not pictures.hidden(path.relative_to(folder))
    )
    found = [(path, each.name) for each in (folder, *inner) for path in pictures.files(each)]
    if not found:
        raise DataError(f"{folder} holds no {', '.join(pictures.SUFFIXES)} files.")
    return found


def _read(network: models.Model, labelled: list[tuple[Path, str]]):
    paths = [path for path, _ in labelled]
    return pictures.read(paths, network.network.side, network.preparation)
