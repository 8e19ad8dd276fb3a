"""Words for a URL and for why it could not be read: one line, without secrets, and not in a library's own words."""

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
    """Returns the URL without its secrets: no user or password, no signature or token.

    A password can contain characters that end a host in a URL. In `https://user:p@ss/word@host/x`, the host is `ss` by
    the standard, but that is not what the user meant. In such a URL, everything before the last `@` with a path after
    it is left out.

    Args:
        url: the URL.
        found: whether the URL could be read: then its host is the standard's, and an `@` after it is part of a name.
    """
    return "::".join(_shown(part, found=found) for part in _CHAINED.split(url))


def _shown(url: str, *, found: bool) -> str:
    scheme, mark, rest = url.partition("://")
    if mark:
        secret, shown = _split_secret(rest, found=found)
        # What the standard does not take for user and password leaves a trace; so does a URL without its secrets.
        hidden = "...@" if re.fullmatch(r"\.{3}|.*[/?#\\].*", secret) else ""
        url = f"{scheme}://{hidden}{shown}"
    return _SECRETS.sub(r"\1...", url)


def _split_secret(rest: str, *, found: bool) -> tuple[str, str]:
    """Splits the part after `://` into user and password, without the `@`, and the part that can be shown."""
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
    """Yields the parts of a URL that no message may show."""
    for part in _CHAINED.split(url):
        secret, _ = _split_secret(part.partition("://")[2], found=False)
        for text in (secret, *re.split(r"[:@/?#\\]", secret), *(match[2] for match in _SECRETS.finditer(part))):
            yield from (text, unquote(text))


def without_secrets(text: str, url: str | None = None) -> str:
    """Returns a text without the secrets of the URLs in it and those of `url`."""
    text = _IN_TEXT.sub(lambda match: shown_url(match[0]), text)
    if url is not None:
        for secret in sorted({one for one in _secrets(url) if one}, key=len, reverse=True):
            text = re.sub(rf"(?<![\w-])(?<!\w\.){re.escape(secret)}(?![\w-]|\.\w)", "...", text)
    return text


# ---------------------------------------------------------------- why it could not be read


_LONGEST = 400
"""Most letters of a reason. Some libraries list every place where they searched for something."""


def reason(error: BaseException, url: str | None = None) -> str:
    """Returns in one line why a remote file could not be read.

    Args:
        error: what the library of a file system raised.
        url: the URL, to name its server and to leave out its secrets.
    """
    shown = None if url is None else shown_url(url)
    text = " ".join(_words(error, shown).split())
    if url is not None and shown is not None:
        # A text that repeats the whole URL gets the masked URL, before its parts are masked.
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
    # fsspec reports every failure of a web server as a missing file, and keeps the failure as the cause.
    for one in reversed(chain):
        if isinstance(one, OSError) and not isinstance(one, FileNotFoundError):
            return _system_words(one, server)
    if isinstance(error, FileNotFoundError):
        return "no such file"
    text = _OBJECT.sub("...", " ".join(str(error).split()))
    if " " not in text:  # the name of a key, for example
        return f"{type(error).__name__}: {text}" if text else type(error).__name__
    word = text.split(" ")[0]
    return text[:1].lower() + text[1:] if word[1:].islower() else text


def _host_of(url: str) -> str | None:
    """Returns the host of a URL, with its port if it has one."""
    try:
        parts = urlsplit(url)
        return parts.netloc.rpartition("@")[2] or None
    except ValueError:
        return None


def _system_words(error: OSError, server: str) -> str:
    """Returns words for an error of the operating system."""
    if type(error).__module__ != "builtins" and error.errno and not isinstance(error, (socket.gaierror, ssl.SSLError)):
        error = OSError(error.errno, os.strerror(error.errno))  # a library's own class for a refusal, for example
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
    """Returns why a connection failed."""
    text = str(error)
    if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in text:
        match = re.search(r"certificate verify failed: (.*?)\s*(?:\(_ssl|['\"\])]|$)", text)
        return f"its certificate is not trusted ({match[1]})" if match else "its certificate is not trusted"
    if isinstance(error, ssl.SSLError) or "[SSL" in text:
        match = re.search(r"\[SSL: \w+\] (.*?)\s*(?:\(_ssl|$)", text)
        return f"no secure connection ({match[1]})" if match else "no secure connection"
    if isinstance(error, socket.gaierror):
        unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        return "unknown host name" if error.errno in unknown else "the host name cannot be looked up"
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
    """Returns words for a library's error; None for an unknown one. The libraries do not have to be installed."""
    names = {kind.__name__ for kind in type(error).__mro__}
    library = type(error).__module__.partition(".")[0]
    if library == "aiohttp":
        return _aiohttp_words(error, names, server)
    if library in ("botocore", "aiobotocore"):
        return _botocore_words(error, names)
    if isinstance(error, ValueError) and re.search(r"Invalid (IPv6 )?URL|not a valid URL", str(error)):
        return "not a valid URL"
    if "AuthenticationException" in names:  # paramiko
        return "access denied: the server does not accept the user or the key"
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
        return f"{server} redirects in a loop"
    if "ClientResponseError" in names:
        if "HttpProcessingError" in {kind.__name__ for kind in type(error.__cause__).__mro__}:
            return f"{server} does not speak HTTP"
        return _status_words(error.status, error.message)
    if "ClientPayloadError" in names:
        return f"{server} broke off its response"
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
    answer = f"the server responds with {status} {message}".rstrip()
    return f"access denied: {answer}" if status in (401, 403, 407) else answer


def _botocore_words(error: Any, names: set[str]) -> str | None:
    details = getattr(error, "kwargs", None) or {}
    place = _host_of(str(details.get("endpoint_url", ""))) or "the server"
    if "NoCredentialsError" in names:
        return "no credentials found; for a public bucket, set the storage option anon=true"
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
    """Returns words for an error response of S3."""
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
    return f"the server responds with {status or ''} {code}".replace("  ", " ") + (f": {message}" if message else "")
