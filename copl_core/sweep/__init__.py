"""Studies: one base config, what is varied, several seeds; a table at the end. Imports no torch."""

from copl_core.sweep.devices import find_devices
from copl_core.sweep.ray_cluster import RayProcesses
from copl_core.sweep.results import Table, make_table, read_records, write_records, write_table
from copl_core.sweep.runs import Run, plan, plan_row
from copl_core.sweep.search import Searcher
from copl_core.sweep.study import Range, Row, Search, Study, read_study
from copl_core.sweep.workers import LocalProcesses, Outcome, Processes, Workers

__all__ = [
    "LocalProcesses",
    "Outcome",
    "Processes",
    "Range",
    "RayProcesses",
    "Row",
    "Run",
    "Search",
    "Searcher",
    "Study",
    "Table",
    "Workers",
    "find_devices",
    "make_table",
    "plan",
    "plan_row",
    "read_records",
    "read_study",
    "write_records",
    "write_table",
]
