"""The training loop: PyTorch Lightning around a network, stopped when validation no longer improves, able to go on.

After every epoch the whole state of the loop (weights, optimiser, history, the best weights so far) is written to one
hidden file. A run that was stopped at any moment and is started again with the same settings goes on after its last
whole epoch; as everything random is a function of (seed, epoch, batch), it ends with the weights of an undisturbed run.
"""

from seqlift.training.learner import SCHEDULES
from seqlift.training.loop import EVALUATION_BATCH, Place, fit
from seqlift.training.processes import in_processes
from seqlift.training.record import RESUME_NAME, Attempt, check_tensorboard, read_state

__all__ = [
    "EVALUATION_BATCH",
    "RESUME_NAME",
    "SCHEDULES",
    "Attempt",
    "Place",
    "check_tensorboard",
    "fit",
    "in_processes",
    "read_state",
]
