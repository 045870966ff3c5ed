#!/usr/bin/env bash
# A SLURM cluster of one node on this machine, and on it a study driven to its end through a requeue.
#
#   make test-slurm        on Debian, as root if SLURM is not installed yet; some four minutes
#
# Ends with status 77 and a sentence where it cannot be done. All that it starts has a folder, a key
# and ports of its own, and ends with it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$PWD/.venv/bin/python
[ -x "$python" ] || python=$(command -v python3)
PATH=$PATH:/usr/sbin
LIMIT=480 # seconds, after which the machine is too slow for this

cannot() { echo "The study cannot be tried on SLURM here: $1."; exit 77; }
installed() { command -v sbatch >/dev/null && command -v slurmctld slurmd munged | wc -l | grep -qx 3; }
if ! installed; then
    command -v apt-get >/dev/null || cannot "SLURM is not installed, and there is no apt-get"
    [ "$EUID" = 0 ] || cannot "SLURM is not installed, and to install it takes root"
    install="apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge"
    DEBIAN_FRONTEND=noninteractive timeout 240 sh -c "$install" >/dev/null 2>&1 </dev/null || true
    installed || cannot "apt-get could not install SLURM"
fi

home=$(mktemp -d)
# The daemons, the tasks and what these start: all have the folder in their environment.
cleanup() {
    trap '' INT TERM
    export -n SLURM_CONF
    ours() { grep -ls "SLURM_CONF=$home/" /proc/[0-9]*/environ | cut -d / -f 3 || true; }
    while found=$(ours) && [ -n "$found" ]; do
        echo "$found" | xargs kill -KILL 2>/dev/null || true
        sleep 0.1
    done
    rm -rf "$home"
}
trap cleanup EXIT

name=$(uname -n)
ports=$("$python" - <<'PYTHON'
import socket
free = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print("SlurmctldPort={}\nSlurmdPort={}".format(*(s.getsockname()[1] for s in free)))
PYTHON
)
# `man slurm.conf`: for cred_expire seconds a requeued task waits; with config_overrides the node has
# the CPUs that are written here, whatever the machine has.
cat >"$home/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=${name%%.*}(127.0.0.1)
$ports
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthInfo=socket=$home/munge.socket,cred_expire=20
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SchedulerParameters=sched_interval=5
NodeName=one NodeHostname=${name%%.*} NodeAddr=127.0.0.1 CPUs=2
PartitionName=all Nodes=one Default=YES
CONF
export SLURM_CONF=$home/slurm.conf
mkdir "$home/state" "$home/spool"
chmod 755 "$home"
(umask 077 && head -c 128 /dev/urandom >"$home/munge.key")
munged --socket="$home/munge.socket" --key-file="$home/munge.key" --seed-file="$home/munge.seed" \
    --pid-file="$home/munge.pid" --log-file="$home/munge.log" --origin=127.0.0.1 ||
    cannot "munged does not start"
slurmctld || cannot "slurmctld does not start"
slurmd || cannot "slurmd does not start"
for _ in $(seq 60); do
    sinfo -h -o %t 2>/dev/null | grep -q idle && break
    sleep 0.5
done
sinfo -h -o %t | grep -q idle || { tail -n 20 "$home"/*.log; cannot "the node does not come up"; }

cat >"$home/small.toml" <<TOML
dataset = "language"
windows = 8
draws = 2
samples = 6
sampling_steps = 4
[sizes]
n_layer = 1
n_head = 1
n_embd = 8
block_size = 32
[settings]
max_steps = 1000
batch_size = 2
eval_interval = 100
eval_windows = 4
log_interval = 10
[judge]
max_steps = 3
TOML
export OMP_NUM_THREADS=1 TQDM_DISABLE=1 PYTHONPATH=$PWD
study=("$python" -m nanoparadigm study --preset "$home/small.toml" --out "$home/study")
runs=$home/study/runs

failed() {
    squeue -r || true
    tail -n 20 "$home"/study/slurm-*.log || true
    echo "FAILED: $1"
    exit 1
}
wait_until() { # a sentence that will be true, then the command that says so
    local sentence=$1 queue
    shift
    while queue=$(squeue -h -r -o %T); ! "$@"; do
        [ -n "$queue" ] || failed "the queue is empty before $sentence"
        if [ $SECONDS -gt $LIMIT ]; then
            grep -q RUNNING <<<"$queue" || failed "nothing runs, and it is not true that $sentence"
            cannot "this machine is too slow, after $LIMIT seconds it is not yet true that $sentence"
        fi
        sleep 0.2
    done
}

"${study[@]}" --submit --cap 2 --sbatch="--ntasks=1"
! "${study[@]}" --submit 2>"$home/twice" || failed "it was submitted twice"
grep "still in the queue" "$home/twice"

read -r job trials < <("$python" - "$home/study" <<'PYTHON'
import json, sys
job, trials = (json.load(open(f"{sys.argv[1]}/{name}.json")) for name in ("cluster", "study"))
print(job["job"], *trials["trials"])
PYTHON
)
begun() { [ -s "$runs/$1/log.jsonl" ]; }
requeued() { scontrol show job "${job}_$1" | grep -q Restarts=1; }
requeued_or_done() { requeued "$1" || [ -e "$runs/$2/measures.json" ]; }
number=0
for trial in $trials; do # the first, unless it was done before it could be told
    wait_until "$trial has begun" begun "$trial"
    # SLURM 22 passes the signal on, denies it, and would do so again every five seconds
    timeout 4 scancel --signal=USR1 --batch "${job}_$number" || true
    wait_until "$trial was requeued" requeued_or_done "$number" "$trial"
    if requeued "$number"; then break; fi
    number=$((number + 1))
done
requeued "$number" || failed "none was requeued"
echo "told to stop, $trial was requeued by SLURM after $(tail -n 1 "$runs/$trial/log.jsonl")"
"${study[@]}" --status

done_all() { [ "$(ls "$runs"/*/measures.json 2>/dev/null | wc -l)" = 12 ]; }
wait_until "all trials are done" done_all
"${study[@]}" --status | grep -c " done " | grep -qx 12 || failed "not all are said to be done"
for log in "$runs"/*/log.jsonl; do
    steps=$(grep -o '"step": [0-9]*' "$log" | cut -d ' ' -f 2)
    [ "$steps" = "$(seq 10 10 1000)" ] || failed "in $log a step is missing, or was logged twice"
done
"${study[@]}" | tail -n 3
echo "The study came to its end on SLURM after $SECONDS seconds."
