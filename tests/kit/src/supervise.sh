# A leash: its standard input is a pipe that only the owner can write to, so end of file there means
# that the owner let go, or is gone, whatever ended it.
#
#   guard DIR                  at end of file: wait until nothing runs in DIR any more, and remove it
#   run DIR GRACE COMMAND ..   run COMMAND; at end of file TERM it, after GRACE tenths of a second KILL it
#
# `run` says "pid N" and "exit CODE" on standard output; COMMAND's output goes to standard error.
mode=$1 dir=$2
shift 2
if [ "$mode" = guard ]; then
    cat >/dev/null
    n=0
    while [ $n -lt 600 ] && ls "$dir"/.alive.* >/dev/null 2>&1; do
        sleep 0.1
        n=$((n + 1))
    done
    rm -rf -- "$dir"
    exit
fi
grace=$1
shift
alive=$dir/.alive.$$ ended=$dir/.ended.$$
# No folder: the guard was here before us, so the owner is gone already.
: 2>/dev/null >"$alive" || exit 1
exec 3<&0
"$@" </dev/null 1>&2 3<&- &
child=$!
# Not before the child was started: it would inherit this. And its output ends when it does.
trap '' PIPE
exec 2>/dev/null
echo "pid $child"
{
    cat >/dev/null
    if [ ! -e "$ended" ]; then
        kill -TERM $child
        n=0
        while [ $n -lt "$grace" ] && [ ! -e "$ended" ]; do
            sleep 0.1
            n=$((n + 1))
        done
        [ -e "$ended" ] || kill -KILL $child
    fi
} <&3 >/dev/null 2>&1 &
watcher=$!
wait $child
code=$?
: >"$ended"
echo "exit $code"
wait $watcher
rm -f "$alive" "$ended"
