// Circuit and witness in the form that other provers read: snarkjs, which was written without
// gnark, must accept the witness and refuse every changed one.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as snarkjs from "snarkjs";
import { repository } from "../../scripts/compiler.js";

describe("gnark's constraints in snarkjs", () => {
  let folder;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "iden3-"));
    execFileSync("go", ["run", "./cmd/peers", "-out", folder, "-repeat", "0"], {
      cwd: join(repository, "zk", "prover"),
    });
  });

  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await globalThis.curve_bn128?.terminate(); // else its workers keep the process alive
  });

  // snarkjs calls it when a check fails.
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const check = () =>
    snarkjs.wtns.check(join(folder, "circuit.r1cs"), join(folder, "witness.wtns"), silent);

  it("accepts the witness", async () => assert.equal(await check(), true));

  it("refuses every witness with a public input, or another wire, changed", async () => {
    const good = readFileSync(join(folder, "witness.wtns"));
    // Skip magic, version and number of sections; head and body of section 1; head of section 2.
    const values = 12 + 12 + 40 + 12;
    for (const wire of [1, 5, 8, 9, 300, 9000]) {
      const bad = Buffer.from(good);
      bad[values + 32 * wire] ^= 1;
      writeFileSync(join(folder, "witness.wtns"), bad);
      assert.equal(await check(), false, `wire ${wire}`);
    }
    writeFileSync(join(folder, "witness.wtns"), good);
  });
});
