#!/usr/bin/env bash
# A push of the two-host fleet on the lab: how long each phase takes, and what is left when build, copy and activation
# are taken away. `scripts/bench.sh phases`.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
: "${runs:?}" "${binary:?}"
command -v jq >/dev/null || { echo "jq is not installed: apt-get install jq" >&2 && exit 1; }

fleet=bench-$$
trap 'scripts/lab.sh down "$fleet"' EXIT
scripts/lab.sh up "$fleet" --binary "$binary" >/dev/null

# Of one push's events: seconds from each phase's beginning to the next one's, and the sum of those that are not build,
# copy, test or switch. Build and survey run side by side and count as build.
# shellcheck disable=SC2016 # jq's variables
figures='
def seconds: sub("\\.(?<ms>[0-9]+)Z$"; "Z") as $whole
  | ($whole | fromdateiso8601) + ((capture("\\.(?<ms>[0-9]+)Z$").ms | tonumber) / 1000);
[.[] | select(.event == "phase_started" or .event == "push_started" or .event == "finished")
  | {phase: (.phase // .event), at: (.at | seconds)}] as $marks
| [range(0; ($marks | length) - 1) as $i
  | {key: $marks[$i].phase, value: ($marks[$i + 1].at - $marks[$i].at)}] as $phases
| ($marks[-1].at - $marks[0].at) as $total
| ([$phases[] | select(.key | IN("push_started", "build", "survey", "copy", "test", "switch") | not)
  | .value] | add) as $own
| "total \($total * 100 | round / 100) s, beyond build, copy and activation \($own * 100 | round / 100) s:"
  + ([$phases[] | select(.key != "push_started") | " \(.key) \(.value * 100 | round / 100)"] | add)'

for run in $(seq "$runs"); do
    for host in vps homeserver; do
        scripts/lab.sh set "$fleet" "$host" version "\"bench-$run\""
    done
    scripts/lab.sh ws "$fleet" -- fleetdeploy push homelab --json | jq -rs "$figures"
done
