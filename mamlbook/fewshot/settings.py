"""What is trained: settings of an Omniglot or a CIFAR cell, or of images of one's own, and the
tasks they stand for.

A cell is one line of Table 1 or 2, or one network of one's own, for one seed. Its seed derives
four independent ones: of the split into training and test classes, of the initial weights, of the
training tasks and of the evaluation tasks.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
import tyro

from mamlbook.errors import InputError, check_count
from mamlbook.fewshot.data import images as data
from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.data.pictures import Preparation
from mamlbook.fewshot.data.tasks import Family, Mixture, Shape
from mamlbook.fewshot.engine.learners import Learner
from mamlbook.fewshot.engine.network import Network

# Sanskrit and Bengali, which the paper names, and of the others the eight of lowest accuracy after
# C.4's own procedure, lowest first: results/alphabets.csv, made by `reproduce alphabets`. There
# Sanskrit came 10th and Bengali 21st.
HARD_ALPHABETS = (
    "Sanskrit", "Bengali", "Braille", "Balinese", "Sylheti", "Oriya", "Kannada", "Ge_ez",
    "Tengwar", "Malay_(Jawi_-_Arabic)",
)  # fmt: skip
Configuration = Literal["text", "lineage", "strided"]
Setting = Literal["large", "small", "all", "wide", "few", "close"]
OmniglotAlgorithm = Literal["maml", "maml-first", "anil", "boil", "nal-1", "nal-10"]
CifarAlgorithm = Literal["maml", "maml-first", "anil", "boil", "nal"]
ARMS: tuple[Setting, ...] = ("wide", "few", "close")  # of the experiment on packing
FC100_TEST = ("aquatic_mammals", "insects", "medium_mammals", "people")

_TEXT = {
    "optimiser": "sgd", "schedule": "constant", "downsampling": "strided", "activation": "relu",
    "adapted": "all", "rotations": False, "conversion": "grey", "head": "xavier",
    "standardized": False,
}  # fmt: skip
_LINEAGE = {
    "optimiser": "adam", "schedule": "cosine", "downsampling": "pooled", "activation": "leaky",
    "adapted": "weights", "rotations": True, "conversion": "binary", "head": "xavier",
    "standardized": True,
}  # fmt: skip
ADAPTED = {"anil": "head", "boil": "body"}  # what MAML's inner loop then adapts
# Mean and standard deviation of CIFAR-100's red, green and blue, as image code has them.
CIFAR_MEAN, CIFAR_STD = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)


def configured(configuration: Configuration, algorithm: str) -> dict[str, Any]:
    """What a configuration chooses where the paper's words leave a choice, by setting.

    `text`: SGD, strided convolutions and ReLU, as the paper's words have it. `lineage`: the code
    that the experiments most probably derive from, Antoniou et al.'s (2018) as changed for
    Collins et al. (2020): max-pooling, leaky ReLU, Adam with cosine decay for every algorithm,
    scales and shifts of batch norm not adapted, training characters rotated, binary images.
    `strided`: as `text`, but MAML by Adam.
    """
    _one_of("configuration", configuration, get_args(Configuration))
    only = {"adapted": ADAPTED[algorithm]} if algorithm in ADAPTED else {}
    if configuration == "lineage":
        return {**_LINEAGE, **only}
    adam = configuration == "strided" and not algorithm.startswith("nal")
    return {**_TEXT, "optimiser": "adam" if adam else "sgd", **only}


@dataclass(frozen=True)
class Seeds:
    """The four independent seeds that a cell's seed stands for."""

    split: int
    initialisation: int
    tasks: int
    evaluation: int

    @classmethod
    def of(cls, seed: int) -> "Seeds":
        """Those of a cell's seed; InputError if it is negative."""
        if seed < 0:
            raise InputError(f"The seed is {seed}; it must not be negative.")
        drawn = np.random.SeedSequence(seed).generate_state(4, np.uint32)
        return cls(*(int(value) for value in drawn))


