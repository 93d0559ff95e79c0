// The only settings with which contracts are compiled for shipping. Source names are relative to
// the repository, so the bytecode does not depend on the folder of the checkout.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

export const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const compilerVersion = "0.8.37";
export const compilerSettings = {
  viaIR: true,
  optimizer: { enabled: true, runs: 1_000_000 },
  // The oldest EVM version that the code needs, so that it runs on chains without the latest forks.
  evmVersion: "cancun",
};

const deployable = [
  "ProvenanceRegistry",
  "ProofLedger",
  "BatchVerifier",
  "DatasetAudits",
  "ModelLedger",
  "ReplayAttestations",
];

/** Names of the Solidity files of a folder, relative to the repository. */
export function soliditySources(folder) {
  return readdirSync(join(repository, folder), { recursive: true })
    .filter((name) => name.endsWith(".sol"))
    .map((name) => join(folder, name).split(sep).join("/"))
    .sort();
}

/** The standard-JSON input of solc for the deployable contracts. */
export function standardInput() {
  const shipped = soliditySources("contracts").filter(
    (name) => !name.startsWith("contracts/test/"),
  );
  const sources = Object.fromEntries(
    shipped.map((name) => [name, { content: readFileSync(join(repository, name), "utf8") }]),
  );
  const outputSelection = {
    "*": {
      "*": [
        "abi",
        "evm.bytecode.object",
        "evm.deployedBytecode.object",
        "evm.deployedBytecode.immutableReferences",
      ],
    },
  };
  return { language: "Solidity", sources, settings: { ...compilerSettings, outputSelection } };
}

/** Compiles a standard-JSON input; throws on errors and on warnings. */
export function compile(input) {
  const solc = require("solc");
  if (!solc.version().startsWith(`${compilerVersion}+`))
    throw new Error(`solc is ${solc.version()}, not ${compilerVersion}`);
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const complaints = (output.errors ?? []).filter((error) => error.severity !== "info");
  if (complaints.length > 0)
    throw new Error(complaints.map((error) => error.formattedMessage).join("\n"));
  return { version: solc.version(), contracts: output.contracts };
}

/** [name, source name, compiler output] of each contract that is deployed. */
export function deployables(output) {
  return deployable
    .map((name) => [name, `contracts/${name}.sol`])
    .filter(([, source]) => output.contracts[source] !== undefined)
    .map(([name, source]) => [name, source, output.contracts[source][name]]);
}

/** The text of the shipped standard-JSON input, and its digest. */
export function inputText(input) {
  const text = JSON.stringify(input, null, 1) + "\n";
  return { text, digest: "sha256:" + createHash("sha256").update(text).digest("hex") };
}

/** A shipped contract; throws if it was not compiled from the present sources. */
export function exported(name) {
  const contract = JSON.parse(
    readFileSync(join(repository, "provenance", "abi", `${name}.json`), "utf8"),
  );
  if (contract.sourceDigest !== inputText(standardInput()).digest) {
    throw new Error(
      `provenance/abi/${name}.json is older than the sources: run npm run export-abi`,
    );
  }
  return contract;
}

export function fromRepository(path) {
  return relative(repository, path).split(sep).join("/");
}
