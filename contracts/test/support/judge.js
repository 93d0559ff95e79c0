// What the contracts say of keys and proofs, for the differential fuzzer (tests/zk/groth16/fuzz).
// Each line on stdin is {words, commitments, masks, proofs}: a key, and the words of proofs under
// it as `Groth16Harness.verdicts` takes them. The answer is a line: {sound, verdicts}. Malformed
// counts as false; any other failure ends the program.
import { createInterface } from "node:readline";
import { toFunctionSelector } from "viem";
import { artifacts, Chain, Reverted } from "../../scripts/chain.js";

const KEY_REFUSALS = new Set(["BadKey", "MalformedPoint"]);
const REFUSALS = new Set(
  [
    "NotInField(uint256,uint256)",
    "MalformedPoint(uint256)",
    "BadMask(uint256)",
    "CommitmentAtInfinity(uint256)",
  ].map((signature) => toFunctionSelector(`error ${signature}`)),
);
const ANSWERS = new Map([
  ["0x00000000", false],
  ["0x00000001", true],
]);
// A refused pairing burns all gas that it was given: 1.1 million of the 16 million of a call.
const BATCH = 12;

const chain = await Chain.start();
const [artifact] = await artifacts("Groth16Harness");
const harness = await chain.deploy(artifact);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await judge(JSON.parse(line))));
}
process.exit(0);

async function judge({ words, commitments, masks, proofs }) {
  const { address } = await chain.deployData(words);
  const sound = await isSound(address);
  const verdicts = [];
  for (let from = 0; sound && from < proofs.length; from += BATCH) {
    const batch = proofs.slice(from, from + BATCH);
    const answers = await harness.call("verdicts", [
      address,
      BigInt(commitments),
      masks.slice(from, from + BATCH).map(BigInt),
      batch.flat().map(BigInt),
    ]);
    verdicts.push(...answers.map(verdictOf));
  }
  return { sound, verdicts: sound ? verdicts : proofs.map(() => false) };
}

function verdictOf(answer) {
  if (REFUSALS.has(answer)) return false;
  if (!ANSWERS.has(answer)) throw new Error(`reverted with ${answer}`);
  return ANSWERS.get(answer);
}

async function isSound(address) {
  try {
    await harness.call("requireSound", [address]);
    return true;
  } catch (error) {
    if (error instanceof Reverted && KEY_REFUSALS.has(error.errorName)) return false;
    throw error;
  }
}
