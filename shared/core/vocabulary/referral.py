"""Codes for the content of a report, its locations, and the reasons for withdrawals and transfers."""

from __future__ import annotations

from shared.core.vocabulary.code import Code

_NCMEC_TYPE = "NCMEC CyberTipline Reporting API, incidentType"
_NCMEC_NOTE = "NCMEC CyberTipline Reporting API, reportAnnotations and fileAnnotations"
_ICCAM = "INHOPE ICCAM API v3, enumerations"
_NCMEC_HASH = "NCMEC Hash Sharing API v2, fingerprint types"
_OJJDP = "OJJDP CY2023 CyberTipline transparency report"


class IncidentKind(Code):
    CSAM = "csam", _NCMEC_TYPE
    GROOMING = "csem_grooming"
    ENTICEMENT = "enticement", _NCMEC_TYPE
    SEXTORTION = "sextortion", "XARF v4.2 content/csem"
    TRAFFICKING = "trafficking", _NCMEC_TYPE
    SEX_TOURISM = "sex_tourism", _NCMEC_TYPE
    MOLESTATION = "molestation", _NCMEC_TYPE
    MISLEADING_DOMAIN = "misleading_domain", _NCMEC_TYPE
    MISLEADING_WORDS = "misleading_words", _NCMEC_TYPE
    OBSCENE_TO_MINOR = "obscene_to_minor", _NCMEC_TYPE
    SELF_GENERATED = "self_generated"
    LIVE_STREAM = "live_stream"
    VIRTUAL = "virtual", _ICCAM
    GENERATIVE_AI = "generative_ai", _NCMEC_NOTE
    OTHER = "other"


class IncidentFlag(Code):
    SEXTORTION = "sextortion", _NCMEC_NOTE
    CSAM_SOLICITATION = "csam_solicitation", _NCMEC_NOTE
    MINOR_TO_MINOR = "minor_to_minor", _NCMEC_NOTE
    SPAM = "spam", _NCMEC_NOTE
    SADISTIC_ONLINE_EXPLOITATION = "sadistic_online_exploitation", _NCMEC_NOTE
    INFORMATIONAL = "informational", _NCMEC_NOTE
    VIRAL = "viral", _NCMEC_NOTE
    POTENTIAL_MEME = "potential_meme", _NCMEC_NOTE
    POSSIBLE_SELF_PRODUCTION = "possible_self_production", _NCMEC_NOTE
    PHYSICAL_HARM = "physical_harm", _NCMEC_NOTE
    VIOLENCE_GORE = "violence_gore", _NCMEC_NOTE
    BESTIALITY = "bestiality", _NCMEC_NOTE
    LIVE_STREAMING = "live_streaming", _NCMEC_NOTE
    INFANT = "infant", _NCMEC_NOTE
    GENERATIVE_AI = "generative_ai", _NCMEC_NOTE
    ANIME_VIRTUAL = "anime_virtual", _NCMEC_NOTE
    END_TO_END_ENCRYPTED = "end_to_end_encrypted", "EU Regulation 2026/1881, Article 1(3)"


class MediaKind(Code):
    IMAGE = "image", "INHOPE ICCAM API v3, contentType"
    VIDEO = "video", _OJJDP
    AUDIO = "audio"
    TEXT = "text"
    LINK = "link", "INHOPE ICCAM API v3, contentType"
    CONTAINER = "container"
    MIXED = "mixed"


class ViewedBy(Code):
    """The viewer of the material. It decides which material may be opened without a warrant."""

    HUMAN = "human", "NCMEC CyberTipline Reporting API, fileViewedByEsp"
    AUTOMATED_ONLY = "automated_only", "NCMEC CyberTipline Reporting API, fileViewedByEsp"
    NOBODY = "nobody"
    UNKNOWN = "unknown"


class PriorityLevel(Code):
    P0_CHILD_AT_RISK = "p0_child_at_risk"
    P1_URGENT = "p1_urgent", "NCMEC CyberTipline Reporting API, escalateToHighPriority"
    P2_NORMAL = "p2_normal"
    P3_INFORMATIONAL = "p3_informational", _OJJDP


class PriorityBasis(Code):
    IMMINENT_HARM = "imminent_harm", "EU Regulation 2022/2065 (DSA), Article 18"
    ONGOING_ABUSE = "ongoing_abuse"
    NEW_MATERIAL = "new_material"
    INFANT = "infant", _NCMEC_NOTE
    KNOWN_REPEAT = "known_repeat"
    COMMERCIAL = "commercial", _ICCAM


class Actionability(Code):
    ACTIONABLE = "actionable", _OJJDP
    INFORMATIONAL = "informational", _OJJDP
    INCOMPLETE = "incomplete"


class MissingField(Code):
    """The field that an `incomplete` referral lacks."""

    LOCATOR = "locator"
    HOSTING = "hosting"
    USER_JURISDICTION = "user_jurisdiction"
    ACCOUNT = "account"
    NETWORK_EVENT = "network_event"
    HASH = "hash"
    ASSESSMENT = "assessment"
    TIME = "time"


