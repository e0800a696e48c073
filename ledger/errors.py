"""Every error of Billhook, named by what the caller does next.

A message reads *where: what is wrong - what to do*, in the reader's own words, and
never holds a secret or a payload.
"""

from __future__ import annotations


class BillhookError(Exception):
    """The root: anything that Billhook raises on purpose."""


class ConfigurationError(BillhookError):
    """Settings or rules that a person must mend; holds every mistake found, not the first."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class RefusedError(BillhookError):
    """What was sent is not accepted; the sender gets a 4xx and nothing is stored."""


class SignatureError(RefusedError):
    """Nobody who knows the endpoint's secret signed these bytes, or not recently."""


class PayloadError(BillhookError):
    """A delivery whose body has the wrong shape; `path` names the field at fault."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class UnsupportedEventTypeError(BillhookError):
    """A genuine delivery of a type that this source has not learned yet."""


class ConnectorError(BillhookError):
    """A remote system did not do what was asked. Use one of the five kinds below."""


class RejectedError(ConnectorError):
    """The remote system refused this content (a definite 4xx); it was not carried out.

    A person changes the content, then it may be tried again.
    """


class UnsupportedError(ConnectorError):
    """The remote system cannot do this at all (no such currency, no drafts, too many lines)."""


class TransientError(ConnectorError):
    """Definitely not carried out, and trying again later may help.

    `retry_after` is the remote's own advice in seconds, None where it gave none.
    """

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitedError(TransientError):
    """The account asks too much: the whole connector rests for `retry_after`, if that is told."""


class StillUnderWayError(TransientError):
    """Something of our own must come to its end first; that says nothing about the system."""


class RestingError(StillUnderWayError):
    """The connector rests, see `ledger/breakers.py`: nothing was asked, and it counts as no try."""


class PermanentError(ConnectorError):
    """Trying again cannot help until a person acts: credentials, permissions, a closed account."""


class OutcomeUnknownError(ConnectorError):
    """The reply was lost or says nothing: the change may or may not have been carried out.

    Look the reference up before anything is tried again.
    """


class StaleClaimError(BillhookError):
    """Somebody else holds the row now: the lease ran out. Drop the work, the holder redoes it."""
