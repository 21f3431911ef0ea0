"""The server that the same task gets in an afternoon: FastAPI, sqlite3, one table, five fields.

It keeps the latest report of each series, durably, and promises nothing else: what our server's
history, search, events and tokens cost is the difference.

    python bench/plain_server.py --port 8000 --database series_data.db
"""

import argparse
import sqlite3
from contextlib import closing

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Series(BaseModel):
    """The five fields of a report."""

    SeriesInstanceUID: str
    PatientName: str
    PatientID: str
    StudyInstanceUID: str
    InstancesInSeries: int


def plain_app(database: str) -> FastAPI:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS series_data (SeriesInstanceUID TEXT PRIMARY KEY, "
            "PatientName TEXT, PatientID TEXT, StudyInstanceUID TEXT, InstancesInSeries INTEGER)"
        )
    app = FastAPI()

    @app.post("/series", status_code=201)
    def register(series: Series) -> Series:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "REPLACE INTO series_data VALUES (?, ?, ?, ?, ?)",
                tuple(series.model_dump().values()),
            )
        return series

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    arguments = parser.parse_args()
    uvicorn.run(plain_app(arguments.database), port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
