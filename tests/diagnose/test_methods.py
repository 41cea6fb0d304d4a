"""The identities and references of every method, and that nothing judged is seen before."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mamlbook import records
from mamlbook.diagnose import diagnose, evidence, from_frame, methods, mixed, quadratics, read
from mamlbook.diagnose.solutions import FOLDS, leave_one_out, solve
from mamlbook.experiments import collections, own_tasks
from mamlbook.experiments.catalogue import Lacking
from mamlbook.linear import maml_solution, nal_solution
from tests.diagnose.tables import confounded, stacked
from tools import ROOT

DATA = ROOT / "chapters" / "data"


def within_slopes(tasks):
    """The fixed-effects estimator with every task weighted alike, from its definition."""
    covariances = [np.cov(z[:, 1:].T) for z in tasks]
    total = np.sum(covariances, axis=0)
    return np.linalg.solve(total[:-1, :-1], total[:-1, -1])


@pytest.mark.parametrize("m", [1, 5, 50])
def test_maml_with_an_adapting_intercept_is_fixed_effects(m):
    """At alpha = 1 exactly, for every m: the intercept's start then plays no part."""
    tasks = stacked(confounded())
    made = quadratics.moments(tasks, methods.mask(3, "intercept")).quadratic(1.0, m).sum(0)
    assert np.abs(made[0]).max() < 1e-9 * np.abs(made).max()
    slopes = np.linalg.solve(made[1:-1, 1:-1], made[1:-1, -1])
    assert slopes == pytest.approx(within_slopes(tasks), rel=1e-9)
    near = [
        np.abs(
            solve(quadratics.moments(tasks, methods.mask(3, "intercept")).quadratic(a, m).sum(0))[
                1:
            ]
            - slopes
        ).max()
        for a in (0.9, 0.99, 0.999)
    ]
    assert near[0] > 20 * near[1] > 400 * near[2] > 0  # of the order of (1 - alpha)^2


def test_between_the_ends_it_weighs_within_and_between():
    """(1 + alpha^2/m) W + (1 - alpha)^2 B, with B the tasks' means' covariance less W/n."""
    tasks, alpha, m = stacked(confounded()), 0.6, 4
    made = quadratics.moments(tasks, methods.mask(3, "intercept")).quadratic(alpha, m)
    w = solve(made.sum(0))
    covariances = np.stack([np.cov(z[:, 1:].T) for z in tasks])
    counts = np.array([len(z) for z in tasks])
    means = np.stack([z[:, 1:].mean(0) for z in tasks])
    away = means - means.mean(0)
    between = away.T @ away - (covariances / counts[:, None, None]).sum(0)
    total = (1 + alpha**2 / m) * covariances.sum(0) + (1 - alpha) ** 2 * between
    assert w[1:] == pytest.approx(np.linalg.solve(total[:-1, :-1], total[:-1, -1]), rel=1e-9)


def test_naught_step_is_pooled_least_squares_and_is_confounded():
    tasks = stacked(confounded())
    one = quadratics.moments(tasks, methods.mask(3, "all")).one
    weights = np.concatenate([np.full(len(z), 1 / len(z)) for z in tasks])
    z = np.vstack(tasks) * np.sqrt(weights)[:, None]
    expected = np.linalg.lstsq(z[:, :-1], z[:, -1], rcond=None)[0]
    assert solve(one.sum(0)) == pytest.approx(expected, rel=1e-9)
    assert within_slopes(tasks) == pytest.approx([1, 1], abs=0.1)
    assert (solve(one.sum(0))[1:] < 0.8).all()


def test_nothing_of_a_fold_reaches_its_own_choices():
    """What a task has in its own rows changes its loss, but neither its start nor its step."""
    tasks = stacked(confounded())
    moments = quadratics.moments(tasks, methods.mask(3, "all"))
    tests = np.stack([moments.quadratic(alpha, 5) for alpha in (0.02, 0.1, 0.3)])
    losses = methods.tuned(tests, tests).losses
    changed = tests.copy()
    changed[:, 7, -1, -1] += 3.0  # a constant on task 7, which no minimizer sees
    moved = methods.tuned(changed, changed).losses - losses
    assert moved[7] == pytest.approx(3.0)
    same_fold = np.arange(len(tasks)) % FOLDS == 7
    assert moved[same_fold & (np.arange(len(tasks)) != 7)] == pytest.approx(0)
    start = leave_one_out(tests[1])
    changed[1, 7] *= 5
    assert leave_one_out(changed[1])[7] == pytest.approx(start[7], rel=1e-9)