@dataclass(frozen=True)
class Problem:
    """Tasks to train on, and by split ("train", "test") tasks to evaluate on."""

    training: Mixture
    evaluation: dict[str, Mixture]


@dataclass(frozen=True)
class Common(ABC):
    """What the settings of Omniglot and CIFAR share."""

    iterations: int
    """Outer steps."""
    tasks: int
    """Tasks of an outer step."""
    outer_rate: float | None = None
    """Outer learning rate; by default the paper's, 1e-3 for MAML and 1e-6 for NAL."""
    inner_rate: float = 0.1
    """Inner learning rate."""
    inner_steps: int = 1
    """Inner steps of MAML in training, and at evaluation unless `steps` is given."""
    configuration: Configuration = "strided"
    """What is chosen where the paper leaves a choice; a setting that is given overrides it."""
    optimiser: Literal["sgd", "adam"] | None = None
    """Of the outer loop; by default the configuration's, as for all settings without a value."""
    schedule: Literal["constant", "cosine"] | None = None
    """Of the outer rate: constant, or cosine decay to 1e-6 over all the outer steps."""
    targets: Annotated[int, tyro.conf.arg(name="queries")] = 10
    """Query examples of a class (in records: targets)."""
    filters: int = 64
    """Filters of each convolution."""
    downsampling: Literal["strided", "pooled"] | None = None
    """Strided convolutions (Finn et al., 2017) or max-pooling (Vinyals et al., 2016)."""
    activation: Literal["relu", "leaky"] | None = None
    """ReLU, or leaky ReLU with slope 0.01."""
    adapted: Literal["all", "weights"] | None = None
    """Parameters that the inner loop adapts: all, or all but batch norm's scales and shifts."""
    head: Literal["xavier", "zeros", "normal"] | None = None
    """Initialization of the head's weights: Xavier's, zeros, or N(0, 1) as Finn et al. (2017)."""
    validation: bool = False
    """Hold out some training classes and evaluate on them, to search for a rate."""
    steps: int | None = None
    """Adaptation steps at evaluation; by default those of training, for NAL the paper's."""
    evaluation_tasks: int = 500
    """Tasks of each split at evaluation."""

    def __post_init__(self) -> None:
        for name, chosen in configured(self.configuration, self.algorithm).items():
            if getattr(self, name, chosen) is None:
                object.__setattr__(self, name, chosen)
        only = ADAPTED.get(self.algorithm, self.adapted)
        if self.adapted != only:
            raise InputError(f"{self.algorithm} adapts the {only}; leave `adapted` out.")
        if self.inner_steps != 1 and self.algorithm.startswith("nal"):
            raise InputError(f"{self.algorithm} trains without inner steps; give `steps`.")
        for name in (
            "iterations", "tasks", "targets", "filters", "evaluation_tasks", "steps", "inner_steps",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None:
                check_count("queries" if name == "targets" else name, value)
        for name in ("outer_rate", "inner_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} is {value}; it must be positive and finite.")
        _one_of("optimiser", self.optimiser, ("sgd", "adam"))
        _one_of("schedule", self.schedule, ("constant", "cosine"))

    @property
    @abstractmethod
    def algorithm(self) -> str:
        """A field of each kind of settings: one of the algorithms of its table."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The settings that bear on training and are not the defaults; not how long it lasts,
        unless the schedule depends on it."""
        left_out = ["evaluation_tasks", "steps", "setting", "p", "algorithm", "path"]
        if self.schedule == "constant":
            left_out.append("iterations")
        chosen = configured(self.configuration, self.algorithm)
        if self.rate == self._paper_rate:
            left_out.append("outer_rate")
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in left_out
            and getattr(self, field.name) != chosen.get(field.name, field.default)
        }

    @property
    def rate(self) -> float:
        """The outer learning rate."""
        return self._paper_rate if self.outer_rate is None else self.outer_rate

    @property
    def _paper_rate(self) -> float:
        return 1e-6 if self.algorithm.startswith("nal") else 1e-3

    @property
    @abstractmethod
    def data(self) -> str:
        """The name of the images, as `images.load` knows them."""

    def load(self, device: str | torch.device = "cpu") -> ImageSet:
        """The images that the tasks are made of, on `device`; DataError if they are not there."""
        return data.load(self.data, device)

    @property
    def learner(self) -> Learner:
        """The algorithm, its inner loop, and the parameters that the inner loop adapts."""
        algorithm: Any = "nal" if self.algorithm.startswith("nal") else self.algorithm
        if algorithm in ADAPTED:
            algorithm = "maml"
        return Learner(algorithm, self.inner_rate, self.adapted, self.inner_steps)


