// Draws a seed on anvil, a chain with the real history contract of EIP-2935.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { encodeAbiParameters, keccak256, stringToHex, zeroAddress } from "viem";
import { Chain } from "../../scripts/chain.js";
import { exported } from "../../scripts/compiler.js";

const words = (...values) =>
  encodeAbiParameters(
    values.map(() => ({ type: "bytes32" })),
    values.map((value) => `0x${BigInt(value).toString(16).padStart(64, "0")}`),
  );

describe("drawSeed on anvil", () => {
  let anvil, chain, registry;

  before(async () => {
    const root = dirname(createRequire(import.meta.url).resolve("@foundry-rs/anvil/package.json"));
    anvil = spawn(process.execPath, [join(root, "bin.mjs"), "--port", "0"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    chain = await Chain.over(await listening(anvil));
    registry = await chain.deploy(exported("ProvenanceRegistry"), [zeroAddress]);
  });

  after(() => anvil.kill());

  it("takes the hash of block h + 2 when BLOCKHASH no longer knows it", async () => {
    const { runId, drawBlock } = (await registry.send("openRun", [words(7), words(8)])).events[0]
      .args;
    await chain.request("anvil_mine", ["0x1"]);
    await assert.rejects(registry.call("drawSeed", [runId]), { errorName: "DrawTooEarly" });
    await chain.request("anvil_mine", ["0x400"]);
    const { args } = (await registry.send("drawSeed", [runId], chain.accounts[5])).events[0];
    const { hash } = await chain.request("eth_getBlockByNumber", [
      `0x${drawBlock.toString(16)}`,
      false,
    ]);
    assert.equal(args.blockHash, hash);
    const chainId = await chain.request("eth_chainId");
    const tag = keccak256(stringToHex("provenance/v1/seed"));
    assert.equal(args.seed, keccak256(words(tag, chainId, registry.address, runId, 7, 8, hash)));
  });
});

/** Resolves to a provider once anvil says where it listens. */
function listening(child) {
  return new Promise((resolve, reject) => {
    let output = "";
    child.on("exit", (code) => reject(new Error(`anvil exited with ${code}`)));
    child.stdout.on("data", (chunk) => {
      output += chunk;
      const address = /Listening on (\S+)/.exec(output)?.[1];
      if (address !== undefined)
        resolve({ request: (request) => rpc(`http://${address}`, request) });
    });
  });
}

async function rpc(url, { method, params = [] }) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  const { result, error } = await response.json();
  if (error !== undefined) throw Object.assign(new Error(error.message), { data: error.data });
  return result;
}
