// The Solidity verifier must agree with the Go verifier on every mutated proof: true, false, or
// refused as malformed.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { toFunctionSelector } from "viem";
import { artifacts, Chain } from "../../scripts/chain.js";
import { repository } from "../../scripts/compiler.js";

const vectors = join(repository, "tests", "vectors", "zk");
const { kinds } = JSON.parse(readFileSync(join(vectors, "mutations.json"), "utf8"));

const FALSE = "0x00000000";
const TRUE = "0x00000001";
// Errors with which the verifier may revert instead of answering false.
const REFUSALS = new Set(
  [
    "NotInField(uint256,uint256)",
    "MalformedPoint(uint256)",
    "BadMask(uint256)",
    "CommitmentAtInfinity(uint256)",
  ].map((signature) => toFunctionSelector(`error ${signature}`)),
);
// A refused pairing burns all gas that it was given: 1.1 million of the 16 million of a call.
const BATCH = 12;

describe("Groth16 on mutated proofs", () => {
  let chain;
  let harness;
  let folder;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "mutations-"));
    execFileSync("go", ["run", "./cmd/vectors", "-expand", folder], {
      cwd: join(repository, "zk", "prover"),
      stdio: "inherit",
    });
    chain = await Chain.start();
    const [artifact] = await artifacts("Groth16Harness");
    harness = await chain.deploy(artifact);
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const { kind } of kinds) {
    it(kind, async () => {
      const file = JSON.parse(readFileSync(join(folder, `mutations_${kind}.json`), "utf8"));
      const { address } = await chain.deployData(file.words);
      assert.equal(await harness.call("requireSound", [address]), file.vkId);
      assert.ok(file.cases.length > 2000);
      const commitments = BigInt(kind === "epoch" ? 3 : 0);
      for (let from = 0; from < file.cases.length; from += BATCH) {
        const cases = file.cases.slice(from, from + BATCH);
        const proofs = cases
          .flatMap((mutation) => mutation.words.slice(2).match(/.{64}/g))
          .map((word) => BigInt(`0x${word}`));
        const answers = await harness.call("verdicts", [
          address,
          commitments,
          cases.map(({ mask }) => BigInt(mask)),
          proofs,
        ]);
        cases.forEach(({ name, valid }, i) => {
          const refused = REFUSALS.has(answers[i]);
          assert.ok(
            refused || answers[i] === TRUE || answers[i] === FALSE,
            `${name}: reverted with ${answers[i]}`,
          );
          assert.equal(answers[i] === TRUE, valid, name);
        });
      }
    });
  }
});
