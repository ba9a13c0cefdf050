#!/usr/bin/env bash
#SBATCH --job-name=trm-merge
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
#
# Joins the shards once all of them have ended, however that was:  sbatch --dependency=afterany:ARRAY merge.sh FOLDER [ROUND]
#
# Shards that have no answers, or have not come to their end, are named; the submission is written all the same, with their answers so far and fallbacks,
# and the exit status is 1. They are then submitted once more, with a merge job of their own, until there have been ROUNDS of them.
set -u

folder=$1
round=${2:-1}
source "$folder/settings.sh"

parts=()
for ((i = 0; i < SHARDS; i++)); do parts+=("$folder/shard-$i/candidates.json"); done
result=$("${TRM[@]}" merge "${parts[@]}" "${MERGE[@]}" --expect "$SHARDS" --json)
status=$?
[ -z "$result" ] || printf '%s\n' "$result"
[ "$status" -eq 1 ] || exit "$status"

unfinished=
for list in missingShards unfinishedShards; do
  if [[ $result =~ \"$list\":\[([0-9,]+)\] ]]; then unfinished+=${unfinished:+,}${BASH_REMATCH[1]}; fi
done
if [ -n "$unfinished" ] && [ "$round" -lt "$ROUNDS" ]; then
  printf 'shards %s have not come to their end: submitted once more\n' "$unfinished" >&2
  bash "$folder/submit.sh" "$folder" $((round + 1)) "$unfinished"
fi
exit 1
