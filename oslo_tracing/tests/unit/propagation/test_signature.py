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

"""The signature, to the letter, and what is none."""

from __future__ import annotations

import hashlib
import hmac
import time

import fixtures
import testtools

from oslo_tracing.propagation import signature

KEY = 'a key of the services that is long enough'
OTHER = 'another key of services, as long as that'
TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03'
HEADERS = {
    'traceparent': TRACEPARENT,
    'tracestate': 'acme=1',
    'baggage': 'user=me',
}
ENVIRON = {f'HTTP_{name.upper()}': HEADERS[name] for name in HEADERS}
NOW = 1_800_000_000
MIB = 1024 * 1024


class SignatureTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.at(NOW)
        self.signer = signature.Signer([KEY], 60.0)

    def at(self, seconds):
        self.useFixture(fixtures.MonkeyPatch('time.time', lambda: seconds))
        self.assertEqual(seconds, time.time())

    def test_it_is_what_the_specification_says(self):
        for headers, text in (
            (HEADERS, f'{TRACEPARENT}\nacme=1\nuser=me'),
            ({'traceparent': TRACEPARENT, 'b3': 'x'}, f'{TRACEPARENT}\n\n'),
        ):
            text = f'oslo.tracing/v1\n{NOW}\n{text}'
            digest = hmac.new(KEY.encode(), text.encode(), hashlib.sha256)
            self.assertEqual(
                f'v1;t={NOW};s={digest.hexdigest()}',
                self.signer.sign(headers),
            )

    def test_what_was_signed_is_verified(self):
        signed = self.signer.sign(HEADERS)
        self.assertTrue(self.signer.verifies(signed, ENVIRON))

    def test_bytes_that_are_no_text_can_be_signed(self):
        environ = {**ENVIRON, 'HTTP_BAGGAGE': 'user=\xe9'}
        data = f'oslo.tracing/v1\n{NOW}\n{TRACEPARENT}\nacme=1\nuser='
        digest = hmac.new(
            KEY.encode(), data.encode() + b'\xe9', hashlib.sha256
        ).hexdigest()
        claimed = f'v1;t={NOW};s={digest}'
        self.assertTrue(self.signer.verifies(claimed, environ))

    def test_nothing_may_be_changed(self):
        signed = self.signer.sign(HEADERS)
        for name, value in (
            ('HTTP_TRACEPARENT', TRACEPARENT[:-1] + '2'),
            ('HTTP_TRACEPARENT', TRACEPARENT + ' '),
            ('HTTP_TRACEPARENT', f'{TRACEPARENT},{TRACEPARENT}'),
            ('HTTP_TRACESTATE', 'acme=2'),
            ('HTTP_TRACESTATE', ''),
            ('HTTP_BAGGAGE', 'user=me,user=me'),
            ('HTTP_BAGGAGE', 'user=me,user=\u20ac'),
            ('HTTP_BAGGAGE', 'x' * MIB),
            ('HTTP_BAGGAGE', None),
            ('HTTP_BAGGAGE', ['user=me']),
        ):
            changed = {**ENVIRON, name: value}
            self.assertFalse(self.signer.verifies(signed, changed), name)
        for name in ENVIRON:
            less = {key: ENVIRON[key] for key in ENVIRON if key != name}
            self.assertFalse(self.signer.verifies(signed, less), name)

    def test_what_is_over_a_limit_is_unsigned(self):
        for name, fits in (
            ('traceparent', 512),
            ('tracestate', 32 * 516),
            ('baggage', 8192),
        ):
            for length, verified in ((fits, True), (fits + 1, False)):
                headers = {**HEADERS, name: 'x' * length}
                environ = {**ENVIRON, f'HTTP_{name.upper()}': 'x' * length}
                signed = self.signer.sign(headers)
                self.assertEqual(
                    verified, self.signer.verifies(signed, environ)
                )

    def test_other_forms_are_none(self):
        signed = self.signer.sign(HEADERS)
        stamp, digest = signed.removeprefix('v1;').split(';')
        for claimed in (
            None,
            b'bytes',
            [signed],
            '',
            f'{signed},{signed}',
            f'{signed} ',
            f' {signed}',
            f'{signed}\n',
            signed.upper(),
            f'v2;{stamp};{digest}',
            f'v1;{digest};{stamp}',
            f'v1;{stamp};{digest[:-1]}',
            f'v1;{stamp};{digest}0',
            f'v1;t=+{stamp[2:]};{digest}',
            f'v1;t=0{stamp[2:]};{digest}',
            f'v1;t=\u0661{stamp[3:]};{digest}',
            f'v1;t={"9" * 5000};{digest}',
            f'v1;t=-1;{digest}',
            f'v1;{stamp};s={"é" * 64}',
            'x' * MIB,
        ):
            self.assertFalse(self.signer.verifies(claimed, ENVIRON), claimed)

    def test_it_ages_in_both_directions(self):
        signed = self.signer.sign(HEADERS)
        for away, verified in (
            (-60.5, False),
            (-60, True),
            (0.5, True),
            (60, True),
            (60.5, False),
            (86400, False),
        ):
            self.at(NOW + away)
            self.assertEqual(verified, self.signer.verifies(signed, ENVIRON))

    def test_clocks_that_differ_are_told_of_once(self):
        log = self.useFixture(fixtures.FakeLogger('oslo_tracing'))
        signed = self.signer.sign(HEADERS)
        other = signature.Signer([OTHER], 60.0).sign(HEADERS)
        self.at(NOW + 100)
        # Anybody could write any time.
        self.assertFalse(self.signer.verifies(other, ENVIRON))
        self.assertEqual('', log.output)
        for _ in range(3):
            self.assertFalse(self.signer.verifies(signed, ENVIRON))
        self.assertEqual(1, log.output.count('clock here'))
        self.assertNotIn(str(NOW), log.output)

    def test_the_first_key_signs_and_every_key_verifies(self):
        old = signature.Signer([KEY], 60.0)
        adding = signature.Signer([KEY, OTHER], 60.0)
        taking = signature.Signer([OTHER, KEY], 60.0)
        new = signature.Signer([OTHER], 60.0)
        for signs, verifies in (
            (old, [old, adding, taking]),
            (adding, [old, adding, taking]),
            (taking, [adding, taking, new]),
            (new, [adding, taking, new]),
        ):
            signed = signs.sign(HEADERS)
            self.assertEqual(
                [one in verifies for one in (old, adding, taking, new)],
                [
                    one.verifies(signed, ENVIRON)
                    for one in (old, adding, taking, new)
                ],
            )

    def test_a_signer_shows_no_key(self):
        shown = f'{self.signer!r} {self.signer!s}'
        for slot in signature.Signer.__slots__:
            shown += repr(getattr(self.signer, slot))
        self.assertNotIn(KEY, shown)

    def test_it_is_taken_out_of_a_request(self):
        environ = {**ENVIRON, signature.KEY: 'x'}
        self.assertEqual('x', signature.take(environ))
        self.assertEqual(ENVIRON, environ)
        self.assertIsNone(signature.take(environ))

    def test_it_is_taken_out_of_what_a_server_keeps_beside_too(self):
        # eventlet's has the headers once more, as they came.
        host = ('Host', 'api')
        raw = (
            host,
            ('X-OpenStack-Trace-Signature', 'x'),
            ('x_openstack_trace-signature', 'y'),
        )
        environ = {signature.KEY: 'x,y', 'headers_raw': raw}
        self.assertEqual('x,y', signature.take(environ))
        self.assertEqual({'headers_raw': (host,)}, environ)
        for odd in (None, 'x', [(), None, 7]):
            environ = {signature.KEY: 'x', 'headers_raw': odd}
            self.assertEqual('x', signature.take(environ))
