// Measures the gas of whole transactions, with their fixed cost and calldata. --write stores
// contracts/.gas-snapshot.json, --check compares with it exactly. Proofs come from a simulator that
// knows the keys' secrets, and block times are fixed, so each run sends the same bytes.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { concat, keccak256, pad, stringToHex, toHex, zeroAddress } from "viem";
import { artifacts, Chain, Contract } from "./chain.js";
import { exported, repository } from "./compiler.js";
import { measureAudits, measureModels } from "./gas-models.js";

const snapshot = join(repository, "contracts", ".gas-snapshot.json");
const R = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const ROOT = 12345678901234567890n;
const SLOTS = 4096n;
const COUNT = 4096n; // one epoch chunk, one tree chunk
const CHUNK_SLOTS = 256n; // for an epoch of many chunks
const BATCHES = [2, 16]; // numbers of proofs in a batch
const AT_ONCE = [1, 3, 16]; // numbers of epochs that are anchored and proved in one call
const U = 0x1234567n;
const P = 0x89abcdfn;
const D = 0xfedcba9n;

const sha256 = (...parts) =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const node = (left, right) => sha256(Buffer.of(1), left, right);
const text = (name) => `0x${sha256(name).toString("hex")}`;
const hex = (bytes) => `0x${bytes.toString("hex")}`;

/** keccak256 of words: numbers, or bytes that are filled up to 32 on the left. */
const hashOf = (words) =>
  keccak256(concat(words.map((word) => pad(typeof word === "bigint" ? toHex(word) : word))));

// The definitions of RFC 6962 section 2.1.
const split = (n) => 2 ** Math.floor(Math.log2(n - 1));
const root = (l) =>
  l.length === 1 ? l[0] : node(root(l.slice(0, split(l.length))), root(l.slice(split(l.length))));
function path(index, l) {
  if (l.length === 1) return [];
  const k = split(l.length);
  const [inside, outside, i] =
    index < k ? [l.slice(0, k), l.slice(k), index] : [l.slice(k), l.slice(0, k), index - k];
  return [...path(i, inside), root(outside)];
}
function consistency(m, l, whole = true) {
  if (m === l.length) return whole ? [] : [root(l)];
  const k = split(l.length);
  if (m <= k) return [...consistency(m, l.slice(0, k), whole), root(l.slice(k))];
  return [...consistency(m - k, l.slice(k), false), root(l.slice(0, k))];
}

/** Gas by the name of a transaction. */
export async function measure() {
  const chain = await Chain.start({ fixedTime: true });
  const gas = {};
  const registry = await chain.deploy(exported("ProvenanceRegistry"), [zeroAddress]);
  gas["deploy ProvenanceRegistry"] = registry.gas;
  await measureLog(registry, gas);
  await measureProofs(chain, registry, gas, "shared G", false);
  const { simulator, ledger, datasetId } = await measureProofs(
    chain,
    registry,
    gas,
    "ceremony",
    true,
  );
  const tools = {
    chain,
    gas,
    pin: async (...header) => pin(chain, simulator, await simulator.call("plainSetup", header)),
    prove: (inputs) => simulator.call("prove", [inputs, [], 1n]),
  };
  await measureChunks(chain, registry, gas, "shared G", false);
  await measureAudits(tools, ledger, datasetId, ROOT, COUNT);
  await measureModels(tools, registry);
  await measureAttestations(chain, gas);
  return gas;
}

async function measureLog(registry, gas) {
  const { runId } = (await registry.send("openLog")).events[0].args;
  const names = ["model", "manifest", "record"].map(text);
  const bytes = [runId, ...names].map((digest) => Buffer.from(digest.slice(2), "hex"));
  const release = sha256("provenance/v1/release", Buffer.of(0), ...bytes);
  const leaves = Array.from({ length: 1100 }, (_, i) =>
    sha256(Buffer.of(0), i === 700 ? release : sha256(`entry ${i}`)),
  );
  const commit = (seq, size, proof) =>
    registry.send("commit", [
      runId,
      seq,
      hex(root(leaves.slice(0, size))),
      BigInt(size),
      proof.map(hex),
    ]);
  gas["commit, first head"] = (await commit(1n, 1000, [])).gas;
  gas["commit, 1,000 to 1,100 entries"] = (await commit(2n, 1100, consistency(1000, leaves))).gas;
  const args = [runId, 2n, ...names, 700n, path(700, leaves).map(hex)];
  gas["release, of 1,100 entries"] = (await registry.send("release", args)).gas;
  gas["revoke"] = (await registry.send("revoke", [runId, 700n, "licence withdrawn"])).gas;
  const [owner] = registry.chain.accounts;
  gas["revokeSigner"] = (await registry.send("revokeSigner", [owner, 1n, "laptop stolen"])).gas;
  gas["setWriter"] = (
    await registry.send("setWriter", [runId, registry.chain.accounts[1], true])
  ).gas;
}

