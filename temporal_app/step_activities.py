"""Which activity does which fenced step, where Temporal schedules it: the steps that ask a partner.

The other steps are local activities, of which the server knows nothing until they are over or have failed three times.
"""

from orders.vocabulary import StepName

ACTIVITY_OF_STEP = {
    StepName.FRAUD: "check_fraud",
    StepName.CHARGE: "charge_payment",
    StepName.SHIP: "ship_order",
    StepName.REFUND: "undo_payment",
    StepName.RECALL: "undo_shipment",
}
STEP_OF_ACTIVITY = {activity: step for step, activity in ACTIVITY_OF_STEP.items()}
