# Settings of the jobs, read by submit.sh, shard.sh and merge.sh. `trm slurm` writes such a file; this one is to be changed by hand.

# The program; the nodes must see it, and all files below, under these names.
TRM=(node /shared/submission/trm.mjs)
SHARDS=4
# Options of `run` for every shard.
RUN=(
  --challenges /shared/arc-agi_evaluation_challenges.json
  --checkpoint /shared/checkpoint
  --budget 11h30m
  --free-pauses
  --require-gpus 4
)
# Options of `merge`.
MERGE=(
  --challenges /shared/arc-agi_evaluation_challenges.json
  --out /shared/run/submission.json
  --candidates /shared/run/candidates.json
  --report /shared/run/report.html
)
# Options of sbatch for the array job: Slurm sends SIGTERM two minutes before the time limit, and the shard is queued again.
ARRAY_OPTIONS=(--partition=gpu --gres=gpu:4 --cpus-per-task=16 --time=12:00:00 --signal=B:TERM@120)
# ... and for the merge job.
MERGE_OPTIONS=(--partition=gpu --time=00:30:00)
# Shards that may run at the same time, at most; empty: as many as there is room for.
AT_ONCE=
# How often a shard is queued again after it was stopped, and after it crashed; how often unfinished shards are submitted in all.
REQUEUES=20
CRASHES=3
ROUNDS=3
