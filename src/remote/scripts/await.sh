# shellcheck shell=sh
# await RUN KIND LIMIT: waits for a step that was started, at most LIMIT seconds, and says how it stands. Changes
# nothing. Answers as step.sh does.
# Needs lib.sh, traces.sh, boot.sh and waiting.sh.
# shellcheck disable=SC2034 # print_standing asks for it

main() {
    demand is_run "$1"
    demand is_number "$3"
    demand is_kind "$2"
    of_run=$1
    put asked "$2"
    await_job "$2" "$3"
    print_ending "$2"
    finish
}
