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

# What the plugin asks of devstack, small enough for a test. Files are real
# ones; what would touch the machine is written down in $CALLS.

_note() { echo "$*" >> "$CALLS"; }

sudo() { "$@"; }
install() {
    local directory=${*: -1}
    _note "install $*"
    mkdir -p "$directory"
    chmod 0750 "$directory"
}
podman() { _note "podman $*"; }
systemctl() { _note "systemctl $*"; }
export SYSTEMCTL=systemctl

define_plugin() { :; }
echo_summary() { :; }
die() { echo "died: ${*:2}" >&2; exit 1; }
setup_develop() { _note "setup_develop $*"; }
install_package() { _note "install_package $*"; }
get_python_exec_prefix() { echo "$DEVSTACK_VENV/bin"; }
generate_hex_string() { printf '%032x\n' "$((16#123456789abc))"; }
is_service_enabled() { [[ ",$ENABLED_SERVICES," == *",$1,"* ]]; }

# As devstack's do, they leave everything else in the file as it is, and put
# an option right below the name of its section. Without a process for each.
_edit() {
    local action=$1 file=$2 section=$3 option=$4 value=${5:-}
    local line inside='' done='' text=''
    local -a lines=()
    if [[ -f "$file" ]]; then
        mapfile -t lines < "$file"
    fi
    if [[ "$action" != delete && " ${lines[*]-} " != *"[$section]"* ]]; then
        lines+=('' "[$section]")
    fi
    for line in "${lines[@]}"; do
        if [[ "$line" == "["* ]]; then
            inside=
            if [[ "$line" == "[$section]" ]]; then
                inside=yes
            fi
        elif [[ -n "$inside" && "$line" =~ ^${option}[[:blank:]]*= ]]; then
            case "$action" in
                get) read -r line <<< "${line#*=}"; echo "$line"; return ;;
                delete) continue ;;
                set) line="$option = $value"; done=yes ;;
            esac
        fi
        text+=$line$'\n'
    done
    if [[ "$action" == get ]]; then
        echo
        return
    fi
    if [[ "$action" != delete && -z "$done" ]]; then
        text=${text/"[$section]"$'\n'/"[$section]"$'\n'"$option = $value"$'\n'}
    fi
    printf '%s' "$text" > "$file"
}
iniset() {
    if [[ "$1" == -sudo ]]; then
        shift
    fi
    _edit set "$@"
}
iniadd_literal() { _edit add "$@"; }
inidelete() { _edit delete "$@"; }
iniget() { _edit get "$@"; }

write_uwsgi_config() {
    rm -f "$1"
    if [[ "$2" == *:* ]]; then
        iniset "$1" uwsgi module "$2"
    else
        iniset "$1" uwsgi wsgi-file "$2"
    fi
    iniset "$1" uwsgi enable-threads true
    iniset "$1" uwsgi lazy-apps true
}
write_local_uwsgi_http_config() {
    write_uwsgi_config "$@"
    iniset "$1" uwsgi http-auto-chunked true
}
write_user_unit_file() {
    local unit=$SYSTEMD_DIR/$1
    mkdir -p "$SYSTEMD_DIR"
    iniset -sudo "$unit" Service User "$4"
    iniset -sudo "$unit" Service ExecStart "$2"
    if [[ -n "$5" ]]; then
        iniset -sudo "$unit" Service Environment "$5"
    fi
}
run_process() {
    if is_service_enabled "$1"; then
        write_user_unit_file "devstack@$1.service" "$2" "${3:-}" "${4:-stack}" "${5:-}"
    fi
}
