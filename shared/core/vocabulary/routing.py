"""Codes of the directory, the policy and its decisions."""

from __future__ import annotations

from shared.core.vocabulary.code import Code

_ICCAM = "INHOPE ICCAM API v3 rules, as read by its clients"


class PartyKind(Code):
    HOTLINE = "hotline"
    LAW_ENFORCEMENT = "law_enforcement"
    INDUSTRY = "industry"
    AUDITOR = "auditor"
    SUPPORT = "support"
    REGULATOR = "regulator"


class PartyStatus(Code):
    """`sandbox` parties get exercise records only; `live` parties never get one."""

    LIVE = "live", "OASIS EDXL-DE, distributionStatus Actual"
    SANDBOX = "sandbox", "OASIS EDXL-DE, distributionStatus Exercise"
    SUSPENDED = "suspended"


class Mandate(Code):
    """A right of a party beyond its own jurisdiction."""

    ORPHAN = "orphan", _ICCAM
    NATIONAL_HUB = "national_hub", "18 USC 2258A(c); SOR/2011-292"
    LAST_RESORT = "last_resort"
    TRUSTED_FLAGGER = "trusted_flagger", "EU Regulation 2022/2065 (DSA), Article 22"


class Purpose(Code):
    """The purpose for which a recipient gets a referral. An edge is keyed by (recipient, purpose)."""

    TAKEDOWN = "takedown"
    INVESTIGATION = "investigation"
    ASSESSMENT = "assessment"
    VICTIM_IDENTIFICATION = "victim_identification", "INTERPOL ICSE"


class Reason(Code):
    """The public reason for which a party is the recipient of an edge."""

    HOSTING_JURISDICTION = "hosting_jurisdiction", _ICCAM
    USER_LOCATION = "user_location", "NCMEC CyberTipline reports by country"
    PROVIDER_ESTABLISHMENT = "provider_establishment", "EU Regulation 2022/2065 (DSA), Article 18(2)"
    VICTIM_LOCATION = "victim_location"
    ORPHAN_MANDATE = "orphan_mandate", _ICCAM
    NATIONAL_HUB = "national_hub", "18 USC 2258A(c)"
    TRUSTED_FLAGGER = "trusted_flagger", "EU Regulation 2022/2065 (DSA), Article 22"
    APPEAL = "appeal", "EU Regulation 2022/2065 (DSA), Article 20"


class Disposition(Code):
    """The state of a referral after its decision: exactly one of four (accounting equation I)."""

    ROUTED = "routed"
    UNROUTABLE = "unroutable"
    ORPHANED = "orphaned", _ICCAM
    UNKNOWN_CODE = "unknown_code"


class WorkReason(Code):
    """The reason why a referral needs a person instead of being sent."""

    NO_ROUTE = "no_route"
    NO_BASIS = "no_basis"
    PROHIBITED = "prohibited"
    NO_HOTLINE = "no_hotline", _ICCAM
    UNKNOWN_JURISDICTION = "unknown_jurisdiction"
    UNKNOWN_PROVIDER = "unknown_provider"
    TOO_WIDE = "too_wide"
    UNDELIVERABLE = "undeliverable"
    RECIPIENT_CANNOT_READ = "recipient_cannot_read"
    OVER_BUDGET = "over_budget"
    OVER_DAY = "over_day"


class Fact(Code):
    """The facts that a rule may read; each is class S1."""

    ORIGIN = "origin"
    ORIGIN_KIND = "origin_kind"
    REPORTER = "reporter"
    INCIDENT_KIND = "incident_kind"
    INCIDENT_FLAGS = "incident_flags"
    LOCATOR_KINDS = "locator_kinds"
    MEDIA_KIND = "media_kind"
    VIEWED_BY = "viewed_by"
    PRIORITY = "priority"
    ACTIONABLE = "actionable"
    ASSESSMENTS = "assessments"
    HOSTING = "hosting"
    USER = "user"
    VICTIM = "victim"
    PROVIDER_ESTABLISHMENT = "provider_establishment"
    PROVIDERS = "providers"
    OBSERVED_ON = "observed_on"


class WithheldField(Code):
    """Parts of a record that an edge may withhold from its recipient."""

    SUBJECT_ACCOUNTS = "subject_accounts"
    HASHES = "hashes"
    CORRELATIONS = "correlations"
    ASSESSMENTS = "assessments"
    ORIGIN_REFERENCE = "external_ref"
    VICTIM_JURISDICTIONS = "victim_jurisdictions"
    USER_JURISDICTIONS = "user_jurisdictions"


class Instrument(Code):
    """Legal instruments that rules and notices cite."""

    DSA = "dsa", "EU Regulation 2022/2065"
    EU_2021_1232 = "eu_2021_1232", "EU Regulation 2021/1232, until the end of 3 April 2026"
    EU_2026_1881 = "eu_2026_1881", "EU Regulation 2026/1881, from 31 July 2026 until the end of 3 April 2028"
    EU_2023_1543 = "eu_2023_1543", "EU Regulation 2023/1543 (e-Evidence)"
    EU_2024_2835 = "eu_2024_2835", "Implementing Regulation (EU) 2024/2835"
    EPRIVACY = "eprivacy", "Directive 2002/58/EC"
    US_2258A = "us_2258a", "18 USC 2258A"
    US_TAKE_IT_DOWN = "us_take_it_down", "TAKE IT DOWN Act (United States)"
    US_CA_3273_66 = "us_ca_3273_66", "California Civil Code, section 3273.66 (AB 1394)"
    UK_SI_2026_268 = "uk_si_2026_268", "UK SI 2026/268, in force 7 April 2026"
    UK_IWF_MOU = "uk_iwf_mou", "CPS and NPCC memorandum of understanding on section 46 SOA 2003"
    CA_2011_4 = "ca_2011_4", "S.C. 2011 c. 4 and SOR/2011-292 (Canada)"
    CA_C16 = "ca_c16", "Bill C-16 (Canada), Royal Assent 18 June 2026"
    AU_OSA = "au_osa", "Online Safety Act 2021 (Australia)"
    BUDAPEST = "budapest", "Convention on Cybercrime, CETS 185"
    LANZAROTE = "lanzarote", "Convention on the Protection of Children, CETS 201"
    MALABO = "malabo", "African Union Convention on Cyber Security, 2014"
    INHOPE_MOU = "inhope_mou", "INHOPE member hotline agreement"
    CRC_OPSC = "crc_opsc", "Optional Protocol to the CRC on the sale of children"
    PRACTICE = "practice", "published practice of hotlines; not a law"
    OTHER = "other"
