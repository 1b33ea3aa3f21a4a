"""Codes of classification and of handling. Schemes are independent and are never converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.core.vocabulary.code import Code

_SIENA = "Europol SIENA handling codes, EU document 6261/18"
_TLP = "FIRST Traffic Light Protocol 2.0"


class AssessmentScheme(Code):
    INTERPOL_BASELINE = "interpol_baseline", "INTERPOL baseline, as in INHOPE ICCAM API v3"
    ESP_INDUSTRY = "esp_industry", "Technology Coalition / NCMEC industryClassification, June 2022"
    IWF = "iwf", "IWF severity, UK Sentencing Council"
    UCS = "ucs", "INHOPE Universal Classification Schema"
    COPINE = "copine", "COPINE scale, as in the MISP taxonomy copine-scale"


class AssessmentStatus(Code):
    PROVISIONAL = "provisional"
    FINAL = "final"
    DISPUTED = "disputed", "Meta ThreatExchange, DISPUTED"
    WITHDRAWN = "withdrawn"


#: The label for a value that its scheme's list lacks.
UNKNOWN_VALUE = "unknown"
#: The values of each scheme; `unknown` is also valid in each. The list of `ucs` is not published, so it is empty. Any
#: label is accepted from submitters and sent as `unknown`.
ASSESSMENT_VALUES: dict[AssessmentScheme, frozenset[str]] = {
    AssessmentScheme.INTERPOL_BASELINE: frozenset({"baseline", "national", "doubtful", "not_illegal", "ignore"}),
    AssessmentScheme.ESP_INDUSTRY: frozenset({"A1", "A2", "B1", "B2"}),
    AssessmentScheme.IWF: frozenset({"A", "B", "C"}),
    AssessmentScheme.UCS: frozenset(),
    AssessmentScheme.COPINE: frozenset(str(level) for level in range(1, 11)),
}


class Tlp(Code):
    CLEAR = "clear", _TLP
    GREEN = "green", _TLP
    AMBER = "amber", _TLP
    AMBER_STRICT = "amber_strict", _TLP
    RED = "red", _TLP


class SienaCode(Code):
    H0 = "H0", _SIENA
    H1 = "H1", _SIENA
    H2 = "H2", _SIENA
    H3 = "H3", _SIENA


class RetentionClass(Code):
    """The time for which a recipient must or may retain a record."""

    US_1Y = "us_1y", "REPORT Act, Pub. L. 118-59, 18 USC 2258A(h)"
    CA_21D = "ca_21d", "S.C. 2011 c. 4 (Canada), section 4"
    CA_1Y = "ca_1y", "Bill C-16 (Canada), Royal Assent 18 June 2026; its coming into force is not confirmed"
    EU_1Y = "eu_1y", "EU Regulation 2026/1881"
    TCO_6M = "tco_6m", "EU Regulation 2021/784, Article 6"
    UK_POLICY = "uk_policy", "UK SI 2026/268"
    MINIMAL = "minimal"


#: Days of retention for each class, from the end of work on the record; for an accepted case, from its withdrawal. The
#: numbers of legal classes come from the law.
KEPT_DAYS: Final[Mapping[RetentionClass, int]] = {
    RetentionClass.US_1Y: 365,
    RetentionClass.CA_21D: 21,
    RetentionClass.CA_1Y: 365,
    RetentionClass.EU_1Y: 365,
    RetentionClass.TCO_6M: 183,
    RetentionClass.UK_POLICY: 365,
    RetentionClass.MINIMAL: 90,
}
