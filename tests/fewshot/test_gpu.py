"""The grouped trainer on a GPU: its graphs, its waits, and a run that goes on."""

import dataclasses

import pytest
import torch

from mamlbook.fewshot import training
from mamlbook.fewshot.engine.grouped import GroupedStep
from tests.fewshot.devices import GPU
from tests.fewshot.test_grouped import CASES, drawn, group
from tests.fewshot.test_training import LONGER, quietly

pytestmark = GPU


@pytest.mark.parametrize(("images", "settings"), CASES)
def test_graphs_give_what_their_steps_give(images, settings, request, monkeypatch):
    held = request.getfixturevalue(images).to("cuda")
    recorded = quietly(group(settings), held, dtype=torch.float64)
    monkeypatch.setattr(
        GroupedStep, "_run", lambda self, shapes, gathered, tensors: self._step(
            shapes, gathered, tuple(tensors)
        ),
    )  # fmt: skip
    plain = quietly(group(settings), held, dtype=torch.float64)
    torch.testing.assert_close(recorded.theta, plain.theta, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(recorded.history, plain.history, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("images", "settings"), CASES)
def test_no_step_waits_for_the_device(images, settings, request):
    run = training._Run(group(settings), request.getfixturevalue(images).to("cuda"), True)
    tasks, course = drawn(run), torch.zeros(2, 2, 3, device="cuda")
    run.step.block(tasks, range(training.BLOCK), course)  # records the graphs
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="synchroniz"):
            course.sum().item()
        run.step.block(tasks, range(training.BLOCK), course)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (course[:, :, 0].sum(1) == 2 * training.BLOCK * settings.tasks).all()


def test_on_a_gpu_a_run_that_goes_on_has_the_same_bits(characters, tmp_path):
    held = characters.to("cuda")
    whole = quietly(group(LONGER), held)
    quietly(group(dataclasses.replace(LONGER, iterations=30)), held, folder=tmp_path)
    continued = quietly(group(LONGER), held, folder=tmp_path)
    assert torch.equal(continued.theta, whole.theta)
    assert torch.equal(continued.history, whole.history)
