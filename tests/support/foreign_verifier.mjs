// A verifier of signed messages in another language: Node's own modules only, written from the wire format's description
// (docs/messages.md, `shared/envelope`, RFC 9162 §2.1.3.2), not from the code of this project or of the verifier beside it.
//
//     node foreign_verifier.mjs < messages.json
//
// Input, output and exit code are those of foreign_verifier.py: {"keys": {key id: base64 of the raw Ed25519 key},
// "messages": [{"headers": [[name, base64]], "value": base64}]} gives a line "<position> ok" or "<position> failed" for
// each message, and 0 when there is at least one and all are ok.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const PROOF = ["ce_batchroot", "ce_batchsig", "ce_batchindex", "ce_batchsize", "ce_batchpath"];
const REQUIRED = [
  ...PROOF, "ce_id", "ce_keyid", "ce_sender", "ce_recipient", "ce_epoch", "ce_sequence", "ce_guard",
  "ce_type", "content-type",
];
const HASH = 32;
const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);
// The bytes before a raw key in its SubjectPublicKeyInfo (RFC 8410): the only form in which Node reads one.
const ED25519_SPKI = Buffer.from("302a300506032b6570032100", "hex");

class ProofError extends Error {}

function demand(condition) {
  if (!condition) throw new ProofError();
}

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();

// Node reads base64 leniently: only the one canonical spelling counts.
function decoded(text, encoding) {
  const bytes = Buffer.from(text, encoding);
  demand(bytes.toString(encoding) === text);
  return bytes;
}

function decimal(text) {
  demand(/^(0|[1-9][0-9]{0,18})$/.test(text));
  return BigInt(text);
}

// The `ce_` headers and the content type as text: each once, none missing, visible ASCII and spaces only.
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

// From a leaf to the root: `left` counts the nodes before it on its level, `last` is the level's last node.
function root(leaf, index, size, path) {
  demand(index < size && path.length % HASH === 0);
  let [node, left, last] = [leaf, index, size - 1n];
  for (let at = 0; at < path.length; at += HASH) {
    const step = path.subarray(at, at + HASH);
    demand(last > 0n);
    if (left % 2n === 1n || left === last) {
      node = sha256(NODE, step, node);
      // A node without a neighbour rises until it has one.
      while (left % 2n === 0n && left !== 0n) [left, last] = [left / 2n, last / 2n];
    } else {
      node = sha256(NODE, node, step);
    }
    [left, last] = [left / 2n, last / 2n];
  }
  demand(last === 0n);
  return node.toString("hex");
}

function signatureHolds(raw, signature, signed) {
  try {
    const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI, raw]), format: "der", type: "spki" });
    return verify(null, signed, key, signature);
  } catch {
    return false; // 32 bytes that are no key
  }
}

function check(message, keys) {
  const headers = uniqueHeaders(message.headers);
  demand(headers.get("content-type") === "application/json");
  const names = [...headers.keys()].filter((name) => !PROOF.includes(name)).sort();
  const head = names.map((name) => `${name}:${headers.get(name)}\n`).join("");
  const covered = Buffer.concat([Buffer.from(`${head}\n`, "latin1"), decoded(message.value, "base64")]);

  const [size, index] = [decimal(headers.get("ce_batchsize")), decimal(headers.get("ce_batchindex"))];
  const path = decoded(headers.get("ce_batchpath"), "base64url");
  demand(root(sha256(LEAF, covered), index, size, path) === headers.get("ce_batchroot"));

  const key = keys.get(headers.get("ce_keyid"));
  const signed = Buffer.from(`causeway-batch/v1\n${headers.get("ce_batchroot")}\n${headers.get("ce_batchsize")}\n`);
  demand(key !== undefined && signatureHolds(key, decoded(headers.get("ce_batchsig"), "base64url"), signed));
}

function holds(message, keys) {
  try {
    check(message, keys);
    return true;
  } catch (error) {
    if (error instanceof ProofError) return false;
    throw error;
  }
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const keys = new Map(Object.entries(asked.keys).map(([id, text]) => [id, decoded(text, "base64")]));
const answers = asked.messages.map((message) => holds(message, keys));
answers.forEach((answer, position) => console.log(position, answer ? "ok" : "failed"));
process.exitCode = answers.length > 0 && answers.every(Boolean) ? 0 : 1;
