#!/usr/bin/env python3
"""Carries the facts of Apache Kafka's message definitions over into our own notation.

    convert.py LIB_DIRECTORY [OUTPUT_DIRECTORY]

LIB_DIRECTORY holds the jars of the pinned release (the oracle tool installs them). Only names, types, versions,
nullability, defaults, tags and keys are carried over. The notation is described in docs/internals/protocol.md.
"""
import glob
import json
import os
import re
import sys
import zipfile

TYPES = {"int8": "i8", "int16": "i16", "uint16": "u16", "int32": "i32", "uint32": "u32", "int64": "i64",
         "float64": "f64", "bool": "bool", "string": "string", "bytes": "bytes", "records": "records", "uuid": "uuid"}
FAMILIES = {"kafka-clients": "messages", "kafka-metadata": "metadata_records", "kafka-storage": "storage_records",
            "kafka-group-coordinator": "group_records", "kafka-share-coordinator": "share_records",
            "kafka-transaction-coordinator": "transaction_records", "kafka-raft": "raft_records",
            "kafka-streams": "consumer_protocol"}
MOVED = {"AbortedTxn": "storage_records", "ConsumerProtocolAssignment": "consumer_protocol",
         "ConsumerProtocolSubscription": "consumer_protocol", "ControlRecordTypeSchema": "control_records",
         "EndTxnMarker": "control_records", "KRaftVersionRecord": "raft_records", "LeaderChangeMessage": "raft_records",
         "SnapshotFooterRecord": "raft_records", "SnapshotHeaderRecord": "raft_records",
         "VotersRecord": "raft_records"}
KINDS = {"request": "request", "response": "response", "header": "header", "data": "data", "metadata": "record",
         "coordinator-key": "key", "coordinator-value": "value"}
# Our own mark: the readers of these are inlined, because every record passes through them.
HOT = {"ProduceRequest", "FetchRequest", "RequestHeader"}
LAST = 32767


def uncommented(text):
    text = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', lambda m: m.group(1) or "", text, flags=re.S)
    return json.loads(re.sub(r",(\s*[\]}])", r"\1", text))


def versions(text):
    if text in (None, "none"):
        return None
    low, dash, high = text.partition("-")
    if text.endswith("+"):
        return int(text[:-1]), LAST
    return int(low), int(high) if dash else int(low)


def meet(a, b):
    if a is None or b is None:
        return None
    low, high = max(a[0], b[0]), min(a[1], b[1])
    return (low, high) if low <= high else None


def shown(span, within):
    if span[1] >= within[1]:
        return f"{span[0]}+"
    return f"{span[0]}" if span[0] == span[1] else f"{span[0]}-{span[1]}"


def snake(name):
    name = name.replace("KRaft", "Kraft")
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def default_of(field, kind):
    # A literal null is no default at all to Kafka's own generator: only the string "null" makes the default null.
    value = field.get("default") if field.get("default") is not None else ""
    if value == "null":
        return "null"
    value = str(value).lower() if isinstance(value, bool) else str(value)
    if value.startswith("0x"):
        value = str(int(value, 16))
    return None if value in ("", "0", "false") else value


def field_lines(fields, within, indent, valid):
    lines = []
    for field in fields:
        span = versions(field.get("versions") or field.get("taggedVersions"))
        present = meet(span, within)
        if present is None:
            continue
        array = field["type"].startswith("[]")
        base = field["type"].removeprefix("[]")
        kind = TYPES.get(base, base)
        kind = f"[{kind}]" if array else kind
        nullable = meet(versions(field.get("nullableVersions")), present)
        if nullable is not None:
            kind += "?" if nullable == present else "?" + shown(nullable, valid)
        words = [field["name"], kind]
        if present != within:
            words.append(shown(present, valid))
        default = default_of(field, kind)
        if default is not None:
            words.append("=" + default)
        tagged = meet(versions(field.get("taggedVersions")), present)
        if tagged is not None:
            words.append(f"tag:{field['tag']}" + ("" if tagged == present else "@" + shown(tagged, valid)))
        if field.get("mapKey"):
            words.append("key")
        if str(field.get("ignorable", False)).lower() == "true":
            words.append("ignorable")
        if field.get("flexibleVersions") == "none":
            words.append("legacy")
        if "entityType" in field:
            words.append("entity:" + field["entityType"])
        lines.append("  " * indent + " ".join(words))
        lines += field_lines(field.get("fields", []), present, indent + 1, valid)
    return lines


def message_lines(message):
    valid = versions(message["validVersions"])
    words = [KINDS[message["type"]], message["name"]]
    if "apiKey" in message:
        words.append(f"api:{message['apiKey']}")
    words.append("versions:" + message["validVersions"])
    flexible = meet(versions(message["flexibleVersions"]), valid)
    if flexible is not None:
        words.append(f"flexible:{flexible[0]}+")
    if message.get("latestVersionUnstable"):
        words.append(f"unstable:{valid[1]}")
    if "listeners" in message:
        words.append("listeners:" + ",".join(sorted(message["listeners"])))
    if message["name"] in HOT:
        words.append("hot")
    lines = [" ".join(words)]
    lines += field_lines(message["fields"], valid, 1, valid)
    for struct in message.get("commonStructs", []):
        span = meet(versions(struct["versions"]), valid)
        head = f"  struct {struct['name']}" + ("" if span == valid else " " + shown(span, valid))
        lines.append(head)
        lines += field_lines(struct["fields"], span, 2, valid)
    return lines


def file_of(family, message):
    name = message["name"]
    if message["type"] in ("request", "response", "header"):
        name = re.sub(r"(Request|Response)$", "", name) if message["type"] != "header" else "Header"
    elif message["type"] in ("coordinator-key", "coordinator-value"):
        name = re.sub(r"(Key|Value)$", "", name)
    return os.path.join(family, snake(name) + ".schema")


def main():
    library = sys.argv[1]
    output = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))
    files, count = {}, 0
    for artifact, family in FAMILIES.items():
        jar, = (j for j in glob.glob(f"{library}/{artifact}-*.jar") if re.fullmatch(artifact + r"-[\d.]+\.jar",
                                                                                      os.path.basename(j)))
        archive = zipfile.ZipFile(jar)
        for entry in sorted(archive.namelist()):
            if not re.fullmatch(r"(common/)?(message|metadata)/\w+\.json", entry):
                continue
            message = uncommented(archive.read(entry).decode())
            if message["validVersions"] == "none":
                continue
            path = file_of(MOVED.get(message["name"], family), message)
            files.setdefault(path, []).append("\n".join(message_lines(message)))
            count += 1
    for path, parts in files.items():
        os.makedirs(os.path.dirname(os.path.join(output, path)), exist_ok=True)
        with open(os.path.join(output, path), "w") as out:
            out.write("\n\n".join(parts) + "\n")
    print(f"{count} messages in {len(files)} files")


main()
