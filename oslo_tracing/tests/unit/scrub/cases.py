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

"""URLs and paths, and what may be said of them.

One table for the library and for whatever else scrubs traces, such as the
collection of traces in the gate: (which function, given, expected).
"""

from __future__ import annotations

UUID = '9f3c1e52-2d0b-4b0e-8d9a-1c2d3e4f5a6b'
HEX_ID = '0123456789abcdef0123456789abcdef'
SHA1 = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'
SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
FERNET = 'gAAAAABmT4nDq3o7Zb1xY9Wc-kR2_LmNpQsTuVwXyZ0123456789abcdef=='
JWT = (
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0'
    '.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'
)
BASE64 = 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA='
BASE64_SLASH = 'q83vEjRWeJCr/ze8SNFZ4kKvN7/xI0VniQq83vEjRWeJA='
BASE64URL = 'Zk3v_EjRWeJCr-ze8SNFZ4kKvN7xI0VniQq83vEj'

URLS = (
    # Nothing to hide.
    ('http://nova:8774/v2.1/servers', 'http://nova:8774/v2.1/servers'),
    (f'http://nova/v2.1/servers/{UUID}', f'http://nova/v2.1/servers/{UUID}'),
    (
        'http://h/v2/images?limit=10&sort_key=name&marker=' + UUID,
        'http://h/v2/images?limit=10&sort_key=name&marker=' + UUID,
    ),
    ('http://[2001:db8::1]:9292/v2', 'http://[2001:db8::1]:9292/v2'),
    ('http://h:99999999/x', 'http://h:99999999/x'),
    ('http://h:bad/x', 'http://h:bad/x'),
    ('http://h/users/joe@example.com', 'http://h/users/joe@example.com'),
    ('http://h/x?q=state:ACTIVE&name=a%20b', None),
    ('http://h/x?temp_url_expires=17', None),
    ('http://h/x?statement=1&codec=2&sigma=3&status=4', None),
    ('http://h/x?email=joe@example.com', None),
    ('http://h/x?created_at=gte:2024-01-01T10:00:00', None),
    ('http://h/x?a=100%', None),
    ('http://h/x#top', None),
    ('', ''),
    # User and password.
    ('http://joe:pw@h/x', 'http://REDACTED:REDACTED@h/x'),
    ('http://joe@h/x', 'http://REDACTED:REDACTED@h/x'),
    ('http://:pw@h/', 'http://REDACTED:REDACTED@h/'),
    ('http://joe:p@w@h/', 'http://REDACTED:REDACTED@h/'),
    ('http://joe:p/w@h/x', 'http://REDACTED:REDACTED@h/x'),
    ('http://joe:p?w@h/x', 'http://REDACTED:REDACTED@h/x'),
    ('http://joe:p#w@h:80/x', 'http://REDACTED:REDACTED@h:80/x'),
    ('http://joe:pw@[::1]:80/', 'http://REDACTED:REDACTED@[::1]:80/'),
    ('//joe:pw@h/', '//REDACTED:REDACTED@h/'),
    ('joe:pw@h:80/x', 'REDACTED:REDACTED@h:80/x'),
    ('http:\\\\joe:pw@h\\x', 'http://REDACTED:REDACTED@h/x'),
    ('ht\ttp://joe:pw@h/', 'http://REDACTED:REDACTED@h/'),
    ('http://joe%3Apw%40h/x', 'http://REDACTED:REDACTED@h/x'),
    ('rabbit://a:b@h1:1,c:d@h2:2/v', 'rabbit://REDACTED:REDACTED@h2:2/v'),
    ('http://REDACTED:REDACTED@h/', 'http://REDACTED:REDACTED@h/'),
    # Keys of a query.
    (
        'http://h/?AWSAccessKeyId=x&b=1',
        'http://h/?AWSAccessKeyId=REDACTED&b=1',
    ),
    ('http://h/?Signature=x', 'http://h/?Signature=REDACTED'),
    ('http://h/?X-Goog-Signature=x', 'http://h/?X-Goog-Signature=REDACTED'),
    ('http://h/?X-Amz-Signature=x', 'http://h/?X-Amz-Signature=REDACTED'),
    ('http://h/?sig=x', 'http://h/?sig=REDACTED'),
    ('http://h/?token=x', 'http://h/?token=REDACTED'),
    ('http://h/?TOKEN=x', 'http://h/?TOKEN=REDACTED'),
    ('http://h/?temp_url_sig=x', 'http://h/?temp_url_sig=REDACTED'),
    (
        'http://h/?password=a&secret=b',
        'http://h/?password=REDACTED&secret=REDACTED',
    ),
    ('http://h/?code=a&state=b', 'http://h/?code=REDACTED&state=REDACTED'),
    ('http://h/?SAMLResponse=x', 'http://h/?SAMLResponse=REDACTED'),
    ('http://h/?agent_token=x', 'http://h/?agent_token=REDACTED'),
    ('http://h/?trust_id=x', 'http://h/?trust_id=REDACTED'),
    ('http://h/?X-Auth-Token=x', 'http://h/?X-Auth-Token=REDACTED'),
    ('http://h/?x_auth_key=x', 'http://h/?x_auth_key=REDACTED'),
    ('http://h/?access_token=x', 'http://h/?access_token=REDACTED'),
    ('http://h/?client_secret=x', 'http://h/?client_secret=REDACTED'),
    ('http://h/?user[password]=x', 'http://h/?user[password]=REDACTED'),
    ('http://h/?a=1&amp;token=x', 'http://h/?a=1&amp;token=REDACTED'),
    ('http://h/?to\nken=x', 'http://h/?token=REDACTED'),
    ('http://h/?t%6Fken=x', 'http://h/?t%6Fken=REDACTED'),
    ('http://h/?t%256Fken=x', 'http://h/?t%256Fken=REDACTED'),
    ('http://h/?token%3Dx', 'http://h/?REDACTED'),
    ('http://h/?a=1;token=x', 'http://h/?a=REDACTED'),
    ('http://h/?token=a=b=c', 'http://h/?token=REDACTED'),
    ('http://h/?token=', 'http://h/?token='),
    # Values whose key says nothing.
    ('http://h/?a=' + FERNET, 'http://h/?a=REDACTED'),
    ('http://h/?a=' + JWT, 'http://h/?a=REDACTED'),
    ('http://h/?a=' + SHA256, 'http://h/?a=REDACTED'),
    ('http://h/?' + SHA1, 'http://h/?REDACTED'),
    # Inside of something else.
    ('http://h/?next=http%3A%2F%2Fj%3Ap%40i%2F', 'http://h/?next=REDACTED'),
    (
        'http://h/?next=http%3A%2F%2Fi%2F%3Ftoken%3Dx',
        'http://h/?next=REDACTED',
    ),
    (
        'http://h/?next=http%253A%252F%252Fi%253Ftoken%253Dx',
        'http://h/?next=REDACTED',
    ),
    ('http://h/?next=http://i/?token=x&b=1', 'http://h/?next=REDACTED&b=1'),
    ('http://h/vnc.html?path=%3Ftoken%3Dx', 'http://h/vnc.html?path=REDACTED'),
    ('http://h/?next=%2Ftokens%2Fabc', 'http://h/?next=REDACTED'),
    ('http://h/?f={"password":"x"}', 'http://h/?f=REDACTED'),
    ('http://h/?a=' + '%' + '25' * 9 + '41', 'http://h/?a=REDACTED'),
    ('http%3A%2F%2Fh%2F%3Ftoken%3Dx', '{secret}'),
    # Fragments and matrix parameters.
    ('http://h/#access_token=x&a=1', 'http://h/#access_token=REDACTED&a=1'),
    ('http://h/#access_token=a/b', 'http://h/#access_token=REDACTED'),
    ('http://h/#/login?token=x', 'http://h/#/login?token=REDACTED'),
    ('http://h/#/tokens/x', 'http://h/#/tokens/{secret}'),
    ('http://h/x;token=a/b', 'http://h/x;token=REDACTED/b'),
    ('http://h/x;jsessionid=a?b=1', 'http://h/x;jsessionid=REDACTED?b=1'),
    ('http://h/x%3Btoken%3Da/b', 'http://h/{secret}/b'),
    # The path of a URL is a path.
    ('http://h/v2.0/tokens/abc', 'http://h/v2.0/tokens/{secret}'),
)

