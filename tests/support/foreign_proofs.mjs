// A verifier of signed acceptances and of evidence in another language: Node's own modules only, written from
// docs/operations/proofs.md and the wire format's description, not from the code of this project.
//
//     node foreign_proofs.mjs < asked.json
//
// Input: {"directory": a directory document, "acceptance": [ … ], "evidence": [ … ]}. Prints "acceptance <position>
// ok" or "… failed" for each, then the same for the evidence. Exit code 0 when there is at least one and all are ok.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

// The bytes before a raw key in its SubjectPublicKeyInfo (RFC 8410): the only form in which Node reads one.
const ED25519_SPKI = Buffer.from("302a300506032b6570032100", "hex");

class ProofError extends Error {}

function demand(condition) {
  if (!condition) throw new ProofError();
}

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();

// Node reads base64 leniently: only the one canonical spelling counts.
function decoded(text, encoding) {
  demand(typeof text === "string");
  const bytes = Buffer.from(text, encoding);
  demand(bytes.toString(encoding) === text);
  return bytes;
}

// Canonical JSON: names sorted, no white space. Names are ASCII and numbers whole, so this is all of RFC 8785 it needs.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

// The raw key of that id, if `owner` signs with it at that time.
function signingKey(directory, id, owner, at) {
  const entry = [...directory.instances, ...directory.parties].find((each) => each.id === owner);
  const key = (entry?.keys ?? []).find((each) => each.key_id === id && each.use === "sign");
  demand(key !== undefined);
  const time = Date.parse(at);
  demand(Date.parse(key.valid_from) <= time && (key.valid_to === undefined || time < Date.parse(key.valid_to)));
  return decoded(key.public, "base64");
}

function demandSignature(raw, signature, signed) {
  const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI, raw]), format: "der", type: "spki" });
  demand(verify(null, signed, key, decoded(signature, "base64url")));
}

function demandStated(directory, context, stated) {
  const { key_id: id, signature, ...covered } = stated;
  const at = stated.accepted_at ?? stated.stated_at;
  const signed = Buffer.from(`${context}\n${canonical(covered)}`, "utf8");
  demandSignature(signingKey(directory, id, stated.instance, at), signature, signed);
}

function checkAcceptance(directory, acceptance) {
  demandStated(directory, "causeway-acceptance/v1", acceptance);
}

function holds(check, directory, what) {
  try {
    check(directory, what);
    return true;
  } catch (error) {
    if (error instanceof ProofError) return false;
    throw error;
  }
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const answers = [];
for (const [kind, check] of [["acceptance", checkAcceptance]]) {
  for (const [position, each] of (asked[kind] ?? []).entries()) {
    answers.push(holds(check, asked.directory, each));
    console.log(kind, position, answers.at(-1) ? "ok" : "failed");
  }
}
process.exitCode = answers.length > 0 && answers.every(Boolean) ? 0 : 1;
