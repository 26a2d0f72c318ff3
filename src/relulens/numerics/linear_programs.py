"""Linear programs over ``rows x <= right``: the one door to HiGHS."""

from dataclasses import dataclass

import highspy
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from relulens.errors import SolverError

_ANSWERS = (
    highspy.HighsModelStatus.kOptimal,
    highspy.HighsModelStatus.kUnbounded,
    highspy.HighsModelStatus.kInfeasible,
    highspy.HighsModelStatus.kUnboundedOrInfeasible,
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Maximum:
    """What a linear program found.

    Attributes:
        status: ``"optimal"``, ``"unbounded"`` or ``"infeasible"``.
        value: The largest value; infinite if unbounded, minus infinity if infeasible.
        point: Where it is reached; NaN unless optimal.
    """

    status: str
    value: float
    point: Float[NDArray[np.float64], " unknowns"]


class Inequalities:
    """A polyhedron ``rows x <= right`` with free unknowns, kept for many programs.

    The solver keeps its basis from call to call, so programs that differ little are
    solved in few steps.

    Args:
        rows: Coefficients [m, n].
        right: Right-hand sides [m].
    """

    def __init__(
        self,
        rows: Float[NDArray[np.float64], "m n"],
        right: Float[NDArray[np.float64], " m"],
    ) -> None:
        count, width = rows.shape
        self._width = width
        self._solver = highspy.Highs()
        self._solver.setOptionValue("output_flag", False)
        self._solver.setOptionValue("threads", 1)
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = width, count
        infinity = highspy.kHighsInf
        program.col_cost_ = np.zeros(width)
        program.col_lower_ = np.full(width, -infinity)
        program.col_upper_ = np.full(width, infinity)
        program.row_lower_ = np.full(count, -infinity)
        program.row_upper_ = np.asarray(right, dtype=np.float64)
        program.sense_ = highspy.ObjSense.kMaximize
        kept = rows != 0
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = np.concatenate([[0], np.cumsum(kept.sum(1))])
        program.a_matrix_.index_ = np.nonzero(kept)[1]
        program.a_matrix_.value_ = rows[kept]
        self._solver.passModel(program)

    def __len__(self) -> int:
        """Return the number of inequalities."""
        return self._solver.getNumRow()

    def add(self, row: Float[NDArray[np.float64], " n"], right: float) -> None:
        """Add an inequality."""
        index = np.nonzero(row)[0].astype(np.int32)
        self._solver.addRow(
            -highspy.kHighsInf, right, len(index), index, row[index].astype(np.float64)
        )

    def remove_last(self) -> None:
        """Take the inequality back that was added last."""
        self._solver.deleteRows(1, np.array([len(self) - 1], dtype=np.int32))

    def set_right(self, place: int, right: float) -> None:
        """Replace one right-hand side."""
        self._solver.changeRowBounds(place, -highspy.kHighsInf, right)

    def maximise(self, cost: Float[NDArray[np.float64], " n"]) -> Maximum:
        """Return the largest value of ``cost x``.

        Raises:
            SolverError: HiGHS stopped without an answer.
        """
        index = np.arange(self._width, dtype=np.int32)
        self._solver.changeColsCost(self._width, index, cost.astype(np.float64))
        status = self._run()
        if status == highspy.HighsModelStatus.kUnboundedOrInfeasible:
            # Presolve cannot tell the two apart; without it the simplex method can.
            self._solver.setOptionValue("presolve", "off")
            status = self._run()
            self._solver.setOptionValue("presolve", "choose")
        nothing = np.full(self._width, np.nan)
        match status:
            case highspy.HighsModelStatus.kOptimal:
                point = np.array(self._solver.getSolution().col_value)
                value = float(self._solver.getInfo().objective_function_value)
                return Maximum(status="optimal", value=value, point=point)
            case highspy.HighsModelStatus.kUnbounded:
                return Maximum(status="unbounded", value=np.inf, point=nothing)
            case highspy.HighsModelStatus.kInfeasible:
                return Maximum(status="infeasible", value=-np.inf, point=nothing)
            case _:
                name = self._solver.modelStatusToString(status)
                raise SolverError(
                    f"cannot solve a linear program with {len(self)} inequalities and"
                    f" {self._width} unknowns: HiGHS stopped with {name!r}. Scale the"
                    " inputs, or ask about fewer units."
                )

    def _run(self) -> highspy.HighsModelStatus:
        self._solver.run()
        status = self._solver.getModelStatus()
        for name in ("simplex", "ipm"):
            if status in _ANSWERS:
                break
            # The basis of an earlier program can lead the simplex method astray.
            self._solver.clearSolver()
            self._solver.setOptionValue("solver", name)
            self._solver.run()
            status = self._solver.getModelStatus()
        self._solver.setOptionValue("solver", "choose")
        return status
