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

"""What strangers try; each function says what comes of it.

Each takes a function that sets up another cloud of the mode that is tried.
"""

from __future__ import annotations

from oslo_tracing.tests.unit import clouds

NO = 'no'
YES = 'yes'
BOUNDED = 'bounded'
ONE_TRACE = 'that one trace'

SECRETS = (
    'x-openstack-trace-signature',
    'x-trace-info',
    'x-trace-hmac',
    'baggage',
    'tracestate',
    'b3',
)


def _yes(said):
    return YES if said else NO


def _flood(there, headers):
    count = there.flood(headers)
    assert count in (0, 1, clouds.MANY), count
    return {0: NO, 1: BOUNDED, clouds.MANY: YES}[count]


def joins(cloud):
    return _yes(cloud().joined({'traceparent': clouds.SAMPLED}))


def forces(cloud):
    return _yes(
        cloud().recorded({'traceparent': clouds.SAMPLED})
        or cloud().recorded({'b3': f'{"c" * 32}-{"d" * 16}-1'})
    )


def suppresses(cloud):
    return _yes(
        not cloud(sample_ratio=1.0).recorded(
            {'traceparent': clouds.NOT_SAMPLED}
        )
    )


def _sets(cloud, name, value):
    there = cloud()
    there.ask({'traceparent': clouds.SAMPLED, name: value})
    return _yes(there.peer.header(name) == [value])


def sets_baggage(cloud):
    return _sets(cloud, 'baggage', 'user=me')


def sets_tracestate(cloud):
    return _sets(cloud, 'tracestate', 'acme=1')


def picks_the_trace_id(cloud):
    return _yes(
        cloud().joined({'traceparent': clouds.SAMPLED})
        or cloud().joined({'b3': f'{clouds.TRACE}-{"d" * 16}-1'})
        or cloud().joined({'X-OpenStack-Request-ID': f'req-{clouds.BASE_ID}'})
    )


def picks_the_request_id(cloud):
    wanted = f'req-{clouds.BASE_ID}'
    for headers in (
        {'traceparent': clouds.SAMPLED},
        {'X-OpenStack-Request-ID': wanted},
        clouds.pair(),
    ):
        request_id, _headers = cloud().ask(headers)
        if request_id == wanted:
            return YES
    return NO


def learns_the_trace_id(cloud):
    there = cloud()
    _body, headers = there.ask({'traceparent': clouds.SAMPLED})
    told = [name for name in headers if name.lower() == 'traceresponse']
    return _yes(told)


def floods(cloud):
    return _flood(cloud(), {'traceparent': clouds.SAMPLED})


def floods_with_b3_debug(cloud):
    single = _flood(cloud(), {'b3': f'{"c" * 32}-{"d" * 16}-d'})
    several = _flood(
        cloud(),
        {
            'X-B3-TraceId': 'c' * 32,
            'X-B3-SpanId': 'd' * 16,
            'X-B3-Flags': '1',
        },
    )
    assert single == several, (single, several)
    return single


def asks_with_an_osprofiler_key(cloud):
    answer = _flood(cloud(), clouds.pair())
    # An id that every ratio keeps does not help.
    chosen = f'{"f" * 8}-ffff-4fff-bfff-{"f" * 12}'
    kept = _flood(cloud(sample_ratio=1e-9), clouds.pair(chosen))
    assert kept == answer, kept
    if answer == BOUNDED:
        assert cloud().joined(clouds.pair())
    return answer


def forges_a_pair(cloud):
    info = clouds.pair()['X-Trace-Info']
    return _yes(
        any(
            cloud().recorded(headers)
            for headers in (
                clouds.pair(key='SECRET_KEY'),
                clouds.pair(key=clouds.SIGNING_KEY),
                clouds.pair(key=''),
                clouds.pair(hmac_key=clouds.HMAC_KEY),
                {**clouds.pair(), 'X-Trace-Info': info[:-4] + 'AAAA'},
                {**clouds.pair(), 'X-Trace-HMAC': 'é' * 40},
                {'X-Trace-Info': info},
                {
                    **clouds.pair(),
                    'X-Trace-HMAC': [clouds.pair()['X-Trace-HMAC']] * 2,
                },
            )
        )
    )


def adds_to_a_pair(cloud):
    there = cloud()
    there.ask(
        {
            **clouds.pair(),
            'traceparent': clouds.ANOTHER,
            'tracestate': 'acme=1',
            'baggage': 'user=me',
        }
    )
    return _yes(
        there.peer.header('baggage') or there.peer.header('tracestate')
    )


