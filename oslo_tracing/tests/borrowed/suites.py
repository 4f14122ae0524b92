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

"""The unit suites of the libraries that we attach to."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import importlib.util
import types


def _nothing() -> Mapping[str, str]:
    return types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Suite:
    """A suite that ships in its library's package.

    :ivar package: the package that the tests are discovered in.
    :ivar tests: how many tests pass at least; fewer mean that the suite
        did not really run.
    :ivar spans: what must have been recorded at least once in the traced
        run, as scope and kind of span: without it nothing was compared.
    :ivar requirements: modules that its tests need, of the library's own
        test requirements.
    :ivar without: packages in it that are not unit tests.
    :ivar data: a directory that the tests expect below the current one,
        relative to ``site-packages``.
    :ivar through_filter: send the requests of the tests through our WSGI
        filter; nothing else in the suite would.
    :ivar enable: options of ``[tracing]`` that are off by default, and in
        the traced run on.
    :ivar loader: a function of the library, as ``module:function``, that
        returns an application; our filter is put in front of it.
    :ivar seconds: how long one run may take.
    :ivar expected: tests whose outcome must differ, each with the reason.
    :ivar leave_open: tests that must leave a span active, each with the
        reason.
    """

    package: str
    tests: int
    spans: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    data: str | None = None
    through_filter: bool = False
    enable: tuple[str, ...] = ()
    loader: str | None = None
    seconds: int = 600
    expected: Mapping[str, str] = dataclasses.field(default_factory=_nothing)
    leave_open: Mapping[str, str] = dataclasses.field(default_factory=_nothing)

    def missing(self) -> list[str]:
        """Return which of the requirements are not installed."""
        wanted = (self.package.partition('.')[0], *self.requirements)
        return [
            name for name in wanted if importlib.util.find_spec(name) is None
        ]


# What does not apply to osprofiler while its points are spans: the reason,
# and the tests.
_NOT_OF_OSPROFILER = {
    'no driver is opened: the exporters of [tracing] send the spans': (
        'test_notifier.NotifierTestCase.test_create',
        'test_notifier.NotifierTestCase.test_create_driver_init_failure',
    ),
    'no listeners are put on an engine: statements have spans already': (
        'test_sqlalchemy.SqlalchemyTracingTestCase.test_add_tracing',
        'test_sqlalchemy.SqlalchemyTracingTestCase.test_disable_and_enable',
        'test_sqlalchemy.SqlalchemyTracingTestCase.test_with_sql_result',
        'test_sqlalchemy.SqlalchemyTracingTestCase.test_wrap_session',
    ),
}

SUITES: tuple[Suite, ...] = (
    Suite(
        'oslo_messaging.tests',
        tests=1500,
        spans=(
            'oslo_tracing.oslo_messaging CLIENT',
            'oslo_tracing.oslo_messaging PRODUCER',
            'oslo_tracing.oslo_messaging SERVER',
            'oslo_tracing.oslo_messaging CONSUMER',
        ),
        requirements=(
            'confluent_kafka',
            'eventlet',
            'fixtures',
            'oslotest',
            'testscenarios',
        ),
        # These need a broker.
        without=('oslo_messaging.tests.functional',),
    ),
    Suite(
        'oslo_middleware.tests',
        tests=100,
        spans=('oslo_tracing.wsgi SERVER',),
        requirements=('oslo_serialization', 'oslotest'),
        through_filter=True,
    ),
    Suite(
        'oslo_db.tests',
        tests=400,
        spans=('oslo_tracing.sqlalchemy CLIENT',),
        requirements=(
            'aiosqlite',
            'oslotest',
            'testresources',
            'testscenarios',
        ),
    ),
    Suite(
        'oslo_log.tests.unit',
        tests=150,
        requirements=('eventlet', 'fixtures', 'oslotest'),
    ),
    Suite(
        'oslo_context.tests',
        tests=25,
        requirements=('fixtures', 'oslotest'),
    ),
    Suite(
        'keystoneauth1.tests.unit',
        tests=600,
        spans=('oslo_tracing.http_client CLIENT',),
        requirements=(
            'betamax',
            'lxml',
            'oauthlib',
            'oslotest',
            'requests_kerberos',
            'requests_mock',
            'testresources',
            'yaml',
        ),
        data='keystoneauth1/tests/unit/data',
    ),
    Suite(
        'osprofiler.tests.unit',
        tests=100,
        requirements=('ddt', 'testtools'),
        # It adds its exporter to whatever provider is the global one, and is
        # not opened while we are there.
        without=('osprofiler.tests.unit.drivers.test_otlp',),
        # What points are told of their arguments is theirs to check.
        enable=('osprofiler_record_arguments',),
        expected={
            f'osprofiler.tests.unit.{test}': reason
            for reason, tests in _NOT_OF_OSPROFILER.items()
            for test in tests
        },
        leave_open={
            'osprofiler.tests.unit.test_profiler.ProfilerGlobMethodsTestCase.'
            f'{test}': 'it begins a point and does not end it'
            for test in ('test_start', 'test_start_not_inited')
        },
    ),
)


def find(name: str) -> Suite:
    """Return the suite of a package, or of the library that it is in.

    :param name: as ``oslo_messaging`` or ``oslo_messaging.tests``.
    :raises LookupError: when it is none of ours.
    """
    for suite in SUITES:
        if suite.package == name or suite.package.startswith(f'{name}.'):
            return suite
    raise LookupError(name)
