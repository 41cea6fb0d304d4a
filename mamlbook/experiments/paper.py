"""Numbers as the paper prints them, to stand beside ours."""

import pandas as pd

TABLE3 = pd.DataFrame(
    [
        ("nal", 1.0, 0.18, 0.02, 0.78, 0.11),
        ("nal", 2.0, 0.33, 0.02, 0.64, 0.08),
        ("nal", 5.0, 0.61, 0.03, 0.51, 0.04),
        ("nal", 10.0, 0.87, 0.03, 0.39, 0.05),
        ("maml", 1.0, 1.58, 0.01, 0.26, 0.10),
    ],
    columns=["algorithm", "zeta", "coordinate", "coordinate_sd", "test_error", "test_error_sd"],
)