@dataclass(frozen=True)
class Omniglot(Common):
    """A cell of Table 1: 5-way tasks of Omniglot's characters (C.4)."""

    setting: Setting = "large"
    """5 hard training and 5 hard test alphabets; one of each, Sanskrit and Bengali; to find the
    hard ones, every alphabet for training; or, to take the causes apart, 5 hard training alphabets
    of the ten permuted, as many characters of them as the first has, and the first alone."""
    algorithm: OmniglotAlgorithm = "maml"
    """MAML (exact or first-order), ANIL (only the head adapts) or BOIL (all but the head) with 1
    shot, NAL adapted with 1 shot or with 10."""
    iterations: int = 20_000
    """Outer steps."""
    tasks: int = 8
    """Tasks of an outer step."""
    hard_probability: float = 0.5
    """Probability that a training task is hard."""
    rotations: bool | None = None
    """Turn each class of a training task by a random multiple of 90 degrees."""
    conversion: Literal["grey", "binary"] | None = None
    """From 105 x 105 to 28 x 28: grays with ink 255, or nearest pixels with ink 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("setting", self.setting, ("large", "small", "all", *ARMS))
        _one_of("algorithm", self.algorithm, ("maml", "maml-first", *ADAPTED, "nal-1", "nal-10"))
        if self.validation and self.setting != "large":
            raise InputError(
                f"validation needs hard alphabets to spare, which the setting {self.setting!r} "
                "has not; use 'large'."
            )
        _one_of("conversion", self.conversion, ("grey", "binary"))

    @property
    def data(self) -> str:
        """The name of the images, as `images.load` knows them."""
        return "omniglot" if self.conversion == "grey" else "omniglot-binary"

    @property
    def preparation(self) -> Preparation:
        """How `pictures.prepared` makes a picture into one of these images."""
        return "grey" if self.conversion == "grey" else "binary"

    @property
    def name(self) -> str:
        """The setting, as the table names it."""
        return self.setting

    @property
    def network(self) -> Network:
        """The network for images of this size and tasks of this many ways."""
        return Network(28, 1, 5, self.filters, self.downsampling, self.activation, self.head)

    @property
    def adaptation_steps(self) -> int:
        """Inner steps in the evaluation."""
        return self.steps or self.inner_steps

    def problem(self, images: ImageSet, split: int) -> Problem:
        """The tasks of this cell: a random split of the alphabets by the seed `split`."""
        shape = Shape(5, 10 if self.algorithm == "nal-10" else 1, self.targets)
        examples = torch.arange(images.images.shape[1]).expand(len(images.classes), -1)
        total = images.images.shape[1]

        def mixture(
            easy: list[str], hard: list[str], probability: float, turned: bool = False
        ) -> Mixture:
            return Mixture(
                Family(shape, _members(images, easy), True, examples, turned),
                Family(shape, _members(images, hard), False, examples, turned),
                probability,
                total,
            )

        alphabets = sorted(set(images.groups))
        if self.setting == "all":
            every = mixture(alphabets, alphabets, self.hard_probability, self.rotations)
            return Problem(every, {"train": mixture(alphabets, alphabets, 0.5)})
        if self.setting in ARMS:
            return self._arm(images, mixture, split)
        easy, hard = split_alphabets(alphabets, split)
        if self.setting == "small":
            hard = {"train": ["Sanskrit"], "test": ["Bengali"]}
        splits = ["train", "test"]
        if self.validation:
            easy = {"train": easy["train"][5:], "validation": easy["train"][:5]}
            hard = {"train": hard["train"][1:], "validation": hard["train"][:1]}
            splits = ["train", "validation"]
        return Problem(
            mixture(easy["train"], hard["train"], self.hard_probability, self.rotations),
            {name: mixture(easy[name], hard[name], 0.5) for name in splits},
        )

    def _arm(self, images: ImageSet, mixture: Callable[..., Mixture], split: int) -> Problem:
        """An arm of the experiment on packing: the ten hard alphabets are permuted by the seed,
        and the test is on one of them ("test") and on five ("test-5"), the same for every arm."""
        easy, _ = split_alphabets(sorted(set(images.groups)), split)
        hard = np.random.default_rng((split, 2)).permutation(HARD_ALPHABETS).tolist()
        met = hard[:1] if self.setting == "close" else hard[:5]
        training = mixture(easy["train"], met, self.hard_probability, self.rotations)
        if self.setting == "few":  # of each alphabet as many, in all as many as one has (or 4 more)
            count = -(-len(_members(images, hard[:1])[0]) // 5)
            groups = tuple(group[:count] for group in training.hard.groups)
            training = replace(training, hard=replace(training.hard, groups=groups))
        return Problem(
            training,
            {
                "test": mixture(easy["test"], hard[5:6], 0.5),
                "test-5": mixture(easy["test"], hard[5:], 0.5),
            },
        )


def split_alphabets(
    alphabets: list[str], split: int
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Easy alphabets 25/15 and hard ones 5/5 for training and test, at random.

    Sanskrit is always a hard training alphabet and Bengali a hard test alphabet, so that the
    Small setting's hard tasks are among the Large setting's.
    """
    missing = [name for name in HARD_ALPHABETS if name not in alphabets]
    if missing:
        raise InputError(f"These images have no alphabet {missing[0]!r}; use all of Omniglot.")
    fixed = ("Sanskrit", "Bengali")
    rng = np.random.default_rng(split)
    easy = rng.permutation([name for name in alphabets if name not in HARD_ALPHABETS]).tolist()
    free = rng.permutation([name for name in HARD_ALPHABETS if name not in fixed]).tolist()
    return (
        {"train": easy[:25], "test": easy[25:]},
        {"train": [fixed[0], *free[:4]], "test": [fixed[1], *free[4:]]},
    )


