// Exported proofs, checked by snarkjs, which was written by others. snarkjs is GPL-3.0: only tests
// use it, and it is not shipped.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as snarkjs from "snarkjs";
import { loadVectors, STATEMENTS } from "../support/vectors.js";

const R = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const FILES = ["verification_key.json", "proof.json", "public.json"];
const LINK = "link chunk 0";
const FORGERIES = ["epoch: D and P + X and - X", "forgery by D, checked"];

/** Runs the installed command for several lists of arguments at once, since it is slow to load. */
const COMMAND = `
import json, sys
from importlib.metadata import entry_points

(command,) = entry_points(group="console_scripts", name="provenance")
main = command.load()
for arguments in json.load(sys.stdin):
    sys.argv = ["provenance", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
`;

describe("Exported proofs in snarkjs", () => {
  let folder;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "snarkjs-"));
    const commands = [];
    for (const name of STATEMENTS) {
      const { words, vkId, cases } = loadVectors(name);
      const keys = join(folder, vkId);
      mkdirSync(keys, { recursive: true });
      writeFileSync(join(keys, "vk.words"), Buffer.from(words.slice(2), "hex"));
      const wanted = [
        cases[0].name,
        cases[1].name,
        ...(name === "epoch256" ? [LINK, ...FORGERIES] : []),
      ];
      for (const title of wanted) {
        const out = place(name, title);
        mkdirSync(out, { recursive: true });
        const proof = join(out, "exported.json");
        writeFileSync(proof, JSON.stringify(find(cases, title).proof));
        commands.push(["proof", "export", "--snarkjs", out, proof, "--keys", folder]);
      }
    }
    const input = JSON.stringify(commands);
    // In the folder, so that no configuration file of the repository's own folder is read.
    execFileSync("python", ["-P", "-c", COMMAND], { input, stdio: "pipe", cwd: folder });
  });

  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await globalThis.curve_bn128?.terminate(); // else its workers keep the process alive
  });

  for (const name of STATEMENTS) {
    it(name, async () => {
      const [first, second] = loadVectors(name).cases;
      const [key, proof, inputs] = exported(name, first.name);
      assert.equal(await snarkjs.groth16.verify(key, inputs, proof), true);
      for (const [what, mutated] of mutations(inputs, proof)) {
        assert.equal(
          await snarkjs.groth16.verify(key, mutated.inputs ?? inputs, mutated.proof ?? proof),
          false,
          what,
        );
      }
      const [, otherProof, otherInputs] = exported(name, second.name);
      assert.equal(
        await snarkjs.groth16.verify(key, otherInputs, proof),
        false,
        "inputs of another statement",
      );
      assert.equal(
        await snarkjs.groth16.verify(key, inputs, otherProof),
        false,
        "proof of another statement",
      );
    });
  }

  it("a link proof", async () => {
    const [key, proof, inputs] = exported("epoch256", LINK);
    assert.equal(await snarkjs.groth16.verify(key, inputs, proof), true);
  });

  it("accepts a proof that only its proofs of knowledge show to be false", async () => {
    const { cases } = loadVectors("epoch256");
    for (const name of FORGERIES) {
      assert.equal(find(cases, name).valid, false);
      const [key, proof, inputs] = exported("epoch256", name);
      assert.equal(await snarkjs.groth16.verify(key, inputs, proof), true, name);
    }
  });

  function find(cases, title) {
    return cases.find(({ name }) => name === title);
  }

  /** The folder to which a case is exported. */
  function place(name, title) {
    return join(folder, name, encodeURIComponent(title));
  }

  /** The parsed contents of the three files that the command writes. */
  function exported(name, title) {
    return FILES.map((file) => JSON.parse(readFileSync(join(place(name, title), file), "utf8")));
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
