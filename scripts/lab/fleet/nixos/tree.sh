# Builder of every derivation: $list has a line "KIND PATH" for each file, whose text or target is in $f0, $f1, ...
# shellcheck shell=bash
set -eu
: "${out:?}" "${name:?}" "${list?}"
case ${delay:-0} in 0) ;; *) sleep "$delay" ;; esac
if [ -n "${broken:-}" ]; then
    for line in $(seq 1 29); do echo "building part $line of $name"; done
    echo "error: part 30 of $name cannot be built"
    exit 1
fi
# All folders by one process: a push in the lab builds some six of these trees.
folders=("$out")
while read -r kind path; do
    case $path in */*) folders+=("$out/${path%/*}") ;; esac
done <<<"$list"
mkdir -p "${folders[@]}"
n=0 executables=()
while read -r kind path; do
    text=f$n n=$((n + 1))
    [ -n "$path" ] || continue
    case $kind in
    file) printf '%s' "${!text}" >"$out/$path" ;;
    exec) printf '%s' "${!text}" >"$out/$path" && executables+=("$out/$path") ;;
    link) ln -s "${!text}" "$out/$path" ;;
    copy) cp "${!text}" "$out/$path" ;;
    program) ln -s "$(type -P "${!text}")" "$out/$path" ;;
    zeros) truncate -s "${!text}M" "$out/$path" ;;
    noise) head -c "${!text}M" /dev/urandom >"$out/$path" ;;
    dir) mkdir "$out/$path" ;;
    esac
done <<<"$list"
[ ${#executables[@]} = 0 ] || chmod 755 "${executables[@]}"
