import dataclasses

import torch

from mamlbook.fewshot import classifier, evaluation
from mamlbook.fewshot.settings import Cell
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


def test_a_classifier_of_all_classes_serves_tasks(characters):
    """Synthetic characters are easy to tell: after training, one step is far above chance."""
    trained = classifier.fit(classifier.Classifier(batches=100, images=64), CELL, characters)
    rows = evaluation.evaluate(CELL, trained.theta, characters)
    start = CELL.settings.network.initial(1)
    untrained = evaluation.evaluate(CELL, start, characters)
    assert rows["accuracy"].mean() > 70 > 50 > untrained["accuracy"].mean()
