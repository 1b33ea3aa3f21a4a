// Reads AsyncAPI documents and prints what the parser makes of each, one JSON object a line:
// {"valid": …, "errors": [{"message", "path"}], "channels": […], "operations": […], "messages": […]}
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const [packages, ...files] = process.argv.slice(2);
const { Parser } = createRequire(`${packages}/`)("@asyncapi/parser");

async function check(file) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
  const errors = diagnostics
    .filter((each) => each.severity === 0)
    .map((each) => ({ message: each.message, path: each.path.join("/") }));
  const names = (collection) => (collection ? collection.all().map((each) => each.id()).sort() : []);
  return {
    valid: errors.length === 0 && document !== undefined,
    errors,
    channels: names(document && document.channels()),
    operations: names(document && document.operations()),
    messages: names(document && document.components().messages()),
  };
}

(async () => {
  for (const file of files) {
    process.stdout.write(`${JSON.stringify(await check(file))}\n`);
  }
})();
