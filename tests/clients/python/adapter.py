"""The adapter's side of the protocol of docs/internals/foreign-clients.md: lines of JSON in, lines of JSON out."""

import base64
import json
import sys


def decode(text):
    return None if text is None else base64.b64decode(text)


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def records_in(command):
    """What a command has to send: key, value, headers, timestamp."""
    for record in command["records"]:
        headers = [(name, decode(value)) for name, value in record["headers"]]
        yield decode(record["key"]), decode(record["value"]), headers, record["timestamp"]


def record_out(partition, offset, timestamp, key, value, headers):
    return {
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": encode(key),
        "value": encode(value),
        "headers": [[name, encode(value)] for name, value in headers],
    }


def serve(client, kind_of):
    """Does what each line says, by the method of the client that bears the name of the op, until the input ends.

    `kind_of` gives the protocol's word for an error of the library, or None.
    """
    # What a library prints must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"ok": getattr(client, command["op"])(command) or {}}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
            if kind := kind_of(error):
                answer["kind"] = kind
        print(json.dumps(answer), file=answers, flush=True)
    client.close()
