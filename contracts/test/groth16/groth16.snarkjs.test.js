// Exported proofs in snarkjs, which knows nothing of this project. snarkjs is GPL-3.0: tests use it, nothing ships it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as snarkjs from "snarkjs";
import { repository } from "../../scripts/compiler.js";

const R = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const FILES = ["verification_key.json", "proof.json", "public.json"];

describe("Exported proofs in snarkjs", () => {
  let folder;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "snarkjs-"));
  });

  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await globalThis.curve_bn128?.terminate(); // its workers would keep the process alive
  });

  for (const name of ["epoch256", "tree256", "sorted", "member", "absent", "q8_0", "int8", "merge"]) {
    it(name, async () => {
      const vectors = load(name);
      const [key, proof, inputs] = exported(vectors, vectors.cases[0]);
      assert.equal(await snarkjs.groth16.verify(key, inputs, proof), true);
      for (const [what, mutated] of mutations(inputs, proof)) {
        assert.equal(await snarkjs.groth16.verify(key, mutated.inputs ?? inputs, mutated.proof ?? proof), false, what);
      }
      const [, otherProof, otherInputs] = exported(vectors, vectors.cases[1]);
      assert.equal(await snarkjs.groth16.verify(key, otherInputs, proof), false, "inputs of another statement");
      assert.equal(await snarkjs.groth16.verify(key, inputs, otherProof), false, "proof of another statement");
    });
  }

  it("a link", async () => {
    const vectors = load("epoch256");
    const [key, proof, inputs] = exported(vectors, find(vectors, "link chunk 0"));
    assert.equal(await snarkjs.groth16.verify(key, inputs, proof), true);
  });

  it("the main equation alone does not see what the proofs of knowledge show", async () => {
    const vectors = load("epoch256");
    for (const name of ["epoch: D and P + X and - X", "forgery by D, checked"]) {
      const forged = find(vectors, name);
      assert.equal(forged.valid, false);
      const [key, proof, inputs] = exported(vectors, forged);
      assert.equal(await snarkjs.groth16.verify(key, inputs, proof), true, name);
    }
  });

  function load(name) {
    return JSON.parse(readFileSync(join(repository, "tests", "vectors", "zk", `groth16_${name}.json`), "utf8"));
  }

  function find(vectors, name) {
    return vectors.cases.find((entry) => entry.name === name);
  }

  /** The three files that the command writes, as values. */
  function exported({ words, vkId }, { proof }) {
    const keys = join(folder, vkId);
    mkdirSync(keys, { recursive: true });
    writeFileSync(join(keys, "vk.words"), Buffer.from(words.slice(2), "hex"));
    writeFileSync(join(folder, "proof.json"), JSON.stringify(proof));
    const out = join(folder, "out");
    const command = ["proof", "export", "--snarkjs", out, join(folder, "proof.json"), "--keys", folder];
    execFileSync("provenance", command, { stdio: ["ignore", "pipe", "pipe"] });
    return FILES.map((file) => JSON.parse(readFileSync(join(out, file), "utf8")));
  }
});

/** Changed copies of public inputs and proof. */
function* mutations(inputs, proof) {
  for (let i = 0; i < inputs.length; ++i) {
    yield [`input ${i} + 1`, { inputs: inputs.with(i, String((BigInt(inputs[i]) + 1n) % R)) }];
    yield [`input ${i} + r`, { inputs: inputs.with(i, String(BigInt(inputs[i]) + R)) }];
  }
  yield ["A and C swapped", { proof: { ...proof, pi_a: proof.pi_c, pi_c: proof.pi_a } }];
  yield ["C at infinity", { proof: { ...proof, pi_c: ["0", "1", "0"] } }];
  const [[x0, x1], y, z] = proof.pi_b;
  yield ["B off the curve", { proof: { ...proof, pi_b: [[x1, x0], y, z] } }];
}
