import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mamlbook.fewshot.data.tasks import Family, Mixture, Shape, labels, merge

GROUPS = ((0, 1, 2), (3, 4, 5, 6), (7, 8, 9, 10, 11), (12, 13, 14, 15, 16, 17))


def family(ways=3, shots=1, queries=2, distinct=False, groups=GROUPS, examples=6) -> Family:
    allowed = torch.arange(examples).expand(18, examples)
    return Family(Shape(ways, shots, queries), groups, distinct, allowed)


def drawn(family: Family, count: int, seed: int = 0):
    episodes = family.draw(count, torch.Generator().manual_seed(seed), 10)
    shape = family.shape
    return (
        episodes.support.unflatten(1, (shape.ways, shape.shots)),
        episodes.query.unflatten(1, (shape.ways, shape.queries)),
    )


@settings(max_examples=60, deadline=None)
@given(
    ways=st.integers(1, 3),
    shots=st.integers(1, 3),
    queries=st.integers(1, 3),
    distinct=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_task_repeats_nothing_and_keeps_to_its_groups(ways, shots, queries, distinct, seed):
    support, query = drawn(family(ways, shots, queries, distinct), 40, seed)
    both = torch.cat((support, query), 2)
    of_group = torch.full((18,), -1)
    for index, group in enumerate(GROUPS):
        of_group[list(group)] = index
    assert (both // 10 == both[:, :, :1] // 10).all()  # a row is of one class
    assert (both % 10 < 6).all()
    for task in both:
        classes = (task[:, 0] // 10).tolist()
        assert len(set(classes)) == ways
        assert len(set(task.flatten().tolist())) == task.numel()
        assert len(set(of_group[classes].tolist())) == (ways if distinct else 1)


def chi_square(counts: np.ndarray, probabilities: np.ndarray) -> float:
    return stats.chisquare(counts, counts.sum() * probabilities).pvalue


def test_hard_tasks_are_uniform_over_groups_then_classes():
    support, _ = drawn(family(), 20_000)
    first = (support[:, 0, 0] // 10).numpy()
    own = np.concatenate([np.full(len(group), 1 / 4 / len(group)) for group in GROUPS])
    assert chi_square(np.bincount(first, minlength=18), own) > 1e-3


def test_easy_tasks_are_uniform_over_sets_of_groups_then_classes():
    support, _ = drawn(family(distinct=True), 20_000)
    classes = (support[:, :, 0] // 10).numpy()
    own = np.concatenate([np.full(len(group), 1 / 4 / len(group)) for group in GROUPS])
    for way in range(3):
        assert chi_square(np.bincount(classes[:, way], minlength=18), own) > 1e-3
    of_group = np.repeat(np.arange(4), [len(group) for group in GROUPS])[classes]
    left_out = 6 - of_group.sum(1)
    assert chi_square(np.bincount(left_out, minlength=4), np.full(4, 1 / 4)) > 1e-3


def test_examples_are_uniform():
    support, query = drawn(family(), 20_000)
    for each in (support, query):
        counts = np.bincount((each[:, 1, 0] % 10).numpy(), minlength=6)
        assert chi_square(counts, np.full(6, 1 / 6)) > 1e-3


def test_only_the_allowed_examples_are_drawn():
    allowed = torch.tensor([[2, 5, 7]]).expand(18, 3)
    support, query = drawn(Family(Shape(3, 1, 2), GROUPS, False, allowed), 100)
    assert set((torch.cat((support, query), 2) % 10).unique().tolist()) == {2, 5, 7}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ways": 4}, "4 ways need as many classes, but a group has 3"),
        ({"ways": 5, "distinct": True}, "5 ways need as many groups, but there are 4"),
        ({"shots": 4, "queries": 3}, "need 7 examples of a class, but there are 6"),
        ({"ways": 0}, "ways is 0"),
    ],
)
def test_the_impossible_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        family(**wrong)


def test_mixture_draws_hard_tasks_with_its_probability():
    with pytest.raises(ValueError, match=r"1\.5"):
        Mixture(family(), family(), 1.5, 10)
    for p in (0.0, 0.25, 1.0):
        mixture = Mixture(family(distinct=True), family(), p, 10)
        flags, easy, hard = mixture.draw(10_000, (3,), "cpu")
        assert stats.binomtest(int(flags.sum()), 10_000, p).pvalue > 1e-3
        merged = merge(torch.from_numpy(flags), easy, hard)
        assert torch.equal(merged.support[flags], hard.support[flags])
        assert torch.equal(merged.query[~flags], easy.query[~flags])


def test_the_seed_decides_every_part_of_a_draw():
    mixture = Mixture(family(distinct=True), family(), 0.5, 10)
    one, again, other = (mixture.draw(200, seed, "cpu") for seed in ((1, 2), (1, 2), (1, 3)))
    assert (one[0] == again[0]).all() and torch.equal(one[1].query, again[1].query)
    assert (one[0] != other[0]).any()
    for place in (1, 2):
        assert not torch.equal(one[place].support, other[place].support)
    assert not torch.equal(one[1].support, one[2].support)


def test_labels_follow_the_classes():
    assert labels(3, 2).tolist() == [0, 0, 1, 1, 2, 2]
