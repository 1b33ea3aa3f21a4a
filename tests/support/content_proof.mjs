// Shared by both verifiers in Node: Node's own modules only, written from the wire format's description
// (docs/messages.md, RFC 9162 §2.1.3.2, RFC 8410), not from the code of this project.
import { createHash, createPublicKey, verify } from "node:crypto";

const HASH = 32;
export const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);
// The bytes before a raw key in its SubjectPublicKeyInfo (RFC 8410): the only form in which Node reads one.
const ED25519_SPKI = Buffer.from("302a300506032b6570032100", "hex");

class ProofError extends Error {}

export function demand(condition) {
  if (!condition) throw new ProofError();
}

// Returns whether all demands of `check` hold. Any other error is a fault of the verifier.
export function holds(check) {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof ProofError) return false;
    throw error;
  }
}

export const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();

// Node reads base64 leniently, so this accepts only the canonical encoding.
export function decoded(text, encoding) {
  demand(typeof text === "string");
  const bytes = Buffer.from(text, encoding);
  demand(bytes.toString(encoding) === text);
  return bytes;
}

// Returns whether the raw key has signed this.
export function demandSignature(raw, signature, signed) {
  let held = false;
  try {
    const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI, raw]), format: "der", type: "spki" });
    held = verify(null, signed, key, decoded(signature, "base64url"));
  } catch {
    // 32 bytes that are no key
  }
  demand(held);
}

// Returns the bytes of a message that a leaf covers: its sorted headers, an empty line, its value.
export function coveredBytes(headers, value) {
  const head = [...headers.keys()].sort().map((name) => `${name}:${headers.get(name)}\n`).join("");
  return Buffer.concat([Buffer.from(`${head}\n`, "latin1"), value]);
}

// Returns the leaf of a message. Its salt has 16 bytes.
export function leafOf(salt, covered) {
  demand(salt.length === 16);
  return sha256(LEAF, salt, covered);
}

// Checks that the leaf is in the tree of this proof, and that the raw key has signed the tree.
export function demandContent(leaf, proof, raw) {
  const head = rootOf(leaf, proof);
  demandSignature(raw, proof.signature, Buffer.from(`causeway-content/v1\n${head}\n${proof.size}\n`));
}

// Returns the root of the tree in which this proof puts the leaf, in hexadecimal.
export function rootOf(leaf, proof) {
  demand([16, 256].includes(proof.size) && Number.isInteger(proof.position) && proof.position >= 0);
  const path = Buffer.concat(proof.path.map((hash) => hexadecimal(hash)));
  return root(leaf, BigInt(proof.position), BigInt(proof.size), path);
}

// 32 bytes in lower-case hexadecimal.
function hexadecimal(text) {
  demand(/^[0-9a-f]{64}$/.test(text));
  return Buffer.from(text, "hex");
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
