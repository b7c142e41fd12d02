"""Looking into a packed data set."""

from dali_rec.inspection.faults import Fault, VerifyReport
from dali_rec.inspection.info import DatasetInfo, info
from dali_rec.inspection.repair import RepairReport, repair
from dali_rec.inspection.report import write_report
from dali_rec.inspection.sheet import augmented_sheet, contact_sheet
from dali_rec.inspection.unpack import UnpackReport, unpack
from dali_rec.inspection.verify import verify

__all__ = [
    "DatasetInfo",
    "Fault",
    "RepairReport",
    "UnpackReport",
    "VerifyReport",
    "augmented_sheet",
    "contact_sheet",
    "info",
    "repair",
    "unpack",
    "verify",
    "write_report",
]
