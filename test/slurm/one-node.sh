#!/usr/bin/env bash
# A Slurm cluster of one node for tests: real munged, slurmctld and slurmd, as root, without cgroups, systemd or a database, listening on the address of
# this machine's own name only.
#
#   one-node.sh start DIR    starts the daemons; all that they write is in DIR, and DIR/slurm.conf is what SLURM_CONF must name
#   one-node.sh stop DIR     cancels the jobs and ends the daemons that were started there
#
# Exit status: 0 done; 2 wrong call; 3 the node was not ready in time; 4 Slurm is not installed (Debian: slurmctld slurmd slurm-client munge); 5 a daemon died
set -euo pipefail
export LC_ALL=C
PATH=/usr/sbin:/sbin:$PATH

die() { local status=$1; shift; printf 'one-node.sh: %s\n' "$*" >&2; exit "$status"; }
within() { # within SECONDS COMMAND...
  local end=$((SECONDS + $1)); shift
  until "$@"; do (( SECONDS < end )) || return 1; sleep 0.2; done
}

# A pid file is believed where that process has the right name and its command line names DIR: a number given out again is never signalled.
ours() { # ours PID NAME
  [[ -r /proc/$1/comm && $(cat "/proc/$1/comm" 2>/dev/null) == "$2" ]] || return 1
  { tr '\0' '\n' <"/proc/$1/cmdline"; tr '\0' '\n' <"/proc/$1/environ"; } 2>/dev/null | grep -F -- "$dir/" >/dev/null
}
pid_of() { # pid_of DAEMON
  local pid
  [[ -s $dir/run/$1.pid ]] || return 1
  pid=$(tr -dc 0-9 <"$dir/run/$1.pid")
  ours "$pid" "$1" && printf '%s\n' "$pid"
}

taken() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
configure() {
  local host address port memory
  host=$(hostname -s 2>/dev/null || hostname) # slurmctld insists on the machine's own name
  address=$(getent ahostsv4 "$host" | awk 'NR == 1 {print $1}') || address=
  if [[ -z $address ]]; then
    printf '127.0.0.1 %s\n' "$host" >>/etc/hosts || die 2 "the name $host has no address, and /etc/hosts can't be written"
    address=127.0.0.1
  fi
  for ((port = 16817 + 2 * (RANDOM % 250); port < 17817; port += 2)); do
    taken "$address" "$port" || taken "$address" $((port + 1)) || break
  done
  memory=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  mkdir -p "$dir"/{run,log,state,spool,munge,gpu}
  chmod 755 "$dir" "$dir/run" "$dir/munge"
  chmod 700 "$dir/log" "$dir/state" "$dir/spool"
  (umask 077; head -c 1024 /dev/urandom >"$dir/munge/key")
  # GPUs that are none: they set CUDA_VISIBLE_DEVICES in a job that asks for them.
  local gpu; for gpu in 0 1 2 3; do ln -sfn /dev/null "$dir/gpu/gpu$gpu"; done
  printf 'NodeName=%s Name=gpu File=%s/gpu/gpu[0-3]\n' "$host" "$dir" >"$dir/gres.conf"
  cat >"$dir/slurm.conf" <<CONF
ClusterName=onenode
SlurmctldHost=$host($address)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MinJobAge=86400
GresTypes=gpu
NodeName=$host NodeAddr=$address CPUs=8 RealMemory=$memory Gres=gpu:4 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
  printf 'CgroupAutomount=no\nConstrainCores=no\nConstrainRAMSpace=no\nConstrainDevices=no\n' >"$dir/cgroup.conf"
}

launch() { # launch NAME COMMAND...; the command goes into the background by itself
  local name=$1; shift
  if ! timeout 30 "$@" >"$dir/log/$name.start" 2>&1 </dev/null || ! within 20 pid_of "$name" >/dev/null; then
    tail -n 15 "$dir/log/$name.start" "$dir/log/$name.log" >&2 2>/dev/null || true
    stop || true
    die 5 "$name did not start"
  fi
}
ready() { [[ $(timeout 5 sinfo -h -N -o %T 2>/dev/null) =~ ^(idle|mixed|allocated)$ ]]; }
start() {
  local command
  for command in slurmctld slurmd munged sbatch squeue scontrol scancel sinfo; do
    command -v "$command" >/dev/null || die 4 "$command is not installed (Debian: slurmctld slurmd slurm-client munge)"
  done
  configure
  # --force: a folder above that others can't enter is fine, for everyone here is root
  launch munged munged --force --key-file="$dir/munge/key" --socket="$dir/run/munge.socket" --pid-file="$dir/run/munged.pid" \
    --seed-file="$dir/munge/seed" --log-file="$dir/log/munged.log" --num-threads=2
  launch slurmctld slurmctld -f "$SLURM_CONF"
  launch slurmd slurmd -f "$SLURM_CONF"
  within 40 ready || { tail -n 15 "$dir"/log/slurm*.log >&2; stop || true; die 3 "the node was not ready in time"; }
}

idle() { [[ -z $(timeout 5 squeue -h -o %i 2>/dev/null) ]]; }
stop() {
  local name pid folder
  if pid_of slurmctld >/dev/null && pid_of munged >/dev/null; then
    timeout 10 scancel --user="$(id -un)" >/dev/null 2>&1 || true
    within 15 idle || true
  fi
  for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    if ours "$pid" slurmstepd; then kill -KILL "$pid" 2>/dev/null || true; fi
  done
  for name in slurmd slurmctld munged; do
    pid=$(pid_of "$name") || continue
    kill -TERM "$pid" 2>/dev/null || true
    within 10 eval "! ours $pid $name" || kill -KILL "$pid" 2>/dev/null || true
  done
}

[[ $# == 2 && $1 =~ ^(start|stop)$ ]] || die 2 "usage: one-node.sh start|stop DIR"
[[ $(id -u) == 0 ]] || die 2 "must be root: slurmd starts jobs"
mkdir -p -- "$2"
dir=$(cd -- "$2" && pwd -P)
# Slurm splits values at blanks and #, and a socket's path has 107 bytes at most.
[[ $dir =~ ^[A-Za-z0-9_./+-]{1,80}$ ]] || die 2 "$dir: only letters, digits and _ . / + - are safe in slurm.conf, 80 at most"
export SLURM_CONF=$dir/slurm.conf
"$1"
