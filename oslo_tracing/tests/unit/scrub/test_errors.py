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

import functools
from http import client
import linecache
from multiprocessing import managers
import random
import sqlite3
import subprocess
import sys
from urllib import parse

from oslo_concurrency import processutils
from oslo_db import exception as db_exc
import requests
from sqlalchemy import exc as sa_exc

from oslo_tracing.scrub import errors
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.scrub import cases
from oslo_tracing.tests.unit.scrub import hostile


class Local(Exception):
    pass


class Odd(Exception):
    def __str__(self):
        raise RuntimeError('no')


def raised(error, cause=None):
    try:
        if cause is None:
            raise error
        raise error from cause
    except type(error) as caught:
        return caught


def deep(levels):
    if levels:
        deep(levels - 1)
    raise ValueError('Hunter2')


class ClassNameTest(base.TestCase):
    def test_python_s_own_are_bare(self):
        self.assertEqual('ValueError', errors.class_name(ValueError('x')))
        self.assertEqual('KeyError', errors.class_name(KeyError))

    def test_others_are_qualified(self):
        self.assertEqual(f'{__name__}.Local', errors.class_name(Local()))

    def test_a_hostile_name_is_bounded_and_printable(self):
        kind = type('a\n\xe4' * 500, (Exception,), {'__module__': 'm'})

        said = errors.class_name(kind())

        self.assertTrue(said.isascii() and said.isprintable())
        self.assertLessEqual(len(said), 256)


class FramesTest(base.TestCase):
    def test_files_lines_and_functions_but_no_text(self):
        error = raised(ValueError('Hunter2'))

        said = errors.frames(error)

        line = error.__traceback__.tb_lineno
        self.assertEqual(
            'Traceback (most recent call last):\n'
            f'  File "{__file__}", line {line}, in raised\n'
            'ValueError',
            said,
        )

    def test_a_chain_is_told_by_class_name(self):
        error = raised(Local('Hunter2'), raised(ValueError('Hunter2')))

        said = errors.frames(error)

        self.assertNotIn('Hunter2', said)
        self.assertEqual(2, said.count('Traceback'))
        first, second = said.split('\n\nThe above exception was the direct ')
        self.assertTrue(first.endswith('ValueError'), first)
        self.assertTrue(second.endswith(f'{__name__}.Local'), second)

    def test_a_suppressed_context_is_left_out(self):
        error = Local()
        error.__context__ = ValueError()
        self.assertIn('ValueError', errors.frames(error))

        error.__suppress_context__ = True

        self.assertEqual(f'{__name__}.Local', errors.frames(error))

    def test_a_chain_that_bites_its_tail_ends(self):
        error, other = Local(), ValueError()
        error.__cause__, other.__cause__ = other, error

        self.assertEqual(1, errors.frames(error).count('Local'))

    def test_the_innermost_of_many_frames_stay(self):
        try:
            deep(400)
        except ValueError as caught:
            said = errors.frames(caught)

        lines = said.splitlines()
        self.assertLessEqual(len(said), errors.MAX_FRAMES_LENGTH)
        self.assertLessEqual(said.count('  File '), errors.MAX_FRAMES)
        self.assertIn('frames left out]', lines[1])
        self.assertEqual('ValueError', lines[-1])
        raising = deep.__code__.co_firstlineno + 3
        self.assertIn(f'line {raising}, in deep', lines[-2])

    def test_many_causes_with_many_frames_stay_bounded(self):
        error = None
        for _ in range(40):
            try:
                try:
                    deep(60)
                except ValueError as caught:
                    raise Local from (error or caught)
            except Local as caught:
                error = caught

        said = errors.frames(error)

        self.assertLessEqual(len(said), errors.MAX_FRAMES_LENGTH)
        self.assertLessEqual(said.count('  File '), errors.MAX_FRAMES)
        self.assertTrue(said.endswith(f'{__name__}.Local'))

    def test_a_hostile_file_name_is_bounded(self):
        code = compile('1/0', 'x\n\ud800' * 5000, 'exec')
        # That of coverage cannot bear the name, and ends the process.
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            exec(code, {})
        except ZeroDivisionError as caught:
            said = errors.frames(caught)
        finally:
            sys.settrace(tracer)

        self.assertTrue(said.isascii())
        self.assertLess(len(said), 1024)

    def test_source_is_not_read(self):
        linecache.clearcache()

        errors.frames(raised(ValueError()))

        self.assertEqual({}, linecache.cache)


