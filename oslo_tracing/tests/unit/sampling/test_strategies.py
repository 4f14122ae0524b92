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

import json

from oslo_tracing.sampling import _strategies
from oslo_tracing.tests import base


def _parsed(answer):
    if not isinstance(answer, bytes):
        answer = json.dumps(answer).encode()
    return _strategies.parse(answer)


def _operations(*shares, **more):
    return {
        'operationSampling': {
            'perOperationStrategies': [
                {
                    'operation': name,
                    'probabilisticSampling': {'samplingRate': share},
                }
                for name, share in shares
            ],
            **more,
        }
    }


def _ratio(value):
    return {'probabilisticSampling': {'samplingRate': value}}


class GoodAnswersTest(base.TestCase):
    def test_a_ratio(self):
        for answer in (
            {'strategyType': 'PROBABILISTIC', **_ratio(0.25)},
            {'strategyType': 0, **_ratio(0.25)},
            _ratio(0.25),
            _ratio('0.25'),
            _ratio('2.5e-1'),
            {**_ratio(0.25), 'rateLimitingSampling': None},
            {**_ratio(0.25), 'operationSampling': None},
            {**_ratio(0.25), 'added': {'later': []}},
        ):
            strategy = _parsed(answer)
            self.assertEqual(_strategies.Strategy(0.25), strategy, answer)

    def test_zeros_are_left_out(self):
        nothing = _strategies.Strategy(0.0)
        self.assertEqual(nothing, _parsed({'probabilisticSampling': {}}))
        self.assertEqual(nothing, _parsed({'operationSampling': {}}))
        self.assertEqual(
            _strategies.Strategy(per_second=0.0),
            _parsed({'strategyType': 1, 'rateLimitingSampling': {}}),
        )
        self.assertEqual(
            _strategies.Strategy(0.0, operations={'': 0.0}),
            _parsed(
                {
                    'operationSampling': {
                        'perOperationStrategies': [
                            {'probabilisticSampling': {}}
                        ]
                    }
                }
            ),
        )

    def test_a_rate(self):
        for kind in (1, 'RATE_LIMITING', 0, None):
            for most in (5, 5.0, '5'):
                strategy = _parsed(
                    {
                        'strategyType': kind,
                        'rateLimitingSampling': {'maxTracesPerSecond': most},
                    }
                )
                self.assertEqual(_strategies.Strategy(None, 5.0), strategy)

    def test_of_a_ratio_and_a_rate_the_type_tells_which(self):
        both = {
            'probabilisticSampling': {'samplingRate': 0.5},
            'rateLimitingSampling': {'maxTracesPerSecond': 5},
        }
        for kind, ratio in ((0, 0.5), ('RATE_LIMITING', None), (None, 0.5)):
            strategy = _parsed({'strategyType': kind, **both})
            self.assertEqual(ratio, strategy.ratio)

    def test_operations_are_heeded_first(self):
        strategy = _parsed(
            {
                'strategyType': 'RATE_LIMITING',
                'rateLimitingSampling': {'maxTracesPerSecond': 5},
                **_operations(
                    ('GET /v3', 0.5),
                    ('POST /v3', 0),
                    defaultSamplingProbability=0.1,
                    defaultLowerBoundTracesPerSecond=0.02,
                    defaultUpperBoundTracesPerSecond=0,
                ),
            }
        )
        self.assertEqual(
            _strategies.Strategy(
                0.1,
                operations={'GET /v3': 0.5, 'POST /v3': 0.0},
                at_least=0.02,
            ),
            strategy,
        )

    def test_as_many_operations_as_may_be(self):
        most = _strategies.MAX_OPERATIONS
        answer = _operations(*((f'{n}', 1) for n in range(most)))
        self.assertEqual(most, len(_parsed(answer).operations))

    def test_in_words(self):
        self.assertEqual('ratio 0.25', str(_parsed(_ratio(0.25))))
        self.assertEqual(
            'at most 5 traces a second',
            str(_parsed({'rateLimitingSampling': {'maxTracesPerSecond': 5}})),
        )
        self.assertEqual(
            'ratio 0.1, 1 operations with their own, at least 2 a second of '
            'each operation',
            str(
                _parsed(
                    _operations(
                        ('a', 1),
                        defaultSamplingProbability=0.1,
                        defaultLowerBoundTracesPerSecond=2,
                    )
                )
            ),
        )


class RefusedAnswersTest(base.TestCase):
    def _refused(self, answer):
        error = self.assertRaises(_strategies.Refused, _parsed, answer)
        self.assertTrue(str(error))

    def test_what_is_no_strategy(self):
        for answer in (
            b'',
            b'\xff\xfe\x00',
            b'<html>',
            b'{',
            b'[' * 200000,
            b'null',
            b'[]',
            b'"PROBABILISTIC"',
            {},
            {'strategyType': 'PROBABILISTIC'},
            {'strategyType': 1, 'rateLimitingSampling': None},
        ):
            self._refused(answer)

    def test_types_that_nobody_knows(self):
        for kind in ('ADAPTIVE', 'probabilistic', 2, -1, True, 0.0, [], {}):
            self._refused({'strategyType': kind, **_ratio(0.5)})

    def test_numbers_that_are_none_or_out_of_range(self):
        for value in (
            'NaN',
            'Infinity',
            '-Infinity',
            -0.001,
            1.001,
            10**400,
            'a half',
            '',
            True,
            [0.5],
            {},
        ):
            self._refused(_ratio(value))
            self._refused(_operations(('a', value)))
            self._refused(_operations(defaultSamplingProbability=value))
        for value in ('NaN', 'Infinity', -1, 'many', False):
            self._refused(
                {
                    'strategyType': 1,
                    'rateLimitingSampling': {'maxTracesPerSecond': value},
                }
            )
            for bound in ('Lower', 'Upper'):
                self._refused(
                    _operations(
                        **{f'default{bound}BoundTracesPerSecond': value}
                    )
                )
        for bare in (b'NaN', b'Infinity', b'-Infinity', b'9' * 5000):
            self._refused(
                b'{"probabilisticSampling": {"samplingRate": %s}}' % bare
            )

    def test_one_wrong_operation_refuses_all(self):
        for wrong in (
            None,
            'a',
            [],
            {'operation': 'a'},
            {'operation': 'a', 'probabilisticSampling': 0.5},
            {'operation': 5, 'probabilisticSampling': {}},
        ):
            good = {'operation': 'b', 'probabilisticSampling': {}}
            listed = {'perOperationStrategies': [good, wrong]}
            self._refused({'operationSampling': listed})
        self._refused({'operationSampling': {'perOperationStrategies': {}}})

    def test_also_what_would_not_be_used_has_to_be_right(self):
        self._refused({**_operations(('a', 1)), **_ratio('NaN')})
        self._refused({**_ratio(0.5), 'rateLimitingSampling': 'none'})

    def test_too_many_operations(self):
        many = _strategies.MAX_OPERATIONS + 1
        self._refused(_operations(*((f'{n}', 1) for n in range(many))))
