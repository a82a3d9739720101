import io
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch):
    """Starts a server for a request handler, and returns its address."""
    monkeypatch.setenv("no_proxy", "*")
    running = []

    def start(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def served(serve, tmp_path):
    """A folder and the address at which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    return folder, serve(partial(_Quiet, directory=str(folder)))


def png(shade, size=(4, 4)):
    """The bytes of an image file of one shade."""
    file = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(file, "png")
    return file.getvalue()


NAMED = {"label": {"names": ["cats", "dogs"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}


def write_table(path, labels, start=0, features=NAMED, images=None, column="label", kind=None, **options):
    """Write a Parquet file as Hugging Face's `datasets` does: structs of bytes, and metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = images or [{"bytes": png(start + place), "path": None} for place in range(len(labels))]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, struct), column: pa.array(labels, kind)})
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, **options)
    return path


def alternating(count):
    """Labels 0 and 1 in turn."""
    return (np.arange(count) % 2).tolist()
