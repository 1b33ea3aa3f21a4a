// Reads an AsyncAPI document and prints what the parser makes of it, as one JSON object:
// {"valid": …, "errors": [{"message", "path"}], "channels": […], "operations": […], "messages": […]}
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const [packages, file] = process.argv.slice(2);
const { Parser } = createRequire(`${packages}/`)("@asyncapi/parser");

new Parser().parse(readFileSync(file, "utf8")).then(({ document, diagnostics }) => {
  const errors = diagnostics
    .filter((each) => each.severity === 0)
    .map((each) => ({ message: each.message, path: each.path.join("/") }));
  const names = (collection) => (collection ? collection.all().map((each) => each.id()).sort() : []);
  process.stdout.write(
    JSON.stringify({
      valid: errors.length === 0 && document !== undefined,
      errors,
      channels: names(document && document.channels()),
      operations: names(document && document.operations()),
      messages: names(document && document.components().messages()),
    }),
  );
});
