"""Training: PyTorch Lightning around a network, with early stopping, that can be interrupted and resumed.

After every epoch the whole state of the loop (weights, optimiser, history, the best weights) is written to one hidden
file. A run that was stopped at any moment and is started again with the same settings resumes after its last whole
epoch; as everything random is a function of (seed, epoch, batch), it ends with the weights of an uninterrupted run.
"""
