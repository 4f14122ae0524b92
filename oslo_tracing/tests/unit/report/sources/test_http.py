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

"""How long a server may take, whatever it is that it says meanwhile."""

import contextlib
import socket
import threading

import fixtures

from oslo_tracing.report.sources import _http
from oslo_tracing.tests import base

_OK = b'HTTP/1.1 200 OK\r\n'
_CHUNKED = _OK + b'Transfer-Encoding: chunked\r\n\r\n'


class _Peer(fixtures.Fixture):
    """Answers one request: at once, and then byte by byte.

    :param head: what is said at once.
    :param drips: what is said over and over, slowly; None for an end.
    """

    def __init__(self, head, drips=None):
        super().__init__()
        self._head = head
        self._drips = drips
        self.over = threading.Event()
        #: That nobody listened any more.
        self.left_alone = threading.Event()

    def _setUp(self):
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self._listener.close)
        self.port = self._listener.getsockname()[1]
        thread = threading.Thread(target=self._serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.over.set)

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(self._head)
            while self._drips is not None and not self.over.wait(0.02):
                try:
                    connection.sendall(self._drips)
                except OSError:
                    self.left_alone.set()
                    raise


class DeadlineTest(base.TestCase):
    def _bounds(self, silence, whole):
        for name, seconds in (('_SILENCE', silence), ('_WHOLE', whole)):
            self.useFixture(
                fixtures.MonkeyPatch(f'{_http.__name__}.{name}', seconds)
            )

    def _client(self, peer):
        return _http.Client(f'http://127.0.0.1:{peer.port}')

    def _given_up(self, head, drips):
        """Whether the client left a peer that does not stop."""
        self._bounds(5.0, 0.3)
        peer = self.useFixture(_Peer(head, drips))
        raised = []

        def ask():
            try:
                self._client(peer).get('/x')
            except _http.NoAnswer as exc:
                raised.append(str(exc))

        thread = threading.Thread(target=ask)
        thread.start()
        left = peer.left_alone.wait(3)
        peer.over.set()
        thread.join()
        self.assertTrue(left)
        self.assertEqual(['it did not answer in time'], raised)

    def test_a_status_line_that_does_not_end_is_given_up(self):
        self._given_up(b'HTTP/1.1 200 ', b'O')

    def test_a_header_that_does_not_end_is_given_up(self):
        self._given_up(_OK + b'X-A: ', b'a')

    def test_provisional_answers_without_end_are_given_up(self):
        self._given_up(b'', b'HTTP/1.1 100 Continue\r\n\r\n')

    def test_a_body_that_does_not_end_is_given_up(self):
        self._given_up(_OK + b'\r\n', b' ')

    def test_a_size_of_a_chunk_that_does_not_end_is_given_up(self):
        self._given_up(_CHUNKED, b'0')

    def test_trailers_without_end_are_given_up(self):
        self._given_up(_CHUNKED + b'0\r\n', b'X: a\r\n')

    def test_silence_among_headers_is_given_up(self):
        self._bounds(0.2, 60.0)
        peer = self.useFixture(_Peer(_OK + b'X-A: ', b''))
        raised = self.assertRaises(
            _http.NoAnswer, self._client(peer).get, '/x'
        )
        self.assertEqual('it did not answer in time', str(raised))

    def test_answers_of_every_framing_are_read_whole(self):
        body = b'[' + b' ' * 100_000 + b'17]'
        size = b'Content-Length: %d\r\n' % len(body)
        for answer in (
            _OK + size + b'\r\n' + body,
            _OK + size + b'Connection: close\r\n\r\n' + body,
            _OK + b'\r\n' + body,
            b'HTTP/1.0 200 OK\r\n\r\n' + body,
            b'HTTP/1.1 100 Continue\r\n\r\n' + _OK + size + b'\r\n' + body,
            _CHUNKED + b'%x\r\n%s\r\n0\r\nX: a\r\n\r\n' % (len(body), body),
        ):
            peer = self.useFixture(_Peer(answer))
            self.assertEqual(([17], True), self._client(peer).get('/x'))
