"""One bucket over the SDK, which blocks: what `media` does in threads.

A file is sent by one request of ours, which the SDK signs: unlike the SDK's own, it leaves nothing
behind when it breaks off, never replaces what is there, and reads the file as it goes.
"""

import hashlib
import os
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from wagateway.adapters.minio._errors import no_s3_server, refusal
from wagateway.adapters.minio._policy import opens_to_anyone
from wagateway.adapters.minio.bucket import Bucket
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.media import MediaKey

PREFIXES = ("sha256/", "thumbnails/")
"""Of all keys of ours, in order."""

_UPLOAD_BEGINS_WITHIN = timedelta(minutes=15)
_OK = 200
_PART = 206
_NO_BUCKET = 404
_IS_THERE = 412
_TO_REPEAT = frozenset({409, 500, 502, 503, 504})
_PAUSE_S = 0.5
_PART_BYTES = 64 * 2**20
"""Of a large file, of which there may be 10,000 parts."""

_T = TypeVar("_T")


class Patience(NamedTuple):
    """How long a server is waited for.

    Attributes:
        connect_s: for a connection.
        answer_s: for the next bytes, in either direction.
        threads: requests at once; others wait for their turn.
    """

    connect_s: float = 5.0
    answer_s: float = 20.0
    threads: int = 16


class BlockingBucket:
    """Files in one bucket; any thread may call, and gets the SDK's and urllib3's errors too."""

    def __init__(self, bucket: Bucket, patience: Patience) -> None:
        self._name = bucket.name
        self._sending = urllib3.Timeout(connect=patience.answer_s, read=patience.answer_s)
        self._http = _http(bucket, patience)
        self._client = _client(bucket, bucket.url, self._http)
        self._public = _client(bucket, bucket.public_url or bucket.url, self._http)
        self._stranger = _client(bucket, bucket.url, self._http, known=False)

    def close(self) -> None:
        """Let go of the connections that nobody uses now."""
        self._http.clear()

    def make(self) -> None:
        """Make the bucket unless it is there; without a policy it is for its owner alone."""
        if self._client.bucket_exists(bucket_name=self._name):
            return
        try:
            self._client.make_bucket(bucket_name=self._name)
        except S3Error as exc:
            if exc.code != "BucketAlreadyOwnedByYou":  # somebody of ours was faster
                raise

    def size_bytes(self, key: MediaKey) -> int:
        """Return the size of a file."""
        try:
            found = self._client.stat_object(bucket_name=self._name, object_name=key)
        except S3Error as exc:
            # The answer has no body: this is also what is said where the bucket is gone.
            gone = exc.code == "NoSuchKey" and not self._client.bucket_exists(
                bucket_name=self._name
            )
            if gone:
                raise refusal(_NO_BUCKET) from exc
            raise
        return _of_s3(found, found.etag).size or 0

    def add(self, key: MediaKey, file: Path, mimetype: str) -> bool:
        """Send *file* unless *key* is there; see the port."""
        if self._is_there(key):
            return False
        answer = self._sent(key, file, mimetype)
        if answer.status == _NO_BUCKET:
            self.make()
            answer = self._sent(key, file, mimetype)
        if answer.status == _IS_THERE:
            return False
        if answer.status != _OK:
            raise refusal(answer.status)
        return bool(_of_s3(answer, answer.headers.get("etag")))

    def opened(
        self, key: MediaKey, start: int, length: int | None
    ) -> urllib3.BaseHTTPResponse | None:
        """Return an answer whose body is what is asked for; None where that is nothing."""
        try:
            answer = self._client.get_object(
                bucket_name=self._name, object_name=key, offset=start, length=length or 0
            )
        except S3Error as exc:
            if exc.code == "InvalidRange":  # behind the end
                return None
            raise
        is_part = start > 0 or length is not None
        if answer.status != (_PART if is_part else _OK) or not answer.headers.get("etag"):
            answer.close()
            raise no_s3_server()
        return answer

    def remove(self, key: MediaKey) -> bool:
        """Remove a file; False when there was none."""
        if not self._is_there(key):
            return False
        self._client.remove_object(bucket_name=self._name, object_name=key)
        return True

    def put(self, name: str, file: Path) -> None:
        """Send *file*, whatever is there, in parts where it is large."""
        try:
            self._send(name, file)
        except S3Error as exc:
            if exc.code != "NoSuchBucket":
                raise
            self.make()
            self._send(name, file)

    def seen_bytes(self, name: str) -> int | None:
        """Return the size of a file; None where there is none, or no bucket yet."""
        try:
            found = self._client.stat_object(bucket_name=self._name, object_name=name)
        except S3Error as exc:
            if exc.code in {"NoSuchKey", "NoSuchBucket"}:
                return None
            raise
        return _of_s3(found, found.etag).size or 0

    def whole(self, name: str) -> urllib3.BaseHTTPResponse:
        """Return an answer whose body is a file that is there."""
        return self._client.get_object(bucket_name=self._name, object_name=name)

    def forget(self, name: str) -> None:
        """Remove a file, unless there is none."""
        self._client.remove_object(bucket_name=self._name, object_name=name)

    def found(self, prefix: str) -> Iterator[Object]:
        """Yield what begins with *prefix*, in whatever order; each name is held in memory.

        Raises:
            StoreUnavailable: the server repeats itself.
        """
        names = set()
        for each in self._listed_by(self._client, prefix):
            if each.object_name in names:
                raise StoreUnavailable("the file store lists a file twice")
            names.add(each.object_name)
            yield each

    def _send(self, name: str, file: Path) -> None:
        self._client.fput_object(
            bucket_name=self._name, object_name=name, file_path=str(file), part_size=_PART_BYTES
        )

    def listed(self, prefix: str) -> Iterator[Object]:
        """Yield what begins with *prefix*, page by page, in the order of names.

        Raises:
            StoreUnavailable: the server keeps no order, or repeats itself for ever.
        """
        before = ""
        for each in self._listed_by(self._client, prefix):
            name = each.object_name or ""
            if name <= before:
                raise StoreUnavailable("the file store lists files out of order")
            yield each
            before = name

    def link(self, key: MediaKey, lifetime: timedelta, headers: dict[str, str]) -> str:
        """Return a signed address; *headers* are those that the server answers with."""
        return self._public.presigned_get_object(
            bucket_name=self._name,
            object_name=key,
            expires=lifetime,
            response_headers={f"response-{name}": value for name, value in headers.items()},
        )

    def is_open(self) -> bool:
        """Tell whether somebody without a key is let in, or a policy says so."""
        firsts = [next(self.listed(prefix), None) for prefix in PREFIXES]
        names = [each.object_name for each in firsts if each is not None and each.object_name]
        stat = partial(self._stranger.stat_object, bucket_name=self._name)
        return (
            opens_to_anyone(self._policy())
            or _is_let_in(lambda: next(self._listed_by(self._stranger, ""), None))
            or any(_is_let_in(partial(stat, object_name=name)) for name in names)
        )

    def _policy(self) -> str:
        try:
            return self._client.get_bucket_policy(bucket_name=self._name)
        except S3Error:  # there is none, or we may not see it
            return ""

    def _listed_by(self, client: Minio, prefix: str) -> Iterator[Object]:
        found: Iterator[Object] = client.list_objects(
            bucket_name=self._name, prefix=prefix, recursive=True
        )
        return found

    def _is_there(self, key: MediaKey) -> bool:
        try:
            found = self._client.stat_object(bucket_name=self._name, object_name=key)
        except S3Error as exc:
            if exc.code in {"NoSuchKey", "NoSuchBucket"}:
                return False
            raise
        return bool(_of_s3(found, found.etag))

    def _sent(self, key: MediaKey, file: Path, mimetype: str) -> urllib3.BaseHTTPResponse:
        """Send *file*, once more where the server or the network stumbles."""
        with suppress(HTTPError):
            answer = self._put(key, file, mimetype)
            if answer.status not in _TO_REPEAT:
                return answer
        time.sleep(_PAUSE_S)
        return self._put(key, file, mimetype)

    def _put(self, key: MediaKey, file: Path, mimetype: str) -> urllib3.BaseHTTPResponse:
        url = self._client.get_presigned_url(
            method="PUT",
            bucket_name=self._name,
            object_name=key,
            expires=_UPLOAD_BEGINS_WITHIN,
        )
        with file.open("rb") as source:
            digest = hashlib.file_digest(source, partial(hashlib.md5, usedforsecurity=False))
            source.seek(0)
            headers = {
                "Content-Length": str(os.fstat(source.fileno()).st_size),
                "Content-MD5": b64encode(digest.digest()).decode(),
                "Content-Type": mimetype,
                "If-None-Match": "*",
            }
            # The library would write the signed address into the log when it repeats.
            return self._http.urlopen(
                "PUT",
                url,
                body=source,
                headers=headers,
                timeout=self._sending,
                retries=False,
                redirect=False,
            )


