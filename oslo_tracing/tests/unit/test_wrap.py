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

import contextlib
import gc
import importlib
import os
import sys
import threading
import types
import weakref

import fixtures
import wrapt

from oslo_tracing import _wrap
from oslo_tracing import exceptions
from oslo_tracing.tests import base


class Owner:
    def method(self):
        return 'original'

    @staticmethod
    def static():
        return 'static'

    value = 3


class Heir(Owner):
    pass


def _shout(original):
    def method(self):
        return original(self).upper()

    return method


class WrapTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.undo = contextlib.ExitStack()
        self.addCleanup(self.undo.close)

    def _wrap(self, owner, name):
        _wrap.wrap(
            owner,
            name,
            _shout,
            self.undo,
            distribution='oslo.config',
            untraced='calls are',
        )

    def test_it_stands_in_and_goes_back(self):
        original = Owner.__dict__['method']
        self._wrap(Owner, 'method')
        self.assertEqual('ORIGINAL', Heir().method())
        self.assertEqual('method', Owner.method.__name__)
        self.undo.close()
        self.assertIs(original, Owner.__dict__['method'])

    def test_what_somebody_wrapped_before_gets_its_instance(self):
        seen = []

        def theirs(wrapped, instance, args, kwargs):
            seen.append((instance, args))
            return wrapped(*args, **kwargs)

        original = Owner.__dict__['method']
        self.addCleanup(setattr, Owner, 'method', original)
        wrapt.wrap_function_wrapper(Owner, 'method', theirs)
        wrapped = Owner.__dict__['method']
        self._wrap(Owner, 'method')
        owner = Owner()
        self.assertEqual('ORIGINAL', owner.method())
        self.assertEqual([(owner, ())], seen)
        self.undo.close()
        self.assertIs(wrapped, Owner.__dict__['method'])

    def test_somebody_elses_wrapper_is_left_alone(self):
        self.useFixture(
            fixtures.MonkeyPatch(f'{__name__}.Owner.method', Owner.method)
        )
        self._wrap(Owner, 'method')
        theirs = _shout(Owner.__dict__['method'])
        Owner.method = theirs
        self.undo.close()
        self.assertIs(theirs, Owner.__dict__['method'])

    def test_a_missing_seam_is_named(self):
        for owner, name in (
            (Owner, 'absent'),
            (Heir, 'method'),
            (Owner, 'static'),
            (Owner, 'value'),
        ):
            error = self.assertRaises(
                exceptions.SeamMissing, self._wrap, owner, name
            )
            self.assertEqual('oslo.config', error.library)
            self.assertNotEqual('unknown', error.version)

    def test_an_unknown_distribution_has_an_unknown_version(self):
        self.assertEqual('unknown', _wrap.version_of('no-such-thing-here'))


class OnImportTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.undo = contextlib.ExitStack()
        self.addCleanup(self.undo.close)
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.useFixture(
            fixtures.MonkeyPatch('sys.path', [self.directory, *sys.path])
        )

    def _module(self, name):
        with open(os.path.join(self.directory, f'{name}.py'), 'w') as stream:
            stream.write('VALUE = 1\n')
        self.addCleanup(sys.modules.pop, name, None)
        return name

    def test_a_module_that_is_there(self):
        seen = []
        _wrap.on_import('contextlib', seen.append, self.undo)
        self.assertEqual([contextlib], seen)

    def test_a_module_that_comes_later_is_not_imported(self):
        name = self._module('comes_later')
        seen = []
        _wrap.on_import(name, seen.append, self.undo)
        self.assertNotIn(name, sys.modules)
        module = __import__(name)
        self.assertEqual([module], seen)

    def test_not_after_the_undo(self):
        name = self._module('comes_too_late')
        seen = []
        _wrap.on_import(name, seen.append, self.undo)
        self.undo.close()
        self.assertIsInstance(__import__(name), types.ModuleType)
        self.assertEqual([], seen)

    def test_nothing_grows_however_often_it_waits(self):
        def attach(module):
            self.fail('not imported')

        held = weakref.ref(attach)
        hooks = []
        real = wrapt.register_post_import_hook

        def counted(hook, name):
            hooks.append(name)
            real(hook, name)

        self.useFixture(
            fixtures.MonkeyPatch('wrapt.register_post_import_hook', counted)
        )
        for _ in range(10):
            with contextlib.ExitStack() as undo:
                _wrap.on_import('never_comes', attach, undo)
        del attach
        gc.collect()
        self.assertIsNone(held())
        self.assertEqual(['never_comes'], hooks)

    def test_it_waits_again_for_a_module_that_went_and_came_back(self):
        name = self._module('comes_back')
        for _ in range(2):
            seen = []
            with contextlib.ExitStack() as undo:
                _wrap.on_import(name, seen.append, undo)
                module = importlib.import_module(name)
                self.assertEqual([module], seen)
            del sys.modules[name]

    def test_a_module_that_another_thread_is_importing(self):
        name = self._slow_module('is_being_imported', 'VALUE = 1')
        begun, go_on = self._importing(name)
        seen = []

        def attach(module):
            seen.append(module.VALUE)

        thread = threading.Thread(
            target=_wrap.on_import, args=(name, attach, self.undo)
        )
        begun.wait(10)
        thread.start()
        # Nothing is to come of it yet.
        thread.join(0.1)
        self.assertEqual([], seen)
        go_on.set()
        thread.join(10)
        self.assertEqual([1], seen)
        self.assertEqual('', self.log.output)

    def test_a_module_that_another_thread_cannot_import(self):
        name = self._slow_module('is_not_imported', 'raise ImportError')
        begun, go_on = self._importing(name)
        seen = []
        thread = threading.Thread(
            target=_wrap.on_import, args=(name, seen.append, self.undo)
        )
        begun.wait(10)
        thread.start()
        # Nothing is to come of it yet.
        thread.join(0.1)
        self.assertEqual([], seen)
        go_on.set()
        thread.join(10)
        self.assertEqual([], seen)
        self.assertNotIn(name, sys.modules)

    def test_a_module_whose_import_brings_another(self):
        inner, outer = self._module('is_inner'), self._module('is_outer')
        with open(os.path.join(self.directory, f'{outer}.py'), 'w') as stream:
            stream.write(f'import {inner}\nVALUE = 2\n')
        seen = []

        def attach_both(module):
            # As an integration does for the first of two that comes.
            for name in (inner, outer):
                _wrap.on_import(
                    name, lambda module: seen.append(module.VALUE), self.undo
                )

        _wrap.on_import(inner, attach_both, self.undo)
        _wrap.on_import(outer, lambda module: None, self.undo)
        importlib.import_module(outer)
        self.assertEqual([1, 2], seen)
        self.assertEqual('', self.log.output)

    def _slow_module(self, name, last_line):
        self._module(name)
        path = os.path.join(self.directory, f'{name}.py')
        with open(path, 'w') as stream:
            stream.write(
                'import slow_import_events as events\n'
                'events.begun.set()\n'
                'events.go_on.wait(10)\n'
                f'{last_line}\n'
            )
        return name

    def _importing(self, name):
        """Begin to import a module in another thread."""
        events = types.ModuleType('slow_import_events')
        events.begun, events.go_on = threading.Event(), threading.Event()
        sys.modules[events.__name__] = events
        self.addCleanup(sys.modules.pop, events.__name__)

        def import_it():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)

        thread = threading.Thread(target=import_it)
        thread.start()
        self.addCleanup(thread.join, 10)
        return events.begun, events.go_on

    def test_an_error_of_ours_is_not_one_of_the_import(self):
        name = self._module('breaks_us')

        def broken(module):
            raise RuntimeError('S3CRET')

        _wrap.on_import(name, broken, self.undo)
        self.assertEqual(1, __import__(name).VALUE)
        self.assertIn('RuntimeError', self.log.output)
        self.assertNotIn('S3CRET', self.log.output)

    def test_a_missing_seam_costs_one_warning(self):
        def missing(module):
            raise exceptions.SeamMissing('oslo.x', '1.2', 'RPC calls are')

        _wrap.on_import('contextlib', missing, self.undo)
        self.assertEqual(
            'oslo.x 1.2 lacks a place to attach to: RPC calls are not '
            'traced.\n',
            self.log.output,
        )
