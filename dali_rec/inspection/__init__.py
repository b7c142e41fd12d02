"""Looking into a packed data set."""

from dali_rec.inspection.info import DatasetInfo, info
from dali_rec.inspection.sheet import contact_sheet
from dali_rec.inspection.verify import Fault, VerifyReport, verify

__all__ = ["DatasetInfo", "Fault", "VerifyReport", "contact_sheet", "info", "verify"]
