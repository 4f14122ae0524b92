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

"""The filter among the filters and frameworks of real services."""

from __future__ import annotations

import os
import uuid

import fixtures
import flask
import routes
from routes import middleware as routes_middleware
import webob
import webob.dec
from werkzeug.middleware import dispatcher

from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests import wsgi

SERVER_ID = '6f70656e-7374-6163-8b20-342065766572'
PROJECT_ID = '0123456789abcdef0123456789abcdef'


class PipelineTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_context', 'flask')
        )

    def span_of(self, app, *args, **kwargs):
        self.spans.clear()
        self.answer = wsgi.ask(
            middleware.TracingMiddleware(app), *args, **kwargs
        )
        [span] = self.spans.finished
        return span

    def assert_named(self, route, span):
        self.assertEqual(f'GET {route}', span.name)
        self.assertEqual(route, span.attributes['http.route'])


class RoutesTest(PipelineTest):
    """As nova, cinder, glance and neutron's extensions."""

    def app(self, mount=None):
        mapper = routes.Mapper()
        mapper.connect(
            '/{project_id:[0-9a-f]+}/servers/{id}', controller='servers'
        )
        mapper.connect('/old/:id/action', controller='old')
        mapper.connect('/servers', controller='servers')

        def dispatch(environ, start_response):
            if environ['wsgiorg.routing_args'][1]:
                return wsgi.hello(environ, start_response)
            return wsgi.saying('404 Not Found')(environ, start_response)

        app = routes_middleware.RoutesMiddleware(dispatch, mapper)
        if mount is None:
            return app
        return dispatcher.DispatcherMiddleware(
            wsgi.saying('404 Not Found'), {mount: app}
        )

    def test_the_template_is_the_name_without_its_expressions(self):
        span = self.span_of(self.app(), f'/{PROJECT_ID}/servers/{SERVER_ID}')
        self.assert_named('/{project_id}/servers/{id}', span)

    def test_an_old_template(self):
        span = self.span_of(self.app(), '/old/7/action')
        self.assert_named('/old/{id}/action', span)

    def test_a_mount_comes_first(self):
        span = self.span_of(self.app('/v2.1'), '/v2.1/servers')
        self.assert_named('/v2.1/servers', span)
        self.assertEqual('/v2.1/servers', span.attributes['url.path'])

    def test_what_the_server_itself_is_mounted_at_does_not(self):
        span = self.span_of(
            self.app('/v2.1'), '/v2.1/servers', SCRIPT_NAME='/compute'
        )
        self.assert_named('/v2.1/servers', span)
        self.assertEqual('/compute/v2.1/servers', span.attributes['url.path'])

    def test_no_route(self):
        span = self.span_of(self.app(), '/nothing')
        self.assertEqual('GET', span.name)
        self.assertNotIn('http.route', span.attributes)

    def test_a_header_of_the_caller_is_no_mount(self):
        app = self.app('/v2.1')

        def proxied(environ, start_response):
            environ['SCRIPT_NAME'] = (
                environ['HTTP_X_FORWARDED_PREFIX'] + environ['SCRIPT_NAME']
            )
            return app(environ, start_response)

        span = self.span_of(
            proxied, '/v2.1/servers', HTTP_X_FORWARDED_PREFIX=f'/{SERVER_ID}'
        )
        self.assert_named('/v2.1/servers', span)

    def test_a_path_that_was_rewritten_is_no_mount(self):
        app = self.app()

        def rewriting(environ, start_response):
            environ['PATH_INFO'] = '/servers'
            return app(environ, start_response)

        span = self.span_of(rewriting, '/acme/servers')
        self.assert_named('/servers', span)

    def test_mounts_are_bounded(self):
        app = self.app()

        def anywhere(environ, start_response):
            head, _, tail = environ['PATH_INFO'][1:].partition('/')
            environ['SCRIPT_NAME'] += f'/{head}'
            environ['PATH_INFO'] = f'/{tail}'
            return app(environ, start_response)

        traced = middleware.TracingMiddleware(anywhere)
        letters = 'abcdefghijklmnopqrstuvwxyz'
        for one in letters:
            for two in letters[:10]:
                wsgi.ask(traced, f'/x{one}{two}y/servers', checked=False)
        found = {span.name for span in self.spans.finished}
        self.assertEqual(65, len(found))

    def test_a_route_that_takes_the_path_is_no_mount(self):
        mapper = routes.Mapper()
        mapper.connect('/{tenant}/{path_info:.*}', controller='any')
        app = routes_middleware.RoutesMiddleware(wsgi.hello, mapper)
        span = self.span_of(app, '/acme/servers')
        self.assert_named('/{tenant}/{path_info}', span)


