// Linear tasks with Sigma = rho I: what the pictures of the linear chapters share.

/** The curvature that one inner step on m samples leaves a task: the diagonal of Q^(m). */
function curvature(rho, alpha, d, m) {
  return rho * (1 - alpha * rho) ** 2 + (((d + 1) / m) * alpha ** 2) * rho ** 3;
}

/**
 * Easy tasks around 0 and hard ones around R, equations (10) and (11) with alpha = 1/rho_easy:
 * each algorithm's coordinate and its excess risk, with the share of either kind.
 */
function mixture({ rho_hard, rho_easy, R, r_hard, r_easy, m, d }) {
  const a_hard = curvature(rho_hard, 1 / rho_easy, d, m);
  const a_easy = curvature(rho_easy, 1 / rho_easy, d, m);
  const at = (w) => {
    const hard = 0.25 * d * a_hard * ((w - R) ** 2 + r_hard);
    const easy = 0.25 * d * a_easy * (w ** 2 + r_easy);
    return { w, hard, easy, risk: hard + easy };
  };
  const nal = at((R * rho_hard) / (rho_hard + rho_easy));
  const maml = at((R * a_hard) / (a_hard + a_easy));
  return { nal, maml, gain: nal.risk / maml.risk };
}