def sleep_like() -> pd.DataFrame:
    frame = pd.read_csv(DATA / "gapminder.csv")
    frame["x"] = (frame["year"] - frame["year"].mean()) / frame["year"].std(ddof=0)
    frame["y"] = frame["life_expectancy"] - frame["life_expectancy"].mean()
    frame["y"] /= frame["y"].std(ddof=0)
    return frame


def test_the_mixed_model_is_statsmodels():
    """On the chapter's data, random intercept and slope, by maximum likelihood."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    frame = sleep_like()
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    known = MixedLM(frame["y"], design, frame["country"], design).fit(reml=False)
    tasks = [
        np.column_stack([np.ones(len(part)), part["x"], part["y"]])
        for _, part in frame.groupby("country")
    ]
    one = quadratics.moments(tasks, methods.mask(2, "all")).one
    counts = np.array([len(z) for z in tasks])
    ours = mixed.fit(one, counts, iterations=400)
    assert ours.mean == pytest.approx(known.fe_params, abs=1e-4)
    assert ours.covariance == pytest.approx(np.asarray(known.cov_re), rel=1e-2, abs=1e-3)
    assert ours.noise == pytest.approx(known.scale, rel=1e-2)
    means, _ = ours.posterior(one, counts)
    effects = np.stack([known.random_effects[name] for name in sorted(known.random_effects)])
    assert means - ours.mean == pytest.approx(effects, abs=1e-2)
    usual = mixed.fit(one, counts)  # as many iterations as a diagnosis takes
    assert usual.noise == pytest.approx(known.scale, rel=0.02)
    assert usual.mean == pytest.approx(known.fe_params, abs=2e-3)


@pytest.mark.parametrize("tasks", [10, 11, 18, 60, 1000])
def test_students_quantile(tasks):
    assert evidence.quantile(tasks) == pytest.approx(stats.t.ppf(0.975, tasks - 1), abs=1e-4)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_at_a_given_step_intervals_hold_the_gain_of_proposition_1(share):
    """500 worlds of each shape of noise; the gain of what they learn by the closed form."""
    world, rng = own_tasks.World(rows=(8, 60), share=share), np.random.default_rng(0)
    for shape in own_tasks.NOISES:
        pairs = [own_tasks.measured_gain(world, world.draw(20, shape, rng)) for _ in range(500)]
        covered = np.mean([found.low <= true <= found.high for found, true in pairs])
        # With one hard task in ten, 20 tasks may have none: no interval can know of them then.
        assert (0.92 if share == 0.5 else 0.83) < covered < 0.985, (shape, covered)


@pytest.mark.parametrize("shape", own_tasks.NOISES)
def test_the_loss_on_new_tasks_is_proposition_1s(shape):
    """Gradient descent on new tasks, against the closed form for one step."""
    world = own_tasks.World()
    new = own_tasks.NewTasks.of(world, 8000, world.m, shape, seed=1)
    env, adapted = world.environment(), methods.mask(4, "all")
    losses = []
    for w in (nal_solution(env), maml_solution(env, world.alpha, world.m)):
        start, slopes = np.append(0, w), np.append(0, adapted[1:])  # an intercept that stays 0
        losses.append(new.loss(start, slopes, world.alpha, 1, np.eye(5)))
    assert losses[0] / losses[1] == pytest.approx(world.gain(), rel=0.02)


@pytest.mark.parametrize("kind", own_tasks.WORLDS)
def test_what_is_covered_is_a_diagnosis(kind):
    """The measured interval is the report's, and its truth the loss of gradient descent."""
    world = own_tasks.WORLDS[kind]
    adapt = "intercept" if world.levels else "all"
    rows = world.draw(12, "laplace", np.random.default_rng(3))
    new = own_tasks.NewTasks.of(world, 300, 5, "laplace", seed=4)
    nal, maml, nal_true, maml_true = own_tasks.judged(rows, adapt, 5, new)
    found = diagnose([(z[:, :-1], z[:, -1]) for z in rows], adapt=adapt)
    assert found.gain == evidence.ratio(nal.losses, maml.losses)
    assert nal_true != maml_true


