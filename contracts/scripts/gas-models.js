// Part of gas.js: the gas of audits of a dataset and of sampled statements about weights, with
// proofs from the same simulator.
import { encodePacked, keccak256, sha256, stringToHex } from "viem";
import { exported } from "./compiler.js";

const R = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const SLOTS = 4; // blocks that one proof opens
const TENSORS = 211; // tensors of SmolLM2-135M of which proofs can open blocks
const BATCH = 16; // proofs in one transaction
const [ROWS, COLUMNS, DEPTH, RANK] = [576n, 576n, 3, 8n];
const BLOCKS_PER_ROW = COLUMNS / 32n;
const BLOCKS = ROWS * BLOCKS_PER_ROW;
const DIGEST = keccak256("0x01");
const numberOf = (text) => BigInt(keccak256(stringToHex(text))) % R;
const name = (t) => `model.layers.${String(t).padStart(3, "0")}.self_attn.q_proj.weight`;

// The definitions of RFC 6962 section 2.1; each hash is computed only once.
const node = (left, right) => sha256(`0x01${left.slice(2)}${right.slice(2)}`);
const split = (n) => 2 ** Math.floor(Math.log2(n - 1));

class Table {
  constructor(leaves) {
    if (leaves.length === 1) this.root = leaves[0];
    else {
      this.middle = split(leaves.length);
      this.left = new Table(leaves.slice(0, this.middle));
      this.right = new Table(leaves.slice(this.middle));
      this.root = node(this.left.root, this.right.root);
    }
  }

  path(index) {
    if (this.left === undefined) return [];
    return index < this.middle
      ? [...this.left.path(index), this.right.root]
      : [...this.right.path(index - this.middle), this.left.root];
  }
}

function leaf(text, layout, rows, columns, blocks, root) {
  const entry = encodePacked(
    [
      "string",
      "uint8",
      "bytes32",
      "uint8",
      "uint8",
      "uint64",
      "uint64",
      "uint8",
      "uint64",
      "uint256",
    ],
    [
      "provenance/v1/tensor",
      0,
      sha256(stringToHex(text)),
      0,
      layout,
      rows,
      columns,
      DEPTH,
      blocks,
      root,
    ],
  );
  return sha256(`0x00${sha256(entry).slice(2)}`);
}

/** The tables of a model whose tensors all have one shape. */
function tables() {
  const rootOf = (label) => Array.from({ length: TENSORS }, (_, t) => numberOf(`${label} ${t}`));
  const roots = Object.fromEntries(
    ["base", "a", "b", "merged"].map((label) => [label, rootOf(label)]),
  );
  const plain = (label) =>
    new Table(roots[label].map((root, t) => leaf(name(t), 0, ROWS, COLUMNS, BLOCKS, root)));
  const adapter = roots.a.flatMap((root, t) => [
    leaf(`${name(t)}:lora_a`, 1, RANK, COLUMNS, BLOCKS_PER_ROW * RANK, root),
    leaf(`${name(t)}:lora_b`, 2, ROWS, RANK, ROWS, roots.b[t]),
  ]);
  return { roots, base: plain("base"), merged: plain("merged"), adapter: new Table(adapter) };
}

function indexWord(seed, t) {
  const draw = (j) =>
    BigInt(
      keccak256(encodePacked(["bytes32", "uint256", "uint256"], [seed, BigInt(t), BigInt(j)])),
    ) % BLOCKS;
  return Array.from({ length: SLOTS }, (_, j) => draw(j) << BigInt(32 * j)).reduce(
    (sum, part) => sum + part,
  );
}

/** Adds the gas of a dataset's audits. `pin` takes kind, slots, depth, public inputs of a key. */
export async function measureAudits({ chain, gas, pin, prove }, ledger, datasetId, root, count) {
  const keys = [await pin(3n, 256n, 5n, 6n), await pin(4n, 1n, 5n, 4n)];
  const audits = await chain.deploy(exported("DatasetAudits"), [ledger.address, keys]);
  gas["deploy DatasetAudits with two keys"] = audits.gas;
  for (const k of [0n, 1n]) {
    const ends = [numberOf(`first ${k}`), numberOf(`first ${k + 1n}`)];
    const proof = await prove([root, k, 256n, 1n, ...ends]);
    const sent = await audits.send("proveSorted", [datasetId, keys[0].vkId, k, ...ends, proof]);
    gas[`proveSorted, chunk ${k}`] = sent.gas;
  }
  const halves = [BigInt(DIGEST) >> 128n, BigInt(DIGEST) & (2n ** 128n - 1n)];
  const proof = await prove([root, count, ...halves]);
  gas["proveMember"] = (
    await audits.send("proveMember", [datasetId, keys[1].vkId, DIGEST, proof])
  ).gas;
}

