"""One run, or several side by side, as a web page that needs nothing but itself."""

from copl_core.report.compare import compare_runs
from copl_core.report.report import report_run

__all__ = ["compare_runs", "report_run"]
