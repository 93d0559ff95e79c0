// Writes (--write) or compares (--check) the compiled contracts that are shipped in
// provenance/abi/*.json.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  compile,
  deployables,
  fromRepository,
  inputText,
  repository,
  standardInput,
} from "./compiler.js";

const RUNTIME_LIMIT = 24_576; // bytes, EIP-170
const CREATION_LIMIT = 49_152; // bytes, EIP-3860
const target = join(repository, "provenance", "abi");

function build() {
  const input = standardInput();
  const output = compile(input);
  const { text, digest: sourceDigest } = inputText(input);
  const { outputSelection: _, ...settings } = input.settings;
  const files = { "solc-input.json": text };
  for (const [name, source, contract] of deployables(output)) {
    const { bytecode, deployedBytecode } = contract.evm;
    checkSize(name, "runtime", deployedBytecode.object, RUNTIME_LIMIT);
    checkSize(name, "creation", bytecode.object, CREATION_LIMIT);
    files[`${name}.json`] =
      JSON.stringify(
        {
          contractName: name,
          sourceName: source,
          abi: contract.abi,
          bytecode: "0x" + bytecode.object,
          deployedBytecode: "0x" + deployedBytecode.object,
          immutableReferences: deployedBytecode.immutableReferences ?? {},
          compiler: output.version,
          settings,
          sourceDigest, // of solc-input.json
        },
        null,
        1,
      ) + "\n";
  }
  return files;
}

function checkSize(name, kind, hex, limit) {
  const bytes = hex.length / 2;
  if (bytes > limit)
    throw new Error(`${name}: ${kind} code has ${bytes} bytes, the limit is ${limit}`);
  console.error(`${name}: ${bytes} of ${limit} bytes of ${kind} code`);
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return null; // a missing file is reported as a difference
    throw error;
  }
}

const mode = process.argv[2];
if (mode !== "--write" && mode !== "--check")
  throw new Error("usage: export-abi.js --write | --check");
mkdirSync(target, { recursive: true });
let different = 0;
for (const [name, text] of Object.entries(build())) {
  const path = join(target, name);
  if (mode === "--write") {
    writeFileSync(path, text);
    console.log(fromRepository(path));
  } else if (read(path) !== text) {
    different += 1;
    console.log(
      `${fromRepository(path)} is not what the sources compile to: run npm run export-abi`,
    );
  }
}
process.exitCode = different > 0 ? 1 : 0;
