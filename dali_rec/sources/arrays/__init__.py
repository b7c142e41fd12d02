"""Data sets that lie on disk as arrays: NumPy's .npz and .npy, HDF5, IDX as MNIST has it, and the files of CIFAR."""
