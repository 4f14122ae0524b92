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

"""Keystone, placement and glance, each set up as its documentation has it."""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import sys
from typing import Any

import openstack

from oslo_tracing.tests.released import cloud as cloud_module


def keystone(cloud: cloud_module.Cloud) -> None:
    """Start keystone, with an administrator, under uWSGI."""
    url = cloud.url('keystone')
    directory = cloud.home / 'keystone'
    conf = cloud.configure(
        'keystone',
        {
            'DEFAULT': {'public_endpoint': url},
            'database': {'connection': cloud.database()},
            # The least: passwords are no secrets here.
            'identity': {'password_hash_rounds': '4'},
            'fernet_tokens': {'key_repository': str(directory / 'fernet')},
            'credential': {'key_repository': str(directory / 'credential')},
        },
    )
    manage = ('keystone-manage', '--config-file', str(conf))
    cloud.run(*manage, 'db_sync')
    user = pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(os.getgid()).gr_name
    whose = ('--keystone-user', user, '--keystone-group', group)
    for command in ('fernet_setup', 'credential_setup'):
        cloud.run(*manage, command, *whose)
    cloud.run(
        *manage,
        'bootstrap',
        *('--bootstrap-password', cloud_module.PASSWORD),
        *('--bootstrap-region-id', cloud_module.REGION),
        *('--bootstrap-public-url', f'{url}/v3'),
        # keystonemiddleware asks there.
        *('--bootstrap-internal-url', f'{url}/v3'),
    )
    cloud.serve(
        'keystone',
        'keystone.wsgi.api:application',
        {'OS_KEYSTONE_CONFIG_DIR': str(directory)},
        processes=2,
    )


def placement(cloud: cloud_module.Cloud) -> None:
    """Start placement under uWSGI; keystone must be there."""
    conf = cloud.configure(
        'placement',
        {
            'placement_database': {'connection': cloud.database()},
            'api': {'auth_strategy': 'keystone'},
            'keystone_authtoken': authtoken(cloud),
        },
    )
    cloud.run('placement-manage', '--config-file', str(conf), 'db', 'sync')
    cloud.serve(
        'placement',
        'placement.wsgi.api:application',
        {'OS_PLACEMENT_CONFIG_DIR': str(conf.parent)},
        threads=2,
    )


def glance(cloud: cloud_module.Cloud, *, by: str = 'gunicorn') -> None:
    """Start glance, which keeps images in files; keystone must be there."""
    directory = cloud.home / 'glance'
    conf = cloud.configure(
        'glance-api',
        {
            'DEFAULT': {
                'enabled_backends': 'files:file',
                'node_staging_uri': f'file://{directory}/staging',
                'enabled_import_methods': '[glance-direct]',
            },
            'database': {'connection': cloud.database()},
            'glance_store': {'default_backend': 'files'},
            'files': {'filesystem_store_datadir': str(directory / 'images')},
            'keystone_authtoken': authtoken(cloud),
            'paste_deploy': {
                'flavor': 'keystone',
                'config_file': str(
                    pathlib.Path(
                        sys.prefix, 'etc', 'glance', 'glance-api-paste.ini'
                    )
                ),
            },
        },
    )
    for name in ('images', 'staging', 'os_glance_tasks_store'):
        (directory / name).mkdir(parents=True)
    cloud.run('glance-manage', '--config-file', str(conf), 'db_sync')
    cloud.serve(
        'glance',
        'glance.wsgi.api:application',
        {'OS_GLANCE_CONFIG_DIR': str(conf.parent)},
        by=by,
    )


def connect(cloud: cloud_module.Cloud, **whose: str) -> Any:
    """Return openstacksdk's connection, of the administrator.

    :param whose: other credentials than these.
    """
    options: dict[str, Any] = {**credentials(cloud), **whose}
    del options['www_authenticate_uri']
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, **options
    )


def register(connection: Any, kind: str, name: str, url: str) -> None:
    """Add a service to the catalog, by its public and internal endpoint.

    Connections that are made from now on find it.
    """
    made = connection.identity.create_service(name=name, type=kind)
    for interface in ('public', 'internal'):
        connection.identity.create_endpoint(
            service_id=made.id,
            interface=interface,
            url=url,
            region_id=cloud_module.REGION,
        )


def may_speak_for_users(connection: Any) -> None:
    """Let the services of the cloud send a token beside that of a user."""
    identity = connection.identity
    identity.assign_project_role_to_user(
        identity.find_project('admin'),
        identity.find_user('admin'),
        identity.find_role('service'),
    )


def authtoken(cloud: cloud_module.Cloud) -> dict[str, str]:
    """Return what a service needs to have tokens validated.

    No request is left out because of a cache that is just too old.
    """
    return {**credentials(cloud), 'token_cache_time': '3600'}


def credentials(cloud: cloud_module.Cloud) -> dict[str, str]:
    """Return what a service needs to ask others."""
    url = cloud.url('keystone')
    return {
        'auth_type': 'password',
        'auth_url': f'{url}/v3',
        'www_authenticate_uri': f'{url}/v3',
        'username': 'admin',
        'password': cloud_module.PASSWORD,
        'project_name': 'admin',
        'user_domain_id': 'default',
        'project_domain_id': 'default',
        'region_name': cloud_module.REGION,
    }
