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

from oslo_tracing.scrub import _named
from oslo_tracing.tests import base


class HiddenTest(base.TestCase):
    def assertHidden(self, expected, text):
        self.assertEqual(expected, _named.hidden(text))
        # Again, as collected spans were scrubbed before.
        self.assertEqual(expected, _named.hidden(expected))

    def test_a_value_in_quotes_ends_where_they_end(self):
        for text, expected in (
            ("{'password': 'a', 'b': 1}", "{'password': REDACTED, 'b': 1}"),
            (repr({'password': 'it\'s "x'}), "{'password': REDACTED}"),
            ('{"password": "a\\"b"} c', '{"password": REDACTED} c'),
            ("{'password': 'a\\\\'} 'c'", "{'password': REDACTED} 'c'"),
            ("password: b'a b' c", 'password: REDACTED c'),
            # Cut.
            ("password='a b", 'password=REDACTED'),
            ('password=', 'password='),
        ):
            self.assertHidden(expected, text)

    def test_a_value_of_json_within_json_is_one(self):
        for text, expected in (
            (
                r'{"a": "{\"token\": \"b\"}"} c',
                r'{"a": "{\"token\": REDACTED}"} c',
            ),
            (
                r'{"a": "{\"token\": \"b\\\"c\", \"d\": 1}"}',
                r'{"a": "{\"token\": REDACTED, \"d\": 1}"}',
            ),
            (
                r'"{\"a\": \"{\\\"token\\\": \\\"b\\\\\\\"c\\\"}\"}" d',
                r'"{\"a\": \"{\\\"token\\\": REDACTED}\"}" d',
            ),
            # The text around it ends before it does.
            (r'{"a": "token=\"b"} c', r'{"a": "token=REDACTED} c'),
        ):
            self.assertHidden(expected, text)

    def test_of_several_values_none_stays(self):
        for text, expected in (
            ('{"passwords": ["a", "b"]} c', '{"passwords": REDACTED} c'),
            (
                "{'credentials': {'blob': '}', 'x': ('a',)}, 'c': 1}",
                "{'credentials': REDACTED, 'c': 1}",
            ),
            ("secrets = ['a', 'b", 'secrets = REDACTED'),
            ('Cookie: a=1; b=2\nHost: c', 'Cookie: REDACTED\nHost: c'),
            (
                'Authorization: Digest username="a", response="b"\nHost: c',
                'Authorization: REDACTED\nHost: c',
            ),
            ('password: |\n  a\n  b', 'password: REDACTED'),
        ):
            self.assertHidden(expected, text)

    def test_what_only_looks_like_brackets_or_quotes_is_one_value(self):
        for text, expected in (
            ('password=(x)ab c', 'password=REDACTED c'),
            ('password={k}a!b', 'password=REDACTED'),
            ('token: {SHA256}a1b2 c', 'token: REDACTED c'),
            ("password='a'bcd e", 'password=REDACTED e'),
            ('password=REDACTEDab c', 'password=REDACTED c'),
            ('password=REDACTED.ab c', 'password=REDACTED c'),
            ('(password={a}).', '(password=REDACTED).'),
        ):
            self.assertHidden(expected, text)

    def test_a_name_is_known_wherever_it_stands(self):
        for text, expected in (
            (
                "[('X-Auth-Token', 'a'), ('b', 1)]",
                "[('X-Auth-Token', REDACTED), ('b', 1)]",
            ),
            ("data['password'] = 'a'", "data['password'] = REDACTED"),
            ('set_password("a", 1)', 'set_password(REDACTED, 1)'),
            ("Invalid password 'a'.", 'Invalid password REDACTED.'),
            ('<adminPass>a</adminPass>', '<adminPass>REDACTED</adminPass>'),
            (
                '<x:token y="z">a</x:token>',
                '<x:token y="z">REDACTED</x:token>',
            ),
            ('secret_key -> a', 'secret_key -> REDACTED'),
            ("'hmac_key': 'a', 'b': 1", "'hmac_key': REDACTED, 'b': 1"),
            ("encryption_key='a'", 'encryption_key=REDACTED'),
            ('signing-key: a', 'signing-key: REDACTED'),
            ('user_data=a', 'user_data=REDACTED'),
            ('--os-password a b', '--os-password REDACTED b'),
        ):
            self.assertHidden(expected, text)

    def test_what_only_speaks_of_secrets_stays(self):
        for text in (
            'Could not recognize Fernet token.',
            'The password is too short.',
            "Passing 'a' to 'b'.",
            'Authorization failed.',
            "secret: REDACTED, next: 'a'",
        ):
            self.assertHidden(text, text)

    def test_a_hostile_text_is_read_to_its_end(self):
        # In the square of its length that would be past the test's timeout.
        for text in (
            'password' * 2000,
            'token"' * 3000,
            '<password' * 2000,
            '\\' * 16000,
            'password=\\' * 1600,
            'password=[' + '\\' * 16000,
            'password={a}' * 1600,
            "password=['" * 1600,
            'password="' + '\\"' * 8000,
            'x-auth-' + 'a-' * 8000,
            "token '" * 2300,
        ):
            said = _named.hidden(10 * text + ', token=a')
            self.assertFalse(said.endswith('a'), text[:16])