PATHS = (
    # Ids and names stay.
    ('/', None),
    ('*', None),
    ('/v3/auth/tokens', None),
    ('/v3/auth/tokens/', None),
    (f'/v2.1/{HEX_ID}/servers/{UUID}/action', None),
    (f'/v2.1/servers/{UUID.upper()}', None),
    (f'/requests/req-{UUID}', None),
    (f'/v1/AUTH_{HEX_ID}/images/ubuntu-22.04-server-cloudimg-amd64.img', None),
    (f'/volumes/volume-{UUID}/snapshot-{UUID}', None),
    (
        '/v1/AUTH_x/c/my-very-long-object-name-that-is-made-of-words.tar.gz',
        None,
    ),
    ('/v1/AUTH_x/c/backup_2024_01_01_database_production_full_dump', None),
    ('/c/My-Quarterly-Report-Final-Version-2024-Q3-Signed', None),
    ('/c/OpportunisticLockingFailureException', None),
    ('/users/joe@example.com', None),
    ('/v3/users/%C3%A4%20b', None),
    ('/100%/x', None),
    ('/mytokens/abc', None),
    ('/keyJar.tar.gz', None),
    # What follows these words is one.
    ('/v2.0/tokens/abc', '/v2.0/tokens/{secret}'),
    (f'/v2.0/tokens/{HEX_ID}/endpoints', '/v2.0/tokens/{secret}'),
    ('/v2.0/TOKENS/abc', '/v2.0/TOKENS/{secret}'),
    ('/v2.0/tokens//abc', '/v2.0/tokens//{secret}'),
    ('/v2.0/t%6Fkens/abc', '/v2.0/t%6Fkens/{secret}'),
    ('/v2.0%2Ftokens/abc', '/v2.0%2Ftokens/{secret}'),
    ('/v2.0/tokens%2Fabc', '/v2.0/{secret}'),
    ('/v2.0/tokens%252Fabc', '/v2.0/{secret}'),
    (f'/v1/webhooks/{UUID}/trigger', '/v1/webhooks/{secret}'),
    ('/api/webhooks/123/abc', '/api/webhooks/{secret}'),
    # Tokens by their looks.
    ('/x/gAAAAAB', '/x/{secret}'),
    (f'/x/{FERNET}/y', '/x/{secret}/y'),
    (f'/x/{JWT}/y', '/x/{secret}/y'),
    ('/x/eyJh.eyJz.abc', '/x/{secret}'),
    ('/x/%67AAAAABmT4nD', '/x/{secret}'),
    (f'/x/{SHA1}', '/x/{secret}'),
    (f'/x/{SHA256}.json', '/x/{secret}.json'),
    (f'/x/{HEX_ID}0', '/x/{secret}'),
    (f'/x/{BASE64}', '/x/{secret}'),
    (f'/x/{BASE64URL}', '/x/{secret}'),
    (f'/x/{BASE64_SLASH}/y', '/x/{secret}/y'),
    (f'/x/{BASE64_SLASH.replace("/", "%2F")}/y', '/x/{secret}/y'),
    ('/x/' + 'a' * 64, '/x/{secret}'),
    ('/x/ABCD2-EFGH3-JKLM4-NPQR5-STUV6-WXY7Z-A2B3C', '/x/{secret}'),
    (
        '/services/T024BE7LH/B024BE7LH/XZ1lkjh3JHJ45kjhHJKH5jhk',
        '/services/{secret}',
    ),
    # What WSGI decoded.
    ('/x?token=abc&a=1', '/x?token=REDACTED&a=1'),
    ('/x&token=abc', '/x&token=REDACTED'),
    ('/proxy/http://joe:pw@h/x', '/proxy/http://REDACTED:REDACTED@h/x'),
    ('/token=abc/x', '/token=REDACTED/x'),
)


def all_cases():
    """Yield (name of the function, given, expected)."""
    for name, table in (('url', URLS), ('path', PATHS)):
        for given, expected in table:
            yield name, given, given if expected is None else expected
