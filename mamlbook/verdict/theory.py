"""The claims of Sections 2 to 4 and of Appendices A to D."""

import numpy as np
import pandas as pd

from mamlbook.experiments import geography, hardness
from mamlbook.experiments.paper import TABLE3
from mamlbook.intervals import half_width_of_sd
from mamlbook.linear import (
    easy_and_hard,
    excess_risk,
    hard_range,
    maml_solution,
    nal_solution,
    noise_risk,
    q_matrix,
    sampled_risk,
    two_tasks,
)
from mamlbook.verdict.claims import Judged, claims, rows

CLAIMS, claim = claims()


def gains(item: str) -> pd.Series:
    """NAL's excess risk over MAML's, by (m, rho_hard)."""
    wide = rows(item).pivot(index=["m", "rho_hard"], columns="algorithm", values="excess_risk")
    return wide["nal"] / wide["maml"]


def places(item: str) -> pd.DataFrame:
    """First coordinates by (m, rho_hard) and algorithm; the hard task is at 1, the easy at -1."""
    return rows(item).pivot(index=["m", "rho_hard"], columns="algorithm", values="coordinate")


@claim(
    "Proposition 1",
    "The excess risk of a start is half the mean of its distances to the tasks' solutions, "
    "weighted by Q",
    "hardness",
)
def proposition1() -> Judged:
    """Closed form against drawn tasks, without label noise and with it."""
    rng = np.random.default_rng(0)
    one, off = np.ones(4), {}
    for name, noise in (("without noise", 0.0), ("with noise", 1.0)):
        env = two_tasks(0.3, 1.0, one, -one, noise)
        w = np.full((1, 40, 4), 0.25)
        drawn = sampled_risk([env], w, alpha=0.8, m=20, draws=2000, rng=rng)[0]
        exact = excess_risk(env, w[0, 0], 0.8, 20)
        off[name] = (drawn.mean() - exact) / (drawn.std(ddof=1) / np.sqrt(len(drawn)))
        extra = noise_risk(env, 0.8, 20)
    return Judged(
        f"{off['without noise']:+.1f} standard errors from Monte Carlo without label noise, "
        f"{off['with noise']:+.0f} with it: a term, here {extra:.3f}, is dropped",
        checks={
            "it holds without label noise": abs(off["without noise"]) < 4,
            "it holds for definition (2), noise included": abs(off["with noise"]) < 4,
        },
    )


@claim("(5), (8)", "Two tasks: where NAL and MAML start on the line between them", "hardness")
def equation8() -> Judged:
    worst = 0.0
    for rho in np.linspace(0.05, 0.95, 10):
        env = two_tasks(rho, 1.0, np.ones(5), -np.ones(5))
        for solution, pulls in (
            (nal_solution(env), (rho, 1.0)),
            (
                maml_solution(env, 1.0, 100),
                [r * (1 - r) ** 2 + 6 / 100 * r**3 for r in (rho, 1.0)],
            ),
        ):
            printed = (pulls[0] - pulls[1]) / sum(pulls)
            worst = max(worst, abs(solution - printed).max())
    return Judged(f"off by at most {worst:.0e}", checks={"(8) holds": worst < 1e-12})


@claim("(9)", "The excess risks of the two starts", "hardness")
def equation9() -> Judged:
    env = two_tasks(0.3, 1.0, np.ones(5), -np.ones(5))
    hard, easy = (q_matrix(rho * np.eye(5), 1.0, 100)[0, 0] for rho in (0.3, 1.0))
    printed = hard * easy / (hard + easy)
    factor = excess_risk(env, maml_solution(env, 1.0, 100), 1.0, 100) / printed
    distance = 4 * 5
    return Judged(
        f"the true risk is {factor:.2f} times the printed, "
        f"a quarter of the squared distance {distance}",
        checks={
            "right up to a factor": bool(np.isclose(factor, distance / 4)),
            "right as printed": bool(np.isclose(factor, 1)),
        },
    )


