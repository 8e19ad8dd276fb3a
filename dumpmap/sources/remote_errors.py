"""What is said of a URL, and of why it could not be read: one line, no secrets, not a library's own words."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

_SECRETS = re.compile(
    r"(?i)([?&;](?:[\w.-]*(?:token|signature|secret|password|passwd|credential)|sig|pwd|api[-_]?key|jwt|awsaccesskeyid)=)"
    r"([^&#\s]+)"
)
_CHAINED = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_AUTHORITY = re.compile(r"[^/?#\\]*")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^:\[\]\s]*)(:\d*)?")
_OBJECT = re.compile(r"<[\w.]+(?: object)? at 0x[0-9a-fA-F]+>")

_MOST_CAUSES = 8


# ---------------------------------------------------------------- URLs without their secrets


def shown_url(url: str, *, found: bool = False) -> str:
    """The URL without its secrets: no user or password, no signature or token.

    A password may hold what ends a host in a URL: in `https://user:p@ss/word@host/x` the host is `ss`, for those who
    follow the standard, but it was not meant so. All before the last `@` that has a path behind it is left out then.

    Args:
        url: the URL.
        found: whether there is something at it: then the host is as the standard has it, and an `@` behind it is part
            of a name.
    """
    return "::".join(_shown(part, found=found) for part in _CHAINED.split(url))


def _shown(url: str, *, found: bool) -> str:
    scheme, mark, rest = url.partition("://")
    if mark:
        secret, shown = _split_secret(rest, found=found)
        # What is no user and password by the standard leaves a trace; so does what was shown before.
        hidden = "...@" if re.fullmatch(r"\.{3}|.*[/?#\\].*", secret) else ""
        url = f"{scheme}://{hidden}{shown}"
    return _SECRETS.sub(r"\1...", url)


def _split_secret(rest: str, *, found: bool) -> tuple[str, str]:
    """Splits what follows `://` into user and password, without the `@`, and what may be shown."""
    match = _AUTHORITY.match(rest)
    end = match.end() if match else 0
    at = rest.rfind("@", 0, end)
    is_host = _HOST.fullmatch(rest, at + 1, end) is not None
    later = rest.rfind("@")
    has_path = "/" in re.split("[?#]", rest[later:])[0]
    meant_so = later <= at or (is_host and (found or ":" not in rest[: max(at, 0)] or not has_path))
    cut = at if meant_so else later
    return (rest[:cut], rest[cut + 1 :]) if cut >= 0 else ("", rest)


def _secrets(url: str) -> Iterator[str]:
    """The parts of a URL that must not be shown, wherever they turn up."""
    for part in _CHAINED.split(url):
        secret, _ = _split_secret(part.partition("://")[2], found=False)
        for text in (secret, *re.split(r"[:@/?#\\]", secret), *(match[2] for match in _SECRETS.finditer(part))):
            yield from (text, unquote(text))


def without_secrets(text: str, url: str | None = None) -> str:
    """A text without the secrets of the URLs in it, nor any of `url`."""
    text = _IN_TEXT.sub(lambda match: shown_url(match[0]), text)
    if url is not None:
        for secret in sorted({one for one in _secrets(url) if one}, key=len, reverse=True):
            text = re.sub(rf"(?<![\w-])(?<!\w\.){re.escape(secret)}(?![\w-]|\.\w)", "...", text)
    return text


# ---------------------------------------------------------------- why it could not be read


_LONGEST = 400
"""Letters of a reason. Some libraries tell every place where they looked for something."""


def reason(error: BaseException, url: str | None = None) -> str:
    """Says in one line why a remote file could not be read.

    Args:
        error: what a file system's library raised.
        url: what was to be read, to name its server and to leave out its secrets.
    """
    shown = None if url is None else shown_url(url)
    text = " ".join(_words(error, shown).split())
    if url is not None and shown is not None:
        # What repeats the whole URL is masked as that is, before its parts are looked for.
        text = text.replace(url, shown)
    text = without_secrets(text, url)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _words(error: BaseException, url: str | None) -> str:
    server = "the server"
    if url is not None and url.startswith(("http://", "https://", "ftp://", "sftp://")):
        server = _host_of(url) or server
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain and len(chain) < _MOST_CAUSES:
        chain.append(cause)
        cause = cause.__cause__
    for one in chain:
        words = _library_words(one, server)
        if words is not None:
            return words
    # fsspec takes every failure of a web server for a file that is not there, and keeps what it was as the cause.
    for one in reversed(chain):
        if isinstance(one, OSError) and not isinstance(one, FileNotFoundError):
            return _system_words(one, server)
    if isinstance(error, FileNotFoundError):
        return "no such file"
    text = _OBJECT.sub("...", " ".join(str(error).split()))
    if " " not in text:  # the name of a key, say
        return f"{type(error).__name__}: {text}" if text else type(error).__name__
    word = text.split(" ")[0]
    return text[:1].lower() + text[1:] if word[1:].islower() else text


def _host_of(url: str) -> str | None:
    """The host of a URL, and its port where it has one."""
    try:
        parts = urlsplit(url)
        return parts.netloc.rpartition("@")[2] or None
    except ValueError:
        return None


def _system_words(error: OSError, server: str) -> str:
    """Says what the system says of a connection."""
    if type(error).__module__ != "builtins" and error.errno and not isinstance(error, (socket.gaierror, ssl.SSLError)):
        error = OSError(error.errno, os.strerror(error.errno))  # a library's own class for a refusal, say
    if isinstance(error, PermissionError):
        return "access denied"
    if isinstance(error, TimeoutError):
        return f"{server} did not answer in time"
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return f"{server} closed the connection"
    if isinstance(error, (ConnectionRefusedError, socket.gaierror, ssl.SSLError)):
        return f"cannot connect to {server}: {_connection_words(error)}"
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _connection_words(error: BaseException | None) -> str:
    """Why a connection was not made."""
    text = str(error)
    if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in text:
        match = re.search(r"certificate verify failed: (.*?)\s*(?:\(_ssl|['\"\])]|$)", text)
        return f"its certificate is not trusted ({match[1]})" if match else "its certificate is not trusted"
    if isinstance(error, ssl.SSLError) or "[SSL" in text:
        match = re.search(r"\[SSL: \w+\] (.*?)\s*(?:\(_ssl|$)", text)
        return f"no secure connection ({match[1]})" if match else "no secure connection"
    if isinstance(error, socket.gaierror):
        unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        return "host name not known" if error.errno in unknown else "its host name cannot be looked up"
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in text:
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionError):
        return "the connection was closed"
    if isinstance(error, OSError) and error.errno:
        text = os.strerror(error.errno)
        return text[:1].lower() + text[1:]
    return "no connection"


def _library_words(error: BaseException, server: str) -> str | None:
    """Says what a library's error means; None for one that is not known. The libraries need not be installed."""
    names = {kind.__name__ for kind in type(error).__mro__}
    library = type(error).__module__.partition(".")[0]
    if library == "aiohttp":
        return _aiohttp_words(error, names, server)
    if library in ("botocore", "aiobotocore"):
        return _botocore_words(error, names)
    if isinstance(error, ValueError) and re.search(r"Invalid (IPv6 )?URL|not a valid URL", str(error)):
        return "not a valid URL"
    if "AuthenticationException" in names:  # paramiko
        return "access denied: the server does not take the user or the key"
    return None


