"""What a sweep answers, and what its question about runs that are no orders carries."""

from dataclasses import dataclass

from orders.vocabulary import RunKind, RunState


@dataclass(frozen=True, kw_only=True)
class RunAsked:
    kind: RunKind
    key: str


@dataclass(frozen=True, kw_only=True)
class RunsAsked:
    """A bounded page of processes that must be there (`orders.services.sweeping.runs`)."""

    runs: tuple[RunAsked, ...]
    #: run ids of the sweeps that the database remembers
    sweeps: tuple[str, ...] = ()
    #: the database was found to be older than Temporal, and a lead has not decided yet
    restored: bool = False
    #: from when on that may be; empty for an hour
    lost_since: str = ""


@dataclass(frozen=True, kw_only=True)
class RunSeen:
    kind: RunKind
    key: str
    state: RunState
    #: why, as far as Temporal told
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class RunsSeen:
    runs: tuple[RunSeen, ...]
    #: what could not be looked at; empty for nothing
    skipped: str = ""
    #: run ids of sweeps that had settled their answers, and that were not among those remembered
    sweeps: tuple[str, ...] = ()
    #: ids and numbers of the newest orders at Temporal; asked for a restored database only
    orders: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    #: findings that no earlier sweep had
    new: int
    #: parts that were left out
    failed: tuple[str, ...] = ()
    #: what Temporal said of runs stands in the database, with the id of this one
    settled: bool = False
