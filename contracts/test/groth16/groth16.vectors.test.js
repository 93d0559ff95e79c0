// The Solidity verifier must give the verdicts of the vectors that the Go and Python verifiers also
// read: true, false, or refused as malformed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { artifacts, Chain, Reverted } from "../../scripts/chain.js";
import { repository } from "../../scripts/compiler.js";
import { CEREMONY, loadVectors, STATEMENTS } from "../support/vectors.js";

// Errors with which the verifier may revert instead of answering false.
const REFUSALS = new Set([
  "NotInField",
  "MalformedPoint",
  "WrongLength",
  "BadMask",
  "CommitmentAtInfinity",
]);

const KEY_REFUSALS = new Set(["BadKey", "MalformedPoint"]);

describe("Groth16 on shared vectors", () => {
  let chain;
  let harness;

  before(async () => {
    chain = await Chain.start();
    const [artifact] = await artifacts("Groth16Harness");
    harness = await chain.deploy(artifact);
  });

  for (const name of [...STATEMENTS, CEREMONY]) {
    it(`the frozen proofs of ${name}`, async () => {
      const vectors = loadVectors(name);
      const { address } = await chain.deployData(vectors.words);
      assert.equal(await harness.call("requireSound", [address]), vectors.vkId);
      assert.ok(vectors.cases.length > 15);
      for (const { name: title, proof, mask, valid } of vectors.cases) {
        const { a, b, c, commitments, poks } = proof;
        const actual = await verdict([
          address,
          { a, b, c, commitments, poks },
          BigInt(mask),
          proof.public,
        ]);
        assert.equal(actual, valid, title);
      }
    });
  }

  it("ignores proofs of knowledge outside the mask", async () => {
    const { words, cases } = loadVectors("epoch256");
    const { address } = await chain.deployData(words);
    const { a, b, c, commitments, poks, public: inputs } = cases[0].proof;
    const outside = { a, b, c, commitments, poks: [["0x1", "0x3"], ...poks.slice(1)] };
    assert.equal(await verdict([address, outside, 0b110n, inputs]), true);
    assert.equal(await verdict([address, outside, 0b111n, inputs]), false);
  });

  it("bad_keys", async () => {
    const { cases } = JSON.parse(
      readFileSync(join(repository, "tests", "vectors", "zk", "bad_keys.json"), "utf8"),
    );
    assert.ok(cases.length > 70);
    for (const { name, words, sound } of cases) {
      const { address } = await chain.deployData(words);
      assert.equal(await isSound(address), sound, name);
    }
  });

  async function isSound(address) {
    try {
      await harness.call("requireSound", [address]);
      return true;
    } catch (error) {
      if (error instanceof Reverted && KEY_REFUSALS.has(error.errorName)) return false;
      throw error;
    }
  }

  async function verdict(args) {
    try {
      return await harness.call("verify", args);
    } catch (error) {
      if (error instanceof Reverted && REFUSALS.has(error.errorName)) return false;
      throw error;
    }
  }
});
