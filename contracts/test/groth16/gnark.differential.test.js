// Differential test against gnark's own Solidity verifier, which can check circuits without
// commitments. The frozen tree proofs, and random changes of them, must get the same verdict from
// it, from Groth16, and from batches of one and of two.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { artifacts, Chain, Reverted } from "../../scripts/chain.js";
import { compilerSettings, exported, repository } from "../../scripts/compiler.js";

const MUTATIONS = 200;
const folder = join(repository, "tests", "vectors", "zk");
const vectors = JSON.parse(readFileSync(join(folder, "groth16_tree256.json"), "utf8"));

/** `zk/prover/cmd/vectors` writes the source from the frozen key; it is not kept, nor shipped. */
function gnarkVerifier() {
  const solc = createRequire(import.meta.url)("solc");
  const temporary = mkdtempSync(join(tmpdir(), "gnark-"));
  const file = join(temporary, "Verifier.sol");
  execFileSync("go", ["run", "./cmd/vectors", "-gnark", file], {
    cwd: join(repository, "zk", "prover"),
    stdio: "inherit",
  });
  const sources = { "Verifier.sol": { content: readFileSync(file, "utf8") } };
  rmSync(temporary, { recursive: true });
  const settings = {
    ...compilerSettings,
    outputSelection: { "*": { Verifier: ["abi", "evm.bytecode.object"] } },
  };
  const output = JSON.parse(
    solc.compile(JSON.stringify({ language: "Solidity", sources, settings })),
  );
  const errors = (output.errors ?? []).filter((error) => error.severity === "error");
  assert.deepEqual(
    errors.map((error) => error.formattedMessage),
    [],
  );
  const { abi, evm } = output.contracts["Verifier.sol"].Verifier;
  return { abi, bytecode: `0x${evm.bytecode.object}` };
}

describe("gnark's Solidity verifier", () => {
  let chain, gnark, harness, batch, key;

  before(async () => {
    chain = await Chain.start();
    gnark = await chain.deploy(gnarkVerifier());
    harness = await chain.deploy((await artifacts("Groth16Harness"))[0]);
    batch = await chain.deploy(exported("BatchVerifier"));
    key = (await chain.deployData(vectors.words)).address;
  });

  /** Whether a call accepts: it neither answers false nor reverts. */
  async function accepts(contract, name, args) {
    try {
      return (await contract.call(name, args)) !== false;
    } catch (error) {
      if (error instanceof Reverted) return false;
      throw error;
    }
  }

  async function requireSameVerdict({ a, b, c, commitments, poks, public: inputs }, title) {
    const joined = (words) => words.map((word) => word.slice(2)).join("");
    const core = joined([...a, ...b, ...c]);
    const hex = core + joined(inputs);
    const expected = await accepts(gnark, "verifyProof", [`0x${core}`, inputs]);
    assert.equal(
      await accepts(harness, "verify", [key, { a, b, c, commitments, poks }, 0n, inputs]),
      expected,
      title,
    );
    assert.equal(
      await accepts(batch, "verifyBatch", [key, `0x${hex}`, 0n]),
      expected,
      `${title}, as a batch`,
    );
    assert.equal(
      await accepts(batch, "verifyBatch", [key, `0x${hex}${hex}`, 0n]),
      expected,
      `${title}, twice`,
    );
    return expected;
  }

  it("agrees on every frozen tree proof that fits its interface", async () => {
    const asked = vectors.cases.filter((x) => x.mask === 0 && x.proof.public.length === 8);
    assert.ok(asked.length > 150);
    for (const { name, proof, valid } of asked)
      assert.equal(await requireSameVerdict(proof, name), valid, name);
  });

  it("agrees on random changes of a word", async () => {
    const honest = vectors.cases.filter((x) => x.valid).map((x) => x.proof);
    for (let i = 0; i < MUTATIONS; ++i) {
      const draw = createHash("sha256").update(`mutation ${i}`).digest();
      const proof = structuredClone(honest[i % honest.length]);
      const list = proof[["a", "b", "c", "public"][draw[0] % 4]];
      const bit = 1n << BigInt(draw[1]);
      const at = draw[2] % list.length;
      list[at] = `0x${(BigInt(list[at]) ^ bit).toString(16).padStart(64, "0")}`;
      assert.equal(await requireSameVerdict(proof, `mutation ${i}`), false, `mutation ${i}`);
    }
  });
});