class FlaskTest(PipelineTest):
    """As keystone."""

    def app(self):
        app = flask.Flask('test')

        @app.route('/v3/users/<string:user_id>/projects')
        def projects(user_id):
            return 'ok'

        @app.route('/v3/stream')
        def stream():
            return flask.Response(iter(['a', 'b']))

        @app.route('/v3/file')
        def file():
            return flask.send_file(__file__)

        @app.route('/v3/fail')
        def fail():
            raise RuntimeError

        return app

    def test_the_rule_is_the_name(self):
        span = self.span_of(self.app(), '/v3/users/someone/projects')
        self.assert_named('/v3/users/{user_id}/projects', span)

    def test_no_rule(self):
        span = self.span_of(self.app(), '/v3/nothing')
        self.assertEqual('GET', span.name)
        self.assertEqual(404, span.attributes['http.response.status_code'])

    def test_a_mounted_application(self):
        app = dispatcher.DispatcherMiddleware(
            wsgi.hello, {'/identity': self.app()}
        )
        span = self.span_of(app, '/identity/v3/users/x/projects')
        self.assert_named('/identity/v3/users/{user_id}/projects', span)

    def test_a_filter_that_answers_later(self):
        # WebOb does, which is what filters of oslo.middleware are made of.
        flask_app = self.app()

        @webob.dec.wsgify.middleware
        def late(request, app):
            return request.get_response(app)

        flask_app.wsgi_app = late(flask_app.wsgi_app)
        span = self.span_of(flask_app, '/v3/users/someone/projects')
        self.assert_named('/v3/users/{user_id}/projects', span)
        self.assertEqual(b'ok', self.answer.body)

    def test_nothing_stays_in_the_environment(self):
        seen = []

        @webob.dec.wsgify.middleware
        def keeping(request, app):
            seen.append(request.environ)
            return request.get_response(app)

        self.span_of(keeping(self.app()), '/v3/users/someone/projects')
        [environ] = seen
        self.assertEqual(
            [], [name for name in environ if name.startswith('oslo_tracing')]
        )

    def test_it_comes_off(self):
        self.assertTrue(hasattr(vars(flask.Flask)['wsgi_app'], '__wrapped__'))
        service.shutdown()
        self.assertFalse(hasattr(vars(flask.Flask)['wsgi_app'], '__wrapped__'))

    def test_a_broken_request_costs_only_the_rule(self):
        class Broken:
            @property
            def url_rule(self):
                raise RuntimeError

        app = self.app()

        @app.after_request
        def spoil(response):
            flask.request.environ['werkzeug.request'] = Broken()
            return response

        span = self.span_of(app, '/v3/stream')
        self.assertEqual(b'ab', self.answer.body)
        self.assertEqual(200, span.attributes['http.response.status_code'])

    def test_a_stream(self):
        span = self.span_of(self.app(), '/v3/stream')
        self.assertEqual(b'ab', self.answer.body)
        self.assert_named('/v3/stream', span)

    def test_a_file(self):
        span = self.span_of(self.app(), '/v3/file')
        self.assertIn(b'test_a_file', self.answer.body)
        self.assert_named('/v3/file', span)

    def test_an_error_that_the_framework_answers(self):
        span = self.span_of(self.app(), '/v3/fail')
        self.assert_named('/v3/fail', span)
        self.assertEqual('500', span.attributes['error.type'])

    def test_an_error_that_it_lets_through(self):
        app = self.app()
        app.config['PROPAGATE_EXCEPTIONS'] = True
        app.add_url_rule('/v3/<name>/fail', view_func=self.fails)

        def ask():
            wsgi.ask(middleware.TracingMiddleware(app), '/v3/projects/fail')

        self.assertRaises(LookupError, ask)

        [span] = self.spans.finished
        self.assert_named('/v3/{name}/fail', span)
        self.assertEqual('LookupError', span.attributes['error.type'])
        self.assertNotIn('http.response.status_code', span.attributes)

    def test_an_error_that_a_filter_answers(self):
        app = self.app()
        app.config['PROPAGATE_EXCEPTIONS'] = True
        app.add_url_rule('/v3/<name>/fail', view_func=self.fails)

        @webob.dec.wsgify.middleware
        def catching(request, app):
            try:
                return request.get_response(app)
            except LookupError:
                return webob.Response(status=503)

        span = self.span_of(catching(app), '/v3/projects/fail')

        self.assert_named('/v3/{name}/fail', span)
        self.assertEqual('503', span.attributes['error.type'])

    def test_an_error_before_there_is_a_request(self):
        app = self.app()

        def before(environ):
            raise LookupError

        app.request_context = before

        def ask():
            wsgi.ask(middleware.TracingMiddleware(app), '/v3/stream')

        self.assertRaises(LookupError, ask)

        [span] = self.spans.finished
        self.assertEqual('GET /v3/stream', span.name)
        self.assertNotIn('http.route', span.attributes)

    @staticmethod
    def fails(name):
        raise LookupError(name)