@claim(
    "Figure 2 (a, c)",
    "Unlike NAL, MAML starts nearer the hard task unless rho_H/rho_E is close to 0 or 1",
    "hardness",
)
def figure2_places() -> Judged:
    at = places("fig2")
    ranges = {m: hard_range(10, m) for m in (2000, 100)}
    held = all(
        ((at["maml"][m] > 0) == ((at.loc[m].index > low) & (at.loc[m].index < high))).all()
        for m, (low, high) in ranges.items()
    )
    words = ", ".join(f"{low:.2f} to {high:.2f} at m = {m}" for m, (low, high) in ranges.items())
    return Judged(
        f"MAML is nearer the hard task for rho_H from {words}",
        checks={
            "MAML is, on an interval inside (0, 1)": held,
            "NAL never is": bool((at["nal"] <= 1e-12).all()),
        },
    )


@claim(
    "Figure 2 (b, d)",
    "There MAML's excess risk is significantly smaller, especially for large m; "
    "too much hardness gives no gain",
    "hardness",
)
def figure2_risks() -> Judged:
    gain = gains("fig2")
    most = gain.groupby("m").max()
    at = rows("fig2")
    ends = at[at["rho_hard"] == at["rho_hard"].min()]["excess_risk"].max()
    return Judged(
        f"NAL's risk is up to {most[2000]:.1f} times MAML's at m = 2000, {most[100]:.2f} at 100",
        checks={
            "twice as large somewhere at m = 2000": most[2000] > 2,
            "more so at m = 2000 than at m = 100": most[2000] > most[100],
            "both risks fall towards rho_H = 0": ends < at["excess_risk"].max() / 5,
        },
    )


@claim(
    "Section 3.1",
    "The gain needs rho_H/rho_E (1 - rho_H/rho_E)^2 well above d/m: "
    "much below 1, but above 0, and m above d",
    "hardness",
)
def condition() -> Judged:
    d, ratios = 10, np.linspace(0.005, 0.995, 199)
    grid = hardness.gain(d, [20, 50, 100, 500, 2000, 10_000], ratios)
    ratio = grid["x"]
    margin = ratio * (1 - ratio) ** 2 * grid["m"] / d
    small, large = grid["gain"][margin < 0.2], grid["gain"][margin > 5]
    alike = grid["gain"][ratio >= 0.5]
    return Judged(
        f"gain at most {small.max():.2f} where the left side is under a fifth of the right, "
        f"at least {large.min():.2f} where it is over five times it, and up to {alike.max():.0f} "
        "where rho_H/rho_E is a half or more",
        checks={
            "hardly a gain where it fails (below 1.2)": small.max() < 1.2,
            "a gain wherever it holds (above 1.2)": large.min() > 1.2,
            "hardly one where rho_H/rho_E is a half or more": alike.max() < 1.2,
        },
    )


@claim("Figure 7", "SGD on both objectives finds what the theory says", "hardness")
def figure7() -> Judged:
    found = rows("fig7")
    theory = hardness.fig2(hardness.Fig2(rho_hard=hardness.Fig7().rho_hard))
    both = found.merge(theory, on=["m", "rho_hard", "algorithm"], suffixes=("", "_theory"))
    both["excess_risk_theory"] += [
        noise_risk(hardness.environment(hardness.Fig7(), rho), 1.0, m)
        for rho, m in zip(both["rho_hard"], both["m"], strict=True)
    ]
    inside = {
        column: int(
            ((both[column] - both[f"{column}_theory"]).abs() <= both[f"{column}_ci95"]).sum()
        )
        for column in ("coordinate", "excess_risk")
    }
    return Judged(
        f"{inside['coordinate']} and {inside['excess_risk']} of {len(both)} intervals hold the "
        "theory's coordinate and risk",
        checks={f"at least 34 of 40 ({name})": count >= 34 for name, count in inside.items()},
    )


@claim(
    "Figure 8",
    "Logistic regression: MAML again starts closer to the harder task, "
    "and has the smaller risk for appropriate rho_H",
    "hardness",
)
def figure8() -> Judged:
    at, gain = places("fig8"), gains("fig8")
    return Judged(
        f"MAML reaches coordinate {at['maml'].max():+.2f} (the hard task at 1); "
        f"gain up to {gain.max():.2f}, with our longer step",
        checks={
            "MAML is nearer the hard task for some rho_H": bool((at["maml"] > 0).any()),
            "its risk is the smaller one for some rho_H": gain.max() > 1.05,
        },
    )


