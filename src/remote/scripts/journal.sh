# shellcheck shell=sh
# journal UNIT…: the end of what each unit has said on this boot. Changes nothing.
#
# Answers `unit UNIT` for each, followed by its `log` lines. Needs lib.sh.

main() {
    demand is_unit "$@"
    for journal_unit in "$@"; do
        put unit "$journal_unit"
        timeout -k 1 3 journalctl -q --no-pager -b -n 20 -o cat -u "$journal_unit" </dev/null 2>/dev/null |
            put_lines log
    done
    finish
}
