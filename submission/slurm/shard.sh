#!/usr/bin/env bash
#SBATCH --job-name=trm-shard
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
#
# One shard of a run, as a task of an array job:  sbatch --array=0-3 shard.sh FOLDER
#
# FOLDER/settings.sh says what to run; FOLDER/shard-N is the shard's run folder. A task that is stopped (pre-empted, or near its time limit: Slurm sends
# SIGTERM) leaves its best answers, is queued again and goes on where it was. One that crashed is queued again too, a few times.
set -u

folder=$1
source "$folder/settings.sh"
index=$SLURM_ARRAY_TASK_ID
task=${SLURM_ARRAY_JOB_ID}_$index # of the last task SLURM_JOB_ID is the number of the whole array
run=$folder/shard-$index
mkdir -p -- "$run"

say() { printf '%s shard %s of %s, job %s on %s: %s\n' "$(date -u +%FT%TZ)" "$index" "$SHARDS" "$task" "${SLURMD_NODENAME:-?}" "$*" >&2; }

stopped=
child=
trap 'stopped=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM

say "begins, restart ${SLURM_RESTART_COUNT:-0}"
# --resume goes on with the run in the folder; where there is none, one begins.
"${TRM[@]}" run "${RUN[@]}" --shard "auto/$SHARDS" --resume "$run" --out "$run/submission.json" &
child=$!
# A signal ends `wait`, not the run: wait until it is gone.
while wait "$child"; status=$?; kill -0 "$child" 2>/dev/null; do :; done

# 1: something that its user must mend, and another try would not.
if [ "$status" -le 1 ]; then
  say "ended with status $status"
  exit "$status"
fi

if [ -n "$stopped" ]; then
  again=$REQUEUES count=${SLURM_RESTART_COUNT:-0}
else
  printf '%s status %s\n' "$(date -u +%FT%TZ)" "$status" >>"$run/crashes.log"
  again=$CRASHES count=$(($(wc -l <"$run/crashes.log") - 1))
fi
# One that was cancelled is not queued again from here, and one that Slurm has queued again need not be.
state=$(scontrol show job --oneliner "$task" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p')
if [ "$state" != RUNNING ]; then
  say "ended with status $status; it is $state"
elif [ "$count" -ge "$again" ]; then
  say "ended with status $status, queued again $count times: no more"
else
  # The controller may be slow to answer, or down for a moment.
  for wait in 1 5 20 0; do
    if scontrol requeue "$task"; then
      say "ended with status $status; queued again"
      break
    fi
    say "ended with status $status; can't be queued again"
    sleep "$wait"
  done
fi
exit "$status"