@claim("Corollary 1", "The excess risks where tasks are spread about two centres", "geography")
def corollary1() -> Judged:
    rng, worst = np.random.default_rng(1), 0.0
    for _ in range(50):
        hard, easy = np.sort(rng.uniform(0.05, 1, 2))
        R, r_hard, r_easy = rng.uniform(0.1, 3, 3)
        d, m = int(rng.integers(1, 12)), int(rng.integers(5, 500))
        env = easy_and_hard(hard, easy, R, r_hard, r_easy, d)
        a_hard, a_easy = (q_matrix(rho * np.eye(d), 1 / easy, m)[0, 0] for rho in (hard, easy))
        # (10) and (11), with r_H for the misprinted r_H^2 of (27)
        nal = d / (4 * (easy + hard) ** 2) * (
            (a_easy * easy**2 + 2 * a_easy * easy * hard) * r_easy
            + a_easy * hard**2 * (r_easy + R**2)
            + (a_hard * hard**2 + 2 * a_hard * easy * hard) * r_hard
            + a_hard * easy**2 * (r_hard + R**2)
        )  # fmt: skip
        maml = d / (4 * (a_easy + a_hard) ** 2) * (
            (a_easy**3 + 2 * a_easy**2 * a_hard) * r_easy
            + (a_hard**3 + 2 * a_easy * a_hard**2) * r_hard
            + a_easy * a_hard**2 * (r_easy + R**2)
            + a_easy**2 * a_hard * (r_hard + R**2)
        )  # fmt: skip
        for printed, w in ((nal, nal_solution(env)), (maml, maml_solution(env, 1 / easy, m))):
            worst = max(worst, abs(printed / excess_risk(env, w, 1 / easy, m) - 1))
    return Judged(f"off by at most {worst:.0e}", checks={"(10) and (11) hold": worst < 1e-10})


@claim("Corollary 2", "NAL's risk over MAML's is about 1 + R^2/r_H", "geography")
def corollary2() -> Judged:
    at_limit = geography.gain(easy_and_hard(0.001, 1.0, 2.0, 0.3, 0.3, 10), 1.0, np.inf)
    own = rows("fig1")
    risks = own[own["panel"] == "d"].set_index("algorithm")["excess_risk"]
    ratio, claimed = risks["nal"] / risks["maml"], 1 + 2.0**2 / 0.3
    return Judged(
        f"{at_limit:.1f} for m without end and rho_H/rho_E = 0.001; {ratio:.1f} in Figure 1 (d)",
        f"{claimed:.1f}",
        {
            "right within a tenth in the limit": abs(at_limit / claimed - 1) < 0.1,
            "right within a half in Figure 1 (d)": abs(ratio / claimed - 1) < 0.5,
        },
    )


@claim(
    "Sections 1 and 2",
    "MAML always performs at least as well as NAL, as its training is aligned with the test",
    "geography",
)
def never_worse() -> Judged:
    """In drawn environments, trained with as many inner samples as the test has, or with others."""
    rng = np.random.default_rng(2)
    least = {"as many": np.inf, "others": np.inf}
    for _ in range(100):
        hard, easy = np.sort(rng.uniform(0.05, 1, 2))
        R, r_hard, r_easy = rng.uniform(0.1, 3, 3)
        d, m, other = int(rng.integers(1, 12)), *(int(n) for n in rng.integers(5, 500, 2))
        env = easy_and_hard(hard, easy, R, r_hard, r_easy, d)
        nal = excess_risk(env, nal_solution(env), 1 / easy, m)
        for name, n2 in (("as many", m), ("others", other)):
            maml = excess_risk(env, maml_solution(env, 1 / easy, n2), 1 / easy, m)
            least[name] = min(least[name], nal / maml)
    return Judged(
        f"NAL's risk is at least {least['as many']:.2f} times MAML's if n2 = m; with other n2 the "
        f"least is {least['others']:.2f}",
        checks={
            "with as many inner samples as the test has": least["as many"] > 1 - 1e-9,
            "with any number of inner samples": least["others"] > 1 - 1e-9,
        },
    )


def packed(R: float = 2.0, r_hard: float = 0.3) -> float:
    """The gain in Figure 1's environment with another R or r_H."""
    return geography.gain(easy_and_hard(0.1, 0.9, R, r_hard, 0.3, 10), 1 / 0.9, 500)