class VariablesTest(PipelineTest):
    """As placement, which leaves the variables and no template."""

    def app(self, variables, key='wsgiorg.routing_args'):
        def app(environ, start_response):
            environ[key] = (
                ((), variables) if key.startswith('wsgiorg') else variables
            )
            return wsgi.hello(environ, start_response)

        return app

    def test_values_give_way_to_their_names(self):
        span = self.span_of(
            self.app(
                {
                    'uuid': SERVER_ID,
                    'resource_class': 'inventories',
                    'action': print,
                }
            ),
            f'/resource_providers/{SERVER_ID}/inventories/inventories',
        )
        self.assert_named(
            '/resource_providers/{uuid}/inventories/{resource_class}', span
        )

    def test_only_whole_parts_do(self):
        span = self.span_of(self.app({'name': 'trait'}), '/traits/trait')
        self.assert_named('/traits/{name}', span)

    def test_a_path_without_variables(self):
        span = self.span_of(self.app({'action': print}), '/traits')
        self.assert_named('/traits', span)

    def test_the_variables_of_webob(self):
        @webob.dec.wsgify
        def app(request):
            request.urlvars = {'id': SERVER_ID}
            return 'ok'

        span = self.span_of(app, f'/images/{SERVER_ID}')
        self.assert_named('/images/{id}', span)
        span = self.span_of(
            self.app({'id': 'x'}, 'paste.urlvars'), '/images/x'
        )
        self.assert_named('/images/{id}', span)

    def test_a_value_that_is_left_makes_it_a_guess(self):
        span = self.span_of(self.app({'id': 'other'}), f'/images/{SERVER_ID}')
        self.assertEqual('GET /images/{id}', span.name)
        self.assertNotIn('http.route', span.attributes)

    def test_nonsense_there_makes_it_a_guess(self):
        for nonsense in ({}, None, 'x', {'id': ''}):
            span = self.span_of(self.app(nonsense), '/images/7')
            self.assertEqual('GET /images/{id}', span.name)


