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

"""A day of a small cloud: what its users and its administrator ask for."""

from __future__ import annotations

from typing import Any

from oslo_tracing.tests.released import cloud as cloud_module
from oslo_tracing.tests.released import programs
from oslo_tracing.tests.released import services

#: What things are called; none of it may come into the name of a span.
PROJECT = 'orchard'
USER = 'appleby'
IMAGE = 'cider'
PROVIDER = 'press'
TRAIT = 'CUSTOM_ORCHARD'
CLASS = 'CUSTOM_APPLE'
NAMES = (PROJECT, USER, IMAGE, PROVIDER, TRAIT, CLASS)

_NOBODY = '5c0ffee5c0ffee5c0ffee5c0ffee5c0f'
_CONSUMER = 'c0ffee5c-0ffe-4e5c-8ffe-e5c0ffee5c0f'
_CONTENT = bytes(range(256)) * 4096


def begin(cloud: cloud_module.Cloud) -> None:
    """Start all services, and list them in the catalog."""
    services.keystone(cloud)
    services.placement(cloud)
    services.glance(cloud)
    admin = services.connect(cloud)
    services.register(admin, 'placement', 'placement', cloud.url('placement'))
    services.register(admin, 'image', 'glance', cloud.url('glance'))


def spend(cloud: cloud_module.Cloud, *, commands: bool = True) -> None:
    """Ask for everything, one after the other.

    :param commands: by commands, too, which take as long as all the rest.
    """
    admin = services.connect(cloud)
    user = _people(cloud, admin)
    _tokens(cloud, admin, user)
    _images(user)
    _resources(admin)
    _errors(cloud, admin, user)
    if commands:
        _commands(cloud)
    _leave(admin)


def _people(cloud: cloud_module.Cloud, admin: Any) -> Any:
    identity = admin.identity
    project = identity.create_project(name=PROJECT, description='trees')
    user = identity.create_user(
        name=USER,
        password=cloud_module.PASSWORD,
        default_project_id=project.id,
    )
    member = identity.find_role('member')
    identity.assign_project_role_to_user(project, user, member)
    role = identity.create_role(name='picker')
    identity.assign_project_role_to_user(project, user, role)
    identity.unassign_project_role_from_user(project, user, role)
    identity.update_project(project, description='more trees')
    group = identity.create_group(name='pickers')
    identity.add_user_to_group(user, group)
    for listed in (
        identity.projects,
        identity.users,
        identity.groups,
        identity.roles,
        identity.services,
        identity.endpoints,
        identity.regions,
        identity.domains,
        identity.role_assignments,
    ):
        assert list(listed())
    assert identity.get_user(user.id).name == USER
    identity.delete_group(group)
    identity.delete_role(role)
    return services.connect(cloud, username=USER, project_name=PROJECT)


def _tokens(cloud: cloud_module.Cloud, admin: Any, user: Any) -> None:
    tokens = f'{cloud.url("keystone")}/v3/auth/tokens'
    subject = {'X-Subject-Token': user.session.get_token()}
    for method in ('GET', 'HEAD', 'DELETE', 'GET'):
        admin.session.request(tokens, method, headers=subject, raise_exc=False)
    user.session.invalidate()
    for path in ('catalog', 'projects', 'domains'):
        user.session.get(f'{cloud.url("keystone")}/v3/auth/{path}')
    user.identity.create_application_credential(
        user=user.current_user_id, name='basket'
    )


def _images(user: Any) -> None:
    glance = user.image
    image = glance.create_image(
        IMAGE,
        disk_format='raw',
        container_format='bare',
        data=_CONTENT,
        wait=True,
        min_disk=1,
        validate_checksum=False,
    )
    assert glance.download_image(image).content == _CONTENT
    # Nobody knows how long this is.
    other = glance.create_image(IMAGE, disk_format='raw')
    glance.put(
        f'/images/{other.id}/file',
        data=iter([_CONTENT[:1000], _CONTENT[1000:]]),
        headers={'Content-Type': 'application/octet-stream'},
    )
    with glance.get(f'/images/{other.id}/file', stream=True) as answer:
        assert b''.join(answer.iter_content(4096)) == _CONTENT
    assert len(list(glance.images())) == 2
    assert list(glance.images(name=IMAGE, sort='name:asc'))
    glance.update_image(image, min_ram=1, is_protected=False)
    glance.add_tag(image, 'sweet')
    glance.remove_tag(image, 'sweet')
    glance.get_images_schema()
    assert glance.get_image(image.id).min_ram == 1
    glance.delete_image(other)


