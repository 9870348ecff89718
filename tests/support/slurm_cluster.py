"""A SLURM of this machine's own: slurmctld, four slurmd with a fake GPU each, and munged, all on loopback.

SLURM is real (Debian's packages); nodes and GPUs are declared. Everything lies in LAB, but for the configuration: what
runs inside a job looks for it in /etc/slurm. Daemons are stopped by pid file, also those of a test run that was killed.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

LAB = Path("/var/tmp/salt-slurm")
ETC = Path("/etc/slurm")
NAME = "salt-test"
NODES = [f"gpu{number}" for number in range(1, 5)]
PORTS = range(17000, 17001 + len(NODES))  # slurmctld and one slurmd a node
PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]
PROGRAMS = ["slurmctld", "slurmd", "sbatch", "munged"]
PATIENCE = 1800.0  # seconds: for a machine that has other things to do

# cred_expire: how long a job waits before it is started again. A node that does not answer for SlurmdTimeout is dead.
SLURM_CONF = f"""\
ClusterName={NAME}
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={PORTS[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={LAB}/munge.socket,cred_expire=15
StateSaveLocation={LAB}/state
SlurmdSpoolDir={LAB}/spool/%n
SlurmctldPidFile={LAB}/slurmctld.pid
SlurmdPidFile={LAB}/slurmd.%n.pid
SlurmctldLogFile={LAB}/slurmctld.log
SlurmdLogFile={LAB}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=2,sched_interval=2,sched_min_interval=0,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=60
SlurmdTimeout=15
MessageTimeout=30
MinJobAge=300
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={LAB}/jobs.log
GresTypes=gpu
NodeName=DEFAULT CPUs=4 RealMemory=16000 Gres=gpu:1
NodeName=gpu[1-{len(NODES)}] NodeHostName=localhost NodeAddr=127.0.0.1 Port=[{PORTS[1]}-{PORTS[-1]}]
PartitionName=gpu Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=max Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""
# The device of a fake GPU; with a `Count=` alone the nodes would be refused.
GRES_CONF = f"NodeName=gpu[1-{len(NODES)}] Name=gpu File=/dev/null # {NAME}\n"
FILES = {ETC / "slurm.conf": SLURM_CONF, ETC / "gres.conf": GRES_CONF}
os.environ["PATH"] += f"{os.pathsep}/usr/sbin{os.pathsep}/sbin"  # where daemons lie; a plain shell does not look there


def why_not() -> str | None:
    """Why no cluster can be had here; None if one can. Installs the packages where they are missing."""
    if os.geteuid() != 0:
        return "not root"
    if any(path.exists() and NAME not in path.read_text() for path in FILES):
        return f"this machine has a SLURM of its own ({ETC})"
    if not all(map(shutil.which, PROGRAMS)):
        if not shutil.which("apt-get"):
            return f"SLURM is not installed and there is no apt-get to install {', '.join(PACKAGES)}"
        quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "text": True}
        subprocess.run(["apt-get", "update"], **quiet)  # offline, the lists may still be there
        done = subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES], **quiet)
        if done.returncode:
            return f"apt-get cannot install {', '.join(PACKAGES)}: {done.stderr.strip().splitlines()[-1]}"
    return None


@contextmanager
def cluster() -> Iterator[None]:
    """Bring the cluster up; take it down with all that runs on it, whatever happens."""
    _down()
    try:
        _up()
        yield
    finally:
        _down()


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.1)


def slurm(*command: str) -> str:
    """What a client command of SLURM prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def show_job(job: str) -> dict[str, str]:
    """Key -> value of `scontrol show job`; empty once SLURM has forgotten it."""
    with suppress(subprocess.CalledProcessError):
        return dict(pair.split("=", 1) for pair in slurm("scontrol", "show", "job", job).split() if "=" in pair)
    return {}


def ends_of(job: str) -> list[str]:
    """How each start of a job ended, in order."""
    return _ended(job, "JobState")


def partitions_of(job: str) -> set[str]:
    """Where a job ran."""
    return set(_ended(job, "Partition"))


def _ended(job: str, key: str) -> list[str]:
    lines = [line.split() for line in (LAB / "jobs.log").read_text().splitlines()]
    ends = [dict(word.split("=", 1) for word in line if "=" in word) for line in lines]
    return [end[key] for end in ends if end["JobId"] == job]


def kill_node(node: str) -> None:
    """As if its power had gone: the daemon and all it runs die at once, and nobody is told."""
    jobs = slurm("squeue", "-h", "-w", node, "-o", "%i").split()
    _kill(LAB / f"slurmd.{node}.pid", signal.SIGKILL)
    for job in jobs:
        for process in _processes(job):
            process.kill()


def _processes(job: str | None = None) -> list[psutil.Process]:
    """What runs in a job of this cluster, or in all of them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment, words = process.environ(), " ".join(process.cmdline())
            ours = environment.get("SLURM_CLUSTER_NAME") == NAME and job in (None, environment.get("SLURM_JOB_ID"))
            if ours or words.startswith(f"slurmstepd: [{job or ''}"):
                found.append(process)
    return found


def _up() -> None:
    for folder in (LAB, LAB / "state", LAB / "spool", ETC):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for path, text in FILES.items():
        path.write_text(text)
    (LAB / "munge.key").write_bytes(os.urandom(128))
    (LAB / "munge.key").chmod(0o400)
    files = [f"--{kind}-file={LAB}/munge{ending}" for kind, ending in (("key", ".key"), ("log", ".log"))]
    files += [f"--pid-file={LAB}/munged.pid", f"--seed-file={LAB}/munge.seed", f"--socket={LAB}/munge.socket"]
    daemons = [["munged", *files], ["slurmctld", "-i"], *(["slurmd", "-N", node] for node in NODES)]
    for daemon in daemons:
        subprocess.run(daemon, check=True)
    idle = ["sinfo", "-h", "-N", "-p", "gpu", "-t", "idle", "-o", "%N"]
    wait_for(lambda: len(slurm(*idle).split()) == len(NODES), "the nodes", 60)


def _down() -> None:
    """Stop the daemons by pid file, then what is left of their jobs, then remove every file."""
    for path in LAB.glob("slurm*.pid"):
        _kill(path, signal.SIGTERM)
    for process in _processes() if LAB.exists() else []:
        process.kill()
    _kill(LAB / "munged.pid", signal.SIGTERM)
    for path in FILES:
        path.unlink(missing_ok=True)
    shutil.rmtree(LAB, ignore_errors=True)


def _kill(pid_file: Path, number: signal.Signals) -> None:
    """Signal the daemon of a pid file, and wait for its end; a pid that now is another program's is left alone."""
    with suppress(OSError, ValueError, psutil.NoSuchProcess):
        daemon = psutil.Process(int(pid_file.read_text()))
        if daemon.name() in ("slurmctld", "slurmd", "munged"):
            daemon.send_signal(number)
            daemon.wait(30)
