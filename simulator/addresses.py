"""SimMaps, the address check: a fixed list of countries and the shape of their postcodes.

What it finds implausible is an answer with status 200. Only a question that makes no sense is a 400, so that a caller
who mixes up the two is found out.
"""

import re

from simulator.wire import Request, Response, answer, refuse

#: code -> names that feeds use for it
COUNTRIES = {
    "GB": ("UNITED KINGDOM", "GREAT BRITAIN"),
    "IE": ("IRELAND", "EIRE"),
    "DE": ("GERMANY",),
    "FR": ("FRANCE",),
    "NL": ("NETHERLANDS",),
    "BE": ("BELGIUM",),
    "ES": ("SPAIN",),
    "PT": ("PORTUGAL",),
    "IT": ("ITALY",),
    "CH": ("SWITZERLAND",),
    "AT": ("AUSTRIA",),
    "PL": ("POLAND",),
    "SE": ("SWEDEN",),
    "NO": ("NORWAY",),
    "DK": ("DENMARK",),
    "FI": ("FINLAND",),
    "US": ("USA", "UNITED STATES"),
    "AU": ("AUSTRALIA",),
    "JP": ("JAPAN",),
    "AQ": ("ANTARCTICA",),
}
UNINHABITED = frozenset({"AQ"})
POSTCODES = {
    "GB": re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}"),
    "DE": re.compile(r"[0-9]{5}"),
    "FR": re.compile(r"[0-9]{5}"),
    "NL": re.compile(r"[0-9]{4} ?[A-Z]{2}"),
    "US": re.compile(r"[0-9]{5}(-[0-9]{4})?"),
}
MAX_TEXT = 80


def check(request: Request) -> Response:
    """GET /addresses/check?country=GB&postcode=SW1A 1AA: {country, plausible, says}. 400 without a country."""
    country = request.query.get("country", "").strip().upper()
    postcode = request.query.get("postcode", "").strip().upper()
    for name, text in (("country", country), ("postcode", postcode)):
        if len(text) > MAX_TEXT:
            refuse(400, "bad_field", f"{name} has at most {MAX_TEXT} characters", field=name)
    if not country:
        refuse(400, "bad_field", "country is needed", field="country")
    code = next((code for code, names in COUNTRIES.items() if country == code or country in names), None)
    if code is None:
        plausible, says = False, "There is no such country in the register"
    elif code in UNINHABITED:
        plausible, says = False, "Nobody has an address there"
    elif postcode and code in POSTCODES and not POSTCODES[code].fullmatch(postcode):
        plausible, says = False, f"A postcode of {code} does not look like this"
    else:
        plausible, says = True, "The address can exist"
    return answer(200, {"country": code, "plausible": plausible, "says": says})
