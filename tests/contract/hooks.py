"""What schemathesis cannot know by itself: newline-delimited JSON, and what the service really holds."""

import json

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st

NDJSON = "application/x-ndjson"

# What tests/tests/contract.rs has put there.
KNOWN = {
    "emailOrId": ["ada@example.com", "grace@example.com"],
    "id": ["known-1", "known-2"],
    "sendId": ["known-1", "known-2"],
    "name": ["spring-sale"],
    "campaign": ["spring-sale"],
    "contact": ["ada@example.com", "grace@example.com"],
    "timeZone": ["Europe/Berlin", "Asia/Kolkata", "UTC"],
    "from": ["2026-01-01", "2026-11-20T00:00:00Z"],
    "to": ["2026-12-01", "2026-11-28T00:00:00Z"],
}

text = st.text(max_size=20)
contact = st.sampled_from(["ada@example.com", "grace@example.com", "nobody", "con_x"]) | text
status = st.sampled_from(["queued", "sent", "delivered", "bounced", "complained", "failed"])
time = st.sampled_from(["2026-11-26T10:00:00Z", "2026-11-26", "9999-12-31T23:59:59Z"]) | text
html = st.sampled_from(['<a href="https://example.com/?a=1&amp;b">x</a>', "<p>", ""]) | text
anything = st.none() | st.booleans() | st.integers() | text | st.lists(text, max_size=2)


def line(required, optional):
    return st.fixed_dictionaries(required, optional=optional)


shared = {"campaign": text, "status": status, "sentAt": time, "listUnsubscribe": text, "text": text}
head = line({"html": html}, {**shared, "dryRun": st.booleans(), "options": line({}, {"trackText": st.booleans()})})
recipient = line({"contact": contact}, {**shared, "html": html, "sendId": text, "unknown": anything})
report = line({"sendId": st.sampled_from(["known-1", "known-2"]) | text, "status": status}, {"timestamp": time})
broken = st.dictionaries(text, anything, max_size=3) | anything
event = line({"id": text, "k": st.sampled_from(["o", "c", "u", "x"]), "t": text}, {"ip": text, "ua": text})


@st.composite
def bodies(draw):
    """A batch, reports or events, with broken lines among them."""
    kind = draw(st.sampled_from([recipient, report, event]))
    lines = draw(st.lists(kind | broken, max_size=8))
    if kind is recipient:
        lines.insert(0, draw(head | broken))
    return "\n".join(json.dumps(line) for line in lines)


@schemathesis.hook
def before_generate_body(context, strategy):
    """Any text fits the schema of lines; most of it should be lines."""
    return bodies() | strategy if NDJSON in context.operation.get_request_payload_content_types() else strategy


@schemathesis.serializer(NDJSON)
def write_lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.deserializer(NDJSON)
def read_lines(context, response):
    return response.content.decode()


@schemathesis.deserializer("text/html")
def read_page(context, response):
    return response.content.decode()


@schemathesis.deserializer("text/plain")
def read_text(context, response):
    return response.content.decode()


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    return known(context, path_parameters)


@schemathesis.hook
def map_query(context, query):
    return known(context, query)


def known(context, parameters):
    """Every other request is about something that is there."""
    if parameters and sum(map(len, map(str, parameters.values()))) % 2 == 0:
        for name, values in KNOWN.items():
            if name in parameters:
                parameters[name] = values[len(str(parameters)) % len(values)]
    return parameters


@schemathesis.check
def each_line_conforms(context, response, case):
    """An answer of many lines is described by `x-lines`."""
    answer = case.operation.definition.raw.get("x-lines", {}).get("answer")
    if answer is None or response.status_code != 200:
        return None
    document = case.operation.schema.raw_schema
    schema = {"$ref": f"#/components/schemas/{answer}", "components": document["components"]}
    validator = jsonschema_rs.validator_for(schema)
    # Not `splitlines`: it also splits at what may stand inside a JSON text.
    for text in filter(None, response.content.decode().split("\n")):
        try:
            validator.validate(json.loads(text))
        except (ValueError, jsonschema_rs.ValidationError) as error:
            raise AssertionError(f"{text[:300]} is no {answer}: {error}") from error
    return None
