// A verifier of signed messages in another language: Node's own modules only, written from the wire format's description
// (docs/messages.md, `shared/core/envelope`, RFC 9162 §2.1.3.2), not from the code of this project.
//
//     node foreign_verifier.mjs < messages.json
//
// Input, output and exit code are those of foreign_verifier.py for messages: {"keys": {key id: base64 of the raw Ed25519 key},
// "messages": [{"headers": [[name, base64]], "value": base64, "salt": hexadecimal, "proof": {key_id, signature, size,
// position, path}}]} gives a line "<position> ok" or "<position> failed" for each message, and 0 when there is at least
// one and all are ok.
import { readFileSync } from "node:fs";
import { coveredBytes, decoded, demand, demandContent, holds, leafOf } from "./content_proof.mjs";

const REQUIRED = ["ce_id", "ce_sender", "ce_recipient", "ce_guard", "ce_type", "content-type"];

// Returns the `ce_` headers and the content type as text: all required ones, each once, in visible ASCII and spaces.
function uniqueHeaders(pairs) {
  const headers = new Map();
  for (const [name, encoded] of pairs) {
    if (!name.startsWith("ce_") && name !== "content-type") continue;
    const value = decoded(encoded, "base64");
    demand(!headers.has(name) && value.every((byte) => byte >= 0x20 && byte <= 0x7e));
    headers.set(name, value.toString("latin1"));
  }
  demand(REQUIRED.every((name) => headers.has(name)));
  return headers;
}

function check(message, keys) {
  const headers = uniqueHeaders(message.headers);
  demand(headers.get("content-type") === "application/vnd.causeway.message");
  const key = keys.get(message.proof.key_id);
  demand(key !== undefined);
  const covered = coveredBytes(headers, decoded(message.value, "base64"));
  demandContent(leafOf(decoded(message.salt, "hex"), covered), message.proof, key);
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const keys = new Map(Object.entries(asked.keys).map(([id, text]) => [id, decoded(text, "base64")]));
const answers = asked.messages.map((message) => holds(() => check(message, keys)));
answers.forEach((answer, position) => console.log(position, answer ? "ok" : "failed"));
process.exitCode = answers.length > 0 && answers.every(Boolean) ? 0 : 1;