def replays_a_pair(cloud):
    taken = clouds.pair(parent_id='11111111-1111-4111-9111-111111111111')
    return _flood(cloud(), taken)


def _replays(cloud, headers, trace_id=clouds.TRACE):
    there = cloud(sample_ratio=1.0)
    return there.joined(headers, trace_id)


def replays_a_signature(cloud):
    if not _replays(cloud, clouds.signed(clouds.SAMPLED, 'acme=1', 'user=me')):
        return NO
    if cloud().mode == 'trust':
        return YES
    # Nothing of it can be changed.
    whole = clouds.signed(clouds.SAMPLED, 'acme=1', 'user=me')
    for name, value in (
        ('traceparent', clouds.ANOTHER),
        ('traceparent', clouds.NOT_SAMPLED),
        ('tracestate', 'acme=2'),
        ('baggage', 'user=you'),
    ):
        there = cloud(sample_ratio=1.0)
        there.ask({**whole, name: value})
        (traceparent,) = there.peer.header('traceparent')
        assert clouds.TRACE not in traceparent, (name, value)
        assert 'c' * 32 not in traceparent, (name, value)
        assert value not in there.peer.header(name), (name, value)
    return ONE_TRACE


def replays_an_old_signature(cloud):
    return _yes(
        _replays(cloud, clouds.signed(clouds.SAMPLED, age=3600))
        or _replays(cloud, clouds.signed(clouds.SAMPLED, age=-3600))
    )


def signs_with_a_key_of_osprofiler(cloud):
    return _yes(
        _replays(cloud, clouds.signed(clouds.SAMPLED, key=clouds.HMAC_KEY))
    )


def _without(headers, name):
    return {key: value for key, value in headers.items() if key != name}


def strips_a_header(cloud):
    whole = clouds.signed(clouds.SAMPLED, 'acme=1', 'user=me')
    names = ('tracestate', 'baggage', 'x-openstack-trace-signature')
    return _yes(any(_replays(cloud, _without(whole, name)) for name in names))


def doubles_a_header(cloud):
    whole = clouds.signed(clouds.SAMPLED, 'acme=1', 'user=me')
    return _yes(
        any(
            _replays(cloud, {**whole, name: [value, value]})
            for name, value in whole.items()
        )
    )


def adds_a_header(cloud):
    return _yes(
        any(
            _replays(cloud, {**clouds.signed(clouds.SAMPLED), name: value})
            for name, value in (('baggage', 'a=b'), ('tracestate', 'a=b'))
        )
    )


def _harvest(cloud, path):
    """Return what the stranger's server gets of what the peer may see."""
    if cloud.mode == 'signed':
        headers = clouds.signed(clouds.SAMPLED, 'acme=1', 'user=me')
    else:
        headers = {
            'traceparent': clouds.SAMPLED,
            'tracestate': 'acme=1',
            'baggage': 'user=me',
        }
    # Of both, so that every header is there that could get away.
    cloud.ask({**headers, **clouds.pair()})
    cloud.ask({**headers, **clouds.pair()}, path)
    got = cloud.stranger.names()
    assert 'traceparent' in got
    return got & set(SECRETS)


def _had(cloud, mode):
    """Check that the service of the cloud had something to harvest."""
    names = cloud.peer.names(0)
    if mode != 'trust':
        assert 'x-openstack-trace-signature' in names
    if mode != 'ignore':
        assert 'x-trace-hmac' in names
    if mode == 'signed':
        assert set(SECRETS) <= names, names


def harvests_by_a_webhook(cloud):
    there = cloud()
    got = _harvest(there, '/webhook')
    _had(there, there.mode)
    return _yes(got)


def harvests_by_a_redirect(cloud):
    there = cloud()
    got = _harvest(there, '/moved')
    _had(there, there.mode)
    return _yes(got)


def reads_a_signature_from_the_application(cloud):
    there = cloud()
    there.ask(clouds.signed(clouds.SAMPLED, 'acme=1', 'user=me'))
    (environ,) = there.saw
    return _yes('HTTP_X_OPENSTACK_TRACE_SIGNATURE' in environ)


def gets_a_trace_signed(cloud):
    there = cloud()
    there.ask({'traceparent': clouds.SAMPLED}, '/launder')
    (traceparent,) = there.peer.header('traceparent')
    assert clouds.TRACE in traceparent
    return _yes(there.peer.header('x-openstack-trace-signature'))