@dataclass(frozen=True)
class Cifar(Common):
    """A cell of Table 2: tasks of FS-CIFAR100 (C.5), easy 2-way 50-shot, hard 20-way 5-shot."""

    p: float = 0.5
    """Probability that a training task is hard."""
    algorithm: CifarAlgorithm = "maml"
    """MAML (exact or first-order), ANIL (only the head adapts), BOIL (all but the head), or NAL on
    15 samples of a class."""
    iterations: int = 10_000
    """Outer steps."""
    tasks: int = 2
    """Tasks of an outer step."""
    easy_shots: int = 50
    """Shots of an easy task (the paper's body has 10)."""
    hard_shots: int = 5
    """Shots of a hard task (the paper's body has 1)."""
    standardized: bool | None = None
    """Subtract each color's mean and divide by its standard deviation."""

    data = "cifar100"
    preparation = "rgb"

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("algorithm", self.algorithm, ("maml", "maml-first", *ADAPTED, "nal"))
        if not 0 <= self.p <= 1:
            raise InputError(f"p is {self.p}; a probability lies between 0 and 1.")

    @property
    def name(self) -> str:
        """The setting, as the table names it."""
        return f"p={self.p!r}"

    @property
    def network(self) -> Network:
        """The network for images of this size and tasks of this many ways."""
        moments = (CIFAR_MEAN, CIFAR_STD) if self.standardized else ((), ())
        return Network(
            32, 3, 20, self.filters, self.downsampling, self.activation, self.head, *moments
        )

    @property
    def adaptation_steps(self) -> int:
        """Inner steps in the evaluation."""
        return self.steps or (5 if self.algorithm == "nal" else self.inner_steps)

    def problem(self, images: ImageSet, split: int) -> Problem:
        """80 training classes with 450 images for training and 150 for evaluation, 20 test
        classes; the seed `split` deals the images of each class."""
        shapes = (Shape(2, self.easy_shots, self.targets), Shape(20, self.hard_shots, self.targets))
        # NAL has no inner loop: 5 + 10 samples of a class are one set of 15.
        trained = shapes if self.algorithm != "nal" else (Shape(2, 5, 10), Shape(20, 5, 10))
        test = [name in FC100_TEST for name in images.groups]
        classes = {
            "train": tuple(index for index, held in enumerate(test) if not held),
            "test": tuple(index for index, held in enumerate(test) if held),
        }
        other = "test"
        if self.validation:  # as many classes as the test has
            order = np.random.default_rng((split, 1)).permutation(classes["train"]).tolist()
            classes = {"train": tuple(order[20:]), "validation": tuple(order[:20])}
            other = "validation"
        total = images.images.shape[1]
        rng = np.random.default_rng(split)
        dealt = torch.from_numpy(
            rng.permuted(np.tile(np.arange(total), (len(images.classes), 1)), axis=1)
        )

        def mixture(
            name: str, examples: torch.Tensor, shapes: tuple[Shape, Shape], p: float
        ) -> Mixture:
            easy, hard = (Family(shape, (classes[name],), False, examples) for shape in shapes)
            return Mixture(easy, hard, p, total)

        held = 3 * total // 4
        return Problem(
            mixture("train", dealt[:, :held], trained, self.p),
            {
                "train": mixture("train", dealt[:, held:], shapes, 0.5),
                other: mixture(other, dealt, shapes, 0.5),
            },
        )


