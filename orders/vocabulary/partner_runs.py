"""Lists of calls to a partner, what became of each, and where a parcel is."""

from enum import StrEnum

from orders.vocabulary.partners import PartnerCode


class PartnerRunStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"  # every call has its result; a failed call is a result
    CANCELLED = "cancelled"


class PartnerCallStatus(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"  # for good
    CANCELLED = "cancelled"  # never made: its run was cancelled first


ENDED_RUNS = frozenset(PartnerRunStatus) - {PartnerRunStatus.RUNNING}
ENDED_CALLS = frozenset(PartnerCallStatus) - {PartnerCallStatus.PENDING}


class TrackingStatus(StrEnum):
    """Where a parcel is, as the carrier told us."""

    BOOKED = "booked"
    IN_TRANSIT = "in_transit"
    EXCEPTION = "exception"  # something is wrong with it
    DELIVERED = "delivered"


#: what a run asks the partner for; the others have nothing that could be refreshed
REFRESHED: dict[PartnerCode, str] = {
    PartnerCode.CARRIER: "tracking of all open shipments",
    PartnerCode.RATES: "exchange rates",
    PartnerCode.ADDRESSES: "address checks of all open orders",
}
