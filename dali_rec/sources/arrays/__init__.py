"""Data sets that lie on disk as arrays: NumPy's .npz and .npy, IDX as MNIST has it, and the files of CIFAR."""
