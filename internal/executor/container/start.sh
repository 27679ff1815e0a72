# The first process of a container: $0 is the script, $1 a file that says that memory ran out.
#
# It gives both outputs one pipe, so that their order stays. Like every shell that waits it reaps the orphans, which become its
# children. Nothing in the container can kill it, and what is left when it ends is killed.
exec 2>&1
trap stopped=1 TERM

if command -v bash >/dev/null; then bash -e "$0"; else sh -e "$0"; fi
status=$?

# Not all engines know which container the kernel had to kill something in.
if [ $status -ne 0 ]; then
  for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r $file ] || continue
    while read -r event count; do
      if [ "$event" = oom_kill ] && [ "$count" != 0 ]; then : >"$1"; fi
    done <$file
  done
fi

# Whoever stops the step asks all other processes to end, and they have some time to do it.
while [ "$stopped" ] && kill -0 -1 2>/dev/null; do sleep 0.05 2>/dev/null || sleep 1; done
exit $status