SHARES = {"validation": 0.16, "test": 0.2}  # of one's own classes: those of miniImageNet


@dataclass(frozen=True)
class Folder(Common):
    """Your own images: N-way K-shot tasks of a folder of class folders, PNG or JPEG."""

    path: tyro.conf.Positional[Path] = field(kw_only=True)
    """Holds a folder of pictures for each class, or such folders in folders."""
    ways: int = 5
    """Classes of a task."""
    shots: int = 1
    """Support images of a class."""
    targets: Annotated[int, tyro.conf.arg(name="queries")] = 10
    """Query images of a class (in records: targets)."""
    algorithm: Literal["maml", "maml-first", "anil", "boil", "nal"] = "maml"
    """MAML (exact or first-order), ANIL (only the head adapts), BOIL (all but the head), or NAL."""
    iterations: int = 2000
    """Outer steps."""
    tasks: int = 4
    """Tasks of an outer step."""
    outer_rate: float | None = None
    """Outer learning rate; by default 1e-3 for every algorithm."""
    validation: bool = False
    """Leave the meta-test out, to search for settings."""
    steps: int | None = None
    """Adaptation steps at evaluation; by default the inner steps of training."""
    configuration: Configuration = "lineage"
    """As for the tables; a setting that is given overrides it."""
    side: int = 32
    """Every picture is resized to so many pixels a side."""
    preparation: Preparation = "rgb"
    """In color, gray with dark ink as 255, or binary."""
    validation_classes: int | None = None
    """Classes for validation; by default 16%, but no fewer than the ways."""
    test_classes: int | None = None
    """Classes for the meta-test; by default 20%, but no fewer than the ways."""

    data = "folder"

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("algorithm", self.algorithm, ("maml", "maml-first", *ADAPTED, "nal"))
        check_count("ways", self.ways, 2)
        check_count("shots", self.shots)
        for name in ("validation_classes", "test_classes"):
            count = getattr(self, name)
            if count is not None and count < self.ways:
                raise InputError(
                    f"{name} is {count}, too few for tasks of {self.ways} classes; "
                    f"give at least {self.ways}, or fewer ways."
                )

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    @property
    def network(self) -> Network:
        """The network for images of this size and tasks of this many ways."""
        channels = 3 if self.preparation == "rgb" else 1
        return Network(
            self.side, channels, self.ways, self.filters, self.downsampling, self.activation,
            self.head,
        )  # fmt: skip

    @property
    def adaptation_steps(self) -> int:
        """Inner steps in the evaluation."""
        return self.steps or self.inner_steps

    @property
    def _paper_rate(self) -> float:
        """The paper has none for other images: 1e-3 for every algorithm, by Adam."""
        return 1e-3

    def load(self, device: str | torch.device = "cpu") -> ImageSet:
        """The folder's images. DataError if a class has too few for a task, or one is damaged."""
        dataset = data.from_folder(
            self.path, self.side, self.preparation, least=(self.shots, self.targets)
        )
        return dataset.to(device)

    def split(self, classes: int, seed: int) -> dict[str, tuple[int, ...]]:
        """Which classes are for meta-training ("train"), validation and meta-test, at random.

        Raises InputError if there are too few classes for tasks of each kind.
        """
        counts = {
            name: getattr(self, f"{name}_classes") or max(self.ways, round(share * classes))
            for name, share in SHARES.items()
        }
        left = classes - sum(counts.values())
        if left < self.ways:
            listed = f"{counts['validation']} for validation and {counts['test']} for the meta-test"
            fewer = classes // 3
            remedy = f"add classes or give --ways {fewer}" if fewer > 1 else "add classes"
            if self.validation_classes or self.test_classes:
                remedy = "give smaller --validation-classes or --test-classes, or add classes"
            raise InputError(
                f"{self.path} has {classes} classes; {listed} leave {max(left, 0)} to train on, "
                f"and {self.ways} ways need at least {self.ways}: {remedy}."
            )
        order = np.random.default_rng(seed).permutation(classes).tolist()
        test, held = counts["test"], counts["test"] + counts["validation"]
        return {
            "train": tuple(order[held:]),
            "validation": tuple(order[test:held]),
            "test": tuple(order[:test]),
        }

    def problem(self, images: ImageSet, split: int) -> Problem:
        """Tasks of the classes of each part; with `validation` none of the meta-test."""
        total = images.images.shape[1]
        shape = Shape(self.ways, self.shots, self.targets)
        examples = torch.arange(total).expand(len(images.classes), -1)
        mixtures = {}
        for name, classes in self.split(len(images.classes), split).items():
            family = Family(shape, (classes,), False, examples)
            mixtures[name] = Mixture(family, family, 0.0, total)
        training = mixtures["train"]
        if self.validation:
            del mixtures["test"]
        return Problem(training, mixtures)


Settings = Omniglot | Cifar | Folder


@dataclass(frozen=True)
class Cell:
    """One training run: settings and a seed."""

    settings: Settings
    seed: int

    @property
    def label(self) -> str:
        """A name for all but how long the cell is trained and evaluated, fit for a folder."""
        named = (f"{key}={value}" for key, value in self.settings.metadata.items())
        settings = self.settings
        return "-".join((settings.data, settings.name, settings.algorithm, *named, str(self.seed)))


def from_mapping(kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Settings from a mapping, such as a file's; an unknown key is refused."""
    known = [field.name for field in fields(kind)]
    for key in values:
        if key not in known:
            raise InputError(f"{kind.__name__} has no setting {key!r}; it has {', '.join(known)}.")
    return kind(**values)


def _members(images: ImageSet, names: list[str]) -> tuple[tuple[int, ...], ...]:
    """The classes of each named group."""
    members = defaultdict[str, list[int]](list)
    for index, group in enumerate(images.groups):
        members[group].append(index)
    return tuple(tuple(members[name]) for name in names)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; choose one of {', '.join(allowed)}.")
