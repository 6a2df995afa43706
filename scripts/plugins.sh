#!/usr/bin/env bash
# Install the Debian packages that plugin tests need: `scripts/plugins.sh zam` for make test, `all` for CI.
# Where that is not possible it says so in one line and succeeds; `all` then fails.
set -u

case "${1:-}" in
    zam) packages=(zam-plugins) ;;
    all) packages=(zam-plugins lsp-plugins-lv2 calf-plugins x42-plugins dragonfly-reverb-lv2 ardour) ;;
    *) echo "usage: $0 zam|all" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
    if [ "$package" = zam-plugins ] && [ -e /usr/lib/vst3/ZamEQ2.vst3 ] && [ -e /usr/lib/vst/ZamEQ2-vst.so ]; then
        continue # installed by hand
    fi
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

get="apt-get install --no-install-recommends ${missing[*]}"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
why="this is no Debian or Ubuntu"
if command -v apt-get >/dev/null; then
    why="that takes root or sudo without a password"
    if "${as_root[@]}" true 2>/dev/null; then
        log=$(mktemp)
        why="apt-get failed, see $log"
        echo "installing ${missing[*]} ..."
        export DEBIAN_FRONTEND=noninteractive
        install=("${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}")
        "${install[@]}" >"$log" 2>&1 && exit 0
        # A fresh machine or container has no package lists yet, an old one has stale ones.
        "${as_root[@]}" apt-get update >>"$log" 2>&1 && "${install[@]}" >>"$log" 2>&1 && exit 0
    fi
fi
echo "plugin tests are left out, as ${missing[*]} could not be installed ($why); to get them: $get"
[ "$1" = zam ]
