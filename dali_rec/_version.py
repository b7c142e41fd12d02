"""The version, which the package metadata takes from here: a bare checkout on PYTHONPATH has it too."""

__version__ = "0.1.0"
