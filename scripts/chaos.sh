#!/usr/bin/env bash
# Real fleets in the lab taken through pushes while something dies at a random moment, and what came of it. See
# docs/chaos.md.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

usage() {
    cat <<'HELP'
usage: scripts/chaos.sh [--trials] [--runs N] [--seed S] [--jobs J] [--resume]
  --trials     rolling reboots that try a new system, not pushes; 40 seeds in a row are every break in every step
  --runs N     how many, with the seeds S, S+1, ... (default 10)
  --seed S     the first one (default 1); a seed is a whole run and replays: --seed S --runs 1
  --jobs J     fleets side by side (default 1)
  --resume     goes on after what is in the results already

Results: target/chaos/results.jsonl, one line a run; target/chaos/table.md; target/chaos/SEED/ what a run with
violations has left. Of trials: target/chaos/trials/.
exit: 0 no violation, 1 violations, 2 usage
HELP
}

export CHAOS_RUNS=10 CHAOS_SEED=1 CHAOS_JOBS=1 CHAOS_RESUME=no CHAOS_PLACE=$PWD/target/chaos
while [ $# -gt 0 ]; do
    case $1 in
    --runs | --seed | --jobs)
        case ${2:-} in '' | *[!0-9]*) usage >&2 && exit 2 ;; esac
        declare -x "CHAOS_$(tr '[:lower:]' '[:upper:]' <<<"${1#--}")=$2"
        shift
        ;;
    --resume) CHAOS_RESUME=yes ;;
    --trials) export CHAOS_KIND=trials CHAOS_PLACE=$PWD/target/chaos/trials ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
    esac
    shift
done
cargo test --locked --quiet --test lab -- --ignored --exact --nocapture chaos::the_runs_that_were_asked_for || exit 1
