// A verifier of signed acceptances and of evidence in another language: Node's own modules only, written from
// docs/operations/proofs.md and the wire format's description, not from the code of this project.
//
//     node foreign_proofs.mjs < asked.json
//
// Input: {"directory": a directory document, "acceptance": [ … ], "evidence": [ … ]}. Prints "acceptance <position>
// ok" or "… failed" for each, then the same for the evidence. Exit code 0 when there is at least one and all are ok.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const PROOF = ["ce_batchroot", "ce_batchsig", "ce_batchindex", "ce_batchsize", "ce_batchpath"];
const REQUIRED = [...PROOF, "ce_id", "ce_keyid", "ce_sender", "ce_recipient", "ce_source", "ce_tier", "content-type"];
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

function decimal(text) {
  demand(/^(0|[1-9][0-9]{0,18})$/.test(text));
  return BigInt(text);
}

// From a leaf to the root (RFC 9162, 2.1.3.2): `left` counts the nodes before it on its level, `last` is the last one.
function root(leaf, index, size, path) {
  demand(index < size && path.length % HASH === 0);
  let [node, left, last] = [leaf, index, size - 1n];
  for (let at = 0; at < path.length; at += HASH) {
    const step = path.subarray(at, at + HASH);
    demand(last > 0n);
    if (left % 2n === 1n || left === last) {
      node = sha256(NODE, step, node);
      while (left % 2n === 0n && left !== 0n) [left, last] = [left / 2n, last / 2n];
    } else {
      node = sha256(NODE, node, step);
    }
    [left, last] = [left / 2n, last / 2n];
  }
  demand(last === 0n);
  return node.toString("hex");
}

function checkEvidence(directory, { headers: pairs, value, statement }) {
  const headers = new Map(pairs);
  demand(headers.size === pairs.length && REQUIRED.every((name) => headers.has(name)));
  demand(pairs.every(([, text]) => /^[ -~]*$/.test(text)) && headers.get("content-type") === "application/json");
  const names = [...headers.keys()].filter((name) => !PROOF.includes(name)).sort();
  const head = names.map((name) => `${name}:${headers.get(name)}\n`).join("");
  const covered = Buffer.concat([Buffer.from(`${head}\n`, "latin1"), decoded(value, "base64")]);

  // What the sender signed, by its own key or, in tier hosted, by that of the instance that serves it.
  const sender = headers.get("ce_sender");
  const served = directory.parties.find((each) => each.id === sender)?.instance;
  demand(headers.get("ce_source") === `/instances/${served}`);
  const owner = headers.get("ce_tier") === "party" ? sender : served;
  const [size, index] = [headers.get("ce_batchsize"), decimal(headers.get("ce_batchindex"))];
  const path = decoded(headers.get("ce_batchpath"), "base64url");
  demand(root(sha256(LEAF, covered), index, decimal(size), path) === headers.get("ce_batchroot"));
  const signed = Buffer.from(`causeway-batch/v1\n${headers.get("ce_batchroot")}\n${size}\n`);
  const key = signingKey(directory, headers.get("ce_keyid"), owner, statement.broker_time);
  demandSignature(key, headers.get("ce_batchsig"), signed);

  // What the recipient's instance states of the arrival of this message, and of no other.
  demand(statement.message_digest === sha256(covered).toString("hex"));
  demand(statement.party === headers.get("ce_recipient"));
  demandStated(directory, "causeway-evidence/v1", statement);
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
for (const [kind, check] of [["acceptance", checkAcceptance], ["evidence", checkEvidence]]) {
  for (const [position, each] of (asked[kind] ?? []).entries()) {
    answers.push(holds(check, asked.directory, each));
    console.log(kind, position, answers.at(-1) ? "ok" : "failed");
  }
}
process.exitCode = answers.length > 0 && answers.every(Boolean) ? 0 : 1;
