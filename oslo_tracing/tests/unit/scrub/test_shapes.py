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
from oslo_utils import strutils

from oslo_tracing.scrub import _shapes
from oslo_tracing.tests import base

_SECRET = (
    'access_token_raw',
    'chap_secret_0',
    'http.request.header.x-account-meta-temp-url-key',
    'http.request.header.x-auth-like',
    'http.request.header.x-auth-token-2',
    'http.request.header.x-storage-pass',
    'old_password_2',
    'password1',
    'passwordHash',
    'private_key_pem',
    'secret_value',
    'totp.passcode',
    'user.password_hash',
)
_PUBLIC = (
    'bypass',
    'code',
    'compass',
    'db.query.text',
    'hash',
    'http.request.body.size',
    'key',
    'keystone.token_type',
    'monkey',
    'openstack.db.top.counts',
    'pass',
    'password_expires_at',
    'public_key',
    'routing_key',
    'secretary',
    'state',
    'token.issued_at',
    'user.id',
    'uuid',
    'value_2',
)


class IsSensitiveTest(base.TestCase):
    def test_names_of_secrets(self):
        for key in _SECRET:
            for written in (key, key.upper(), key.replace('_', '-')):
                self.assertTrue(
                    _shapes.is_sensitive(written, alone=False), written
                )

    def test_names_of_anything_else(self):
        for key in _PUBLIC:
            self.assertFalse(_shapes.is_sensitive(key, alone=False), key)

    def test_what_openstack_takes_for_secrets(self):
        for key in strutils._SANITIZE_KEYS:
            self.assertTrue(_shapes.is_sensitive(key, alone=False), key)
