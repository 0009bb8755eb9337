"""The training loop: PyTorch Lightning around a network, stopped when validation no longer improves, able to go on.

After every epoch the whole state of the loop (weights, optimiser, history, the best weights so far) is written to one
hidden file. A run that was stopped at any moment and is started again with the same settings goes on after its last
whole epoch; as everything random is a function of (seed, epoch, batch), it ends with the weights of an undisturbed run.
"""
