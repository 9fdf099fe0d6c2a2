"""What the SDK, its HTTP library and the server say, turned into errors of ours, once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import ParseError

from minio.error import MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError

from wagateway.domain.errors import Defect, NotFound, StoreUnavailable, WagatewayError

_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")
_MEANINGS = {
    "AccessDenied": "its keys are wrong, or may not do this",
    "InvalidAccessKeyId": "its user is unknown there",
    "NoSuchBucket": "its bucket is not there",
    "RequestTimeTooSkewed": "its clock and ours differ",
    "SignatureDoesNotMatch": "its password is wrong",
}
_STATUSES = {
    400: "InvalidRequest",
    403: "AccessDenied",
    404: "NoSuchBucket",
}


@contextmanager
def translated_errors(*, of_a_file: bool = False) -> Iterator[None]:
    """Let only our own errors out; no text holds a key, or an address that is signed.

    Args:
        of_a_file: that the server has no such file is an answer.

    Raises:
        NotFound: there is no such file.
        StoreUnavailable: anything that the server, the network or a file did; repeating is safe.
        Defect: our code is wrong.
    """
    try:
        yield
    except WagatewayError:
        raise
    except S3Error as exc:
        if of_a_file and exc.code == "NoSuchKey":
            raise NotFound("this file is not stored") from exc
        raise StoreUnavailable(_refused(exc.code)) from exc
    except ServerError as exc:
        raise StoreUnavailable(f"the file store answers {exc.status_code}") from exc
    except MaxRetryError as exc:
        # Not the error itself, which quotes the address of the request.
        raise StoreUnavailable(_away(exc.reason or exc)) from exc.reason
    except HTTPError as exc:
        raise StoreUnavailable(_away(exc)) from exc
    except (MinioException, ParseError, ValueError) as exc:
        raise no_s3_server() from exc
    except OSError as exc:
        what = exc.strerror or type(exc).__name__
        raise StoreUnavailable(f"the file that was given: {what}") from exc
    except Exception as exc:
        raise Defect(f"the file store failed unexpectedly: {type(exc).__name__}") from exc


def no_s3_server() -> StoreUnavailable:
    """Return the error of an answer that no S3 server gives."""
    return StoreUnavailable("what answers is no S3 server, or is ill")


def refusal(status: int) -> StoreUnavailable:
    """Return the error of an answer that is known by its HTTP status alone."""
    if status in _STATUSES:
        return StoreUnavailable(_refused(_STATUSES[status]))
    return StoreUnavailable(f"the file store answers {status}")


def _refused(code: str | None) -> str:
    known = code if code and _CODE.fullmatch(code) else "an error without a name"
    meaning = _MEANINGS.get(known)
    return (
        f"the file store refuses it: {meaning} ({known})"
        if meaning
        else (f"the file store refuses it: {known}")
    )


def _away(exc: Exception) -> str:
    return f"the file store cannot be reached ({type(exc).__name__})"