@claim("Condition (i)", "The gain is larger when the hard tasks are closely packed", "geography")
def condition_i() -> Judged:
    found = [packed(r_hard=r) for r in (3.0, 1.0, 0.3, 0.1, 0.01)]
    return Judged(
        f"gain {found[0]:.2f} at r_H = 3, {found[-1]:.2f} at 0.01",
        checks={"it grows as r_H falls": bool((np.diff(found) > 0).all())},
    )


@claim("Condition (ii)", "... and when they are far from the centre of the easy ones", "geography")
def condition_ii() -> Judged:
    found = [packed(R=R) for R in (0.1, 0.3, 1.0, 2.0, 5.0)]
    return Judged(
        f"gain {found[0]:.2f} at R = 0.1, {found[-1]:.2f} at 5",
        checks={"it grows with R": bool((np.diff(found) > 0).all())},
    )


@claim(
    "Figure 1",
    "Of four environments the gain is largest where the hard tasks are packed and far off",
    "geography",
)
def figure1() -> Judged:
    risks = rows("fig1").pivot(index="panel", columns="algorithm", values="excess_risk")
    ratio = risks["nal"] / risks["maml"]
    return Judged(
        ", ".join(f"({panel}) {value:.2f}" for panel, value in ratio.items()),
        checks={"(d) has the largest": ratio.idxmax() == "d"},
    )


@claim(
    "Figure 3",
    "MAML significantly outperforms NAL when R^2/r_H is large, but not otherwise",
    "geography",
)
def figure3() -> Judged:
    cells = rows("fig3").set_index(["panel", "R", "algorithm", "source"])["excess_risk"]
    theory, drawn = (cells.xs(source, level="source") for source in ("theory", "empirical"))
    ratio = {}
    for name, own in (("theory", theory), ("drawn", drawn)):
        wide = own.unstack("algorithm")
        ratio[name] = (wide["nal"] / wide["maml"]).groupby("panel").mean()
    return Judged(
        f"ratio {ratio['theory']['a']:.2f} with R^2/r_H = 0.5, {ratio['theory']['c']:.2f} with 10 "
        f"(drawn: {ratio['drawn']['a']:.2f} and {ratio['drawn']['c']:.2f})",
        checks={
            "above 1.5 when it is large": ratio["drawn"]["c"] > 1.5,
            "below 1.5 when it is not": ratio["drawn"]["a"] < 1.5,
        },
    )


@claim("Table 3", "NAL with more weight on the hard tasks approaches MAML", "geography")
def table3() -> Judged:
    keys = ["algorithm", "zeta"]
    ours, theirs = rows("table3").set_index(keys), TABLE3.set_index(keys)
    meet, trials = {}, 5
    for column in ("coordinate", "test_error"):
        apart = (ours[column] - theirs[column]).abs()
        halves = [half_width_of_sd(each[f"{column}_sd"], trials) for each in (ours, theirs)]
        meet[column] = int((apart <= np.hypot(*halves)).sum())
    nal = ours.loc["nal"].sort_index()
    return Judged(
        f"{meet['coordinate']} of 5 coordinates and {meet['test_error']} of 5 test errors agree",
        "0.18 to 1.58; 0.78 to 0.26",
        {
            "the coordinates are the paper's": meet["coordinate"] == 5,
            "the test errors are the paper's": meet["test_error"] == 5,
            "NAL's error falls with its weight, towards MAML's": bool(
                (np.diff(nal["test_error"]) < 0).all()
                and nal["test_error"].min() > ours.loc["maml", "test_error"].item()
            ),
        },
    )


@claim(
    "Theorem 1",
    "MAML's stationary points have the smaller gradient on the hard task, by (13)",
    "two_layer_net",
)
def theorem1() -> Judged:
    cases = rows("theorem1")
    lemma = cases[cases["applies"]]
    harder = lemma[lemma["variance_1"] != 1]
    nets = cases[cases["model"] == "network"]
    own = nets[nets["variance_1"] == 1]
    return Judged(
        f"(13) without its O(alpha^2) holds in {lemma['holds'].sum()} of {len(lemma)} cases, the "
        f"square form in {lemma['square_holds'].sum()}; beta_2 > L_1 in {own['condition'].sum()} "
        f"of {len(own)} with equal inputs, as the theorem has them",
        checks={
            "the hard task's gradient is the smaller one": bool((harder["measured"] < 1).all()),
            "the square form of (13) holds": bool(lemma["square_holds"].all()),
            "(13) holds without its O(alpha^2)": bool(lemma["holds"].all()),
            "its setting contains the tasks it speaks of": bool(own["condition"].any()),
        },
    )