class DatabaseErrorTest(base.TestCase):
    def test_it_is_known_by_its_module_or_what_it_wraps(self):
        driver = sqlite3.OperationalError('no such table: Hunter2')
        wrapped = sa_exc.OperationalError('SELECT', {'a': 1}, driver)
        group = Local()
        group.exceptions = (ValueError(), driver)
        for error in (
            driver,
            wrapped,
            db_exc.DBDuplicateEntry(['a'], wrapped, 'Hunter2'),
            type('Own', (sa_exc.SQLAlchemyError,), {})('Hunter2'),
            raised(Local(str(driver)), driver),
            Local('it failed', driver),
            group,
        ):
            self.assertTrue(errors.is_database_error(error), error)
            self.assertIsNone(errors.message(error))

    def test_a_suppressed_one_counts_too(self):
        error = Local('Hunter2')
        error.__context__ = sqlite3.Error()
        error.__suppress_context__ = True

        self.assertIsNone(errors.message(error))

    def test_others_are_none(self):
        self.assertFalse(errors.is_database_error(Local('sqlalchemy')))

    def test_what_cannot_be_asked_is_taken_for_one(self):
        class Broken(Exception):
            @property
            def orig(self):
                raise RuntimeError('no')

        self.assertTrue(errors.is_database_error(Broken()))


