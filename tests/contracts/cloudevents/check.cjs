// Reads records, one JSON object a line, with the CloudEvents SDK, and prints what it makes of each:
// {"headers": {name: text}, "key": text, "value": text} gives {"valid": …, "error": …, "event": {…}}
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const { Kafka } = createRequire(`${process.argv[2]}/`)("cloudevents");

function read(record) {
  try {
    const event = Kafka.toEvent(record);
    event.validate();
    return { valid: true, event: event.toJSON() };
  } catch (error) {
    return { valid: false, error: JSON.stringify(error.errors ?? error.message) };
  }
}

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  process.stdout.write(`${JSON.stringify(read(JSON.parse(line)))}\n`);
}