def test_intervals_hold_the_truth_as_often_as_the_report_says():
    """Every choice nested: the committed record, and that it is what a diagnosis states."""
    rows = records.load("coverage").rows
    sums = rows.groupby(["tasks", "world", "noise"]).sum(numeric_only=True)
    assert sums["worlds"].min() >= 500 and len(sums) == 4 * 3 * 3
    assert (sums["covered"] / sums["worlds"]).between(0.91, 0.985).all()
    found = diagnose(confounded(45))
    known = evidence.coverage(45)
    part = sums.loc[40]["covered"] / sums.loc[40]["worlds"]
    assert known["tasks"] == 40 and known["gain_low"] == pytest.approx(100 * part.min())
    assert f"coverage {100 * part.min():.0f} to {100 * part.max():.0f}%)" in found.verdict
    no_gain = rows[rows["world"] == "one in ten hard"]
    assert no_gain["gain"].max() < evidence.THRESHOLD
    assert no_gain["found"].sum() < 0.01 * no_gain["worlds"].sum()


def test_steps_are_stable_on_supports_twice_as_steep():
    """Five steps at the edge of stability would explode on a new task's support."""
    rows = stacked(confounded(12, 9))
    adapted = methods.mask(3, "all")
    moments = quadratics.moments(rows, adapted)
    support, query = quadratics.split_moments(rows, 5)
    loops = methods.candidates(moments, support, query, adapted, 5, (1, 5))
    most = quadratics.largest_eigenvalues(support, adapted).max()
    several = [rate for rate, steps in zip(loops.rates, loops.steps, strict=True) if steps > 1]
    assert several and max(several) * 2 * most < 2


def test_a_population_gain_is_recovered_from_many_tasks():
    world = own_tasks.World()
    rows = world.draw(4000, "laplace", np.random.default_rng(2))
    found, learned = own_tasks.measured_gain(world, rows)
    assert world.gain() > 1.1
    assert learned == pytest.approx(world.gain(), rel=0.01)
    assert abs(np.log(found.value / world.gain())) < 3 * found.error < 0.1


@pytest.mark.parametrize(
    ("name", "adapt", "support", "kind"),
    [
        ("radon", "all", 5, "does-not"),
        ("guns", "intercept", 2, "pays"),
        ("gapminder", "intercept", 5, "pays-but"),
    ],
)
def test_the_chapters_tables_are_among_the_collections(name, adapt, support, kind):
    table = read(DATA / f"{name}.csv")
    found = diagnose(
        from_frame(table, table.columns[0], table.columns[-1]), adapt=adapt, support=support
    )
    assert found.kind == kind
    assert found.gain.low < found.gain.value < found.gain.high
    ordered = found.rows["share_left"]
    assert (ordered.diff().dropna() <= 0).all()
    losses = found.methods.set_index("method")["loss"]
    assert losses["floor"] < losses["maml"] < losses["none"]
    assert losses["nal"] / losses["maml"] == pytest.approx(found.gain.value)
    rows = records.load("collections").rows
    same = (rows["item"].str.lower() == name) & (rows["adapt"] == adapt)
    row = rows[same & (rows["support"] == support)].iloc[0]
    assert row["kind"] == kind
    assert row["low"] == pytest.approx(found.gain.low, rel=1e-3)


def test_a_verdict_on_a_collection_that_does_not_follow_is_found():
    record = records.load("collections")
    assert collections.canary(record) is None
    rows = record.rows.copy()
    rows.loc[rows["item"] == "Guns", "kind"] = "pays-but"
    assert "the verdict on Guns" in collections.canary(replace(record, rows=rows))
    rows = record.rows.copy()
    rows.loc[rows["item"] == "radon", "gain"] += 0.01
    assert "the gain of radon" in collections.canary(replace(record, rows=rows))


