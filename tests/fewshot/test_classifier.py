import dataclasses

import torch

from mamlbook.fewshot.engine import learners
from mamlbook.fewshot.engine.closed import passes
from mamlbook.fewshot.settings import Cell
from mamlbook.fewshot.training import classifier, evaluation
from tests.fewshot.run_to_be_killed import SETTINGS

CELL = Cell(dataclasses.replace(SETTINGS, filters=16, evaluation_tasks=60), 0)


def test_a_new_head_is_zero_and_the_rest_is_kept():
    few = CELL.settings.network
    network = dataclasses.replace(few, outputs=9)
    theta = network.initial(0)
    fresh = classifier.new_head(network, theta, few)
    parts, old = few.parts(fresh), network.parts(theta)
    assert all(torch.equal(one, other) for one, other in zip(parts[:-2], old[:-2], strict=True))
    assert not parts[-2].any() and not parts[-1].any()


def test_one_step_from_a_zero_head_is_the_nearest_class_mean(characters):
    """Row k becomes (alpha / N) (mean feature of class k - mean feature), and no feature moves."""
    network, learner = CELL.settings.network, CELL.settings.learner
    wide = dataclasses.replace(network, outputs=9)
    theta = classifier.new_head(wide, wide.initial(0), network).double()
    flat = characters.images.flatten(0, 1)
    _, tasks, _ = CELL.settings.problem(characters, 0).training.draw(1, (0,), "cpu")
    adapted = learners.adapt(learner, network, theta, flat, tasks, 1)
    x = learners.inputs(flat, tasks.support, theta.dtype)
    _, tape = passes.forward(network, theta, x, 5)
    means = tape.features[0].unflatten(0, (5, -1)).mean(1)
    *features, head, _ = zip(network.parts(adapted), network.parts(theta), strict=True)
    expected = learner.inner_rate / 5 * (means - means.mean(0))
    torch.testing.assert_close(head[0][0], expected, rtol=1e-10, atol=1e-12)
    assert all(torch.equal(new, old) for new, old in features)


def test_all_of_it_is_on_the_device_of_the_images(characters):
    """On tensors without data, as on a GPU, one that is left on the host is an error."""
    images = dataclasses.replace(characters, images=characters.images.to("meta"))
    trained = classifier.fit(classifier.Classifier(batches=1, images=8), CELL, images)
    assert trained.theta.is_meta


def test_a_classifier_of_all_classes_serves_tasks(characters):
    """Synthetic characters are easy to tell: after training, one step is far above chance."""
    trained = classifier.fit(classifier.Classifier(batches=100, images=64), CELL, characters)
    rows = evaluation.evaluate(CELL, trained.theta, characters)
    start = CELL.settings.network.initial(1)
    untrained = evaluation.evaluate(CELL, start, characters)
    assert rows["accuracy"].mean() > 70 > 50 > untrained["accuracy"].mean()
