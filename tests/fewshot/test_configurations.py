"""The three configurations of Section 5 and each part of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mamlbook.fewshot import training
from mamlbook.fewshot.data import decode, images
from mamlbook.fewshot.data.tasks import Family, Shape
from mamlbook.fewshot.engine.network import Network
from mamlbook.fewshot.engine.optimisers import Optimiser
from mamlbook.fewshot.settings import CIFAR_MEAN, CIFAR_STD, Cell, Cifar, Omniglot

KINDS = (Omniglot, Cifar)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("configuration", ["text", "lineage", "strided"])
def test_a_configuration_is_the_same_for_both_methods_but_for_the_record_s_optimizers(
    kind, configuration
):
    nal = "nal-1" if kind is Omniglot else "nal"
    maml, nal = (kind(algorithm=each, configuration=configuration) for each in ("maml", nal))
    assert replace(maml.network) == nal.network
    assert maml.schedule == nal.schedule and maml.adapted == nal.adapted
    assert (maml.rate, nal.rate) == (1e-3, 1e-6)
    expected = {"text": ("sgd", "sgd"), "lineage": ("adam", "adam"), "strided": ("adam", "sgd")}
    assert (maml.optimiser, nal.optimiser) == expected[configuration]


def test_lineage_is_what_the_code_does():
    settings = Omniglot(configuration="lineage")
    assert settings.network == Network(28, 1, 5, 64, "pooled", "leaky", "xavier")
    assert (settings.inner_rate, settings.tasks, settings.targets) == (0.1, 8, 10)
    assert (settings.adaptation_steps, settings.learner.algorithm) == (1, "maml")
    assert (settings.learner.adapted, settings.schedule) == ("weights", "cosine")
    assert settings.rotations and settings.data == "omniglot-binary"
    assert Cifar(configuration="lineage").network.mean == CIFAR_MEAN
    assert Cifar(configuration="lineage").network.std == CIFAR_STD
    assert Cifar(configuration="text").network.mean == ()


def test_what_is_given_wins_over_the_configuration():
    settings = Omniglot(configuration="lineage", downsampling="strided", rotations=False)
    assert settings.network.downsampling == "strided" and not settings.rotations
    assert settings.activation == "leaky"
    label = Cell(settings, 0).label
    assert "configuration=lineage" in label and "downsampling=strided" in label
    assert "activation" not in label


def test_the_length_names_a_run_whose_rate_decays_over_it():
    lineage = Omniglot(configuration="lineage")
    longer = replace(lineage, iterations=30_000)
    assert Cell(lineage, 0).label != Cell(longer, 0).label
    strided = Omniglot()
    assert Cell(strided, 0).label == Cell(replace(strided, iterations=30_000), 0).label


@pytest.mark.parametrize(
    ("name", "value"),
    [("configuration", "best"), ("schedule", "linear"), ("conversion", "jpeg"), ("head", "ones"),
     ("adapted", "none"), ("inner_rate", float("inf")), ("outer_rate", float("nan"))],
)  # fmt: skip
def test_what_is_not_known_is_refused(name, value):
    with pytest.raises(ValueError, match=str(value)):
        settings = Omniglot(**{name: value})
        settings.network, settings.learner  # noqa: B018


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_cosine_decay_is_that_of_torch(kind):
    torch.manual_seed(0)
    theta = torch.randn(1, 7, dtype=torch.float64)
    rate, steps = 3e-2, 12
    own = Optimiser(kind, theta.clone(), torch.full((1, 1), rate, dtype=torch.float64), steps)
    parameter = torch.nn.Parameter(theta.clone())
    made = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[kind]([parameter], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(made, T_max=steps, eta_min=1e-6)
    for _ in range(steps):
        gradient = torch.randn(1, 7, dtype=torch.float64)
        own.update(gradient)
        parameter.grad = gradient.clone()
        made.step()
        schedule.step()
        assert torch.allclose(own.theta, parameter.detach(), rtol=1e-12, atol=1e-14)


def test_adam_is_torchs_for_runs_with_rates_of_their_own():
    """With gradients from far below Adam's epsilon to far above it."""
    torch.manual_seed(1)
    theta, rates = torch.randn(2, 5, dtype=torch.float64), [3e-2, 1e-3]
    own = Optimiser("adam", theta.clone(), torch.tensor(rates, dtype=torch.float64)[:, None])
    parameters = [torch.nn.Parameter(row.clone()) for row in theta]
    made = [torch.optim.Adam([one], lr=rate) for one, rate in zip(parameters, rates, strict=True)]
    scale = torch.tensor([1e-10, 1e-8, 1e-3, 1.0, 1e4], dtype=torch.float64)
    for _ in range(20):
        gradient = scale * torch.randn(2, 5, dtype=torch.float64)
        own.update(gradient)
        for one, other, row in zip(parameters, made, gradient, strict=True):
            one.grad = row.clone()
            other.step()
        assert torch.allclose(own.theta, torch.stack(parameters).detach(), rtol=1e-12, atol=1e-14)


