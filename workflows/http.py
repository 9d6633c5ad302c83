"""``ctx.http``: an ``httpx.Client`` for one step and the dependency that it calls.

It knows the dependency's address, ends with the step's time, sends the ids that let the other side recognise a
repeat, and turns what goes wrong into this package's errors:

=========================================  ==================================================================
what happened                              error
=========================================  ==================================================================
no connection, 503                         ``DependencyUnavailable``: the call had no effect, the run waits
502, 504                                   the same if the step may be repeated, else ``OutcomeUnknown``
429                                        ``RateLimited`` with the seconds of ``Retry-After``
408, 425                                   ``TransientError``: the other side did not take the call
other 5xx, no or half an answer            ``OutcomeUnknown``: it may or may not have had its effect
401                                        ``ConfigurationError``
400, 422                                   ``InvalidData``
other 4xx                                  ``PermanentError``
=========================================  ==================================================================

The message carries the answer's problem detail; ``error.context`` has dependency, method, path and status.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from portal.core.clock import now
from portal.core.correlation import HEADER as CORRELATION_HEADER
from workflows.definition.values import Dependency
from workflows.errors import (
    ConfigurationError,
    DependencyUnavailable,
    InvalidData,
    OutcomeUnknown,
    PermanentError,
    RateLimited,
    TransientError,
    WorkflowError,
)

_CONNECT_SECONDS = 5.0
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_NOT_TAKEN = frozenset({408, 425})
_GATEWAY = frozenset({502, 504})
_MAX_DETAIL = 300
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")

# One pool of connections per dependency in this process. A forked child must not share its parent's sockets.
_pools: dict[str, httpx.HTTPTransport] = {}
os.register_at_fork(after_in_child=_pools.clear)


class _Borrowed(httpx.BaseTransport):
    """A pool as a step has it: to use, but not to close."""

    def __init__(self, pool: httpx.HTTPTransport) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._pool.handle_request(request)


class StepClient(httpx.Client):
    """An ``httpx.Client`` whose calls raise the errors of ``workflows.errors``. Redirects are not followed.

    :param timeout: the step's, in seconds; each call gets this or the dependency's, whichever is less.
    :param idempotent: whether the step may be repeated when it is not known what became of a call.
    :raises ConfigurationError: if the setting with the dependency's address is missing or wrong.
    """

    def __init__(
        self,
        dependency: Dependency,
        *,
        timeout: float,
        operation_key: str,
        correlation_id: str,
        idempotent: bool,
    ) -> None:
        seconds = min(timeout, dependency.timeout)
        super().__init__(
            base_url=dependency.url.value() if dependency.url else "",
            headers={CORRELATION_HEADER: correlation_id, "traceparent": traceparent(correlation_id)},
            timeout=httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
            transport=_Borrowed(_pool(dependency.name)),
            trust_env=False,
        )
        self._dependency = dependency.name
        self._seconds = seconds
        self._operation_key = operation_key
        self._idempotent = idempotent

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send the request and return a good answer, read completely unless ``stream=True``."""
        if request.method not in _SAFE_METHODS:
            request.headers.setdefault("Idempotency-Key", self._operation_key)
        try:
            response = super().send(request, **options)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise DependencyUnavailable(
                f"{self._dependency} cannot be reached: {exc}", dependency=self._dependency, **_call(request)
            ) from exc
        except httpx.TimeoutException as exc:
            raise self._unknown(request, f"gave no answer within {self._seconds:g} s") from exc
        except (httpx.NetworkError, httpx.ProtocolError, httpx.DecodingError) as exc:
            raise self._unknown(request, "broke off before its answer was complete") from exc
        finally:
            if not isinstance(sys.exception(), Exception | None):
                # The step was interrupted in the middle of the call: its connection may hold half an answer.
                _give_up(self._dependency)
        if not options.get("stream"):
            self._check(request, response)
        return response

    def _check(self, request: httpx.Request, response: httpx.Response) -> None:
        if response.is_error:
            raise self._error(request, response)
        if "json" in response.headers.get("content-type", "") and response.content:
            try:
                response.json()
            except ValueError as exc:
                raise self._unknown(request, "sent an answer that is not complete JSON") from exc

    def _error(self, request: httpx.Request, response: httpx.Response) -> WorkflowError:
        status = response.status_code
        context = {**_call(request), "status": status}
        message = f"{self._dependency} answered {status} {response.reason_phrase}".rstrip()
        detail = problem_detail(response)
        if detail:
            message += f": {detail}"
        wait = retry_after(response)
        if status == 503 or (status in _GATEWAY and self._idempotent):
            retry_at = now() + timedelta(seconds=wait) if wait else None
            return DependencyUnavailable(message, dependency=self._dependency, retry_at=retry_at, **context)
        context["dependency"] = self._dependency
        if status == 429:
            return RateLimited(message, retry_after=wait, **context)
        if status in _NOT_TAKEN:
            return TransientError(message, **context)
        if status >= 500:
            return OutcomeUnknown(message, **context)
        if status == 401:
            return ConfigurationError(message, **context)
        return (InvalidData if status in {400, 422} else PermanentError)(message, **context)

    def _unknown(self, request: httpx.Request, what: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"{self._dependency} {what}; whether the call had its effect is unknown",
            dependency=self._dependency,
            **_call(request),
        )


def _pool(name: str) -> httpx.HTTPTransport:
    pool = _pools.get(name)
    if pool is None:
        pool = _pools[name] = httpx.HTTPTransport(limits=httpx.Limits(max_connections=20, keepalive_expiry=30))
    return pool


def _give_up(name: str) -> None:
    pool = _pools.pop(name, None)
    if pool is not None:
        with suppress(httpx.HTTPError, OSError, RuntimeError):
            pool.close()


def _call(request: httpx.Request) -> dict[str, Any]:
    """Return what may be stored of a request: not the query or the body, which may hold secrets."""
    return {"method": request.method, "path": request.url.path}


def problem_detail(response: httpx.Response) -> str:
    """Return what the answer says about the problem (RFC 9457's detail or title, or the like), or ""."""
    try:
        body = response.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    words = [body[key] for key in ("detail", "message", "error", "title") if isinstance(body.get(key), str)]
    return words[0][:_MAX_DETAIL] if words else ""


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks to wait (it may be seconds or a date), or None."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def traceparent(correlation_id: str) -> str:
    """Return a W3C ``traceparent``: all calls with one correlation id belong to one trace."""
    trace_id = correlation_id.lower()
    if not _TRACE_ID.fullmatch(trace_id):
        trace_id = hashlib.sha256(correlation_id.encode()).hexdigest()[:32]
    return f"00-{trace_id}-{os.urandom(8).hex()}-01"
