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

"""Whatever is raised in a traced call comes out as it went in, once.

Also what lies about its class, has no words, or ends the process.
"""

from __future__ import annotations

import fixtures
import keystoneauth1.session
import oslo_messaging
from oslo_messaging.notify import dispatcher as notify_dispatcher
from oslo_messaging.rpc import dispatcher as rpc_dispatcher
from oslo_messaging import transport
import requests

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests import base

SECRET = 'S3CRET'


class _Liar(type):
    """Tells nothing of a class."""

    def __getattribute__(cls, name):
        raise RuntimeError(SECRET)


class NoClass(Exception, metaclass=_Liar):
    pass


class NoModule(Exception):
    pass


class Denied(Exception):
    @property
    def exc_type(self):
        raise RuntimeError(SECRET)


class NoWords(Exception):
    def __str__(self):
        raise RuntimeError(SECRET)

    __repr__ = __str__

    def __getattr__(self, name):
        raise RuntimeError(SECRET)


class NoArguments(Exception):
    args = property(lambda self: 1 // 0)
    __cause__ = property(lambda self: 1 // 0)
    __traceback__ = property(lambda self: 1 // 0)


class Disguised(BaseException):
    @property  # type: ignore[misc]
    def __class__(self):
        raise RuntimeError(SECRET)


class GreenletExit(BaseException):
    pass


def _named(name, module):
    kind = type(name, (Denied,), {})
    kind.__module__ = module
    return kind


def _noted():
    error = ValueError(SECRET)
    # Since Python 3.11 add_note() keeps its texts there.
    error.__notes__ = [SECRET, 5]
    error.__cause__ = NoWords(SECRET)
    error.__context__ = error
    return error


def _grouped():
    try:
        kind = ExceptionGroup
    except NameError:
        return OSError(SECRET)
    return kind(SECRET, [ValueError(SECRET), kind(SECRET, [NoWords(SECRET)])])


def hostile():
    """Make one of each."""
    NoModule.__module__ = None
    return [
        NoClass(SECRET),
        NoModule(SECRET),
        NoWords(SECRET),
        NoArguments(SECRET),
        Disguised(SECRET),
        _named('RemoteError', None)(SECRET),
        _named('RemoteError', 'oslo_messaging.rpc')(SECRET),
        _named('Refused_Remote', 5)(SECRET),
        _named('ExpectedException', 7)(SECRET),
        _noted(),
        _grouped(),
        MemoryError(SECRET),
        RecursionError(SECRET),
        KeyboardInterrupt(SECRET),
        SystemExit(SECRET),
        GreenletExit(SECRET),
        GeneratorExit(SECRET),
    ]


class _Incoming:
    def __init__(self):
        self.ctxt = {'user': 'u'}
        self.message = {'method': 'm', 'event_type': 'e', 'args': {}}


class _Body:
    def __init__(self, raises):
        self._raises = raises

    def __iter__(self):
        return self

    def __next__(self):
        self._raises()


class _Closing(_Body):
    def __next__(self):
        raise StopIteration

    def close(self):
        self._raises()


class HostileErrorsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.calls = 0
        self.error = None
        # Below our own functions, which are put on when recording begins.
        for owner, name in (
            (transport.Transport, '_send'),
            (transport.Transport, '_send_notification'),
            (rpc_dispatcher.RPCDispatcher, 'dispatch'),
            (notify_dispatcher.NotificationDispatcher, 'dispatch'),
            (notify_dispatcher.BatchNotificationDispatcher, 'dispatch'),
            (requests.Session, 'send'),
            (keystoneauth1.session.Session, 'request'),
        ):
            self.useFixture(
                fixtures.MonkeyPatch(
                    f'{owner.__module__}.{owner.__name__}.{name}',
                    lambda *args, **kwargs: self._raise(),
                )
            )

    def _raise(self):
        self.calls += 1
        raise self.error

    def _answer(self, application):
        app = middleware.TracingMiddleware(application)
        environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/x'}
        return app(environ, lambda *args: None)

    def _request(self):
        self._answer(lambda environ, start_response: self._raise())

    def _body(self):
        next(iter(self._answer(lambda *args: _Body(self._raise))))

    def _closed(self):
        self._answer(lambda *args: _Closing(self._raise)).close()

    def _call(self):
        target = oslo_messaging.Target(topic='t')
        transport.Transport._send(_Incoming(), target, {}, {'method': 'm'})

    def _notification(self):
        target = oslo_messaging.Target(topic='t')
        transport.Transport._send_notification(
            _Incoming(), target, {}, {'event_type': 'e'}, 2.0
        )

    def _dispatched(self):
        rpc_dispatcher.RPCDispatcher.dispatch(_Incoming(), _Incoming())

    def _heard(self):
        notify_dispatcher.NotificationDispatcher.dispatch(
            _Incoming(), _Incoming()
        )

    def _heard_many(self):
        notify_dispatcher.BatchNotificationDispatcher.dispatch(
            _Incoming(), [_Incoming()]
        )

    def _http(self):
        requests.get('http://localhost/')

    def _keystoneauth(self):
        keystoneauth1.session.Session.request(_Incoming(), '/x', 'GET')

    def _span(self):
        with oslo_tracing.span('own', root=True):
            self._raise()

    def _traced(self):
        oslo_tracing.traced(root=True)(self._raise)()

    def _generator(self):
        @oslo_tracing.traced(root=True)
        def numbers():
            yield 1
            self._raise()

        for _number in numbers():
            pass

    def _asynchronous(self):
        @oslo_tracing.traced(root=True)
        async def numbers():
            yield 1
            self._raise()

        async def read():
            async for _number in numbers():
                pass

        read().send(None)

    def _what_comes_out(self, call):
        """Say what came out, in words: no runner can show these errors."""
        self.calls = 0
        try:
            call()
        except BaseException as error:
            if error is not self.error:
                return f'another: {type(error)}'
        else:
            return 'nothing'
        return f'the same, {self.calls} call'

    def _check(self, call):
        for self.error in hostile():
            kind = type.__repr__(type(self.error))
            self.assertEqual(
                'the same, 1 call',
                self._what_comes_out(call),
                (call.__name__, kind),
            )

    def test_it_comes_out_of_every_call_as_it_went_in(self):
        spans = self.useFixture(fixture.SpanRecorder())
        calls = (
            self._request,
            self._body,
            self._closed,
            self._call,
            self._notification,
            self._dispatched,
            self._heard,
            self._heard_many,
            self._http,
            self._keystoneauth,
            self._span,
            self._traced,
            self._generator,
            self._asynchronous,
        )
        for call in calls:
            spans.clear()
            self._check(call)
            if call != self._keystoneauth:
                self.assertEqual(
                    len(hostile()), len(spans.finished), call.__name__
                )
            for span in spans.finished:
                self.assertNotIn(SECRET, span.to_json())
        self.assertNotIn(SECRET, self.log.output)
