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

"""Propagators that somebody else wrote, behind our gate.

A name in ``propagators`` is looked up in OpenTelemetry's entry point group.
What such a propagator sees, what it found and what it wants to send is
bounded and checked, and an error in it costs its own format only.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any
from typing import TypeAlias
from typing import TypeGuard

from opentelemetry import context as otel_context
from opentelemetry.propagators import textmap
from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import _regex
from oslo_tracing import exceptions
from oslo_tracing.propagation import w3c

GROUP = 'opentelemetry_propagator'

#: Where those come from that OpenTelemetry specifies.
_PACKAGES = {
    'b3': 'opentelemetry-propagator-b3',
    'b3multi': 'opentelemetry-propagator-b3',
    'jaeger': 'opentelemetry-propagator-jaeger',
}

#: The longest value of a header that passes, in characters, either way.
_MAX_VALUE = 4096

# Those that read B3, and its headers in an environment of WSGI.
_B3 = ('b3', 'b3multi')
_SINGLE = 'HTTP_B3'
_FLAGS = 'HTTP_X_B3_FLAGS'
_SAMPLED = 'HTTP_X_B3_SAMPLED'
# Older libraries spell it out.
_NO = ('0', 'false', 'False')
_DEBUG = _regex.late('[0-9A-Fa-f]{16,32}-[0-9A-Fa-f]{16}-d(-.*)?')

_HEADER_NAME = _regex.late(r"[!#$%&'*+\-.^_`|~0-9a-z]{1,256}")
_EMPTY = otel_context.Context()

_Environ: TypeAlias = Mapping[str, Any]


def names() -> list[str]:
    """Return the names of all installed propagators, sorted."""
    return sorted({found.name for found in metadata.entry_points(group=GROUP)})


def load(name: str) -> Installed:
    """Return the installed propagator of that name.

    :raises InvalidOption: when there is none, or it cannot be loaded.
    """
    for found in metadata.entry_points(group=GROUP, name=name):
        try:
            return Installed(name, found.load()())
        except Exception as error:
            raise exceptions.InvalidOption(
                'propagators',
                repr(name),
                f'cannot be loaded ({type(error).__name__})',
            ) from error
    why = f'not installed; installed: {", ".join(names())}, none'
    if name in _PACKAGES:
        why += f'; it comes with {_PACKAGES[name]}'
    raise exceptions.InvalidOption('propagators', repr(name), why)


def _may_pass(value: Any) -> TypeGuard[str]:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _MAX_VALUE
        and value.isascii()
    )


class _EnvironGetter(textmap.Getter[_Environ]):
    """Shows a WSGI environ as headers, but only those that may pass."""

    def get(self, carrier: _Environ, key: str) -> list[str] | None:
        value = carrier.get('HTTP_' + key.upper().replace('-', '_'))
        return [value] if _may_pass(value) else None

    def keys(self, carrier: _Environ) -> list[str]:
        return [
            key[5:].replace('_', '-').lower()
            for key, value in carrier.items()
            if key.startswith('HTTP_') and _may_pass(value)
        ]


_GETTER = _EnvironGetter()


class Installed:
    """One propagator that is not ours.

    :param name: its entry point's name.
    :param propagator: an OpenTelemetry ``TextMapPropagator``.
    """

    def __init__(self, name: str, propagator: Any) -> None:
        self._propagator = propagator
        self._is_b3 = name in _B3
        self._reading = f'reading the headers of propagator {name}'
        self._writing = f'writing the headers of propagator {name}'
        #: The headers that it may set, in lower case.
        self.fields = frozenset(
            field.lower()
            for field in propagator.fields
            if _HEADER_NAME.fullmatch(field.lower())
        )

    def from_environ(self, environ: _Environ) -> trace.SpanContext | None:
        """Return the caller's span, or None. Never raises.

        Nothing else of what the propagator finds is taken: baggage is W3C
        Baggage here.
        """
        try:
            context = self._propagator.extract(environ, _EMPTY, _GETTER)
            span = trace.get_current_span(context)
            if span is trace.INVALID_SPAN:
                return None
            return w3c.checked(span.get_span_context())
        except Exception:
            _guard.report(self._reading)
            return None

    def insists(self, environ: _Environ) -> bool:
        """Tell whether a caller has set B3's debug flag. Never raises.

        It asks for more than a sampled trace: that no sampler on the way
        decides otherwise. What the propagator found does not show it.
        """
        if not self._is_b3:
            return False
        single = environ.get(_SINGLE)
        if _may_pass(single):
            return _DEBUG.fullmatch(single) is not None
        return environ.get(_FLAGS) == '1'

    def defers(self, environ: _Environ) -> bool:
        """Tell whether a caller has left it open what is recorded.

        Never raises. B3 lets its receiver decide then; what the propagator
        found has a flag for yes or no.

        :param environ: with the ids of a caller.
        """
        if not self._is_b3:
            return False
        single = environ.get(_SINGLE)
        if _may_pass(single):
            return single.count('-') == 1
        return environ.get(_FLAGS) != '1' and not _may_pass(
            environ.get(_SAMPLED)
        )

    def denies(self, environ: _Environ) -> bool:
        """Tell whether a caller without a trace wants none here.

        Never raises. In B3 a decision may come alone, with which a
        propagator finds nobody.

        :param environ: in which there was no caller.
        """
        if not self._is_b3:
            return False
        single = environ.get(_SINGLE)
        if _may_pass(single):
            return single == '0'
        return environ.get(_FLAGS) != '1' and environ.get(_SAMPLED) in _NO

    def headers(self, span: trace.Span) -> dict[str, str]:
        """Return the headers that tell of a span. Never raises.

        :param span: the only thing that the propagator is shown.
        """
        carrier: dict[str, Any] = {}
        try:
            self._propagator.inject(
                carrier, trace.set_span_in_context(span, _EMPTY)
            )
            return {
                name.lower(): value
                for name, value in carrier.items()
                if isinstance(name, str)
                and name.lower() in self.fields
                and _may_pass(value)
                and value.isprintable()
            }
        except Exception:
            _guard.report(self._writing)
            return {}
