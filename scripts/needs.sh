# shellcheck shell=bash
# What this machine lacks for a script of ours, and apt-get for it where that may be: as root on Debian 12 or later.
lacking=() packages=() no_install=${no_install:-}

# rustup's folder is on the PATH of login shells only, sshd's is on root's only.
[ ! -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
PATH=$PATH:/usr/sbin:/sbin

has() { command -v "$1" >/dev/null 2>&1; }

need() { # PROGRAM PACKAGE...
    has "$1" && return
    lacking+=("$1")
    packages+=("${@:2}")
}

may_install() {
    [ -z "$no_install" ] && [ "$(id -u)" = 0 ] && has apt-get &&
        (
            # shellcheck source=/dev/null
            . /etc/os-release
            [ "${ID:-}" = debian ] && [ "${VERSION_ID:-99}" -ge 12 ] # testing has no number
        )
}

# Installs what `need` found missing. What may not or cannot be installed is still missing afterwards: ask `has`.
install_needs() {
    [ ${#lacking[@]} -gt 0 ] || return 0
    if ! may_install; then
        echo "missing here: ${lacking[*]}; on Debian, as root: apt-get install ${packages[*]}"
        return 0
    fi
    echo "installing by apt-get, for ${lacking[*]}: ${packages[*]}"
    by_apt "${packages[@]}" || echo "apt-get could not install all of it"
}

# No service is started by what is installed, now or at the next boot: the tests start an sshd of their own, on
# loopback.
by_apt() (
    policy=/usr/sbin/policy-rc.d
    had_sshd=$(command -v sshd || true)
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt=(apt-get -q -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update </dev/null && "${apt[@]}" install -y --no-install-recommends "$@" </dev/null || exit 1
    if [ -z "$had_sshd" ] && has sshd && has systemctl; then
        systemctl -q disable ssh.service ssh.socket 2>/dev/null || true
    fi
)

# Cargo tells each crate on stderr: on a slow machine this takes half an hour, in which it must not look dead.
install_nextest() {
    echo "installing cargo-nextest, which runs the tests: cargo builds it once, and tells each of some 400 crates" \
        "below; a few minutes, half an hour on a slow machine" >&2
    cargo install cargo-nextest --locked
}

how_to_get_rust() {
    cat <<'HOW'
cargo is missing, and is not installed for you. Rust 1.88 or later is needed (Debian's own is older), by rustup:
  Debian 13 or later:  apt-get install rustup && rustup default stable
  elsewhere:           see https://rustup.rs
HOW
}