def test_without_a_checkout_the_collections_are_not_said_to_agree(tmp_path, monkeypatch, capsys):
    record = records.load("collections")
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    with pytest.raises(Lacking, match="chapters/data of a checkout"):
        collections.canary(record)
    rows = record.rows.assign(kind="pays")
    assert "now does-not" in collections.canary(replace(record, rows=rows))


def test_every_collection_is_written_down():
    rows = records.load("collections").rows
    lines = [line.split(":")[0] for line in collections.COLLECTIONS]
    assert len(set(lines)) == len(lines)
    assert sorted(set(rows["package"] + " " + rows["item"])) == sorted(lines)


def test_a_feature_that_is_still_within_tasks_has_no_within_slope():
    """Rounding, not data, would decide it, and the page would find another."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(20):
        x = np.column_stack([rng.normal(size=12), np.full(12, 0.1 * (i % 7))])
        rows.append(np.column_stack([np.ones(12), x, x.sum(1) + rng.normal(size=12)]))
    found = methods.fixed_effects(rows, quadratics.moments(rows, methods.mask(3, "all")), 5)
    assert abs(found.initialization[2]) < 1e-6 and found.initialization[1] == pytest.approx(
        1, abs=0.2
    )


@pytest.mark.parametrize("adapt", ["all", "intercept"])
@pytest.mark.parametrize("kind", ["one line", "own lines", "own levels", "constant in a task"])
@pytest.mark.filterwarnings("error")
def test_without_noise_rounding_decides_nothing(kind, adapt):
    """Losses are then of the size of rounding, some below 0; their ratios would say anything."""
    rng = np.random.default_rng(0)
    tasks = []
    for _ in range(20):
        x = rng.normal(size=(12, 2))
        slopes = rng.normal(size=2) if kind == "own lines" else [1.0, 2.0]
        y = x @ slopes + (5 * rng.normal() if kind == "own levels" else 0)
        tasks.append((x, np.full(12, rng.normal()) if kind == "constant in a task" else y))
    found = diagnose(tasks, adapt=adapt)
    assert (found.methods["loss"] >= methods.LEAST).all()
    assert found.methods["over_maml"].between(1e-7, 1e7).all()  # of 1e-6 over losses of some units
    assert found.gain.low <= found.gain.value <= found.gain.high < 1e6
    if kind == "one line":
        assert found.kind == "does-not" and found.alternative is None
        assert found.gain.value == pytest.approx(1)
    if kind == "own levels":
        assert found.alternative[0] in ("alone", "fixed", "mixed")


def test_the_interval_of_a_loss_ends_at_naught():
    mean, low, high = evidence.mean_interval(np.array([0.1] * 9 + [30.0]))
    assert mean == pytest.approx(3.09) and low == 0 and high > 6


def test_units_do_not_matter():
    tasks = confounded()
    plain = diagnose(tasks)
    scaled = diagnose([(x * [1000, 0.01] + [5, -3], 40 * y + 7) for x, y in tasks])
    assert scaled.gain.value == pytest.approx(plain.gain.value, rel=1e-8)
    assert scaled.methods["loss"].to_numpy() == pytest.approx(
        plain.methods["loss"].to_numpy(), rel=1e-8
    )


def test_the_difference_is_a_distance():
    """F(NAL) - F(MAML) at MAML's step is the squared distance in the mean curvature."""
    tasks = stacked(confounded())
    made = quadratics.moments(tasks, methods.mask(3, "all")).quadratic(0.2, 5)
    nal = solve(quadratics.moments(tasks, methods.mask(3, "all")).one.sum(0))
    maml = solve(made.sum(0))
    difference = np.mean([quadratics.loss(q, nal) - quadratics.loss(q, maml) for q in made])
    away = nal - maml
    assert difference == pytest.approx(away @ made.mean(0)[:-1, :-1] @ away, rel=1e-9)
