"""How to try the commands of the quality control at each of their doors."""

from tests.factories import make_order
from tests.orders import driving
from tests.orders.access_attempts import ADMIN, API, Attempt
from tests.orders.sampling import make_check

QUALITY_ATTEMPTS: tuple[Attempt, ...] = tuple(
    attempt
    for command, door, call, verb in (
        ("quality_pass", "pass_one", "passed", "pass"),
        ("quality_fail", "fail_one", "failed", "fail"),
    )
    for attempt in (
        Attempt(
            command=command,
            channel=ADMIN,
            door=f"QualityCheckAdmin.{door}",
            prepare=lambda: make_check(driving.drive(make_order())),
            do=lambda person, check, door=door: person.post(
                f"admin:orders_qualitycheck_{door}", {"_form_submitted": "on", "note": "Looked"}, check.pk
            ),
        ),
        Attempt(
            command=command,
            channel=API,
            door=f"QualityChecks.{call}",
            prepare=lambda: make_check(driving.drive(make_order())),
            do=lambda person, check, verb=verb: person.call(
                f"/api/quality-checks/{check.pk}/{verb}/", {"note": "Looked"}
            ),
        ),
    )
)
