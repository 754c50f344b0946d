# shellcheck shell=bash
# ./dev setup: which Debian packages are wanted, for what, and how the missing ones are installed.

# The sanitizers' and fuzzers' runtime is a package of its own, named after the version that `clang` stands for.
clang_major() {
    local version
    # shellcheck source=/dev/null
    version=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
    case $version in
    12) echo 14 ;;
    13) echo 19 ;;
    *) apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1 ;;
    esac
}

# Named after its library's version; 11 on Debian 12, and where the lists do not say.
proton_dev() {
    local known
    known=$(apt-cache search --names-only '^libqpid-proton[0-9]+-dev$' 2>/dev/null | sort -V | tail -n 1)
    known=${known%% *}
    echo "${known:-libqpid-proton11-dev}"
}

# One line per package: purpose, name, reason.
packages() {
    cat <<END
build build-essential the C++ compiler (C++20) and make
build cmake the build description
build ninja-build runs the build
build ccache makes the second build of a file free
build pkgconf finds libraries that bring no CMake files
build libboost-dev Asio: network, timers, signals
build libmbedtls-dev TLS
build libsqlite3-dev the store
build libtomlplusplus-dev the config file
build libcli11-dev command lines
build libfmt-dev formatting
build libspdlog-dev logging
build nlohmann-json3-dev JSON in conditions and in the admin API
build librdkafka-dev the Kafka bridge
build librabbitmq-dev the AMQP bridge
build $(proton_dev) the AMQP 1.0 bridge
build libpaho-mqtt-dev the device simulator (C part)
build libpaho-mqttpp-dev the device simulator (C++ part)
build libgtest-dev unit tests are part of the build description
build libgmock-dev likewise
build libbenchmark-dev likewise, for benchmarks
build libssl-dev TLS of the bridges and of the load generator
build openssl makes development certificates
build python3 development certificates, the demo and checks
test clang address sanitizer and fuzzers
test libclang-rt-$(clang_major)-dev the runtime of both
peers mosquitto-clients foreign MQTT clients to test with
peers mosquitto the peer in the benchmark; mosquitto_passwd
peers rabbitmq-server the AMQP upstream of system tests and the demo
peers python3-paho-mqtt likewise
browser chromium MQTT.js over WebSocket, as web pages use it
peers sqlite3 looks into the store from outside
peers curl asks the admin API
peers iproute2 cuts a peer off, in a network namespace
kafka default-jre-headless runs a real Kafka
kafka maven fetches it
lint clang-format the format check
lint clang-tidy static analysis
lint shellcheck checks the scripts
lint git lists the files of the project
package debhelper builds the .deb files
package fakeroot gives them root's ownership
package lintian checks them
package man-db checks the manual pages
END
}

