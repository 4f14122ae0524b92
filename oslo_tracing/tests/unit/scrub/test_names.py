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

from __future__ import annotations

import random
import threading
import tracemalloc

from oslo_tracing.scrub import names
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.scrub import cases
from oslo_tracing.tests.unit.scrub import hostile

GUESSES = (
    ('/', '/'),
    ('', '/'),
    ('*', '*'),
    ('//a//b/', '/a/b'),
    ('/v2.1/servers/detail', '/v2.1/servers/detail'),
    (
        f'/v2.1/{cases.HEX_ID}/servers/{cases.UUID}/action',
        '/v2.1/{id}/servers/{id}/action',
    ),
    ('/servers/17/x', '/servers/{id}/x'),
    (f'/requests/req-{cases.UUID}', '/requests/{id}'),
    (f'/v1/AUTH_{cases.HEX_ID}/c', '/v1/{id}/c'),
    ('/v3/auth/tokens', '/v3/auth/tokens'),
    ('/v2.0/tokens/abc', '/v2.0/tokens/{secret}'),
    (f'/x/{cases.FERNET}', '/x/{secret}'),
    ('/users/joe@example.com', '/users/{id}'),
    ('/users/J%C3%B6rg', '/users/{id}'),
    ('/users/J\xf6rg', '/users/{id}'),
    ('/os-hypervisors/cmp01.example.org', '/os-hypervisors/{id}'),
    ('/x/abcdefgh12345678', '/x/{id}'),
    ('/x/2024-01-01', '/x/{id}'),
    ('/OS-OAUTH1/access_tokens', '/OS-OAUTH1/access_tokens'),
    ('/s3tokens', '/s3tokens'),
    ('/openstack/latest/meta_data.json', '/openstack/latest/meta_data.json'),
    ('/x/{y}', '/x/{id}'),
    ('/x?token=a', '/x'),
    ('/x#y', '/x'),
    ('/x;token=a/y', '/{secret}/y'),
    ('/' + 'word/' * 100, '/' + '/'.join(['word'] * 25)),
)

TEMPLATES = (
    ('/servers/{id}', '/servers/{id}'),
    ('/{project_id:[0-9a-f-]+}/servers/{id}', '/{project_id}/servers/{id}'),
    ('/{a:[0-9]{3}}/{b:(x{1,2}|y)}/z', '/{a}/{b}/z'),
    (r'/{a:\}\{x}/z', '/{a}/z'),
    ('/servers/:id', '/servers/{id}'),
    ('/servers/:(id)/x', '/servers/{id}/x'),
    ('/servers/:(id:[0-9]+)/x', '/servers/{id}/x'),
    ('/servers.:(format)', '/servers.{format}'),
    ('/servers/{id}{.format}', '/servers/{id}.{format}'),
    ('/*url', '/{url}'),
    ('/*(path_info)', '/{path_info}'),
    ('/v1/{id}:action', '/v1/{id}:action'),
    ('/users/<user_id>', '/users/{user_id}'),
    ('/users/<string:user_id>/x', '/users/{user_id}/x'),
    ('/<string(length=2):lang>/x', '/{lang}/x'),
    ('/<any("a>b", c):x>/y', '/{x}/y'),
    ('/<path:rest>', '/{rest}'),
    ('servers', '/servers'),
    ('', '/'),
    ('/{a:[0-9', '/{a}'),
    ('/<a', '/{id}'),
    ('/{not a name}', '/{id}'),
)


class MethodTest(base.TestCase):
    def test_a_known_method_is_told_as_it_is(self):
        for name in ('GET', 'PATCH', 'TRACE'):
            self.assertEqual((name, name, None), names.method(name))

    def test_any_other_is_told_beside_the_name(self):
        self.assertEqual(('HTTP', '_OTHER', 'get'), names.method('get'))
        self.assertEqual(('HTTP', '_OTHER', 'PURGE'), names.method('PURGE'))
        self.assertEqual(('HTTP', '_OTHER', ''), names.method(None))

    def test_what_is_told_of_it_is_short_and_printable(self):
        _name, _method, original = names.method('\x1b\u202e' + 'X-' * 5000)

        self.assertEqual('??' + 'X-' * 31, original)

    def test_a_token_in_it_is_not_told(self):
        self.assertEqual('{secret}', names.method(cases.FERNET)[2])


class CleanedPathTest(base.TestCase):
    def test_words_stay_and_ids_do_not(self):
        said = [(given, names.cleaned_path(given)) for given, _ in GUESSES]

        self.assertEqual(list(GUESSES), said)

    def test_whatever_comes_in_a_short_name_comes_out(self):
        for text in hostile.texts(random.Random(3), 1000):
            said = names.cleaned_path(text)
            self.assertTrue(said.startswith('/') or said == '*', said)
            self.assertLessEqual(len(said), 128)
            self.assertTrue(said.isascii() and said.isprintable())
            self.assertEqual(said, names.cleaned_path(said))

    def test_only_the_start_of_a_huge_path_is_read(self):
        for text in hostile.huge():
            self.assertLessEqual(len(names.cleaned_path(text)), 128)


class TemplateTest(base.TestCase):
    def test_names_stay_and_what_they_match_does_not(self):
        said = [(given, names.template(given)) for given, _ in TEMPLATES]

        self.assertEqual(list(TEMPLATES), said)

    def test_whatever_comes_in_a_bounded_route_comes_out(self):
        for text in hostile.texts(random.Random(5), 500):
            said = names.template(text)
            self.assertTrue(said.startswith('/'))
            self.assertLessEqual(len(said), 256)
        for text in hostile.huge():
            self.assertLessEqual(len(names.template(text)), 256)