class MessageTest(base.TestCase):
    def test_those_that_quote_a_command_say_nothing(self):
        for error in (
            subprocess.CalledProcessError(1, ['mount', 'S3CRET']),
            subprocess.TimeoutExpired(['mount', 'S3CRET'], 1),
            processutils.ProcessExecutionError(cmd='mount S3CRET'),
        ):
            self.assertIn('S3CRET', str(error))
            self.assertIsNone(errors.message(error))

    def test_nor_do_those_that_were_raised_of_one(self):
        failed = processutils.ProcessExecutionError(cmd='x', stderr='S3CRET')
        wrapped = Local(f'It failed: {failed}')
        wrapped.__cause__ = failed
        self.assertIsNone(errors.message(wrapped))
        for said in (
            # What comes from another process has no cause here.
            str(processutils.ProcessExecutionError(cmd='mount S3CRET')),
            f'No mount: {processutils.ProcessExecutionError(cmd="S3CRET")}',
            str(processutils.ProcessExecutionError('No', cmd='x S3CRET')),
            str(subprocess.CalledProcessError(1, ['mount', 'S3CRET'])),
            f'No: {subprocess.TimeoutExpired("mount S3CRET", 1)}',
        ):
            self.assertIsNone(errors.message(Local(said)), said)

    def test_nor_do_those_of_other_runners(self):
        class ProcessExecutionError(RuntimeError):
            pass

        for error in (
            # As Neutron's agents put it.
            Local('Exit code: 2; Cmd: S3CRET; Stdin: ; Stdout: ; Stderr: '),
            Local('No port: Exit code: -9; Stdin: S3CRET; Stdout: ; '),
            # As libvirt does.
            Local(
                'internal error: Child process (iscsiadm -v S3CRET) '
                'unexpected exit status 6'
            ),
            ProcessExecutionError('Code de sortie : 2; S3CRET'),
            Exception("Failed to spawn rootwrap process.\nstderr:\nb'S3CRET'"),
            managers.RemoteError('Traceback (most recent call last): S3CRET'),
        ):
            self.assertIn('S3CRET', str(error))
            self.assertIsNone(errors.message(error))

    def test_nor_do_those_that_quote_a_document(self):
        class ValidationError(Exception):
            __module__ = 'jsonschema.exceptions'

        quoting = ValidationError("'S3CRET' is not of type 'integer'")
        self.assertIsNone(errors.message(quoting))
        wrapped = raised(ValueError('S3CRET is of a wrong type'), quoting)
        self.assertIsNone(errors.message(wrapped))

    def test_nor_do_those_of_a_database_in_another_process(self):
        for said in (
            "Remote error: ProgrammingError (1064, \"near 'S3CRET'\")",
            'psycopg2.errors.InvalidText: invalid input: "S3CRET"',
        ):
            self.assertIsNone(errors.message(RuntimeError(said)))

    def test_a_header_that_cannot_be_sent_is_not_said(self):
        connection = client.HTTPConnection('127.0.0.1', 1)
        # As of a token that was read from a file.
        for call in (
            functools.partial(
                requests.get,
                'http://127.0.0.1:1/',
                headers={'Authorization': 'Bearer S3CRET\n'},
            ),
            functools.partial(
                requests.get,
                'http://127.0.0.1:1/',
                headers={'X-Auth-Token': 'S3CRET\n'},
            ),
            functools.partial(
                client.HTTPConnection.putheader,
                connection,
                'X-Auth-Token',
                'S3CRET\n',
            ),
        ):
            connection._HTTPConnection__state = 'Request-started'
            try:
                call()
            except ValueError as error:
                self.assertIn('S3CRET', str(error))
                self.assertNotIn('S3CRET', errors.message(error))
                self.assertIn('eader value', errors.message(error))
            else:
                self.fail('it was sent')

    def test_values_that_were_read_as_another_kind_are_not_said(self):
        for said, told in (
            (
                "invalid literal for int() with base 10: 'S3CRET'",
                'invalid literal for int() with base 10: REDACTED',
            ),
            (
                'Invalid input for field/attribute adminPass. Value: S3CRET. '
                "'S3CRET' is too short",
                'Invalid input for field/attribute adminPass. Value: REDACTED',
            ),
            (
                'with url: /x?auth_token=one,S3CRET&limit=2 (Caused by X)',
                'with url: /x?auth_token=REDACTED&limit=2 (Caused by X)',
            ),
            (
                'connection to http://u:one S3CRET@host:1/x failed',
                'connection to http://REDACTED:REDACTED@host:1/x failed',
            ),
        ):
            self.assertEqual(told, errors.message(ValueError(said)))

    def test_a_harmless_one_stays(self):
        for said in (
            f'Instance {cases.UUID} could not be found.',
            'File /usr/lib/python3.12/site-packages/nova/compute/manager.py',
            'No valid host was found. There are not enough hosts available.',
            "code=404, state: 'ACTIVE'",
            '',
        ):
            self.assertEqual(said, errors.message(Local(said)))

    def test_secrets_are_taken_out(self):
        for said in (
            'GET http://joe:Hunter2@h/x failed',
            '{"auth": {"password": "Hunter2"}}',
            "{'adminPass': 'Hunter2', 'a': 1}",
            'password = Hunter2',
            'api-key: Hunter2',
            'X-Auth-Token: Hunter2',
            'Authorization: Bearer Hunter2',
            'Authorization: Basic Hunter2',
            "port=80): Max retries exceeded with url: /x?temp_url_sig=Hunter2",
            'GET /v2.0/tokens/Hunter2 failed',
            'connect mysql+pymysql://nova:Hunter2@127.0.0.1/nova failed',
            'joe:Hunter2@host refused',
            "secret='two Hunter2 words'",
            'Command: openstack --os-password Hunter2 token issue',
            "Command: x --os-auth-token 'two Hunter2 words' y",
            '-----BEGIN PRIVATE KEY-----\nHunter2',
            'the token was gAAAAAHunter2',
            f'the key was {cases.BASE64_SLASH[:20]}Hunter2{"aB3" * 9}',
            f'hash Hunter2{cases.SHA256}',
        ):
            self.assertNotIn('Hunter2', errors.message(Local(said)), said)

    def test_a_password_that_was_taken_for_a_port_is_not_said(self):
        wrong = parse.urlsplit('http://squid:Hunter2/x@proxy:3128')
        no_port = self.assertRaises(ValueError, getattr, wrong, 'port')
        nonnumeric = self.assertRaises(
            client.InvalidURL, client.HTTPConnection, wrong.netloc
        )
        # What urllib3 2.8 says.
        address = (
            f"Failed to parse: '{wrong.netloc}' is not a valid host or port"
        )
        for said in (
            str(no_port),
            str(nonnumeric),
            f'{no_port!r} and {nonnumeric!r}',
            # Of httpx.
            "Invalid port: 'Hunter2'",
            address,
            f'ProxyError({Local(address)!r})',
            "Failed to parse: Host ':Hunter2<' contains invalid character '<'",
        ):
            self.assertNotIn('Hunter2', errors.message(Local(said)), said)

    def test_what_cannot_be_parsed_and_is_no_address_stays(self):
        for said in (
            'Failed to parse: line 3 is not a valid section',
            'Failed to parse: https://host/path',
            'cannot take the integer value as given',
        ):
            self.assertEqual(said, errors.message(Local(said)))

    def test_a_database_s_sentence_in_any_other_exception_is_not_said(self):
        for said in (
            "boom [SQL: INSERT INTO t] [parameters: ('Hunter2',)]",
            '(pymysql.err.IntegrityError) (1062, "Hunter2")',
            'x' * 2000 + '[parameters: (1,)]',
            # Without the class, as a service quotes them.
            '(1062, "Duplicate entry \'Hunter2\' for key \'PRIMARY\'")',
            "Incorrect integer value: 'Hunter2' for column 'x'",
            'violates "x"\nDETAIL:  Key (password)=(Hunter2) already exists.',
            'null value\nDETAIL:  Failing row contains (1, Hunter2).',
        ):
            self.assertIsNone(errors.message(Local(said)))

    def test_of_another_s_sentence_the_class_stays(self):
        for said, expected in (
            ('nova.X: (1, "Duplicate entry \'Hunter2\'")', 'nova.X'),
            ("x [SQL: INSERT 'Hunter2']", '{secret}'),
            ("X: Command '['a', 'Hunter2']' returned non-zero", 'X'),
            ('X: not found', 'X: not found'),
        ):
            self.assertEqual(expected, errors.sentence(said))

    def test_it_is_cut_before_it_is_scrubbed(self):
        for length in range(990, 1060):
            said = errors.message(Local('x ' * (length // 2) + cases.FERNET))
            self.assertLessEqual(len(said), 1024)
            self.assertNotIn('gAAAA', said)
        self.assertEqual('abcd ...', errors.message(Local('abcd ' * 99), 10))

    def test_one_that_cannot_be_said_is_not(self):
        self.assertIsNone(errors.message(Odd()))

    def test_whatever_comes_in_something_bounded_comes_out(self):
        for text in hostile.texts(random.Random(9), 500):
            said = errors.text(text)
            self.assertLessEqual(len(said), 1024)
        for text in hostile.huge():
            self.assertLessEqual(len(errors.text(text)), 1024)
            self.assertLessEqual(len(errors.message(Local(text)) or ''), 1024)

    def test_nothing_of_a_database_is_imported_for_it(self):
        before = set(sys.modules)

        errors.message(Local('x'))
        errors.frames(Local('x'))

        self.assertEqual(before, set(sys.modules))
