"""What a lead may have done with an order whose process is gone, as forms offer it."""

from orders.vocabulary import RecoveryDecision

RECOVERIES = [
    ("", "None"),
    (RecoveryDecision.UNDO, "Undo the order"),
    (RecoveryDecision.FINISH, "Finish the order: its parcel was booked"),
]