async function measureAttestations(chain, gas) {
  const attestations = await chain.deploy(exported("ReplayAttestations"), []);
  gas["deploy ReplayAttestations"] = attestations.gas;
  const attest = async (digest) =>
    (await attestations.send("attest", [text("run"), text(digest)])).gas;
  gas["attest, first of an auditor about a run"] = await attest("first");
  gas["attest, another one"] = await attest("second");
}

async function measureProofs(chain, registry, gas, label, ceremony) {
  const [artifact] = await artifacts("Simulator");
  const simulator = await chain.deploy(artifact);
  const epochSetup = await simulator.call("epochSetup", [SLOTS, ceremony, true]);
  const treeSetup = await simulator.call("treeSetup", [SLOTS, 5n]);
  const [epochKey, treeKey] = [
    await pin(chain, simulator, epochSetup),
    await pin(chain, simulator, treeSetup),
  ];
  const ledger = await chain.deploy(exported("ProofLedger"), [
    registry.address,
    [epochKey, treeKey],
  ]);
  const g1 = (scalar) => simulator.call("g1", [scalar]);
  const pok = (k, scalar) => simulator.call("pok", [epochSetup, k, scalar]);
  const prove = (inputs, points) => simulator.call("prove", [inputs, points, 1n]);
  const note = async (name, sent) => {
    const done = await sent;
    gas[`${name}, ${label}`] = done.gas;
    return done.events[0].args;
  };

  gas[`deploy ProofLedger with two keys, ${label}`] = ledger.gas;
  const d = await g1(D);
  const begin = [epochKey.vkId, treeKey.vkId, ROOT, 5n, COUNT, [d], [await pok(0n, D)]];
  const { datasetId } = await note("beginDataset, one chunk", ledger.send("beginDataset", begin));
  const link = await ledger.call("challengesOf", [
    (await ledger.call("datasetOf", [datasetId])).linkSeed,
  ]);
  const [t, z, b] = ["t", "z", "b"].map((name) => BigInt(text(name)) % R);
  const a = (((b * t) % R) * power(z, R - 2n)) % R;
  const tree = await prove([ROOT, 0n, COUNT, 1n, ...link, t, z], []);
  await note("proveTree", ledger.send("proveTree", [datasetId, 0n, t, z, tree]));
  const order = await simulator.call("orderBase");
  await note(
    "proveLink",
    ledger.send("proveLink", [
      datasetId,
      0n,
      d,
      a,
      b,
      await prove([...link, 0n, a, b], [D, 0n, order]),
    ]),
  );
  await note("finishDataset", ledger.send("finishDataset", [datasetId]));

  const { runId } = await note("openRun", registry.send("openRun", [text("run"), datasetId]));
  await registry.send("commit", [runId, 1n, text("root"), 1_000n, []]);
  await chain.mine(3);
  await note("drawSeed", registry.send("drawSeed", [runId]));
  const [u, p] = [await g1(U), await g1(P)];
  const anchored = ledger.send("anchorEpoch", [runId, 0n, datasetId, COUNT, [u], [p]]);
  const { seed } = await note("anchorEpoch, one chunk", anchored);
  const proof = await prove([...(await ledger.call("challengesOf", [seed])), 0n, b, b], [D, U, P]);
  const args = [runId, 0n, 0n, 0n, b, b, [d, u, p], [await pok(1n, U), await pok(2n, P)], proof];
  await note("proveEpoch, the only chunk", ledger.send("proveEpoch", args));
  if (!(await ledger.call("anchoringOf", [runId, 0n, 0n])).accepted)
    throw new Error("the epoch was not accepted");
  const anchorGas = gas[`anchorEpoch, one chunk, ${label}`];
  gas[`one epoch: anchorEpoch and proveEpoch, ${label}`] =
    anchorGas + gas[`proveEpoch, the only chunk, ${label}`];

  let epoch = 0n;
  const item = async () => {
    await ledger.send("anchorEpoch", [runId, ++epoch, datasetId, COUNT, [u], [p]]);
    const { seed } = await ledger.call("anchoringOf", [runId, epoch, 0n]);
    const proof = await prove(
      [...(await ledger.call("challengesOf", [seed])), 0n, b, b],
      [D, U, P],
    );
    return { runId, epoch, number: 0n, c: 0n, a: b, b, commitments: args[6], poks: args[7], proof };
  };
  for (const k of BATCHES) {
    const items = [];
    for (let i = 0; i < k; ++i) items.push(await item());
    const name = `proveEpochs, ${k} epochs of one chunk`;
    await note(name, ledger.send("proveEpochs", [items]));
    if (!(await ledger.call("anchoringOf", [runId, epoch, 0n])).accepted)
      throw new Error("the last epoch was not accepted");
    const each = share(gas, `${name}, ${label}`, k);
    gas[`one epoch: anchorEpoch and its share of ${k} epochs, ${label}`] = anchorGas + each;
  }
  const run = await registry.call("runOf", [runId]);
  const words = [keccak256(stringToHex("provenance/v1/epoch")), await chain.request("eth_chainId")];
  words.push(ledger.address, registry.address, epochKey.vkId, datasetId, runId, run.seed);
  const tail = [0n, COUNT, COUNT, SLOTS, 1n, run.size, run.root, ...[d, u, p].map(hashOf)];
  for (const k of AT_ONCE) {
    const epochs = [];
    for (let i = 0; i < k; ++i) {
      const seed = hashOf([...words, ++epoch, ...tail]);
      const proof = await prove([...(await ledger.call("challengesOf", [seed])), 0n, b, b], [D, U, P]);
      const chunks = [{ a: b, b, poks: args[7], proof }];
      epochs.push({ epoch, number: 0n, consumed: COUNT, u: [u], p: [p], chunks });
    }
    const name = `anchorAndProve, ${k === 1 ? "an epoch" : `${k} epochs`} of one chunk`;
    await note(name, ledger.send("anchorAndProve", [runId, datasetId, run.seq, [d], epochs]));
    if (!(await ledger.call("anchoringOf", [runId, epoch, 0n])).accepted)
      throw new Error("the last epoch was not accepted");
    share(gas, `${name}, ${label}`, k);
  }
  const random = (...names) => names.map((name) => BigInt(text(name)) % R);
  const core = (proof) => [...proof.a, ...proof.b, ...proof.c];
  await measureVerifier(chain, ledger, gas, `tree proofs, ${label}`, treeKey, 0n, async (i) => {
    const inputs = [
      ROOT,
      BigInt(i),
      COUNT,
      0n,
      ...random(`gamma${i}`, `delta${i}`, `t${i}`, `z${i}`),
    ];
    return [...core(await prove(inputs, [])), ...inputs];
  });
  await measureVerifier(chain, ledger, gas, `epoch proofs, ${label}`, epochKey, 6n, async (i) => {
    const inputs = [
      ...random(`gamma${i}`, `delta${i}`),
      SLOTS * BigInt(i),
      ...random(`a${i}`, `b${i}`),
    ];
    const points = [d, u, p, [0n, 0n], ...args[7]].flat();
    return [...core(await prove(inputs, [D, U, P])), ...points, ...inputs];
  });
  return { simulator, ledger, datasetId };
}