class PasteTest(PipelineTest):
    """A pipeline of oslo.middleware's filters, from a paste file."""

    INI = '''
[pipeline:main]
pipeline = tracing proxy request_id catch_errors sizelimit {more} app

[filter:tracing]
paste.filter_factory = oslo_tracing.middleware:TracingMiddleware.factory
service_name = from-paste

[filter:again]
paste.filter_factory = oslo_tracing.middleware:TracingMiddleware.factory

[filter:proxy]
paste.filter_factory = \
oslo_middleware.http_proxy_to_wsgi:HTTPProxyToWSGI.factory
oslo_config_project = paste_test
oslo_config_file = {directory}/paste_test.conf

[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory

[filter:catch_errors]
paste.filter_factory = oslo_middleware.catch_errors:CatchErrors.factory

[filter:sizelimit]
paste.filter_factory = \
oslo_middleware.sizelimit:RequestBodySizeLimiter.factory

[app:app]
paste.app_factory = {module}:api_factory
'''

    def pipeline(self, more=''):
        from paste import deploy

        directory = self.useFixture(fixtures.TempDir()).path
        with open(os.path.join(directory, 'paste_test.conf'), 'w') as conf:
            conf.write(
                '[oslo_middleware]\nenable_proxy_headers_parsing = True\n'
            )
        path = os.path.join(directory, 'paste.ini')
        with open(path, 'w') as ini:
            ini.write(
                self.INI.format(
                    directory=directory, module=__name__, more=more
                )
            )
        return deploy.loadapp(f'config:{path}')

    def ask_it(self, path, more='', **environ):
        self.spans.clear()
        self.answer = wsgi.ask(self.pipeline(more), path, **environ)
        return self.spans.finished

    def test_what_the_filters_inside_find_out_is_on_the_span(self):
        global_id = f'req-{uuid.uuid4()}'
        [span] = self.ask_it(
            '/servers/7',
            HTTP_X_FORWARDED_FOR='203.0.113.9',
            HTTP_X_FORWARDED_PROTO='https',
            HTTP_X_FORWARDED_HOST='cloud.example',
            HTTP_X_OPENSTACK_REQUEST_ID=global_id,
        )
        self.assertEqual('203.0.113.9', span.attributes['client.address'])
        self.assertEqual('https', span.attributes['url.scheme'])
        self.assertEqual('cloud.example', span.attributes['server.address'])
        self.assertEqual(443, span.attributes['server.port'])
        self.assertEqual(
            global_id, span.attributes['openstack.global_request_id']
        )
        self.assertEqual(
            self.answer.headers['x-openstack-request-id'],
            span.attributes['openstack.request_id'],
        )

    def test_the_request_id_is_the_trace_id(self):
        [span] = self.ask_it('/servers/7')
        self.assertEqual(
            f'req-{uuid.UUID(int=span.context.trace_id)}',
            self.answer.headers['x-openstack-request-id'],
        )

    def test_an_error_that_a_filter_catches(self):
        [span] = self.ask_it('/fail')
        self.assertEqual('500', self.answer.status[:3])
        self.assertEqual('500', span.attributes['error.type'])
        self.assertIn('openstack.request_id', span.attributes)

    def test_a_request_that_is_too_large(self):
        [span] = self.ask_it('/servers', CONTENT_LENGTH='1000000')
        self.assertEqual('413', self.answer.status[:3])
        self.assertEqual(413, span.attributes['http.response.status_code'])
        self.assertIn('openstack.request_id', span.attributes)

    def test_two_of_ours_make_one_span(self):
        [span] = self.ask_it('/servers/7', more='again')
        self.assertEqual('GET /servers/{id}', span.name)


def api_factory(global_conf, **local_conf):
    def api(environ, start_response):
        if environ['PATH_INFO'] == '/fail':
            raise RuntimeError
        return wsgi.hello(environ, start_response)

    return api