def test_the_head_is_initialized_as_asked():
    heads = {
        kind: Network(28, 1, 5, 64, head=kind).parts(Network(28, 1, 5, 64, head=kind).initial(3))
        for kind in ("xavier", "zeros", "normal")
    }
    for kind, sd in (("xavier", (2 / 69) ** 0.5), ("zeros", 0.0), ("normal", 1.0)):
        assert heads[kind][-2].std().item() == pytest.approx(sd, rel=0.15)
        for own, other in zip(heads[kind][:-2], heads["xavier"][:-2], strict=True):
            assert torch.equal(own, other)


def test_a_class_is_turned_as_one_and_each_turn_is_as_likely():
    family = Family(Shape(3, 2, 4), (tuple(range(12)),), False, torch.arange(8).expand(12, 8), True)
    drawn = family.draw(4000, torch.Generator().manual_seed(0), 8)
    turn = torch.cat([each.unflatten(1, (3, -1)) // 96 for each in (drawn.support, drawn.query)], 2)
    assert (turn == turn[:, :, :1]).all()  # of all examples of a class alike
    counts = torch.bincount(turn[:, :, 0].flatten(), minlength=4) / (3 * 4000)
    assert (counts - 0.25).abs().max() < 4 * (0.25 * 0.75 / 12_000) ** 0.5
    assert (turn[:, 0, 0] != turn[:, 1, 0]).float().mean().item() == pytest.approx(0.75, abs=0.03)


def test_turned_images_are_rotated_by_right_angles(characters):
    turned = characters.turns().unflatten(0, (4, -1))
    flat = characters.images.flatten(0, 1)
    for turn in range(4):
        for place in (0, 17):
            assert np.array_equal(turned[turn, place], np.rot90(flat[place].numpy(), turn))


def test_only_training_classes_are_turned(characters, monkeypatch):
    settings = Omniglot(configuration="lineage", setting="all", iterations=1)
    problem = settings.problem(characters, 0)
    assert problem.training.easy.turned and problem.training.hard.turned
    assert not any(each.easy.turned or each.hard.turned for each in problem.evaluation.values())


def test_a_validation_set_shares_no_class_with_training(real_data):
    held = images.load("omniglot")
    problem = Omniglot(validation=True).problem(held, 5)
    assert set(problem.evaluation) == {"train", "validation"}

    def classes(mixture):
        return {c for f in (mixture.easy, mixture.hard) for group in f.groups for c in group}

    training_, validation = classes(problem.training), classes(problem.evaluation["validation"])
    test = classes(Omniglot().problem(held, 5).evaluation["test"])
    assert not training_ & validation and not (training_ | validation) & test
    with pytest.raises(ValueError, match="small"):
        Omniglot(validation=True, setting="small")


def test_cifar_s_validation_set_shares_no_class_with_training_or_test(pictures):
    problem = Cifar(validation=True, easy_shots=5).problem(pictures, 5)
    test = Cifar(easy_shots=5).problem(pictures, 5).evaluation["test"]

    def classes(mixture):
        return {c for group in mixture.hard.groups for c in group}

    validation = classes(problem.evaluation["validation"])
    assert len(validation) == 20 and len(classes(problem.training)) == 60
    assert not validation & classes(problem.training) and not validation & classes(test)


def test_binary_images_are_the_nearest_pixels():
    rng = np.random.default_rng(0)
    original = (rng.random((105, 105)) < 0.8).astype(np.uint8) * 255
    found = decode._nearest(Image.fromarray(original))
    # Pillow takes the pixel under the centre of each new one
    centre = ((np.arange(28) + 0.5) * 105 / 28).astype(int)
    assert np.array_equal(found, original[np.ix_(centre, centre)])
    one_bit = Image.fromarray(original).convert("1")
    lanczos = np.asarray(one_bit.resize((28, 28), Image.Resampling.LANCZOS))
    assert np.array_equal(found > 0, lanczos)  # of one bit Pillow takes the nearest, whatever asked


def test_binary_omniglot_is_omniglot(real_data):
    grey, binary = images.load("omniglot"), images.load("omniglot-binary")
    assert grey.classes == binary.classes and grey.digest == binary.digest
    assert set(binary.images.unique().tolist()) == {0, 255}
    ink = binary.images == 0
    assert grey.images[ink].float().mean() > 150 > 30 > grey.images[~ink].float().mean()


@pytest.mark.parametrize("grouped", [False, True])
def test_a_lineage_run_stops_and_goes_on_as_if_it_had_not(characters, tmp_path, grouped):
    settings = Omniglot(
        configuration="lineage", setting="all", iterations=60, tasks=2, targets=3, filters=4,
        rotations=True,
    )  # fmt: skip
    cells = [Cell(settings, 0)]
    how = {"grouped": grouped, "progress": False}
    whole = training.train(cells, characters, **how)
    half = training.train(cells, characters, folder=tmp_path, until=30, **how)
    assert half.iterations == 30 and whole.iterations == 60
    assert training.finished(cells[0], characters, tmp_path, 30)
    assert not training.finished(cells[0], characters, tmp_path)
    rest = training.train(cells, characters, folder=tmp_path, **how)
    assert torch.equal(rest.theta, whole.theta) and torch.equal(rest.history, whole.history)


def test_checkpoints_of_round_numbers_stay(characters, tmp_path, monkeypatch):
    monkeypatch.setattr(training.checkpoints, "KEPT", 10)
    settings = Omniglot(
        configuration="lineage", setting="all", iterations=60, tasks=2, targets=3, filters=4
    )
    cell = Cell(settings, 0)
    for until in (10, 15, 20, 25, 30, 45, 60):
        training.train([cell], characters, folder=tmp_path, until=until, progress=False)
    kept = sorted(int(path.stem) for path in tmp_path.glob("*.json"))
    assert kept == [10, 20, 30, 50, 60]  # the newest two, and the round ones
    found = training.at(cell, characters, tmp_path, 20)
    fresh = training.train([cell], characters, until=20, progress=False)
    assert found.iterations == 20 and torch.equal(found.theta, fresh.theta)
    with pytest.raises(training.checkpoints.CheckpointError, match="25"):
        training.at(cell, characters, tmp_path, 25)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("configuration", ["strided", "lineage"])
@pytest.mark.parametrize(("algorithm", "adapted"), [("anil", "head"), ("boil", "body")])
def test_anil_and_boil_are_maml_that_adapts_a_part(kind, configuration, algorithm, adapted):
    settings = kind(algorithm=algorithm, configuration=configuration, inner_steps=5)
    learner = settings.learner
    assert (learner.algorithm, learner.adapted, learner.inner_steps) == ("maml", adapted, 5)
    assert (settings.optimiser, settings.rate, settings.adaptation_steps) == ("adam", 1e-3, 5)
    assert replace(settings, steps=2).adaptation_steps == 2
    label = Cell(settings, 0).label
    assert f"-{algorithm}-" in label and "inner_steps=5" in label and "adapted" not in label
    with pytest.raises(ValueError, match=f"{algorithm} adapts the {adapted}; leave `adapted` out"):
        kind(algorithm=algorithm, adapted="all")


def test_nal_has_no_inner_steps_to_set():
    with pytest.raises(ValueError, match="nal-1 trains without inner steps; give `steps`"):
        Omniglot(algorithm="nal-1", inner_steps=5)


@pytest.mark.parametrize("algorithm", ["anil", "boil"])
def test_anil_and_boil_train(characters, algorithm):
    """Grouped, as on a GPU, and task by task alike: the outer step takes them as it takes MAML."""
    settings = Omniglot(
        setting="all", algorithm=algorithm, iterations=3, tasks=2, targets=2, filters=4,
        inner_steps=2,
    )  # fmt: skip
    found = [
        training.train(
            [Cell(settings, 0)], characters, grouped=grouped, progress=False, dtype=torch.float64
        ).theta
        for grouped in (False, True)
    ]
    torch.testing.assert_close(*found, rtol=1e-8, atol=1e-10)
    plain = replace(settings, algorithm="maml", adapted=None)
    other = training.train([Cell(plain, 0)], characters, progress=False, dtype=torch.float64).theta
    assert not torch.allclose(found[0], other, rtol=1e-6)
