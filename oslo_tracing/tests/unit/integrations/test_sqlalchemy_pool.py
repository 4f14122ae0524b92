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

import threading

import sqlalchemy
from sqlalchemy import pool

from oslo_tracing.integrations import _sql_pool
from oslo_tracing.tests import database


class PoolTest(database.TestCase):
    def make_engine(self, url=None, **options):
        options = {
            'poolclass': pool.QueuePool,
            'pool_size': 1,
            'max_overflow': 0,
            'connect_args': {'check_same_thread': False},
            **options,
        }
        return super().make_engine(url, **options)

    def _waits(self):
        request = self.spans.named('request')
        return [e for e in request.events if e.name == 'db.pool.wait']

    def test_a_wait_for_a_connection_is_an_event(self):
        held = self.engine.connect()
        # Not before the other thread is in the queue, plus what counts.
        queue = self.engine.pool._pool
        waiting = threading.Event()

        def give_back():
            waiting.wait(10)
            threading.Event().wait(3 * _sql_pool.THRESHOLD)
            held.close()

        giver = threading.Thread(target=give_back)
        giver.start()
        original = queue.not_empty.wait

        def wait(timeout=None):
            waiting.set()
            return original(timeout)

        queue.not_empty.wait = wait
        with self.request(), self.engine.connect() as conn:
            conn.execute(sqlalchemy.text('SELECT 1'))
        giver.join()
        (waited,) = self._waits()
        self.assertGreater(
            waited.attributes['openstack.db.pool.wait.duration'],
            2 * _sql_pool.THRESHOLD,
        )
        self.assertEqual(
            {'openstack.db.pool.wait.duration'}, set(waited.attributes)
        )

    def test_a_wait_in_vain_is_an_event_too(self):
        engine = self.make_engine(pool_timeout=0.05)
        with engine.connect(), self.request():
            self.assertRaises(sqlalchemy.exc.TimeoutError, engine.connect)
        (waited,) = self._waits()
        self.assertGreaterEqual(
            waited.attributes['openstack.db.pool.wait.duration'], 0.045
        )

    def test_no_event_without_a_wait(self):
        with self.request():
            for _ in range(3):
                with self.engine.connect() as conn:
                    conn.execute(sqlalchemy.text('SELECT 1'))
        self.assertEqual([], self._waits())

    def test_making_a_connection_is_no_wait(self):
        def creator():
            threading.Event().wait(3 * _sql_pool.THRESHOLD)
            return self.engine.dialect.dbapi.connect(':memory:')

        engine = self.make_engine(creator=creator)
        with self.request(), engine.connect():
            pass
        self.assertEqual([], self._waits())

    def test_a_wait_without_a_span_is_nobody_s(self):
        engine = self.make_engine(pool_timeout=0.02)
        with engine.connect():
            self.assertRaises(sqlalchemy.exc.TimeoutError, engine.connect)
        self.assertEqual([], self.spans.finished)