# Prints "NAME REASON" for each package of the purposes (all when none) that is not installed.
missing_packages() {
    local purposes=" $* " purpose name reason installed
    local -a names=() reasons=()
    while read -r purpose name reason; do
        [[ $purposes == "  " || $purposes == *" $purpose "* ]] || continue
        names+=("$name")
        reasons+=("$reason")
    done < <(packages)
    # shellcheck disable=SC2016 # the fields are dpkg's, not ours
    installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${names[@]}" 2>/dev/null || true)
    local i
    for i in "${!names[@]}"; do
        [[ $'\n'$installed$'\n' == *$'\n'"${names[i]} installed"$'\n'* ]] || say "${names[i]} ${reasons[i]}"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Its words go to a log, a sign of life every ten seconds; the end of the log when it fails.
apt_get() {
    local log=build/test-logs/setup.log
    mkdir -p "$(dirname "$log")"
    [ "$(id -u)" -eq 0 ] || sudo -v || die "sudo did not let us in"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        -o Dpkg::Use-Pty=0 "$@" 2>&1 | tee "$log" | awk '
            /^(Get:|Unpacking|Setting up)/ && systime() >= next_s {print "    " substr($0, 1, 100); fflush(); next_s = systime() + 10}' ||
        { tail -n 20 "$log" && return 1; }
}

# Test peers must not run on the developer's machine (mosquitto would take port 1883): no start now, none at boot.
POLICY=/usr/sbin/policy-rc.d
OUR_POLICY=
hold_services() {
    [ ! -e "$POLICY" ] || return 0
    printf '#!/bin/sh\n# Temporary, by ./dev setup of Sluice: install services without starting them.\nexit 101\n' |
        as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
    OUR_POLICY=1
}
release_services() {
    [ -n "$OUR_POLICY" ] || return 0
    as_root rm -f "$POLICY"
    OUR_POLICY=
}
# Of these units, those that are installed.
test_peer_units() {
    local unit
    for unit in mosquitto.service rabbitmq-server.service epmd.service epmd.socket; do
        [ ! -e "/lib/systemd/system/$unit" ] || say "$unit"
    done
}
# disable_new_units BEFORE: what came with this installation; what was there before is the user's own.
disable_new_units() {
    local unit
    command -v systemctl >/dev/null || return 0 # without systemd nothing is started at boot
    for unit in $(test_peer_units); do
        [[ $'\n'$1$'\n' == *$'\n'$unit$'\n'* ]] || as_root systemctl disable "$unit" >/dev/null 2>&1 || true
    done
}

# Do the package lists know all of these? (They are empty on a fresh image.)
lists_know() {
    local known
    known=$(apt-cache policy "$@" 2>/dev/null | grep -c '^  Candidate: [^(]' || true)
    [ "$known" -eq $# ]
}

install_packages() {
    local units
    command -v apt-get >/dev/null || die "apt-get is not here: Sluice is developed on Debian 12 or 13; install these by hand: $*"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || die "not root, and sudo is not here: run as root: apt-get install $*"
    if ! lists_know "$@"; then
        note "setup: apt-get update"
        apt_get update || die "apt-get update failed: is there a network, and does /etc/apt name a mirror that answers?"
        lists_know "$@" || die "apt does not know all of: $* (is there a network, and is this Debian 12 or 13? see build/test-logs/setup.log)"
    fi
    trap 'release_services; stop_child' EXIT
    hold_services
    units=$(test_peer_units)
    if ! apt_get install --no-install-recommends "$@"; then
        note "setup: once more with fresh package lists"
        { apt_get update && apt_get install --no-install-recommends "$@"; } ||
            die "apt-get could not install: $* (why stands above; is there a network?)"
    fi
    disable_new_units "$units"
    release_services
    trap stop_child EXIT
}

# What the tests cannot try here, said at once and again in the summary: leave_out "WHAT, because WHY".
LEFT_OUT=()
leave_out() {
    LEFT_OUT+=("$1")
    say "left out: $1"
}

# MQTT.js and a browser to run it in: extra, because npm is not everywhere and its registry not always to be reached.
MQTT_JS=build/npm
setup_mqtt_js() {
    local from=tests/system/foreign
    if [ "$MQTT_JS/installed" -nt "$from/package-lock.json" ]; then return 0; fi
    if ! command -v npm >/dev/null; then
        leave_out "MQTT.js as a foreign client, because npm is not here"
        return 0
    fi
    mkdir -p "$MQTT_JS"
    cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$MQTT_JS/"
    note "setup: MQTT.js from npm"
    if ! (cd "$MQTT_JS" && timeout 120 npm ci) >"$MQTT_JS/npm.log" 2>&1; then
        leave_out "MQTT.js as a foreign client, because npm could not install it (log: $MQTT_JS/npm.log)"
        return 0
    fi
    cmd_setup browser
    touch "$MQTT_JS/installed"
}

# A real Kafka: extra, because Maven Central is not always to be reached. Without it librdkafka's mock carries the rest.
KAFKA=build/kafka
setup_kafka() {
    local answer
    if ! command -v mvn >/dev/null || ! command -v java >/dev/null; then
        if [ -n "${SLUICE_NO_INSTALL:-}" ] || ! (cmd_setup kafka); then
            leave_out "a real Kafka (the mock is used), because Java and Maven are not here"
            return 0
        fi
    fi
    [ -d "$KAFKA/jars" ] || note "setup: Kafka from Maven Central"
    if ! answer=$(python3 "$TOOLS/kafka_jars.py" "$KAFKA"); then
        leave_out "a real Kafka (the mock is used), because ${answer:-its jars could not be fetched}"
    fi
}

cmd_setup() {
    local missing name reason purpose
    local -a names=()
    for purpose in "$@"; do
        [[ $purpose =~ ^(build|test|peers|browser|kafka|lint|package)$ ]] || die "setup: no purpose '$purpose' (build, peers, browser, kafka, test, lint, package)"
    done
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    say "setup: these Debian packages are missing and will be installed:"
    while read -r name reason; do
        printf '    %-24s %s\n' "$name" "$reason"
        names+=("$name")
    done <<<"$missing"
    [ -z "${SLUICE_NO_INSTALL:-}" ] || die "SLUICE_NO_INSTALL is set; install them with: apt-get install ${names[*]}"
    install_packages "${names[@]}"
    note "setup: ${#names[@]} packages installed"
}