class EventTypeTest(base.TestCase):
    def test_it_is_printable_and_short(self):
        self.assertEqual(
            'compute.instance.create.end',
            names.event_type('compute.instance.create.end'),
        )
        self.assertEqual('a?b', names.event_type('a\nb'))
        self.assertEqual('x.{id}', names.event_type(f'x.{cases.UUID}'))
        self.assertEqual('x.{secret}', names.event_type(f'x.{cases.SHA1}'))
        self.assertEqual('_OTHER', names.event_type(' '))
        self.assertEqual('_OTHER', names.event_type(None))
        self.assertLessEqual(len(names.event_type('a.' * 500)), 128)

    def test_one_too_many_is_another(self):
        budget = names.NameBudget(2)

        said = [names.event_type(kind, budget) for kind in 'abcab']

        self.assertEqual(['a', 'b', '_OTHER', 'a', 'b'], said)


LOCKS = (
    ('compute_resources', 'compute_resources'),
    (cases.UUID, '{id}'),
    (f'refresh_cache-{cases.UUID}', 'refresh_cache-{id}'),
    (f'image-{"0a1b2c3d" * 5}', 'image-{id}'),
    ('tap12ab34cd-ef', 'tap{n}-ef'),
    ('disk12', 'disk{n}'),
    (f'token-{cases.FERNET}', 'token-{secret}'),
    ('a\nb', 'a?b'),
    ('', '_OTHER'),
    (None, '_OTHER'),
)

COMMANDS = (
    (('qemu-img', 'info', 'x'), 'qemu-img'),
    (('/usr/sbin/ip', 'link'), 'ip'),
    (('env', 'LC_ALL=C', 'qemu-img'), 'qemu-img'),
    (('env', 'TOKEN=a b'), 'env'),
    (('PASSWORD=x', 'mysql'), '_OTHER'),
    (('mysql -pS3CRET',), '_OTHER'),
    ((cases.FERNET,), '_OTHER'),
    ((), '_OTHER'),
)


class LockTest(base.TestCase):
    def test_ids_and_digits_are_reduced(self):
        for name, expected in LOCKS:
            self.assertEqual(
                expected, names.lock(name, names.NameBudget()), name
            )

    def test_a_long_one_is_cut(self):
        said = names.lock('a-' * 500, names.NameBudget())
        self.assertLessEqual(len(said), 128)

    def test_their_number_is_bounded(self):
        budget = names.NameBudget(2)
        self.assertEqual(
            ['a', 'b', '_OTHER', 'a'],
            [names.lock(name, budget) for name in 'abca'],
        )


class ProgramTest(base.TestCase):
    def test_only_the_program_is_told(self):
        for command, expected in COMMANDS:
            self.assertEqual(
                expected,
                names.program(command, False, names.NameBudget()),
                command,
            )

    def test_nothing_of_what_env_is_given(self):
        for given, expected in (
            ('db.password=pa/S3CRET', 'mysql'),
            ('1=/x/S3CRET', 'mysql'),
            ('=/x/S3CRET', 'mysql'),
            (b'a-b=/x/S3CRET', 'mysql'),
            # What follows an option may be its value.
            ('--unset=/x/S3CRET', 'env'),
            ('-u/x/S3CRET', 'env'),
            ('-C/x/S3CRET', 'env'),
        ):
            self.assertEqual(
                expected,
                names.program(
                    ('env', given, 'mysql'), False, names.NameBudget()
                ),
                given,
            )

    def test_nothing_of_what_only_a_shell_would_set(self):
        said = names.program(
            ('PASSWORD=pa/S3CRET', 'mysql'), False, names.NameBudget()
        )
        self.assertEqual('_OTHER', said)

    def test_of_a_line_for_a_shell_nothing(self):
        said = names.program(('mysql -px',), True, names.NameBudget())
        self.assertEqual('sh', said)


class NameBudgetTest(base.TestCase):
    def test_the_fallback_of_the_call_wins(self):
        budget = names.NameBudget(1, 'general')
        budget.take('first')

        self.assertEqual('general', budget.take('second'))
        self.assertEqual('GET', budget.take('second', 'GET'))
        self.assertEqual('first', budget.take('first', 'GET'))

    def test_a_long_name_is_not_kept(self):
        budget = names.NameBudget()

        self.assertEqual('_OTHER', budget.take('x' * 257))
        self.assertEqual(0, len(budget))

    def test_threads_together_do_not_exceed_it(self):
        budget = names.NameBudget(100)
        start = threading.Barrier(8)
        said: list[set[str]] = [set() for _ in range(8)]

        def take(mine):
            start.wait()
            for number in range(2000):
                said[mine].add(budget.take(f'name {number}'))

        threads = [threading.Thread(target=take, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        distinct = set().union(*said) - {names.OTHER}

        self.assertLessEqual(len(distinct), 100)
        self.assertLessEqual(len(budget), 100)

    def test_a_hundred_thousand_strangers_make_nothing_grow(self):
        budget = names.NameBudget(500)
        rng = random.Random(1)
        letters = 'abcdefghijklmnopqrstuvwxyz'

        def requests(count):
            distinct = set()
            for _ in range(count):
                word = ''.join(rng.choices(letters, k=8))
                name, _method, _original = names.method(word.upper())
                path = names.cleaned_path(f'/{word}/{rng.random()}')
                distinct.add(budget.take(f'{name} {path}', name))
            return distinct

        first = requests(2000)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = tracemalloc.get_traced_memory()[0]
        distinct = first | requests(100000)
        grown = tracemalloc.get_traced_memory()[0] - before

        self.assertEqual(501, len(distinct))
        self.assertEqual(500, len(budget))
        self.assertLess(grown, 100 * 1024)
