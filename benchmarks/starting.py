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

"""A fresh process that sets tracing up, and tells what that took.

``python -m benchmarks.starting SINK``.
"""

from __future__ import annotations

import json
import sys
import time


def main(sink: str) -> None:
    """Print CPU times in seconds, and modules, as JSON."""
    from oslo_config import cfg
    import oslo_messaging  # noqa: F401 - what every service has imported
    import sqlalchemy  # noqa: F401

    conf = cfg.ConfigOpts()
    conf([], project='benchmark', default_config_files=[])
    known = set(sys.modules)
    began = time.process_time()
    import oslo_tracing
    from oslo_tracing import opts

    opts.register_opts(conf)
    imported = time.process_time()
    conf.set_override('enabled', True, 'tracing')
    conf.set_override('otlp_endpoint', sink, 'tracing')
    oslo_tracing.setup(conf, 'benchmark')
    ready = time.process_time()
    after = set(sys.modules)
    with oslo_tracing.span('first', root=True):
        pass
    oslo_tracing.shutdown()
    done = time.process_time()
    print(
        json.dumps(
            {
                'import': imported - began,
                'setup': ready - imported,
                'first_span': done - ready,
                'modules': len(after - known),
                'later_modules': len(set(sys.modules) - after),
                'grpc': 'grpc' in sys.modules,
                'client_at_setup': 'requests' in after - known
                or any('exporter.otlp' in name for name in after - known),
            }
        ),
        flush=True,
    )


if __name__ == '__main__':
    main(sys.argv[1])
