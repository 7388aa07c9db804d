"""copl sweep: train all settings of a study with several seeds; a table and a plot at the end."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from copl_core.sweep import Outcome, Processes, Run, Searcher, Study

    Place = tuple[int, Sequence[str], Processes]


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "sweep", help="train the settings of a study with several seeds", description=__doc__
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="a .yaml file, see docs/studies.md")
    parser.add_argument("--work-dir", type=Path, help="default: work_dirs/studies/<name of the study>")
    parser.add_argument("--jobs", type=int, help="runs at a time; default: one a GPU, or one a core and at most four")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--share",
        type=_share,
        default=(0, 1),
        metavar="I/N",
        help="train only this share of the runs, counted from 0: one machine each, on a common file system",
    )
    parser.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="train on the machines of a Ray cluster with a common file system, one GPU (or CPU) a run; default: the "
        "cluster that this machine is in",
    )
    parser.add_argument("--table-only", action="store_true", help="train nothing, write the table of what is finished")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train what isn't finished, then write the table.

    Returns:
        0; 1 if runs failed or can't be read; 130 after Ctrl-C.
    """
    from rich.console import Console

    from copl_core.api import ConfigError
    from copl_core.plugins import get_table
    from copl_core.registry import Registry
    from copl_core.sweep import Searcher, plan, read_study

    if options.jobs is not None and options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs}: must be at least 1")
    console = Console(soft_wrap=True, highlight=False)
    study = read_study(options.study)
    if study.search and options.share != (0, 1):
        raise ConfigError("--share: a search has no runs to share, it proposes each after those before it")
    work_dir = options.work_dir or Path("work_dirs/studies") / options.study.stem
    registry = Registry(get_table())
    search = Searcher(study, options.study, work_dir, registry) if study.search else None
    runs = [] if search else plan(study, options.study, work_dir, registry)
    share, shares = options.share
    mine = runs[share::shares]
    count = search.remaining() * len(study.seeds) if search else len(mine)
    failed: list[Outcome] = []
    interrupted = False
    if count and not options.table_only:
        place = _place(options)
        of = f"{search.remaining()} trials" if search else f"{len(study.settings())} rows"
        console.print(f"{count} runs of {of}, {place[0]} at a time; work dir {work_dir}")
        failed, interrupted = _train(search or mine, count, place, console)
    unreadable = _write(study, search.ranked() if search else runs, work_dir, options.study, console)
    if failed:
        console.print(f"{len(failed)} runs failed; the same command tries them again and keeps the others")
    if interrupted:
        console.print("interrupted; the same command goes on")
        return 130
    return 1 if failed or unreadable else 0


def _place(options: argparse.Namespace) -> "Place":
    """Where runs run, on this machine or on a cluster: how many at a time, CUDA devices, processes."""
    from copl_core.sweep import LocalProcesses, RayProcesses, find_devices

    if options.ray:
        cluster = RayProcesses(options.ray, options.device)
        return options.jobs or cluster.jobs, cluster.devices, cluster
    devices = find_devices(options.device)
    return options.jobs or len(devices) or min(4, os.cpu_count() or 1), devices, LocalProcesses()


def _train(
    work: "Searcher | list[Run]", count: int, place: "Place", console: "Console"
) -> "tuple[list[Outcome], bool]":
    """Train runs and tell of each; the failed ones, and whether it was interrupted."""
    from copl_core.sweep import Outcome, Workers
    from copl_core.termination import terminable

    done = 0
    failed: list[Outcome] = []

    def told(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome.state == "failed":
            failed.append(outcome)
        console.print(f"{done}/{count}  {_tell(outcome)}", markup=False)

    def stopping() -> None:
        console.print("stopping: the runs save their state first; once more ends them at once")

    jobs, devices, processes = place
    workers = Workers(jobs=jobs, devices=devices, told=told, stopping=stopping, processes=processes)
    try:
        with terminable():
            if isinstance(work, list):
                workers.map(workers.train, work)
            else:
                work.go(workers)
    except KeyboardInterrupt:
        return failed, True
    return failed, False


def _write(study: "Study", runs: "list[Run]", work_dir: Path, file: Path, console: "Console") -> int:
    """Write the tables and show them; how many runs can't be read."""
    from copl_core.sweep import make_table, read_records, write_records, write_table

    work_dir.mkdir(parents=True, exist_ok=True)
    records, problems = read_records(runs)
    written = [write_records(records, work_dir)]
    for problem in problems:
        console.print(f"not in the table: {problem}", markup=False)
    table = make_table(study, runs, records)
    written += write_table(study, table, work_dir, study.title or file.stem)
    console.print(table.markdown(), markup=False, end="")
    for path in written:
        console.print(str(path), markup=False)
    if any(table.rows.values()) and len(written) < 3:
        console.print("no plot: it needs matplotlib, pip install 'copl[report]'", markup=False)
    return len(problems)


def _tell(outcome: "Outcome") -> str:
    name = f"{outcome.run.row}, seed {outcome.run.seed}"
    if outcome.state == "failed":
        see = f"\n    see {outcome.log}" if outcome.log else ""
        return f"{name}: FAILED after {outcome.seconds:.0f} s, {outcome.error}{see}"
    return f"{name}: kept" if outcome.state == "kept" else f"{name}: {outcome.seconds:.0f} s"


def _share(text: str) -> tuple[int, int]:
    share, _, shares = text.partition("/")
    if not (share.isdecimal() and shares.isdecimal() and int(share) < int(shares)):
        raise argparse.ArgumentTypeError(f"expected I/N with I below N, such as 0/4, got {text!r}")
    return int(share), int(shares)
