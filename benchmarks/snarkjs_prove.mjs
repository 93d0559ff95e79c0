// node snarkjs_prove.mjs FOLDER REPEAT
// Proves FOLDER/witness.wtns with FOLDER/circuit.zkey, verifies each proof, and prints the seconds of each as JSON.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { argv, exit } from "node:process";
import * as snarkjs from "snarkjs";

const [, , folder, repeat] = argv;
const key = JSON.parse(readFileSync(join(folder, "verification_key.json"), "utf8"));
const seconds = [];
for (let i = 0; i < Number(repeat); i++) {
  const begin = performance.now();
  const { proof, publicSignals } = await snarkjs.groth16.prove(join(folder, "circuit.zkey"), join(folder, "witness.wtns"));
  seconds.push((performance.now() - begin) / 1000);
  if (!(await snarkjs.groth16.verify(key, publicSignals, proof))) throw new Error("snarkjs does not verify its own proof");
}
console.log(JSON.stringify(seconds));
exit(0); // the workers of snarkjs would keep the process alive
