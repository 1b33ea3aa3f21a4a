// A verifier of signed acceptances and of evidence in another language: Node's own modules only, written from
// docs/operations/proofs.md and the wire format's description, not from the code of this project.
//
//     node foreign_proofs.mjs < asked.json
//
// Input: {"directory": a directory document, "acceptance": [ … ], "evidence": [ … ]}. Prints "acceptance <position>
// ok" or "… failed" for each, then the same for the evidence. Exit code 0 when there is at least one and all are ok.
import { readFileSync } from "node:fs";
import { coveredBytes, decoded, demand, demandContent, demandSignature, holds, leafOf, rootOf } from "./content_proof.mjs";

const REQUIRED = ["ce_id", "ce_sender", "ce_recipient", "ce_source", "ce_tier", "content-type"];
const CONTENT_TYPE = "application/vnd.causeway.message";

// Canonical JSON: names sorted, no white space. Names are ASCII and numbers whole, so this is all of RFC 8785 it needs.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

// Returns the raw key of that id, if `owner` signs with it at that time. A revoked key is invalid for any stated time.
function signingKey(directory, id, owner, at) {
  const entry = [...directory.instances, ...directory.parties].find((each) => each.id === owner);
  const key = (entry?.keys ?? []).find((each) => each.key_id === id && each.use === "sign");
  demand(key !== undefined && key.revoked_at === undefined);
  const time = Date.parse(at);
  demand(Date.parse(key.valid_from) <= time && (key.valid_to === undefined || time < Date.parse(key.valid_to)));
  return decoded(key.public, "base64");
}

// Returns the instance that serves a party, and those that served it before it moved.
function placesOf(directory, id) {
  const party = directory.parties.find((each) => each.id === id);
  return [party?.instance, ...(party?.instances_before ?? []).map((each) => each.instance)];
}

function demandStated(directory, context, stated) {
  demand(placesOf(directory, stated.party).includes(stated.instance));
  const { key_id: id, signature, ...covered } = stated;
  const signed = Buffer.from(`${context}\n${canonical(covered)}`, "utf8");
  demandSignature(signingKey(directory, id, stated.instance, stated.stated_at), signature, signed);
}

// The leaf covers the acceptance without its salt and proof; the signature covers the root over the leaf.
function checkAcceptance(directory, { salt, proof, ...stated }) {
  const { instance, party, accepted_at } = stated;
  const { key_id, size } = proof;
  const root = rootOf(leafOf(decoded(salt, "hex"), Buffer.from(canonical(stated), "utf8")), proof);
  const signed = `causeway-acceptance/v1\n${canonical({ accepted_at, instance, key_id, root, size })}`;
  demandSignature(signingKey(directory, key_id, instance, accepted_at), proof.signature, Buffer.from(signed, "utf8"));
  demand(placesOf(directory, party).includes(instance));
}

function checkEvidence(directory, { headers: pairs, value, salt, proof, statement }) {
  const headers = new Map(pairs);
  demand(headers.size === pairs.length && REQUIRED.every((name) => headers.has(name)));
  demand(pairs.every(([, text]) => /^[ -~]*$/.test(text)) && headers.get("content-type") === CONTENT_TYPE);
  demand(pairs.every(([name]) => /^(ce_[a-z0-9]+|content-type)$/.test(name)));
  const leaf = leafOf(decoded(salt, "hex"), coveredBytes(headers, decoded(value, "base64")));

  // Check the signature by a key of the instance that serves the sender.
  const sender = headers.get("ce_sender");
  const served = headers.get("ce_source").replace(/^\/instances\//, "");
  demand(headers.get("ce_source") !== served && placesOf(directory, sender).includes(served));
  demand(headers.get("ce_tier") === "hosted");
  demandContent(leaf, proof, signingKey(directory, proof.key_id, served, statement.broker_time));

  // Check that the recipient's instance states the arrival of exactly this message.
  demand(statement.message_digest === leaf.toString("hex"));
  demand(statement.party === headers.get("ce_recipient"));
  demandStated(directory, "causeway-evidence/v1", statement);
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const answers = [];
for (const [kind, check] of [["acceptance", checkAcceptance], ["evidence", checkEvidence]]) {
  for (const [position, each] of (asked[kind] ?? []).entries()) {
    answers.push(holds(() => check(asked.directory, each)));
    console.log(kind, position, answers.at(-1) ? "ok" : "failed");
  }
}
process.exitCode = answers.length > 0 && answers.every(Boolean) ? 0 : 1;
