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

"""The tables of the demo, through oslo.db's enginefacade."""

from __future__ import annotations

from typing import Any
import uuid

from oslo_config import cfg
from oslo_context import context
from oslo_db import options
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy as sa
from sqlalchemy import orm

Base: Any = orm.declarative_base()


class Server(Base):  # type: ignore[misc]
    """A server and where it is."""

    __tablename__ = 'servers'
    id = sa.Column(sa.String(36), primary_key=True)
    name = sa.Column(sa.String(255), nullable=False)
    state = sa.Column(sa.String(32), nullable=False)


class Volume(Base):  # type: ignore[misc]
    """What a server boots from."""

    __tablename__ = 'volumes'
    id = sa.Column(sa.String(36), primary_key=True)
    size = sa.Column(sa.Integer, nullable=False)


class Action(Base):  # type: ignore[misc]
    """What was done with a server, from the notifications."""

    __tablename__ = 'actions'
    id = sa.Column(sa.String(36), primary_key=True)
    event_type = sa.Column(sa.String(255), nullable=False)
    server_id = sa.Column(sa.String(36), nullable=False)


# Contexts come from services' own classes there, from oslo.context here.
enginefacade.transaction_context_provider(context.RequestContext)
_MANAGER = enginefacade.transaction_context()


def configure(conf: cfg.ConfigOpts) -> None:
    """Use the database of ``[database] connection``."""
    conf.register_opts(options.database_opts, 'database')
    _MANAGER.configure(connection=conf.database.connection)


def create() -> None:
    """Make the tables, and one volume to boot from."""
    engine = _MANAGER.writer.get_engine()
    Base.metadata.create_all(engine)
    with _MANAGER.writer.using(context.get_admin_context()) as session:
        session.add(Volume(id=str(uuid.uuid4()), size=10))


def add_server(ctxt: Any, name: str) -> str:
    """Store a new server and return its id."""
    server_id = str(uuid.uuid4())
    with _MANAGER.writer.using(ctxt) as session:
        session.add(Server(id=server_id, name=name, state='building'))
    return server_id


def set_state(ctxt: Any, server_id: str, state: str) -> None:
    """Change the state of a server."""
    with _MANAGER.writer.using(ctxt) as session:
        session.query(Server).filter_by(id=server_id).update({'state': state})


def state_of(ctxt: Any, server_id: str) -> str:
    """Return the state of a server."""
    with _MANAGER.reader.using(ctxt) as session:
        server = session.query(Server).filter_by(id=server_id).one()
        return str(server.state)


def first_volume(ctxt: Any) -> dict[str, Any]:
    """Return a volume to boot from."""
    with _MANAGER.reader.using(ctxt) as session:
        volume = session.query(Volume).first()
        return {'id': volume.id, 'size': volume.size}


def add_action(ctxt: Any, event_type: str, server_id: str) -> None:
    """Keep what a notification told."""
    with _MANAGER.writer.using(ctxt) as session:
        session.add(
            Action(
                id=str(uuid.uuid4()),
                event_type=event_type,
                server_id=server_id,
            )
        )
