"""Looking into a packed data set."""

from dali_rec.inspection.sheet import contact_sheet
from dali_rec.inspection.verify import Fault, VerifyReport, verify

__all__ = ["Fault", "VerifyReport", "contact_sheet", "verify"]
