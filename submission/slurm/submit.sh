#!/usr/bin/env bash
# Submits the shards as an array job, and a job that merges them when all have ended:  bash submit.sh FOLDER [ROUND] [SHARDS, such as 0,2-3]
#
# FOLDER/settings.sh says what to run and which options of sbatch to give. The jobs' numbers go to FOLDER/jobs.log and to standard output.
set -euo pipefail

folder=$(cd -- "${1:-$(dirname -- "${BASH_SOURCE[0]}")}" && pwd)
round=${2:-1}
source "$folder/settings.sh"
shards=${3:-0-$((SHARDS - 1))}

mkdir -p -- "$folder/logs"
# In the folder, with relative names: in those of sbatch's own options a % would mean something.
cd -- "$folder"
array=$(sbatch --parsable --array="$shards${AT_ONCE:+%$AT_ONCE}" --output=logs/shard-%a.log "${ARRAY_OPTIONS[@]}" shard.sh "$folder")
array=${array%%;*}
merge=$(sbatch --parsable --dependency="afterany:$array" --output=logs/merge.log "${MERGE_OPTIONS[@]}" merge.sh "$folder" "$round")
merge=${merge%%;*}
printf 'round %s: shards %s in job %s, merge in job %s\n' "$round" "$shards" "$array" "$merge" | tee -a jobs.log
