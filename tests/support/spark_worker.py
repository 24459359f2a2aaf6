"""Run SQL on Apache Spark or Sail, over Spark Connect: one JSON request a line, one answer a line.

    .venv-spark/bin/python tests/support/spark_worker.py spark|sail

Run in an environment of its own (requirements-spark.txt), without the project's packages.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any


def connect(engine: str) -> tuple[Any, Any]:
    """Start a server in this process; return a session with it, and what keeps it alive."""
    from pyspark.sql import SparkSession

    if engine == "sail":
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer(port=0)
        server.start(background=True)
        host, port = server.listening_address
        return SparkSession.builder.remote(f"sc://{host}:{port}").create(), server
    settings = {
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.sql.adaptive.enabled": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.remote("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate(), None


def answer(session: Any, request: dict[str, Any]) -> Any:
    """Do what one request says; return rows of texts, where it asks for rows."""
    if "set" in request:
        for name, value in request["set"].items():
            session.conf.set(name, value)
    elif "files" in request:
        session.read.parquet(*request["files"]).createOrReplaceTempView(request["view"])
    elif "view" in request:
        session.sql(request["sql"]).createOrReplaceTempView(request["view"])
    elif "write" in request:
        session.sql(request["sql"]).write.mode("overwrite").parquet(request["write"])
    else:
        return [[repr(cell) for cell in row] for row in session.sql(request["sql"]).collect()]
    return None


def main(engine: str) -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the engine prints is no answer
    session, server = connect(engine)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            done = {"rows": answer(session, json.loads(line))}
        except Exception as error:
            done = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(done), file=answers, flush=True)
    with suppress(Exception):
        session.stop()
    del server


if __name__ == "__main__":
    main(sys.argv[1])
