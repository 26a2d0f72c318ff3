"""Lower bounds of linear programs, with integers too, that do not trust the solver.

What HiGHS returns is in floating point. ``safe_minimum`` turns its multipliers into a
bound that holds whatever they are :cite:p:`neumaier2004safe`.
"""

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from relulens.errors import SolverError

Array = NDArray[np.float64]
_UNIT = 2.0**-53
_WORDS = {
    highspy.HighsModelStatus.kOptimal: "optimal",
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    highspy.HighsModelStatus.kTimeLimit: "time",
    highspy.HighsModelStatus.kInterrupt: "time",
    highspy.HighsModelStatus.kIterationLimit: "time",
}
_CLOSE = {
    "mip_rel_gap": 1e-9,
    "mip_abs_gap": 1e-9,
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Program:
    """``row_low <= rows v <= row_high``, ``low <= v <= high``, some v whole numbers.

    Attributes:
        rows: Coefficients [m, n].
        row_low: [m], possibly minus infinity.
        row_high: [m], possibly infinity.
        low: [n], finite.
        high: [n], finite.
        whole: Which unknowns are whole numbers [n].
    """

    rows: csr_array
    row_low: Array
    row_high: Array
    low: Array
    high: Array
    whole: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Minimum:
    """What a program's solver found.

    Attributes:
        status: ``"optimal"``, ``"infeasible"`` or ``"time"``.
        bound: A lower bound on the minimum: rigorous if no unknown is whole, else what
            the solver's branching has shown; minus infinity if it says infeasible,
            which is not proved.
        point: The best point found, or nothing.
    """

    status: str
    bound: float
    point: Array | None


def safe_minimum(program: Program, cost: Array, multipliers: Array) -> float:
    """Return a lower bound on ``cost v`` that holds for any multipliers of the rows.

    ``cost v = y (rows v) + (cost - y rows) v``, and each product is at least its least
    value between the bounds; rounding is taken off.
    """
    y = np.where(np.isfinite(multipliers), multipliers, 0.0)
    y = np.where((y > 0) & np.isinf(program.row_low), 0.0, y)
    y = np.where((y < 0) & np.isinf(program.row_high), 0.0, y)
    over = np.where(y > 0, program.row_low, 0.0)
    ends = over + np.where(y < 0, program.row_high, 0.0)
    turned = csr_array(program.rows.T)
    rest = cost - turned @ y
    size = np.abs(cost) + abs(turned) @ np.abs(y)
    tall = int(np.diff(turned.indptr).max(initial=0))
    slack = 1.01 * _UNIT * (tall + 16) * size
    least = np.minimum(rest * program.low, rest * program.high)
    widest = np.maximum(np.abs(program.low), np.abs(program.high))
    terms = np.concatenate([y * ends, least, -slack * widest])
    room = 1.01 * _UNIT * (terms.size + 16) * float(np.abs(terms).sum())
    return float(terms.sum()) - room


class Solver:
    """A program that is kept for many costs; the basis stays from one to the next.

    Args:
        program: The program.
        seconds: Most time for one cost.
    """

    def __init__(self, program: Program, seconds: float) -> None:
        self._program, self._seconds = program, seconds
        self._whole = bool(program.whole.any())
        self._solver = highspy.Highs()
        self._solver.setOptionValue("output_flag", False)
        self._solver.setOptionValue("threads", 1)
        for name, value in (_CLOSE if self._whole else {}).items():
            self._solver.setOptionValue(name, value)
        self._solver.passModel(_as_highs(program))

    def minimum(self, cost: Array) -> Minimum:
        """Return a lower bound on the least ``cost v``, and the best point.

        Raises:
            SolverError: HiGHS stopped for another reason than those of ``Minimum``.
        """
        index = np.arange(cost.size, dtype=np.int32)
        self._solver.changeColsCost(cost.size, index, cost.astype(np.float64))
        # The limit is on the solver's clock, which runs on from call to call.
        limit = self._solver.getRunTime() + self._seconds
        self._solver.setOptionValue("time_limit", limit)
        self._solver.run()
        status = self._solver.getModelStatus()
        if status not in _WORDS:
            name = self._solver.modelStatusToString(status)
            raise SolverError(
                f"cannot solve a program with {self._program.rows.shape[0]} rows and"
                f" {cost.size} unknowns: HiGHS stopped with {name!r}. Ask about a"
                " smaller radius, or use method='relaxation'."
            )
        word = _WORDS[status]
        if word == "infeasible":
            return Minimum(status=word, bound=-np.inf, point=None)
        solution = self._solver.getSolution()
        point = np.array(solution.col_value) if solution.value_valid else None
        if self._whole:
            bound = float(self._solver.getInfo().mip_dual_bound)
            return Minimum(status=word, bound=bound, point=point)
        count = self._program.rows.shape[0]
        y = np.array(solution.row_dual)
        y = y if solution.dual_valid and y.size == count else np.zeros(count)
        bound = safe_minimum(self._program, cost, y)
        return Minimum(status=word, bound=bound, point=point)


def _as_highs(program: Program) -> highspy.HighsLp:
    made = highspy.HighsLp()
    made.num_row_, made.num_col_ = program.rows.shape
    made.col_cost_ = np.zeros(made.num_col_)
    made.col_lower_, made.col_upper_ = program.low, program.high
    made.row_lower_, made.row_upper_ = program.row_low, program.row_high
    made.sense_ = highspy.ObjSense.kMinimize
    made.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    made.a_matrix_.start_ = program.rows.indptr
    made.a_matrix_.index_ = program.rows.indices
    made.a_matrix_.value_ = program.rows.data
    if program.whole.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        made.integrality_ = [kinds[int(whole)] for whole in program.whole]
    return made
