"""The paper's own numbers (SparseFocus, Tables 1 to 3): theirs, on their data, quoted as printed.

Columns: cell dense, sparse, extremely sparse, tissue dense, sparse, extremely sparse.
"""

from __future__ import annotations

from collections.abc import Mapping

GROUPS = ("cell dense", "cell sparse", "cell ex-sparse",
          "tissue dense", "tissue sparse", "tissue ex-sparse")  # fmt: skip
DASTIDAR, LIAO, JIANG, LI = "Dastidar et al.", "Liao et al.", "Jiang et al.", "Li et al."
THEIRS = "SparseFocus (the paper's)"

#: mean absolute error and what the paper calls its variance, um
MAE_UM: Mapping[str, tuple[tuple[float, float], ...]] = {
    DASTIDAR: ((0.40, 0.50), (4.63, 5.67), (9.79, 7.68), (0.93, 1.70), (6.53, 6.24), (10.05, 7.41)),
    LIAO: ((0.66, 1.19), (4.93, 5.79), (9.95, 7.16), (1.70, 5.09), (5.94, 7.12), (10.42, 6.94)),
    JIANG: ((0.73, 1.93), (6.19, 7.90), (8.92, 7.34), (1.42, 4.55), (4.88, 6.62), (8.73, 6.69)),
    LI: ((0.72, 0.53), (3.93, 6.28), (12.25, 10.65), (1.61, 5.05), (6.47, 7.26), (14.24, 11.32)),
    THEIRS: ((0.37, 0.29), (0.51, 0.40), (0.60, 0.46), (0.49, 0.40), (0.43, 0.33), (0.45, 0.36)),
}
#: within 1/3, 1/2 and 1 depth of field, %
DOF: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    DASTIDAR: ((35.18, 50.24, 80.95), (11.93, 17.20, 31.49), (4.07, 5.75, 11.27),
               (20.48, 29.83, 53.37), (4.28, 6.75, 14.50), (1.75, 2.88, 6.19)),
    LIAO: ((23.40, 33.35, 62.13), (10.75, 15.53, 28.52), (2.26, 3.21, 7.08),
           (20.21, 29.29, 55.82), (7.99, 12.13, 25.37), (1.75, 2.81, 4.81)),
    JIANG: ((30.95, 42.54, 67.15), (7.90, 11.34, 20.64), (4.61, 6.34, 10.95),
            (20.81, 29.14, 56.35), (6.87, 10.33, 22.41), (4.06, 5.19, 8.63)),
    LI: ((27.46, 35.10, 50.12), (7.41, 10.07, 14.39), (1.85, 2.76, 4.20),
         (24.83, 33.03, 47.42), (6.08, 7.66, 11.04), (1.81, 2.44, 3.75)),
    THEIRS: ((35.99, 50.81, 80.46), (26.58, 37.60, 66.55), (23.18, 33.73, 58.23),
             (26.54, 39.38, 69.72), (27.53, 40.85, 74.69), (28.16, 41.74, 71.71)),
}  # fmt: skip
#: direction success, %
DSS: Mapping[str, tuple[float, ...]] = {
    DASTIDAR: (100.00, 95.43, 69.48, 99.95, 96.13, 63.38),
    LIAO: (100.00, 95.64, 75.92, 95.49, 84.38, 68.15),
    JIANG: (99.69, 83.99, 76.83, 97.27, 92.12, 83.98),
    LI: (100.00, 92.89, 63.23, 97.46, 88.86, 53.41),
    THEIRS: (100.00, 99.80, 99.96, 99.77, 99.91, 99.94),
}
