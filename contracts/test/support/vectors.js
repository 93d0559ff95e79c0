// The frozen proofs of each statement of `zk/statements.json`.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../scripts/compiler.js";

const read = (...path) => JSON.parse(readFileSync(join(repository, ...path), "utf8"));
const FILES = { epoch: "epoch256", tree: "tree256" }; // those that are not called as their kind

/** The name of each statement's vectors, by which `loadVectors` reads them. */
export const STATEMENTS = read("zk", "statements.json").kinds.map(
  ({ name }) => FILES[name] ?? name,
);

/** Epoch proofs under a ceremony's key, in which every G equals gamma. */
export const CEREMONY = "ceremony256";

export function loadVectors(name) {
  return read("tests", "vectors", "zk", `groth16_${name}.json`);
}
