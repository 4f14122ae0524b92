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

"""What a server, or whoever pretends to be one, can do to the reader."""

import base64
import contextlib
import http.server
import io
import json
import os
import ssl
import threading

import fixtures

from oslo_tracing.cmd import main
from oslo_tracing.report import sources
from oslo_tracing.report.sources import _http
from oslo_tracing.report.sources import base as sources_base
from oslo_tracing.report.sources import jaeger
from oslo_tracing.report.sources import otlp
from oslo_tracing.report.sources import tempo
from oslo_tracing.report.sources import zipkin
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks
from oslo_tracing.tests.unit.exporters import support

_ID = 'a' * 32
_TOKEN = 'eyJ.t0k3n-_~+/='


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if 'Content-Length' not in headers:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        if self.server.silence:
            self.server.silence.wait(60)
        self.close_connection = True

    def log_message(self, *args):
        pass


class _Server(fixtures.Fixture):
    """Gives one answer to every question, and keeps the questions."""

    def _setUp(self):
        self.server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), _Handler
        )
        self.server.asked = []
        self.server.silence = None
        self.addCleanup(self.server.server_close)
        thread = threading.Thread(
            target=self.server.serve_forever, args=(0.05,)
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.host = f'127.0.0.1:{self.server.server_port}'
        self.asked = self.server.asked

    def answers(self, content, status=200, **headers):
        body = (
            content
            if isinstance(content, bytes)
            else json.dumps(content).encode()
        )
        headers = {k.replace('_', '-'): v for k, v in headers.items()}
        self.server.answer = (status, headers, body)


class ServerTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(base.LogOfACommand())
        self.server = self.useFixture(_Server())

    def _find(self, kind='zipkin', user='', path='', text=_ID):
        name = f'{kind}+http://{user}{self.server.host}{path}'
        with contextlib.closing(sources.open_source(name)) as source:
            return source.find(text)

    def _refused(self, **asked):
        raised = self.assertRaises(
            sources_base.CannotRead, self._find, **asked
        )
        return str(raised)

    def test_a_redirect_is_not_followed(self):
        elsewhere = self.useFixture(_Server())
        elsewhere.answers([])
        for status in (301, 302, 303, 307, 308):
            self.server.answers(
                b'', status, Location=f'http://{elsewhere.host}/'
            )
            self.assertIn(
                f'{status}; redirects are not', self._refused(user='u:s3cret@')
            )
        self.assertEqual([], elsewhere.asked)

    def test_a_password_is_sent_and_never_shown(self):
        self.server.answers(b'', 403)

        told = self._refused(user='ann:s3cret%2F%40@', path='/jaeger')

        self.assertEqual(
            f'cannot read zipkin+http://{self.server.host}/jaeger: it '
            'answered 403',
            told,
        )
        ((path, headers),) = self.server.asked
        self.assertEqual(f'/jaeger/api/v2/trace/{_ID}', path)
        self.assertEqual(
            'Basic ' + base64.b64encode(b'ann:s3cret/@').decode(),
            headers['Authorization'],
        )

    def test_no_command_shows_a_password(self):
        self.server.answers([])
        name = f'zipkin+http://ann:s3cret@{self.server.host}'
        for arguments in (
            ['list'],
            ['top'],
            ['map'],
            ['show', _ID],
            ['export', _ID],
            ['report', _ID],
            ['report', '--all'],
            ['diff', _ID, _ID],
            ['diff', 'all', 'all', '--with', name],
        ):
            told = io.StringIO()
            with (
                contextlib.redirect_stdout(told),
                contextlib.redirect_stderr(told),
            ):
                self.assertNotEqual(
                    0, main.main([*arguments, '--source', name])
                )
            self.assertIn(f'zipkin+http://{self.server.host}', told.getvalue())
            self.assertNotIn('s3cret', told.getvalue())

    def _token(self, source=None, token=_TOKEN, path=None):
        """Say by the environment what is to be sent to whom."""
        for name, value in (
            ('OSLO_TRACING_SOURCE', source),
            ('OSLO_TRACING_SOURCE_TOKEN', token),
            ('OSLO_TRACING_SOURCE_TOKEN_FILE', path),
        ):
            self.useFixture(fixtures.EnvironmentVariable(name, value))

    def _run(self, *arguments):
        told = io.StringIO()
        with (
            contextlib.redirect_stdout(told),
            contextlib.redirect_stderr(told),
        ):
            code = main.main(list(arguments))
        self.assertNotIn(_TOKEN, told.getvalue())
        return code, told.getvalue()

    def _sent(self, server):
        return {
            headers.get('Authorization') for _path, headers in server.asked
        }

    def test_a_token_is_sent_and_never_shown(self):
        self._token()
        self.server.answers([])
        for kind in ('jaeger', 'tempo', 'zipkin'):
            name = f'{kind}+http://{self.server.host}'
            for arguments in (
                ['list'],
                ['top'],
                ['map'],
                ['show', _ID],
                ['export', _ID],
                ['report', _ID],
                ['diff', 'all', 'all', '--with', name],
            ):
                self._run(*arguments, '--source', name)
        self.assertEqual({f'Bearer {_TOKEN}'}, self._sent(self.server))

    def test_a_token_of_a_file(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'token')
        with open(path, 'w') as stream:
            stream.write(f'{_TOKEN}\n')
        self._token(token=None, path=path)
        self.server.answers([])
        self._run('list', '--source', f'zipkin+http://{self.server.host}')
        self.assertEqual({f'Bearer {_TOKEN}'}, self._sent(self.server))

    def test_a_password_in_the_address_goes_before_a_token(self):
        self._token()
        self.server.answers([])
        self._run('list', '--source', f'zipkin+http://a:b@{self.server.host}')
        ((_path, headers),) = self.server.asked
        self.assertTrue(headers['Authorization'].startswith('Basic '))

    def test_a_token_is_for_the_server_that_the_environment_names(self):
        other = self.useFixture(_Server())
        other.answers([])
        self.server.answers([])
        named = f'zipkin+http://{self.server.host}'
        self._token(source=f'{named}/path')
        self._run('list', '--source', f'zipkin+http://{other.host}')
        self._run('diff', 'all', 'all', '--with', f'jaeger+{named[7:]}')
        self._run(
            *('diff', 'all', 'all', '--source', f'jaeger+http://{other.host}'),
            *('--with', f'tempo+http://{other.host}'),
        )
        self.assertEqual({None}, self._sent(other))
        self._run('list', '--source', named)
        self.assertEqual({f'Bearer {_TOKEN}'}, self._sent(self.server))

    def test_a_token_is_not_sent_where_a_redirect_leads(self):
        self._token()
        elsewhere = self.useFixture(_Server())
        elsewhere.answers([])
        self.server.answers(b'', 307, Location=f'http://{elsewhere.host}/')
        code, told = self._run(
            'list', '--source', f'zipkin+http://{self.server.host}'
        )
        self.assertEqual(1, code)
        self.assertIn('redirects are not followed', told)
        self.assertEqual([], elsewhere.asked)

    def test_a_token_is_not_sent_in_the_clear(self):
        self._token()
        for host in ('192.0.2.7', 'tempo.example.com', '[2001:db8::1]'):
            code, told = self._run('list', '--source', f'tempo+http://{host}')
            self.assertEqual(1, code)
            self.assertIn('by https only', told)

    def test_what_is_no_token_is_refused(self):
        self.server.answers([])
        name = f'zipkin+http://{self.server.host}'
        for token in (f'{_TOKEN} x', f'{_TOKEN}\r\nX: y', 'ü', 'x' * 20000):
            self._token(token=token)
            code, told = self._run('list', '--source', name)
            self.assertEqual(1, code)
            self.assertIn('OSLO_TRACING_SOURCE_TOKEN gives is no', told)
        home = self.useFixture(fixtures.TempDir()).path
        os.mkfifo(f'{home}/pipe')
        for path in (home, f'{home}/pipe', f'{home}/nothing', '/dev/zero'):
            self._token(token=None, path=path)
            code, told = self._run('list', '--source', name)
            self.assertEqual(1, code)
            self.assertIn('OSLO_TRACING_SOURCE_TOKEN_FILE names', told)
        self.assertEqual([], self.server.asked)

    def test_a_file_in_which_no_token_is_yet_is_refused(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'token')
        self.server.answers([])
        for content in ('', '\n'):
            with open(path, 'w') as stream:
                stream.write(content)
            self._token(token=None, path=path)
            code, told = self._run(
                'list', '--source', f'zipkin+http://{self.server.host}'
            )
            self.assertEqual(1, code)
            self.assertIn('OSLO_TRACING_SOURCE_TOKEN_FILE gives is no', told)
        self.assertEqual([], self.server.asked)

    def test_a_token_does_not_matter_to_a_file(self):
        home = self.useFixture(fixtures.TempDir()).path
        self._token(token='no token', path='/nowhere')
        code, told = self._run('list', '--source', home)
        self.assertEqual(2, code, told)

    def test_a_bad_address_does_not_show_its_password(self):
        for text in (
            'http://ann:s3cret@host',
            'elastic+https://ann:s3cret@host',
            'jaeger+http://ann:s3cret@',
            'jaeger+http://ann:s3cret@host:port',
            'jaeger+http://ann:s3cret@host:99999',
            'jaeger+http://ann:s3cret/x@host',
            'jaeger+http://ann:s3cret@host/?x=s3cret',
            'zipkin+http://ann:s3cret@[::1',
            'jaeger+http://ann:s3cret@ho st/\r\nX: s3cret',
        ):
            raised = self.assertRaises(
                sources.SourceError,
                lambda text=text: sources.open_source(text).find(_ID),
            )
            self.assertNotIn('s3cret', str(raised))

    def test_an_endless_answer_is_given_up(self):
        self.useFixture(
            fixtures.MonkeyPatch(f'{_http.__name__}._MAX_ANSWER', 999)
        )
        self.server.answers(b'[' + b' ' * 2000 + b']')
        self.assertIn('its answer is over', self._refused())

    def test_an_answer_that_takes_too_long_is_given_up(self):
        self.useFixture(fixtures.MonkeyPatch(f'{_http.__name__}._WHOLE', -1))
        self.server.answers([])
        self.assertIn('did not answer in time', self._refused())

    def test_silence_is_given_up(self):
        self.useFixture(
            fixtures.MonkeyPatch(f'{_http.__name__}._SILENCE', 0.2)
        )
        self.server.answers(b'[', Content_Length='100')
        over = threading.Event()
        self.addCleanup(over.set)
        self.server.server.silence = over
        self.assertIn('did not answer in time', self._refused())

    def test_what_is_no_answer_is_told(self):
        for body, headers, why in (
            (b'<html>', {}, 'its answer is not JSON'),
            (b'[' * 100_000, {}, 'nested deeper than 64'),
            (b'[]', {'Content_Encoding': 'gzip'}, 'its answer is packed'),
            (b'[', {'Content_Length': '9'}, 'cut short'),
        ):
            self.server.answers(body, **headers)
            self.assertIn(why, self._refused())

    def test_nobody_there_is_told(self):
        raised = self.assertRaises(
            sources_base.CannotRead,
            sources.open_source('jaeger+http://127.0.0.1:1').find,
            _ID,
        )
        self.assertIn('Connection refused', str(raised))

    def test_a_certificate_of_nobody_is_refused(self):
        self.server.answers([])
        raised = self.assertRaises(
            sources_base.CannotRead,
            sources.open_source(f'zipkin+https://{self.server.host}').find,
            _ID,
        )
        self.assertNotIn('None', str(raised))
        context = _http.Client('https://host')._connection()._context
        self.assertTrue(context.check_hostname)
        self.assertEqual(ssl.CERT_REQUIRED, context.verify_mode)

    def _refused_by(self, address):
        with contextlib.closing(sources.open_source(address)) as source:
            return str(
                self.assertRaises(
                    sources_base.CannotRead, source.find, 'b' * 32
                )
            )

    def test_why_there_is_no_tls_is_told(self):
        self.server.answers([])
        self.assertIn(
            'it does not speak TLS; is it http://?',
            self._refused_by(f'zipkin+https://{self.server.host}'),
        )

        files = self.useFixture(support.Certificates())
        sink = self.useFixture(sinks.HttpSink(files))
        address = f'jaeger+{sink.endpoint}'
        self.assertRegex(
            self._refused_by(address),
            r'its certificate is not trusted: .*issuer.*SSL_CERT_FILE',
        )
        self.useFixture(
            fixtures.EnvironmentVariable('SSL_CERT_FILE', files.ca)
        )
        self.assertIn('it answered 501', self._refused_by(address))

    def test_a_port_that_there_is_not_is_told(self):
        for port in ('65536', '-1', 'http'):
            raised = self.assertRaises(
                sources_base.CannotRead,
                sources.open_source,
                f'tempo+http://u:S3CRET@127.0.0.1:{port}',
            )
            self.assertIn('a port of 1 to 65535', str(raised))
            self.assertNotIn('S3CRET', str(raised))

    def test_only_ids_enter_an_address(self):
        self.server.answers([])
        for text in (
            '../../admin',
            'a' * 31 + '/',
            'req-' + '/' * 36,
            '%2e%2e',
        ):
            self.assertRaises(sources_base.BadId, self._find, text=text)
        self.assertEqual([], self.server.asked)

    def test_an_unknown_trace_is_not_there(self):
        self.server.answers(b'', 404)
        self.assertEqual([], self._find())
        self.assertEqual([], self._find('jaeger'))

    def test_a_server_of_another_kind_is_not_an_empty_one(self):
        for body, kind in (
            # As Jaeger does where it takes spans, and any server of files.
            (b'404 page not found\n', 'text/plain; charset=utf-8'),
            (b'<!DOCTYPE HTML>', 'text/html;charset=utf-8'),
        ):
            self.server.answers(body, 404, Content_Type=kind)
            for kind in ('jaeger', 'tempo', 'zipkin'):
                self.assertIn('it answered 404; is', self._refused(kind=kind))

    def test_who_cannot_list_traces_is_not_an_empty_server(self):
        self.server.answers(b'', 404)
        for kind in ('jaeger', 'tempo', 'zipkin'):
            name = f'{kind}+http://{self.server.host}'
            with contextlib.closing(sources.open_source(name)) as source:
                self.assertRaises(sources_base.CannotRead, source.summaries)

    def test_answers_of_any_shape_raise_nothing(self):
        odd = [None, 1, -1, '', 'x', True, [], {}, [[]], [{}], 1e300, 2**70]
        spans = [
            {key: value}
            for value in odd
            for key in (
                *('traceID', 'spanID', 'references', 'tags', 'logs'),
                *('startTime', 'duration', 'processID', 'operationName'),
                *('traceId', 'id', 'parentId', 'tags', 'annotations'),
                *('timestamp', 'localEndpoint', 'kind', 'name', 'shared'),
            )
        ]
        known = {
            'traceID': _ID,
            'traceId': _ID,
            'spanID': 'b',
            'id': 'b',
            'startTime': 1,
            'timestamp': 1,
        }
        told = []
        for span in [*spans, *(known | span for span in spans)]:
            for made in (
                jaeger.as_otlp({'spans': [span], 'processes': span}),
                zipkin.as_otlp([span]),
                tempo.as_otlp(
                    {'batches': [{'scopeSpans': [{'spans': [span]}]}]}
                ),
            ):
                for read in otlp.spans(made, told.append):
                    self.assertEqual(_ID, read.trace_id)
        for value in odd:
            list(otlp.spans(jaeger.as_otlp({'spans': value}), told.append))
            list(otlp.spans(zipkin.as_otlp(value), told.append))
            for batches in (
                value,
                [{'scopeSpans': value}],
                [{'scopeSpans': [{'spans': value}]}],
                [{'scopeSpans': [{'spans': [{'links': value}]}]}],
            ):
                for made in (
                    tempo.as_otlp({'batches': batches}),
                    tempo.as_otlp({'trace': {'resourceSpans': batches}}),
                    tempo.as_otlp(batches),
                ):
                    list(otlp.spans(made, told.append))
        self.assertNotEqual([], told)

    def test_a_service_of_any_shape_costs_only_its_name(self):
        for odd in (['x'], {'a': 1}, [[]], 7, True, '', None):
            known = {'traceId': _ID, 'timestamp': 1}
            strange = {'localEndpoint': {'serviceName': odd}}
            self.server.answers(
                [
                    known
                    | {'id': '1', 'localEndpoint': {'serviceName': 'nova'}},
                    known | strange | {'id': '2', 'parentId': '1'},
                    # Two halves of one call, and what the second one did.
                    known | strange | {'id': '2', 'shared': True},
                    known | strange | {'id': '3', 'parentId': '2'},
                ]
            )
            (trace,) = self._find()
            self.assertEqual(4, len(trace.spans), odd)
            first, caller, called, below = trace.spans
            self.assertEqual('nova', first.service)
            self.assertEqual(first.span_id, caller.parent_id)
            self.assertEqual(caller.span_id, called.parent_id)
            self.assertEqual(called.span_id, below.parent_id)

    def test_a_service_that_is_no_text_is_told(self):
        self.server.answers(
            [
                {
                    'traceId': _ID,
                    'id': '1',
                    'timestamp': 1,
                    'localEndpoint': {'serviceName': ['x']},
                }
            ]
        )
        name = f'zipkin+http://{self.server.host}'
        with contextlib.closing(sources.open_source(name)) as source:
            ((span,),) = (trace.spans for trace in source.find(_ID))
        self.assertEqual('', span.service)
        (problem,) = source.problems
        self.assertIn('service.name left out: stringValue', str(problem))

    def test_spans_of_another_trace_are_not_taken(self):
        span = {'traceId': 'b' * 32, 'id': '1' * 16, 'timestamp': 1}
        self.server.answers([span])
        self.assertEqual([], self._find())