def _http(bucket: Bucket, patience: Patience) -> urllib3.PoolManager:
    secure = bucket.url.startswith("https:")
    return urllib3.PoolManager(
        maxsize=patience.threads,
        timeout=urllib3.Timeout(connect=patience.connect_s, read=patience.answer_s),
        retries=urllib3.Retry(
            total=2,
            connect=1,
            read=1,
            redirect=False,
            backoff_factor=0.2,
            status_forcelist=[500, 502, 503, 504],
            raise_on_status=False,
            respect_retry_after_header=False,  # a thread would sleep for as long as it says
        ),
        ssl_context=ssl.create_default_context() if secure else None,
    )


def _client(bucket: Bucket, url: str, http: urllib3.PoolManager, *, known: bool = True) -> Minio:
    parts = urlsplit(url)
    return Minio(
        endpoint=parts.netloc,
        access_key=bucket.access_key if known else None,
        secret_key=bucket.secret_key if known else None,
        secure=parts.scheme == "https",
        region=bucket.region,
        http_client=http,
    )


def _of_s3(answer: _T, etag: str | None) -> _T:
    """Return *answer*, of which every S3 server tells the tag; what says yes to all does not."""
    if not etag:
        raise no_s3_server()
    return answer


def _is_let_in(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except S3Error:
        return False
    return True
