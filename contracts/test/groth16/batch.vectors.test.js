// Batches, on the vectors shared with the Go and Python verifiers: they have the same weights, and
// the same verdicts as single verification.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { artifacts, Chain, Reverted } from "../../scripts/chain.js";
import { exported, repository } from "../../scripts/compiler.js";

// Errors with which a batch may revert instead of answering false.
const REFUSALS = new Set([
  "InputNotInField",
  "MalformedPoint",
  "WrongBatchLength",
  "BadMask",
  "BatchCommitmentAtInfinity",
]);

const load = (name) =>
  JSON.parse(readFileSync(join(repository, "tests", "vectors", "zk", name), "utf8"));

/** The words of a proof in the order of a batch. */
const words = ({ a, b, c, commitments, poks, public: inputs }) =>
  [...a, ...b, ...c, ...commitments.flat(), ...poks.flat(), ...inputs]
    .map((word) => word.slice(2))
    .join("");
const pack = (proofs) => `0x${proofs.map(words).join("")}`;

describe("batches on shared vectors", () => {
  let chain, verifier, harness;

  before(async () => {
    chain = await Chain.start();
    verifier = await chain.deploy(exported("BatchVerifier"));
    const [artifact] = await artifacts("Groth16Harness");
    harness = await chain.deploy(artifact);
  });

  async function verdict(address, proofs, mask) {
    try {
      return await verifier.call("verifyBatch", [address, pack(proofs), BigInt(mask)]);
    } catch (error) {
      if (error instanceof Reverted && REFUSALS.has(error.errorName)) return false;
      throw error;
    }
  }

  it("has the weights and verdicts of batch.json", async () => {
    for (const { name, file, mask, proofs, seed, weights, valid } of load("batch.json").cases) {
      const vectors = load(file);
      const { address } = await chain.deployData(vectors.words);
      const batch = proofs.map((title) => vectors.cases.find((x) => x.name === title).proof);
      const expected = weights.flat().map(BigInt);
      const answer = await harness.call("batchWeights", [
        vectors.vkId,
        pack(batch),
        BigInt(expected.length),
      ]);
      assert.deepEqual(answer, [seed, expected], name);
      assert.equal(await verdict(address, batch, mask), valid, name);
    }
  });

  for (const [file, honest] of [
    ["groth16_epoch256.json", ["epoch chunk 0", "epoch chunk 1"]],
    ["groth16_tree256.json", ["tree chunk 0", "tree chunk 1, the last"]],
  ]) {
    it(`agrees with single verification on ${file}`, async () => {
      const vectors = load(file);
      const { address } = await chain.deployData(vectors.words);
      const good = honest.map((title) => vectors.cases.find((x) => x.name === title).proof);
      for (const [i, { name, proof, mask, valid }] of vectors.cases.entries()) {
        assert.equal(await verdict(address, [proof], mask), valid, `${name}, alone`);
        const batch = good.toSpliced(i % 3, 0, proof); // inserted at the three places in turn
        assert.equal(await verdict(address, batch, mask), valid, `${name}, at ${i % 3}`);
      }
    });

    it(`accepts every good subset of ${file}, and none with a bad proof`, async () => {
      const vectors = load(file);
      const { address } = await chain.deployData(vectors.words);
      for (const mask of new Set(vectors.cases.map((x) => x.mask))) {
        const good = vectors.cases.filter((x) => x.valid && x.mask === mask).map((x) => x.proof);
        const bad = vectors.cases.filter((x) => !x.valid && x.mask === mask).map((x) => x.proof);
        for (let subset = 1; subset < 2 ** good.length; ++subset) {
          const chosen = good.filter((_, i) => (subset >> i) & 1);
          assert.ok(await verdict(address, chosen, mask), `mask ${mask}, subset ${subset}`);
          if (bad.length === 0) continue;
          const spoiled = chosen.toSpliced(
            subset % (chosen.length + 1),
            0,
            bad[subset % bad.length],
          );
          assert.ok(
            !(await verdict(address, spoiled, mask)),
            `mask ${mask}, subset ${subset}, spoiled`,
          );
        }
      }
    });
  }
});
