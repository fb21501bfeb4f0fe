"""Templates of Unfold that ours replace: an upgrade that changes one of them asks us to look again."""

import hashlib
from pathlib import Path

import unfold

OURS = Path(__file__).resolve().parents[2] / "templates"
UNFOLDS = Path(unfold.__file__).parent / "templates"
#: template -> the digest of Unfold's, as it was when ours was written
REPLACED = {
    "admin/base.html": "2ce9250b3c649e3a",
    "admin/change_list.html": "5885c39760f6085d",
    "admin/index.html": "9fdb849b7da18ccd",
    "admin/submit_line.html": "7a195a7b8beeda11",
    "unfold/helpers/actions_row.html": "a322f5b53d779840",
    "unfold/helpers/app_list.html": "6ab83ac498b2f50f",
    "unfold/helpers/dialog.html": "e961b19a9a2f2175",
    "unfold/helpers/header.html": "d30d2ed9f06b45f3",
    "unfold/helpers/modal.html": "fa0832c6ded6a26b",
    "unfold/helpers/navigation.html": "fd819dae3473c0be",
    "unfold/helpers/navigation_header.html": "35139b9d94580be9",
    "unfold/helpers/navigation_user.html": "4c9ba58b3f215326",
    "unfold/helpers/pagination_default.html": "a6c793aea686e443",
    "unfold/helpers/search.html": "91996c27181d14ad",
    "unfold/helpers/theme_switch.html": "c8e659df65f5aa78",
    "unfold/helpers/theme_switch_dropdown.html": "90421e9a3524b57f",
    "unfold/helpers/welcomemsg.html": "e8eab02522ba2319",
    "unfold/layouts/unauthenticated.html": "768501529f1a8dae",
}


def test_each_replaced_template_is_still_the_one_that_was_replaced() -> None:
    replaced = {
        name: hashlib.sha256((UNFOLDS / name).read_bytes()).hexdigest()[:16]
        for name in (str(path.relative_to(OURS)) for path in OURS.rglob("*.html"))
        if (UNFOLDS / name).exists()
    }
    assert replaced == REPLACED, "Take over what Unfold has changed, then write the new digest here."
