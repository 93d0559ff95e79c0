// Compiles Toy.sol in the folder given; prints its runtime code.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [, , repository, folder] = process.argv;
const solc = createRequire(join(repository, "package.json"))("solc");
const sources = Object.fromEntries(
  ["Toy.sol", "Kinds.sol"].map((name) => [name, { content: readFileSync(join(folder, name), "utf8") }]),
);
const outputSelection = { "*": { Toy: ["evm.deployedBytecode.object"] } };
const input = { language: "Solidity", sources, settings: { evmVersion: "cancun", outputSelection } };
const output = JSON.parse(solc.compile(JSON.stringify(input)));
if (output.errors?.length) throw new Error(output.errors.map((error) => error.formattedMessage).join("\n"));
process.stdout.write(`0x${output.contracts["Toy.sol"].Toy.evm.deployedBytecode.object}`);
