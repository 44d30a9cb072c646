"""The temperature that a student's scores are divided by before its softmax.

A student whose raw scores spread more than the teachers' is pressed to shrink all its weights;
with the ratio of both spreads as temperature it starts on the teachers' scale.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lsr.errors import InputError
from lsr.training.losses.rows import mean_where, precise

__all__ = ["Temperature", "spread", "temperature_from_spreads"]


@torch.no_grad()
def spread(scores: Tensor, known: Tensor) -> float:
    """Mean over rows of the deviation of known scores, each row as a whole population.

    Args:
        scores: [Q, D].
        known: bool [Q, D]; rows with fewer than two known scores are left out.

    Returns:
        The spread in the scores' unit; 0 where no row counts.
    """
    x = precise(scores).masked_fill(~known, 0.0)
    n = known.sum(dim=1, keepdim=True)
    centred = (x - x.sum(dim=1, keepdim=True) / n.clamp(min=1)).masked_fill(~known, 0.0)
    deviation = (centred.square().sum(dim=1) / n[:, 0].clamp(min=1)).sqrt()
    return float(mean_where(deviation, n[:, 0] >= 2, None))


def temperature_from_spreads(student: float, teacher: float) -> float:
    """The temperature at which the student's scores spread as the teacher's: student / teacher.

    Args:
        student: spread of the student's raw scores.
        teacher: spread of the teachers' scores as they enter their softmax, so times the scale.

    Raises:
        InputError: one of them is not a number above 0, so that no ratio fits.
    """
    if not (0 < student < math.inf and 0 < teacher < math.inf):
        raise InputError(
            f"scores of the student spread by {student} and of the teacher by {teacher}: "
            "a temperature needs both above 0; give it as a number."
        )
    return student / teacher


class Temperature(nn.Module):
    """A temperature: a fixed number, one from the first batch, or one learned from there on.

    Its state is in `state_dict`, so a run that is resumed goes on with the same one.

    Attributes:
        log_value: scalar float32, the temperature's logarithm; a parameter if it is learned.
        fitted: scalar bool, whether it is set.
    """

    log_value: Tensor
    fitted: Tensor

    def __init__(self, mode: str = "auto", value: float = 1.0) -> None:
        """
        Args:
            mode: fixed at `value`; auto: set by the first batch; learned: from there on.
            value: the temperature, in the other modes until a batch has set it.

        Raises:
            InputError: there is no such mode, or value is not above 0.
        """
        super().__init__()
        if mode not in ("fixed", "auto", "learned"):
            raise InputError(f"temperature {mode!r}: use fixed, auto or learned.")
        if not 0 < value < math.inf:
            raise InputError(f"temperature {value}: give a number above 0.")
        log_value = torch.tensor(math.log(value))
        if mode == "learned":
            self.log_value = nn.Parameter(log_value)
        else:
            self.register_buffer("log_value", log_value)
        self.register_buffer("fitted", torch.tensor(mode == "fixed"))

    @property
    def value(self) -> Tensor:
        """The temperature, a scalar; it has a gradient if it is learned."""
        return self.log_value.exp()

    def fit(self, scores: Tensor, teacher_scores: Tensor, known: Tensor) -> None:
        """Set it from the spreads of a batch, unless it is set.

        A batch in which one side does not spread at all sets nothing; the next one may.

        Args:
            scores: the student's, raw, [Q, D].
            teacher_scores: [Q, D], as they enter the teachers' softmax, so times the scale.
            known: bool [Q, D], which pairs count.
        """
        if bool(self.fitted):
            return
        student, teacher = spread(scores, known), spread(teacher_scores, known)
        if 0 < student < math.inf and 0 < teacher < math.inf:
            with torch.no_grad():
                self.log_value.fill_(math.log(temperature_from_spreads(student, teacher)))
                self.fitted.fill_(True)

    def forward(
        self, scores: Tensor, teacher_scores: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """Scores over the temperature, of the same shape; with a teacher, `fit` comes first."""
        if teacher_scores is not None and known is not None:
            self.fit(scores, teacher_scores, known)
        return scores / self.value
