// One dataset of 300 records, with real proofs: its registration, two epochs (one of them stopped
// early) and attempts that must fail. Needs zk/prover/bin/zkprover (cd zk/prover && go build -o
// bin/zkprover ./cmd/zkprover), and is skipped without it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { zeroAddress } from "viem";
import { Chain, Reverted } from "../../scripts/chain.js";
import { exported, repository } from "../../scripts/compiler.js";

const binary = join(repository, "zk", "prover", "bin", "zkprover");
const keyCache = join(repository, "build", "zk-keys"); // development keys, made once
const COUNT = 300;
const SLOTS = 256;
const CHUNKS = [0, 1];
const R = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

const sha256 = (...parts) =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const word = (number) => `0x${BigInt(number).toString(16).padStart(64, "0")}`;

function zkprover(command, request) {
  const options = {
    input: JSON.stringify(request),
    encoding: "utf8",
    stdio: ["pipe", "pipe", "pipe"],
  };
  return JSON.parse(execFileSync(binary, [command], options));
}

describe(
  "a dataset and its epochs, with real proofs",
  { skip: !existsSync(binary) && "zkprover is not built" },
  () => {
    let chain, registry, ledger, folder, epochKey, treeKey, datasetId, runId, root;
    const file = (name) => join(folder, name);

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "ledger-"));
      mkdirSync(keyCache, { recursive: true });
      epochKey = zkprover("setup", { kind: "epoch", slots: SLOTS, cache: keyCache });
      treeKey = zkprover("setup", { kind: "tree", slots: 256, depth: 5, cache: keyCache });
      writeDataset();
      chain = await Chain.start();
      registry = await chain.deploy(exported("ProvenanceRegistry"), [zeroAddress]);
      const pins = [];
      for (const key of [epochKey, treeKey]) {
        const bytes = `0x${readFileSync(join(key.key, "vk.words")).toString("hex")}`;
        pins.push({ vkId: key.vkId, data: (await chain.deployData(bytes)).address });
      }
      ledger = await chain.deploy(exported("ProofLedger"), [registry.address, pins]);
    });

    after(() => rmSync(folder, { recursive: true, force: true }));

    it("registers the dataset", async () => {
      const made = commit("D", { values: file("leaves") });
      const d = made.points;
      const begun = await ledger.send("beginDataset", [
        epochKey.vkId,
        treeKey.vkId,
        root,
        5n,
        BigInt(COUNT),
        d,
        made.poks,
      ]);
      datasetId = begun.events[0].args.datasetId;
      const challenge = await challengesOf((await ledger.call("datasetOf", [datasetId])).linkSeed);
      for (const k of CHUNKS) {
        const tree = prove("prove-tree", { key: treeKey.key, depth: 5, k, ...challenge });
        const elsewhere = [datasetId, 1n, tree.public[6], tree.public[7], tree];
        if (k === 0)
          await assert.rejects(ledger.send("proveTree", elsewhere), { errorName: "ProofInvalid" });
        await ledger.send("proveTree", [
          datasetId,
          BigInt(k),
          tree.public[6],
          tree.public[7],
          tree,
        ]);
      }
      for (const c of CHUNKS) {
        const link = prove("prove-link", {
          key: epochKey.key,
          blindings: file("blindings"),
          chunk: c,
          ...challenge,
        });
        assert.deepEqual(link.commitments[0], d[c]);
        await ledger.send("proveLink", [
          datasetId,
          BigInt(c),
          d[c],
          link.public[3],
          link.public[4],
          link,
        ]);
      }
      await ledger.send("finishDataset", [datasetId]);
      assert.ok((await ledger.call("datasetOf", [datasetId])).finished);
    });

    it("opens a run and draws its seed", async () => {
      const opened = await registry.send("openRun", [word(1), datasetId]);
      runId = opened.events[0].args.runId;
      await registry.send("commit", [runId, 1n, word(2), 10n, []]);
      await chain.mine(3);
      await registry.send("drawSeed", [runId]);
    });

    it("accepts an epoch", async () => {
      const proofs = await anchorAndProve(0n, BigInt(COUNT));
      await submit(0n, 0n, 0, proofs[0]);
      assert.equal((await anchoring(0n, 0n)).accepted, false);
      await submit(0n, 0n, 1, proofs[1]);
      assert.ok((await anchoring(0n, 0n)).accepted);
      const product = (i) => (BigInt(proofs[0].public[i]) * BigInt(proofs[1].public[i])) % R;
      assert.equal(product(3), product(4));
    });

    it("refuses those proofs for another anchoring of the same points", async () => {
      const old = CHUNKS.map((c) =>
        JSON.parse(readFileSync(file(`prove-epoch-${c}.json`), "utf8")),
      );
      await anchorAndProve(0n, BigInt(COUNT));
      for (const c of CHUNKS) {
        await assert.rejects(submit(0n, 1n, c, old[c]), { errorName: "ProofInvalid" });
      }
    });

    it("accepts an epoch that was stopped early", async () => {
      const proofs = await anchorAndProve(1n, 40n);
      for (const c of CHUNKS) await submit(1n, 0n, c, proofs[c]);
      assert.ok((await anchoring(1n, 0n)).accepted);
    });

    it("refuses any changed field of a chunk's proof", async () => {
      const [proof] = await anchorAndProve(2n, BigInt(COUNT));
      const flip = (value) => word(BigInt(value) ^ 1n);
      for (const part of ["a", "b", "c"]) {
        for (const i of proof[part].keys()) {
          const changed = structuredClone(proof);
          changed[part][i] = flip(changed[part][i]);
          await assert.rejects(submit(2n, 0n, 0, changed), Reverted, `${part}[${i}]`);
        }
      }
      for (const part of ["commitments", "poks"]) {
        for (const [i, j] of [
          [0, 0],
          [1, 1],
          [2, 0],
        ]) {
          if (part === "poks" && i === 0) continue; // that of D is not sent
          const changed = structuredClone(proof);
          changed[part][i][j] = flip(changed[part][i][j]);
          await assert.rejects(submit(2n, 0n, 0, changed), Reverted, `${part}[${i}][${j}]`);
        }
      }
      for (const i of [3, 4]) {
        const changed = structuredClone(proof);
        changed.public[i] = flip(changed.public[i]);
        await assert.rejects(
          submit(2n, 0n, 0, changed),
          { errorName: "ProofInvalid" },
          `public[${i}]`,
        );
      }
      await submit(2n, 0n, 0, proof);
    });

    function writeDataset() {
      const digests = Array.from({ length: COUNT }, (_, i) => sha256("record", String(i))).sort(
        Buffer.compare,
      );
      writeFileSync(file("digests"), Buffer.concat(digests));
      writeFileSync(
        file("salts"),
        Buffer.concat(digests.map((digest) => sha256("salt", digest).subarray(0, 31))),
      );
      const blind = (name) =>
        CHUNKS.map((c) => word(BigInt(`0x${sha256(name, String(c)).toString("hex")}`) % R));
      writeFileSync(file("blindings"), JSON.stringify({ d: blind("d"), u: blind("u") }));
      root = zkprover("dataset", {
        digests: file("digests"),
        salts: file("salts"),
        leaves_out: file("leaves"),
      }).root;
    }

    function commit(vector, request) {
      return zkprover("commit", {
        key: epochKey.key,
        vector,
        count: COUNT,
        blindings: file("blindings"),
        ...request,
      });
    }

    function prove(command, request) {
      const out = file(`${command}-${request.chunk ?? request.k}.json`);
      zkprover(command, { leaves: file("leaves"), count: COUNT, out, ...request });
      return JSON.parse(readFileSync(out, "utf8"));
    }

    async function challengesOf(seed) {
      const [gamma, delta] = await ledger.call("challengesOf", [seed]);
      return { gamma: word(gamma), delta: word(delta) };
    }

    const anchoring = (epoch, number) => ledger.call("anchoringOf", [runId, epoch, number]);

    /** Anchors an epoch in the order of the run's seed, and proves its chunks. */
    async function anchorAndProve(epoch, consumed) {
      const { seed } = await registry.call("runOf", [runId]);
      zkprover("order", { seed, epoch: Number(epoch), count: COUNT, out: file("order") });
      const order = readFileSync(file("order"));
      const leaves = readFileSync(file("leaves"));
      const fed = Array.from({ length: COUNT }, (_, h) => Number(order.readBigUInt64BE(8 * h)));
      writeFileSync(
        file("used"),
        Buffer.concat(fed.map((leaf) => leaves.subarray(32 * leaf, 32 * leaf + 32))),
      );
      const u = commit("U", { values: file("used") }).points;
      const p = commit("P", { order: file("order"), blindings: undefined }).points;
      const { events } = await ledger.send("anchorEpoch", [
        runId,
        epoch,
        datasetId,
        consumed,
        u,
        p,
      ]);
      const challenge = await challengesOf(events[0].args.seed);
      const shared = {
        key: epochKey.key,
        used: file("used"),
        order: file("order"),
        blindings: file("blindings"),
      };
      return CHUNKS.map((chunk) => prove("prove-epoch", { ...shared, chunk, ...challenge }));
    }

    function submit(epoch, number, c, proof) {
      const { commitments, poks } = proof;
      const args = [
        runId,
        epoch,
        number,
        BigInt(c),
        proof.public[3],
        proof.public[4],
        commitments,
        poks.slice(1),
        proof,
      ];
      return ledger.send("proveEpoch", args, chain.accounts[3]); // anybody may submit it
    }
  },
);
