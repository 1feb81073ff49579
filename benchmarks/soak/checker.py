"""The judge: reads histories, and nothing else, and says what in them breaks a promise.

Each rule is in its module: what was received (streams.py), what became of tasks (tasks.py), whether all got on and
nothing was left behind (health.py). What nobody can know, as who knew was killed, is counted by why, and bounded.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .findings import Findings
from .health import judge_health
from .history import Run, read
from .streams import judge_publish, judge_push
from .tasks import judge_tasks

__all__ = ["judge", "judge_folder"]


def judge(run: Run) -> Findings:
    """All rules over all lanes."""
    findings = Findings([], Counter(), Counter())
    for lane in run.lanes():
        name = lane["lane"]
        if lane["pattern"] == "push":
            judge_push(run, lane, findings)
        elif lane["pattern"] == "publish":
            judge_publish(run, lane, findings)
        else:
            judge_tasks(run, lane, findings)
        judge_health(run, lane, findings)
        if not findings.counts[f"events of {name}"]:
            findings.break_("idle", name, "nothing has been received at all")
        del findings.counts[f"events of {name}"]
    for over in run.director.all("over"):
        for name in over["sockets"]:
            findings.break_("left", "all", f"the socket file {name}, once all have ended")
    if not findings.counts["lanes"]:
        findings.break_("idle", "all", "there is no lane in these histories")
    return findings


def judge_folder(folder: Path) -> Findings:
    """The same for the histories in a folder."""
    return judge(read(folder))
