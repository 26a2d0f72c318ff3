"""Sparse linear programs with bounds on rows and unknowns, solved with HiGHS."""

import highspy
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array

from relulens.errors import SolverError
from relulens.numerics.linear_programs import Maximum

_ENDS = {
    highspy.HighsModelStatus.kUnbounded: ("unbounded", np.inf),
    highspy.HighsModelStatus.kInfeasible: ("infeasible", -np.inf),
}


class SparseProgram:
    """The set ``row_low <= rows x <= row_high, low <= x <= high``, for many costs.

    The solver starts from the basis of the program before.

    Args:
        rows: Coefficients [m, n].
        row_low: Lower bounds [m] of the rows, possibly minus infinity.
        row_high: Upper bounds [m], possibly infinity.
        low: Lower bounds [n] of the unknowns.
        high: Upper bounds [n].
    """

    def __init__(
        self,
        rows: csr_array,
        row_low: Float[NDArray[np.float64], " m"],
        row_high: Float[NDArray[np.float64], " m"],
        low: Float[NDArray[np.float64], " n"],
        high: Float[NDArray[np.float64], " n"],
    ) -> None:
        self._count, self._width = rows.shape
        self._solver = highspy.Highs()
        self._solver.setOptionValue("output_flag", False)
        self._solver.setOptionValue("threads", 1)
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = self._width, self._count
        program.col_cost_ = np.zeros(self._width)
        program.col_lower_, program.col_upper_ = low, high
        program.row_lower_, program.row_upper_ = row_low, row_high
        program.sense_ = highspy.ObjSense.kMaximize
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = rows.indptr.astype(np.int32)
        program.a_matrix_.index_ = rows.indices.astype(np.int32)
        program.a_matrix_.value_ = rows.data
        self._solver.passModel(program)

    def maximise(self, cost: Float[NDArray[np.float64], " n"]) -> Maximum:
        """Return the largest value of ``cost x``.

        Raises:
            SolverError: HiGHS stopped without an answer.
        """
        index = np.arange(self._width, dtype=np.int32)
        self._solver.changeColsCost(self._width, index, cost)
        self._solver.run()
        status = self._solver.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            point = np.array(self._solver.getSolution().col_value)
            value = float(self._solver.getInfo().objective_function_value)
            return Maximum(status="optimal", value=value, point=point)
        if status in _ENDS:
            word, value = _ENDS[status]
            nothing = np.full(self._width, np.nan)
            return Maximum(status=word, value=value, point=nothing)
        raise SolverError(
            f"cannot solve a linear program with {self._count} rows and {self._width}"
            f" unknowns: HiGHS stopped with"
            f" {self._solver.modelStatusToString(status)!r}. Scale the inputs, or ask"
            " about a smaller radius."
        )