/** Batches sent to the verifier itself: the gas of proofs without what the ledger stores. */
async function measureVerifier(chain, ledger, gas, label, key, mask, item) {
  const verifier = new Contract(
    chain,
    await ledger.call("batchVerifier"),
    exported("BatchVerifier").abi,
  );
  for (const k of BATCHES) {
    let items = "0x";
    for (let i = 0; i < k; ++i)
      items += (await item(i)).map((word) => word.toString(16).padStart(64, "0")).join("");
    if (!(await verifier.call("verifyBatch", [key.data, items, mask])))
      throw new Error("the batch is false");
    gas[`verifyBatch, ${k} ${label}`] = (
      await verifier.send("verifyBatch", [key.data, items, mask])
    ).gas;
    share(gas, `verifyBatch, ${k} ${label}`, k);
  }
}

/** Chunks of one epoch: the gas of a proof when proofs write to the same storage slots. */
async function measureChunks(chain, registry, gas, label, ceremony) {
  const [artifact] = await artifacts("Simulator");
  const simulator = await chain.deploy(artifact);
  const setup = await simulator.call("epochSetup", [CHUNK_SLOTS, ceremony, true]);
  const [epochKey, treeKey] = [
    await pin(chain, simulator, setup),
    await pin(chain, simulator, await simulator.call("treeSetup", [CHUNK_SLOTS, 5n])),
  ];
  const ledger = await chain.deploy(exported("ProofLedger"), [
    registry.address,
    [epochKey, treeKey],
  ]);
  const k = BATCHES[BATCHES.length - 1];
  const count = CHUNK_SLOTS * BigInt(k);
  const scalars = Array.from({ length: k }, (_, c) => [D, U, P].map((x) => x + BigInt(c)));
  const points = await Promise.all(
    scalars.map((list) => Promise.all(list.map((x) => simulator.call("g1", [x])))),
  );
  const pok = (i, scalar) => simulator.call("pok", [setup, i, scalar]);
  const prove = (inputs, list) => simulator.call("prove", [inputs, list, 1n]);
  const column = (i) => points.map((list) => list[i]);
  const challengesOf = (seed) => ledger.call("challengesOf", [seed]);

  const poksOfD = await Promise.all(scalars.map(([d]) => pok(0n, d)));
  const begun = await ledger.send("beginDataset", [
    epochKey.vkId,
    treeKey.vkId,
    ROOT,
    5n,
    count,
    column(0),
    poksOfD,
  ]);
  const { datasetId } = begun.events[0].args;
  const link = await challengesOf((await ledger.call("datasetOf", [datasetId])).linkSeed);
  const [orderBase, orderStep] = [
    await simulator.call("orderBase"),
    await simulator.call("orderStep"),
  ];
  for (let c = 0n; c < k; ++c) {
    const last = c === BigInt(k) - 1n ? 1n : 0n;
    const tree = await prove([ROOT, c, CHUNK_SLOTS, last, ...link, 7n, 7n], []);
    await ledger.send("proveTree", [datasetId, c, 7n, 7n, tree]);
    const start = c * CHUNK_SLOTS;
    const order = (orderBase + start * orderStep) % R;
    const proof = await prove([...link, start, 7n, 7n], [scalars[c][0], 0n, order]);
    await ledger.send("proveLink", [datasetId, c, points[c][0], 7n, 7n, proof]);
  }
  await ledger.send("finishDataset", [datasetId]);

  const { runId } = (await registry.send("openRun", [text("chunks"), datasetId])).events[0].args;
  await registry.send("commit", [runId, 1n, text("root"), 1_000n, []]);
  await chain.mine(3);
  await registry.send("drawSeed", [runId]);
  const anchored = await ledger.send("anchorEpoch", [
    runId,
    0n,
    datasetId,
    count,
    column(1),
    column(2),
  ]);
  gas[`anchorEpoch, ${k} chunks, ${label}`] = anchored.gas;
  const challenges = await challengesOf(anchored.events[0].args.seed);
  const items = [];
  for (let c = 0n; c < k; ++c) {
    // The same factors in another order.
    const [a, b] = [BigInt(text(`a${c}`)) % R, BigInt(text(`a${BigInt(k) - 1n - c}`)) % R];
    const proof = await prove([...challenges, c * CHUNK_SLOTS, a, b], scalars[c]);
    const poks = [await pok(1n, scalars[c][1]), await pok(2n, scalars[c][2])];
    items.push({ runId, epoch: 0n, number: 0n, c, a, b, commitments: points[c], poks, proof });
  }
  const name = `proveEpochs, ${k} chunks of one epoch, ${label}`;
  gas[name] = (await ledger.send("proveEpochs", [items])).gas;
  if (!(await ledger.call("anchoringOf", [runId, 0n, 0n])).accepted)
    throw new Error("the epoch was not accepted");
  share(gas, name, k);
}

