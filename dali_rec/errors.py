"""Every error that dali-rec raises on purpose.

    DaliRecError
    ├── RecordError                 a .rec file is not what the format says
    │   ├── TruncatedRecordError        (also ValueError) it ends inside a record
    │   ├── CorruptRecordError          (also ValueError) bad magic, flag, length or image header
    │   └── UnwritableRecordError       (also ValueError) too long, or DALI could not read it back
    ├── IndexFileError              (also ValueError) an .idx file is malformed or belongs to another .rec
    ├── SourceError                 (also ValueError) the input of `pack` cannot be understood
    ├── ImageRejectedError          (also ValueError) an image cannot be decoded; packing notes the reason and goes on
    ├── TooManyBadImagesError       more images were rejected than `max_bad` allows
    ├── OutputExistsError           (also FileExistsError) the output is there already, or another run is writing it
    ├── DatasetError                (also ValueError) a packed data set is incomplete or inconsistent
    ├── DatasetNotFoundError        (also FileNotFoundError)
    ├── LoaderError                 (also RuntimeError) the pipeline stopped
    ├── EngineError                 (also RuntimeError) the machines that pack cannot go on
    ├── DeviceUnavailableError      (also RuntimeError) a GPU was asked for and there is none
    └── MissingDependencyError      (also ImportError) an optional package is not installed

Each also inherits the builtin that a caller would think of catching. Messages name the file, the record and the remedy.
"""

from __future__ import annotations

__all__ = [
    "CorruptRecordError",
    "DaliRecError",
    "DatasetError",
    "DatasetNotFoundError",
    "DeviceUnavailableError",
    "EngineError",
    "ImageRejectedError",
    "IndexFileError",
    "LoaderError",
    "MissingDependencyError",
    "OutputExistsError",
    "RecordError",
    "SourceError",
    "TooManyBadImagesError",
    "TruncatedRecordError",
    "UnwritableRecordError",
]


class DaliRecError(Exception):
    """The base of every error that dali-rec raises on purpose."""


class RecordError(DaliRecError):
    """A .rec file is not what the format says it is."""


class TruncatedRecordError(RecordError, ValueError):
    """A .rec file ends inside a record."""


class CorruptRecordError(RecordError, ValueError):
    """A record has a bad magic number, flag, length or image header."""


class UnwritableRecordError(RecordError, ValueError):
    """A record that the format, or a reader of it, cannot take."""


class IndexFileError(DaliRecError, ValueError):
    """An .idx file is malformed, or belongs to another .rec file."""


class SourceError(DaliRecError, ValueError):
    """The input of packing cannot be understood."""


class ImageRejectedError(DaliRecError, ValueError):
    """An image is missing, damaged, or of a kind that the loader cannot decode."""


class TooManyBadImagesError(DaliRecError):
    """More images were rejected than the caller allowed."""


class OutputExistsError(DaliRecError, FileExistsError):
    """The output is there already, or another process is writing it."""


class DatasetError(DaliRecError, ValueError):
    """A packed data set is incomplete, inconsistent, or too small for what was asked."""


class DatasetNotFoundError(DaliRecError, FileNotFoundError):
    """No packed data set under this name."""


class LoaderError(DaliRecError, RuntimeError):
    """The loading pipeline stopped."""


class EngineError(DaliRecError, RuntimeError):
    """The machines, or processes, that pack cannot go on."""


class DeviceUnavailableError(DaliRecError, RuntimeError):
    """A GPU was asked for and none can be used."""


class MissingDependencyError(DaliRecError, ImportError):
    """An optional package is not installed; the message says what to install."""