/** Adds the gas of both stages: anchoring, draw, a transaction of one proof and one of several. */
export async function measureModels(tools, registry) {
  const { chain, gas, pin } = tools;
  const quantize = await pin(6n, BigInt(SLOTS), BigInt(DEPTH), 7n);
  const merge = await pin(8n, BigInt(SLOTS), BigInt(DEPTH) + 16n * RANK, 7n);
  const models = await chain.deploy(exported("ModelLedger"), [registry.address, [quantize, merge]]);
  gas["deploy ModelLedger with two keys"] = models.gas;
  const { runId } = (await registry.send("openLog")).events[0].args;
  await registry.send("commit", [runId, 1n, DIGEST, 1_000n, []]);
  const all = tables();
  await measureStage(tools, models, runId, 1n, "merge", merge.vkId, all);
  await measureStage(tools, models, runId, 2n, "q8_0", quantize.vkId, all);
}

async function measureStage({ chain, gas, prove }, models, runId, stage, label, vkId, all) {
  const zero = { root: `0x${"00".repeat(32)}`, entries: 0n };
  const table = (tree, entries) =>
    stage === 1n ? { root: tree.root, entries: BigInt(entries) } : zero;
  const anchoring = {
    base: table(all.base, TENSORS),
    adapter: table(all.adapter, 2 * TENSORS),
    merged: { root: all.merged.root, entries: BigInt(TENSORS) },
    artifact: DIGEST,
    kind: stage === 1n ? 8n : 6n,
    slots: BigInt(SLOTS),
    scale: stage === 1n ? 2n << 16n : 0n,
    draws: 459n,
    blocks: BigInt(TENSORS) * BLOCKS,
  };
  gas[`anchorModel, ${label}`] = (await models.send("anchorModel", [runId, stage, anchoring])).gas;
  await chain.mine(3);
  const drawn = await models.send("drawModel", [runId, stage, 0n]);
  gas[`drawModel, ${label}`] = drawn.gas;
  const sample = (t) => sampleOf(prove, stage, vkId, all, t, drawn.events[0].args.seed);
  const send = async (items) => {
    const [{ tensor }] = items;
    const previous = tensor === 0n ? "" : name(Number(tensor) - 1);
    return (await models.send("proveSamples", [runId, stage, 0n, previous, items])).gas;
  };
  gas[`proveSamples, the first alone, ${label}`] = await send([await sample(0)]);
  gas[`proveSamples, one, ${label}`] = await send([await sample(1)]);
  const items = [];
  for (let t = 2; t < 2 + BATCH; ++t) items.push(await sample(t));
  gas[`proveSamples, ${BATCH}, ${label}`] = await send(items);
  gas[`proveSamples, ${BATCH}, ${label}, a proof`] = Math.round(
    gas[`proveSamples, ${BATCH}, ${label}`] / BATCH,
  );
}

async function sampleOf(prove, stage, vkId, all, t, seed) {
  const opening = (label, tree, place) => ({ root: all.roots[label][t], path: tree.path(place) });
  const merged = opening("merged", all.merged, t);
  const sources = [
    opening("base", all.base, t),
    opening("a", all.adapter, 2 * t),
    opening("b", all.adapter, 2 * t + 1),
  ];
  const openings = stage === 1n ? [...sources, merged] : [merged];
  const codes =
    stage === 1n ? [] : Array.from({ length: 5 }, (_, i) => numberOf(`codes ${t} ${i}`) >> 8n);
  const middle = stage === 1n ? [2n << 16n, BLOCKS_PER_ROW] : [];
  const inputs = [...openings.map(({ root }) => root), ...middle, indexWord(seed, t), ...codes];
  const shape = { name: name(t), rows: ROWS, columns: COLUMNS, rank: stage === 1n ? RANK : 0n };
  return {
    tensor: BigInt(t),
    group: 0n,
    vkId,
    ...shape,
    openings,
    codes,
    proof: await prove(inputs),
  };
}