@claim("Section 4", "NAL has no such preference: its two gradients are equal", "two_layer_net")
def equal_gradients() -> Judged:
    off = (rows("theorem1")["nal_measured"] - 1).abs().max()
    return Judged(f"ratio of norms 1 to within {off:.0e}", checks={"they are": off < 1e-6})


def starts(item: str) -> tuple[np.ndarray, dict[str, float], dict[str, float]]:
    """The four panels' starts; for the panels of NAL and MAML with the same tasks, "ab" and "cd",
    how far apart these are, and NAL's loss after the step over MAML's."""
    at = rows(item).set_index("panel")
    where = at[["w1", "w2"]].astype(float)
    pairs = ("ab", "cd")
    apart = {two: np.linalg.norm(where.loc[two[0]] - where.loc[two[1]]) for two in pairs}
    ratio = {two: at.loc[two[0], "maml_loss"] / at.loc[two[1], "maml_loss"] for two in pairs}
    return where.to_numpy(), apart, ratio


@claim(
    "Figure 4",
    "With equal tasks both starts are identical; with a hard one MAML goes to it and is better",
    "two_layer_net",
)
def figure4() -> Judged:
    where, apart, ratio = starts("fig4")
    away = np.linalg.norm(where - 2.0, axis=1)
    return Judged(
        f"starts {apart['ab']:.2f} apart with equal tasks, {apart['cd']:.2f} with a hard one; "
        f"NAL's loss after the step {ratio['cd']:.2f} times MAML's",
        checks={
            "identical with equal tasks, where ours stand (to 0.01)": apart["ab"] < 0.01,
            "MAML is nearer the hard task than NAL": bool(away[3] < away[2]),
            "and better by a fifth": ratio["cd"] > 1.2,
        },
    )


@claim("Figure 5", "The four tasks' landscapes are drawn", "two_layer_net")
def figure5() -> Judged:
    return Judged("drawn; the paper makes no claim about them")


@claim(
    "Figure 6",
    "Centroids close: both starts close and alike; spread, and hard tasks packed: far apart, "
    "MAML better",
    "two_layer_net",
)
def figure6() -> Judged:
    _, apart, ratio = starts("fig6")
    return Judged(
        f"{apart['ab']:.2f} and {apart['cd']:.2f} apart; "
        f"loss ratios {ratio['ab']:.2f} and {ratio['cd']:.2f}",
        checks={
            "several times as far apart in the second": apart["cd"] > 3 * apart["ab"],
            "alike in the first (within a tenth)": ratio["ab"] < 1.1,
            "MAML better by a fifth in the second": ratio["cd"] > 1.2,
        },
    )


@claim("Theorem 2", "A bound on NAL's distance from its limit, (44)", "convergence")
def theorem2() -> Judged:
    cases = rows("theorem2")
    # one of T = 2 tasks rare: (44)'s limit is below the least error that such a pair can have
    p, T = 0.05, 2
    printed = np.sqrt(p * (1 - p) * np.log(200) / T)
    loose = (cases["bound"] / cases["measured"]).agg(["min", "max"])
    return Judged(
        f"repaired, it holds in {cases['holds'].sum()} of {len(cases)} cases, "
        f"{loose['min']:.0f} to {loose['max']:.0f} times too large; as printed a rare task breaks "
        f"it (bound {printed:.2f}, error at least {1 / T - p:.2f})",
        checks={
            "a bound of this kind holds": bool(cases["holds"].all()),
            "it holds as printed": printed >= 1 / T - p,
        },
    )


@claim("Theorem 3", "A bound on MAML's distance from its limit", "convergence")
def theorem3() -> Judged:
    cases = rows("theorem3")
    return Judged(
        "the paper's statement is not in our text; "
        f"ours holds in {cases['holds'].sum()} of {len(cases)} cases"
    )