def _resources(admin: Any) -> None:
    placement = admin.placement
    # A version in which everything below is known.
    placement.default_microversion = '1.36'
    provider = placement.create_resource_provider(name=PROVIDER)
    placement.create_trait(name=TRAIT)
    placement.create_resource_class(name=CLASS)
    inventory = placement.create_resource_provider_inventory(
        provider, CLASS, total=10
    )
    for path in ('inventories', 'usages', 'traits', 'aggregates'):
        placement.get(f'/resource_providers/{provider.id}/{path}')
    placement.get('/allocation_candidates', params={'resources': f'{CLASS}:2'})
    allocations = f'/allocations/{_CONSUMER}'
    allocation = {
        'allocations': {provider.id: {'resources': {CLASS: 2}}},
        'project_id': admin.current_project_id,
        'user_id': admin.current_user_id,
        'consumer_generation': None,
    }
    for _again in range(2):
        # The second time it is there: a conflict.
        placement.put(allocations, json=allocation, raise_exc=False)
    placement.get(allocations)
    placement.get('/usages', params={'project_id': admin.current_project_id})
    placement.delete(allocations)
    assert list(placement.resource_providers(name=PROVIDER))
    placement.delete_resource_provider_inventory(inventory, provider)
    placement.delete_resource_provider(provider)
    placement.delete(f'/resource_classes/{CLASS}')
    placement.delete(f'/traits/{TRAIT}')


def _errors(cloud: cloud_module.Cloud, admin: Any, user: Any) -> None:
    keystone = f'{cloud.url("keystone")}/v3'
    glance = f'{cloud.url("glance")}/v2'
    placement = cloud.url('placement')
    project = {'project': {'name': PROJECT}}
    more: dict[str, Any]
    for session, method, url, body in (
        (admin, 'GET', f'{keystone}/projects/{_NOBODY}', None),
        (admin, 'GET', f'{keystone}/nothing/{PROJECT}', None),
        (admin, 'POST', f'{keystone}/projects', project),
        (admin, 'POST', f'{keystone}/projects', {'project': {}}),
        (admin, 'PUT', f'{keystone}/projects', project),
        (user, 'POST', f'{keystone}/projects', project),
        (user, 'GET', f'{glance}/images/{_CONSUMER}', None),
        (user, 'POST', f'{glance}/images', {'name': IMAGE, 'disk_format': 1}),
        (user, 'DELETE', f'{glance}/images', None),
        (user, 'GET', f'{glance}/nothing/{IMAGE}', None),
        (admin, 'GET', f'{placement}/resource_providers/{_CONSUMER}', None),
        (admin, 'POST', f'{placement}/resource_providers', {'name': 7}),
        (admin, 'PATCH', f'{placement}/resource_providers', {}),
        (admin, 'GET', f'{placement}/nothing/{PROVIDER}', None),
        (user, 'GET', f'{placement}/resource_providers', None),
    ):
        more = {} if body is None else {'json': body}
        answer = session.session.request(url, method, raise_exc=False, **more)
        assert 400 <= answer.status_code < 500
    for url in (
        f'{keystone}/projects',
        f'{glance}/images',
        f'{placement}/resource_providers',
    ):
        for headers in ({}, {'X-Auth-Token': 'not a token'}):
            answer = admin.session.get(
                url, authenticated=False, headers=headers, raise_exc=False
            )
            assert answer.status_code == 401
    for given in ('wrong', cloud_module.PASSWORD):
        admin.session.post(
            f'{keystone}/auth/tokens',
            authenticated=False,
            raise_exc=False,
            json=_password(USER, given),
        )


def _password(name: str, password: str) -> dict[str, Any]:
    user = {'name': name, 'domain': {'id': 'default'}, 'password': password}
    methods = {'methods': ['password'], 'password': {'user': user}}
    return {'auth': {'identity': methods}}


def _commands(cloud: cloud_module.Cloud) -> None:
    path = cloud.home / 'content'
    path.write_bytes(_CONTENT)
    _openstack(cloud, 'token', 'issue')
    assert PROJECT in _openstack(cloud, 'project', 'list')
    _openstack(
        cloud,
        *('image', 'create', '--disk-format', 'raw', '--file', str(path)),
        f'{IMAGE}-by-command',
    )
    _openstack(cloud, 'image', 'delete', f'{IMAGE}-by-command')


def _openstack(cloud: cloud_module.Cloud, *arguments: str) -> str:
    variables = {
        f'OS_{name.upper()}': value
        for name, value in services.credentials(cloud).items()
    }
    return programs.run('openstack', *arguments, home=cloud.home, **variables)


def _leave(admin: Any) -> None:
    for image in admin.image.images():
        admin.image.delete_image(image)
    identity = admin.identity
    identity.delete_user(identity.find_user(USER))
    identity.delete_project(identity.find_project(PROJECT))