def _aiohttp_words(error: Any, names: set[str], server: str) -> str | None:
    if "InvalidURL" in names:
        return "not a valid URL"
    if "ClientConnectorError" in names or "ClientSSLError" in names:
        host, port = getattr(error, "host", None), getattr(error, "port", None)
        place = server if host is None else f"{host}:{port}" if port else str(host)
        cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
        return f"cannot connect to {place}: {_connection_words(cause)}"
    if isinstance(error, TimeoutError):
        return f"{server} did not answer in time"
    if "TooManyRedirects" in names:
        return f"{server} redirects without end"
    if "ClientResponseError" in names:
        if "HttpProcessingError" in {kind.__name__ for kind in type(error.__cause__).__mro__}:
            return f"{server} does not speak HTTP"
        return _status_words(error.status, error.message)
    if "ClientPayloadError" in names:
        return f"{server} broke off its answer"
    if isinstance(error, OSError):
        return _system_words(error, server)
    if "ClientConnectionError" in names:
        return f"{server} closed the connection"
    return None


def _status_words(status: int, message: str) -> str:
    if status in (404, 410):
        return "no such file"
    if not message:
        try:
            message = HTTPStatus(status).phrase
        except ValueError:
            message = ""
    answer = f"the server answers {status} {message}".rstrip()
    return f"access denied: {answer}" if status in (401, 403, 407) else answer


def _botocore_words(error: Any, names: set[str]) -> str | None:
    details = getattr(error, "kwargs", None) or {}
    place = _host_of(str(details.get("endpoint_url", ""))) or "the server"
    if "NoCredentialsError" in names:
        return "no credentials were found; a public bucket is read with the storage option anon=true"
    if "PartialCredentialsError" in names:
        return f"incomplete credentials: {details.get('cred_var', 'a part')} is missing"
    if "ClientError" in names:
        return _answer_words(error)
    if names & {"ConnectTimeoutError", "ReadTimeoutError"}:
        return f"{place} did not answer in time"
    if "ConnectionClosedError" in names:
        return f"{place} closed the connection"
    if "SSLError" in names:
        return f"cannot connect to {place}: {_connection_words(error)}"
    if "ConnectionError" in names:  # of the endpoint, or of a proxy
        cause = details.get("error")
        return f"cannot connect to {place}: {_connection_words(getattr(cause, 'os_error', None) or cause)}"
    return None


_NO_SUCH = {"NoSuchBucket": "no such bucket", "NoSuchKey": "no such file"}


def _answer_words(error: Any) -> str:
    """Says what an answer of S3 means."""
    answer = error.response.get("Error", {})
    code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _NO_SUCH:
        return _NO_SUCH[code]
    if code == "404" or status == 404:
        return "no such bucket" if getattr(error, "operation_name", "") == "HeadBucket" else "no such file"
    if code.isdigit():
        return _status_words(int(code), message)
    if status in (401, 403) or code in ("AccessDenied", "ExpiredToken", "InvalidToken"):
        return "access denied" if code in ("AccessDenied", "Forbidden", "") else f"access denied ({code})"
    return f"the server answers {status or ''} {code}".replace("  ", " ") + (f": {message}" if message else "")
