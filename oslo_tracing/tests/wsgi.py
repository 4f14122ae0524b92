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

"""Asking WSGI applications, for the tests of what serves them."""

from __future__ import annotations

import io
from wsgiref import util
from wsgiref import validate


def environment(path='/', method='GET', **more):
    """Return the environment of a request, with raw WSGI keys."""
    found = {
        'REQUEST_METHOD': method,
        'SCRIPT_NAME': '',
        'PATH_INFO': path,
        'QUERY_STRING': '',
        'HTTP_HOST': 'api.example:8774',
        'SERVER_NAME': 'api.example',
        'SERVER_PORT': '8774',
        'SERVER_PROTOCOL': 'HTTP/1.1',
        'REMOTE_ADDR': '192.0.2.7',
        'wsgi.input': io.BytesIO(),
    }
    found.update(more)
    util.setup_testing_defaults(found)
    return found


class Answer:
    """What a server would have sent."""

    def __init__(self):
        self.calls = []
        self.written = []
        self.body = b''

    @property
    def status(self):
        return self.calls[-1][0]

    @property
    def headers(self):
        return dict(self.calls[-1][1])

    def start_response(self, status, headers, exc_info=None):
        self.calls.append((status, headers, exc_info))
        return self.written.append


def ask(app, path='/', method='GET', checked=True, **more):
    """Ask as a strict server does, and close the body.

    :param checked: let wsgiref's validator look at both sides of ``app``.
    """
    answer = Answer()
    if checked:
        app = validate.validator(app)
    body = app(environment(path, method, **more), answer.start_response)
    try:
        answer.body = b''.join(body)
    finally:
        if hasattr(body, 'close'):
            body.close()
    return answer


def checked(app):
    """Return an application that answers only to the letter of PEP 3333."""
    return validate.validator(app)


def hello(environ, start_response):
    """Say hello, plainly."""
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']


def saying(status, body=(b'',), headers=()):
    """Return an application that always gives one answer."""

    def app(environ, start_response):
        start_response(status, [('Content-Type', 'text/plain'), *headers])
        return list(body)

    return app
