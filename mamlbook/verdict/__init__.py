"""Every claim of the paper in one table, judged by one rule.

A claim is split into checks, each true or false by what was measured. It is "reproduced" if all
of its checks hold, "partly" if some do, "not" if none does, and "untestable" if it has none.
"""

from mamlbook.verdict import images, theory
from mamlbook.verdict.claims import Claim, Judged, table, verdict
from mamlbook.verdict.images import by_configuration

CLAIMS = (*theory.CLAIMS, *images.CLAIMS)

__all__ = ["CLAIMS", "Claim", "Judged", "by_configuration", "table", "verdict"]
