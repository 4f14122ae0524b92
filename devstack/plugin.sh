#!/bin/bash
#
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

# What devstack calls at each of its phases.

# Save trace setting
_XTRACE_TRACING_PLUGIN=$(set +o | grep xtrace)
set +o xtrace

# shellcheck source=devstack/lib/oslo.tracing
source "$(dirname "${BASH_SOURCE[0]}")/lib/oslo.tracing"

if [[ "${1:-}" == "stack" ]]; then
    case "${2:-}" in
        pre-install)
            # Before any service writes its uWSGI ini or is started.
            hook_tracing
            ;;
        install)
            echo_summary "Installing oslo.tracing"
            install_tracing
            # Keystone is configured by now, and starts before post-config.
            configure_tracing
            ;;
        post-config)
            echo_summary "Configuring oslo.tracing"
            configure_tracing
            ;;
        test-config)
            if is_service_enabled tempest; then
                echo_summary "Configuring tempest for oslo.tracing"
                configure_tracing_in_tempest
            fi
            ;;
    esac
elif [[ "${1:-}" == "unstack" ]]; then
    unconfigure_tracing
elif [[ "${1:-}" == "clean" ]]; then
    unconfigure_tracing
    cleanup_tracing
fi

# Restore xtrace
$_XTRACE_TRACING_PLUGIN
