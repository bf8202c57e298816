#!/usr/bin/env bash
# Makes the pictures of the live screen and of the page of a run anew, from two real pushes on the lab: a good one, and
# one that breaks the VPN.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

usage() {
    cat <<'HELP'
usage: scripts/pictures.sh [--keep]
  --keep   leave the recorded events of both pushes in target/pictures/

As root, where the lab runs (scripts/lab.sh needs). and chromium is. Writes docs/push.svg and
docs/rolled-back.svg, docs/page.png and docs/page-on-a-phone.png.
HELP
}

keep=''
case ${1:-} in
'') ;;
--keep) keep=1 ;;
-h | --help) usage && exit ;;
*) usage >&2 && exit 2 ;;
esac

cargo build --locked --example picture
cargo build --locked
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
fleet=pictures-$$
events=$target/pictures
mkdir -p "$events"
cleanup() {
    scripts/lab.sh down "$fleet"
    [ -n "$keep" ] || rm -rf "$events"
}
trap cleanup EXIT
hosts=(vps homeserver web nas)
scripts/lab.sh up "$fleet" --hosts "$(IFS=,; echo "${hosts[*]}")" --binary "$target/debug/fleetdeploy" >/dev/null

# push NAME EXPECTED_STATUS OPTION…: one push, and its recorded events as NAME.jsonl.
push() {
    local name=$1 expected=$2 status=0
    shift 2
    scripts/lab.sh ws "$fleet" -- fleetdeploy push homelab "$@" || status=$?
    [ "$status" = "$expected" ] || { echo "the push for $name ended with $status, not with $expected" >&2 && exit 1; }
    # The workstation's newest run.
    # shellcheck disable=SC2016 # the workstation's shell
    scripts/lab.sh ws "$fleet" -- \
        sh -c 'cat "$(ls -d "$HOME"/.local/state/fleetdeploy/runs/* | tail -n 1)/events.jsonl"' >"$events/$name.jsonl"
}

for host in "${hosts[@]}"; do scripts/lab.sh set "$fleet" "$host" version '"2"'; done
scripts/lab.sh set "$fleet" vps size 20
scripts/lab.sh set "$fleet" web reboot_needed true
scripts/lab.sh set "$fleet" homeserver activate '"slow:6"'
scripts/lab.sh set "$fleet" nas activate '"slow:4"'
push good 0

for host in "${hosts[@]}"; do scripts/lab.sh set "$fleet" "$host" version '"3"'; done
for host in homeserver nas; do scripts/lab.sh set "$fleet" "$host" activate null; done
scripts/lab.sh set "$fleet" vps wg_key '"wrong"'
push bad 1 --settle 20s

# page FILE WIDTH HEIGHT OPTION…: the page of the last run, as a browser without a screen draws it.
page() {
    local file=$1 size=$2,$3
    shift 3
    chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars "--window-size=$size" "$@" \
        "--screenshot=$file" "file://$events/page.html" 2>/dev/null
}
rm -f "$events/page.html"
scripts/lab.sh ws "$fleet" -- fleetdeploy show last --html - >"$events/page.html"
page docs/page.png 1000 860
page docs/page-on-a-phone.png 500 900 --blink-settings=preferredColorScheme=0

picture() { "$target/debug/examples/picture" "$@"; }
picture "$events/good.jsonl" "fleetdeploy push homelab" "test 0.6" docs/push.svg
picture "$events/bad.jsonl" "fleetdeploy push homelab" "roll_back 0.5" docs/rolled-back.svg
echo "docs/push.svg, docs/rolled-back.svg, docs/page.png and docs/page-on-a-phone.png are new"
