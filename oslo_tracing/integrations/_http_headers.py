# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Copies of requests and of their headers, with the trace in them."""

from __future__ import annotations

from collections.abc import Mapping
import copy
import sys
from typing import Any

from oslo_tracing import propagation

_REDUCE = object.__reduce_ex__
# By its name, since requests may not be there.
_OF_REQUESTS = 'CaseInsensitiveDict'


def copied(request: Any) -> Any:
    """Return a copy of a request, as shallow as ``copy.copy()``."""
    kind: Any = type(request)
    if hasattr(kind, '__copy__') or kind.__reduce_ex__ is not _REDUCE:
        return copy.copy(request)
    sent = kind.__new__(kind)
    sent.__dict__.update(request.__dict__)
    return sent


def has_pair(headers: Any) -> bool:
    """Say whether osprofiler has put something into a request."""
    if not headers or 'osprofiler' not in sys.modules:
        return False
    return any(name in headers for name in propagation.PAIR)


def without_pair(headers: Any) -> None:
    """Take out what osprofiler has put into a request of keystoneauth.

    It does so wherever that leads.
    """
    for name in propagation.PAIR:
        if headers:
            headers.pop(name, None)


def written_into(
    given: Any, written: Mapping[str, str], earlier: Mapping[str, str] | None
) -> Any:
    """Return a copy of headers with what is written, and nothing older.

    :param given: of a request, None where it has none.
    :param written: what tells of the trace.
    :param earlier: the same of the request that this one follows, or None.
    """
    if given is None:
        return dict(written) or None
    kept = getattr(given, '_store', None)
    if (
        type(given).__name__ != _OF_REQUESTS
        or not isinstance(kept, dict)
        or earlier is not None
    ):
        return _written(given.copy(), written, earlier or {})
    # Without asking requests for each of them.
    kept = kept.copy()
    for name in propagation.stale(written):
        kept.pop(name, None)
    for name, value in written.items():
        kept[name.lower()] = name, value
    kind: Any = type(given)
    headers = kind.__new__(kind)
    headers._store = kept
    return headers


def _written(
    headers: Any, written: Mapping[str, str], earlier: Mapping[str, str]
) -> Any:
    for name, value in earlier.items():
        if headers.get(name) == value:
            del headers[name]
    for name in propagation.stale(written):
        headers.pop(name, None)
    for name, value in written.items():
        headers[name] = value
    return headers
