#!/usr/bin/env python3
"""A worker with psycopg2: worker.py QUEUE [IDLE_SECONDS]

Connects by the PG* environment. Ends at SIGTERM or SIGINT; with IDLE_SECONDS also after that time without a task.
"""
import json
import os
import signal
import socket
import sys

import psycopg2

stopping = False


def stop(signum, frame):
    global stopping
    stopping = True


def work(payload):
    """Does the work and returns its result; an exception fails the task."""
    if "to" not in payload:
        raise ValueError("no address")
    return {"sent": payload["to"]}


def run_one(cursor, worker, queue):
    """Runs one task; returns False if there was none."""
    cursor.execute("SELECT id, receipt, payload FROM pgqueue.next_task(%s, %s)", (worker, queue))
    row = cursor.fetchone()
    if row is None:
        return False
    task_id, receipt, payload = row
    try:
        try:
            result = work(payload)
        except Exception as error:
            cursor.execute("SELECT pgqueue.fail_task(%s, %s, %s)", (task_id, receipt, str(error)))
        else:
            cursor.execute("SELECT pgqueue.release_task(%s, %s, %s)", (task_id, receipt, json.dumps(result)))
        print("task", task_id, cursor.fetchone()[0], flush=True)
    except psycopg2.Error as error:
        # PQ001: the lease ended before the work did. PQ004: the task was cancelled. It does not belong to this worker any more.
        if error.pgcode not in ("PQ001", "PQ004"):
            raise
        print("task", task_id, "lost:", error.pgerror, file=sys.stderr)
    return True


def main():
    queue = sys.argv[1]
    idle = float(sys.argv[2]) if len(sys.argv) > 2 else None
    worker = "%s/%d" % (socket.gethostname(), os.getpid())
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    connection = psycopg2.connect("")
    connection.autocommit = True
    cursor = connection.cursor()
    while not stopping:
        if run_one(cursor, worker, queue):
            continue
        # The wait is short enough to notice a signal soon.
        cursor.execute("CALL pgqueue.wait_for_task(%s, make_interval(secs => %s))", ([queue], idle or 5.0))
        if not cursor.fetchone()[0] and idle is not None:
            break


main()