/** Records and returns the gas of one proof of a batch, rounded up. */
function share(gas, name, k) {
  return (gas[`${name}, each proof`] = Math.ceil(gas[name] / k));
}

async function pin(chain, simulator, setup) {
  const bytes = await simulator.call("keyBytes", [setup]);
  return {
    vkId: await simulator.call("digestOf", [bytes]),
    data: (await chain.deployData(bytes)).address,
  };
}

function power(base, exponent) {
  let result = 1n;
  for (let b = base, e = exponent; e > 0n; e >>= 1n, b = (b * b) % R)
    if (e & 1n) result = (result * b) % R;
  return result;
}

export function readSnapshot() {
  return JSON.parse(readFileSync(snapshot, "utf8"));
}

async function main(mode) {
  const gas = await measure();
  if (mode === "--write") {
    writeFileSync(snapshot, JSON.stringify(gas, null, 2) + "\n");
    console.log(JSON.stringify(gas, null, 2));
    return 0;
  }
  const expected = readSnapshot();
  const names = new Set([...Object.keys(expected), ...Object.keys(gas)]);
  const different = [...names].filter((name) => expected[name] !== gas[name]);
  for (const name of different)
    console.log(`${name}: expected ${expected[name]}, actual ${gas[name]}`);
  return different.length > 0 ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const mode = process.argv[2];
  if (mode !== "--write" && mode !== "--check") throw new Error("usage: gas.js --write | --check");
  process.exit(await main(mode));
}
