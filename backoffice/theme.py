"""How the admin looks: names, symbols and colours of Unfold. A setting, apart from those that an operator sets."""

from django.templatetags.static import static
from django.urls import reverse_lazy

UNFOLD = {
    "SITE_TITLE": "Backoffice",
    "SITE_HEADER": "Backoffice",
    "SITE_SUBHEADER": "Orders, as durable processes",
    "SITE_SYMBOL": "deployed_code",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("orders/favicon.svg")},
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "orders.dashboard.fill",
    "STYLES": [lambda request: static("orders/backoffice.css")],
    "SCRIPTS": [
        lambda request: static("orders/vendor/idiomorph-0.8.0.min.js"),
        lambda request: static("orders/live.js"),
        lambda request: static("orders/frame.js"),
    ],
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "orders.admin.navigation.sections",
    },
    # Model search would walk every table row by row; the callback asks two indexes.
    "COMMAND": {"search_models": False, "search_callback": "orders.admin.navigation.search", "show_history": True},
    "ACCOUNT": {
        "navigation": [
            {"title": "Second factor", "link": reverse_lazy("mfa_index")},
            {"title": "Sessions", "link": reverse_lazy("usersessions_list")},
        ]
    },
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254)",
            "100": "oklch(94% .03 255)",
            "200": "oklch(88% .06 255)",
            "300": "oklch(80% .1 255)",
            "400": "oklch(70% .14 256)",
            "500": "oklch(61% .16 257)",
            "600": "oklch(51% .16 258)",
            "700": "oklch(45% .15 259)",
            "800": "oklch(39% .12 260)",
            "900": "oklch(34% .1 260)",
            "950": "oklch(26% .08 260)",
        },
    },
}
