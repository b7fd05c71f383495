"""What the measurements beside the peers' bench share: a load of its wrk, and what it costs a gateway."""
import os, re, socket, subprocess, sys, time

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.lua")


def wait(port):
    """Until something listens there."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def spent(pid):
    """Seconds of processor time, the kernel's for it too."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(folder, pid, port, seconds, connections, tokens, count, target, *more):
    """Microseconds of processor time a request, and what load.lua tells. `count` of the file's `tokens` in turn."""
    wrk = ["taskset", "-c", "1", f"{folder}/root/usr/bin/wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", SCRIPT,
           f"http://127.0.0.1:{port}", "--", tokens, str(count), "DELETE", target, *more]
    libraries = f"{folder}/root/usr/lib/x86_64-linux-gnu:{folder}/root/lib/x86_64-linux-gnu"
    before = spent(pid)
    ran = subprocess.run(wrk, env={**os.environ, "LD_LIBRARY_PATH": libraries}, capture_output=True, text=True)
    told = re.search(r"PB (.*)", ran.stdout) or sys.exit(ran.stdout + ran.stderr)
    told = {name: float(value) for name, value in (pair.split("=") for pair in told.group(1).split())}
    if told["bad"] or told["sock"] or not told["n"]:
        sys.exit(f"requests to port {port} failed: {told}")
    return (spent(pid) - before) * 1e6 / told["n"], told
