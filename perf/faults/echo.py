"""A plain FastAPI application that answers a request with its body; the floor of what HTTP costs in Python.

python -m perf.faults.echo PORT
"""

import sys

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

app = FastAPI()


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@app.post("/echo")
async def echo(request: Request) -> Response:
    """The body of the request."""
    return Response(await request.body(), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