class LocatorKind(Code):
    URL = "url", _ICCAM
    ONION = "onion", "IWF annual report 2024"
    ACCOUNT = "account", "NCMEC CyberTipline Reporting API, personOrUserReported"
    MESSAGE = "message", "NCMEC CyberTipline Reporting API, chatIm"
    P2P = "p2p", "NCMEC CyberTipline Reporting API, peer2peer"


class SiteType(Code):
    WEBSITE = "website", _ICCAM
    FILE_HOST = "filehost", _ICCAM
    IMAGE_STORE = "imagestore", _ICCAM
    IMAGE_BOARD = "imageboard", _ICCAM
    FORUM = "forum", _ICCAM
    BANNER_SITE = "bannersite", _ICCAM
    LINK_SITE = "linksite", _ICCAM
    SOCIAL = "social", _ICCAM
    REDIRECTOR = "redirector", _ICCAM
    WEB_ARCHIVE = "webarchive", _ICCAM
    SEARCH = "search", _ICCAM
    IMAGE_HOST = "imagehost", _ICCAM
    BLOG = "blog", _ICCAM
    MESSAGING = "messaging"
    GAMING = "gaming"
    NOT_DETERMINED = "not_determined", _ICCAM


class Commerciality(Code):
    NOT_DETERMINED = "not_determined", _ICCAM
    COMMERCIAL = "commercial", _ICCAM
    NON_COMMERCIAL = "non_commercial", _ICCAM


class HostingMethod(Code):
    """The way in which a hosting country became known. The exchange never makes network requests for it."""

    STATED = "stated"
    LOCAL_SNAPSHOT = "local_snapshot"
    PROVIDER = "provider"


class HashKind(Code):
    MD5 = "md5", _NCMEC_HASH
    SHA1 = "sha1", _NCMEC_HASH
    SHA256 = "sha256"
    PDQ = "pdq", _NCMEC_HASH
    PHOTODNA = "photodna", _NCMEC_HASH
    TMK_PDQF = "tmk_pdqf", _NCMEC_HASH


class CorrelationSystem(Code):
    """Systems whose reference numbers a referral may carry."""

    NCMEC_CYBERTIP = "ncmec_cybertip", "NCMEC CyberTipline Reporting API, reportId"
    ICCAM_REPORT = "iccam_report", _ICCAM
    ICCAM_CONTENT = "iccam_content", _ICCAM
    IWF = "iwf", "IWF annual report 2024"
    ARACHNID = "arachnid", "Canadian Centre for Child Protection, Project Arachnid"
    SCART = "scart", "SCART"
    CAUSEWAY = "causeway"
    XARF = "xarf", "XARF v4.2, report_id"
    OTHER = "other"


class RelationKind(Code):
    DUPLICATE_EXACT = "duplicate_exact", _OJJDP
    DUPLICATE_NEAR = "duplicate_near", _OJJDP
    SAME_LOCATOR = "same_locator"
    SAME_ACCOUNT = "same_account", "NCMEC CyberTipline Reporting API, priorCTReports"
    AMENDS = "amends"
    DERIVED_FROM = "derived_from"
    SPLIT = "split"
    MERGE = "merge"
    SATISFIED_ELSEWHERE = "satisfied_elsewhere", "UK SI 2026/268; S.C. 2011 c. 4 (Canada)"


class NetworkEvent(Code):
    LOGIN = "login", "NCMEC CyberTipline Reporting API, ipCaptureEvent"
    REGISTRATION = "registration", "NCMEC CyberTipline Reporting API, ipCaptureEvent"
    PURCHASE = "purchase", "NCMEC CyberTipline Reporting API, ipCaptureEvent"
    UPLOAD = "upload", "NCMEC CyberTipline Reporting API, ipCaptureEvent"
    OTHER = "other", "NCMEC CyberTipline Reporting API, ipCaptureEvent"
    UNKNOWN = "unknown", "NCMEC CyberTipline Reporting API, ipCaptureEvent"


class ReviewOutcome(Code):
    """The result of a second review."""

    RELEASED = "released"
    DROPPED = "dropped"
    EXPIRED = "expired"


class AmendmentCause(Code):
    """The cause of a revision of a referral."""

    FILED = "filed"
    AMENDED = "amended"
    REROUTED = "rerouted"


class WithdrawalReason(Code):
    FILED_IN_ERROR = "filed_in_error", "NCMEC CyberTipline Reporting API, retract"
    NOT_ILLEGAL = "not_illegal", _ICCAM
    DUPLICATE = "duplicate"
    CONSENT_WITHDRAWN = "consent_withdrawn", "StopNCII API, Withdrawn"
    LEGAL_BASIS_LAPSED = "legal_basis_lapsed"
    OTHER = "other"


class TransferReason(Code):
    """The reason why a submitter cannot keep a referral."""

    NOT_OUR_JURISDICTION = "not_our_jurisdiction"
    NO_MANDATE = "no_mandate", "INHOPE ICCAM API v3, orphaned content"
    NO_CAPACITY = "no_capacity"
