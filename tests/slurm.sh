#!/usr/bin/env bash
# A SLURM cluster of one node on this machine, and on it a study driven to its end through a requeue.
#
#   make test-slurm        as root on Debian, which installs SLURM if need be; some five minutes
#
# Ends with status 77 and a sentence where it cannot be done.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$PWD/.venv/bin/python
[ -x "$python" ] || python=$(command -v python3)

cannot() { echo "No cluster can be started here: $1."; exit 77; }
[ "$EUID" = 0 ] || cannot "it takes root"
if ! command -v slurmctld munged >/dev/null; then
    command -v apt-get >/dev/null || cannot "SLURM is not installed, and there is no apt-get"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge; } \
        >/dev/null 2>&1 || cannot "SLURM could not be installed"
fi
pgrep -x slurmctld >/dev/null && cannot "one is running already"

home=$(mktemp -d)
name=$(hostname -s)
cleanup() {
    pkill -x slurmd || true
    pkill -x slurmctld || true
    [ -z "${munged_started:-}" ] || pkill -x munged || true
    rm -rf "$home"
}
trap cleanup EXIT

mkdir -p "$home/state" "$home/spool" /run/munge
chown munge: /run/munge
if ! pgrep -x munged >/dev/null; then
    [ -s /etc/munge/munge.key ] || cannot "munge has no key"
    runuser -u munge -- munged && munged_started=yes
fi
cat >"$home/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$name
SlurmUser=root
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
JobRequeue=1
NodeName=$name CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$home/slurm.conf
slurmctld
slurmd
for _ in $(seq 30); do
    sinfo -h -o %t 2>/dev/null | grep -q idle && break
    sleep 1
done
sinfo -h -o %t | grep -q idle || { tail -n 20 "$home"/*.log; cannot "the node did not come up"; }

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
max_steps = 3000
batch_size = 2
eval_interval = 100
eval_windows = 4
log_interval = 100
[judge]
max_steps = 3
TOML
export OMP_NUM_THREADS=1 TQDM_DISABLE=1 PYTHONPATH=$PWD
study=("$python" -m nanoparadigm study --preset "$home/small.toml" --out "$home/study")
"${study[@]}" --submit --cap 2 --sbatch="--ntasks=1"
! "${study[@]}" --submit 2>"$home/twice" || { echo "it was submitted twice"; exit 1; }
grep "still in the queue" "$home/twice"

job=$("$python" -c "import json; print(json.load(open('$home/study/cluster.json'))['job'])")
first=$home/study/runs/linear-uniform-0
for _ in $(seq 400); do [ -e "$first/log.jsonl" ] && break; sleep 0.5; done
[ -e "$first/log.jsonl" ] || { squeue; cat "$home"/study/slurm-*.log; echo "nothing began"; exit 1; }
scancel --signal=USR1 --batch "${job}_0" || true  # it complains if the task is gone so soon
for _ in $(seq 60); do
    restarts=$(scontrol show job "${job}_0" | grep -o "Restarts=[0-9]*" | head -n 1)
    [ "$restarts" = Restarts=1 ] && break
    sleep 1
done
[ "$restarts" = Restarts=1 ] || { cat "$home"/study/slurm-*.log; echo "not requeued"; exit 1; }
echo "told to stop, the first trial was requeued by SLURM after step $(tail -n 1 "$first/log.jsonl")"
"${study[@]}" --status | head -n 4

for _ in $(seq 500); do
    [ "$(ls "$home"/study/runs/*/measures.json 2>/dev/null | wc -l)" = 12 ] && break
    sleep 1
done
"${study[@]}" --status
"${study[@]}" --status | grep -c " done " | grep -qx 12 || { cat "$home"/study/slurm-*.log; exit 1; }
steps=$(grep -o '"step": [0-9]*' "$first/log.jsonl")
[ "$steps" = "$(echo "$steps" | sort -u -k 2 -n)" ] || { echo "a step was logged twice"; exit 1; }
"${study[@]}" | tail -n 3
echo "the study came to its end on SLURM"
