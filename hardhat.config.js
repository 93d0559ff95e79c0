import { createRequire } from "node:module";
import { compilerSettings, compilerVersion } from "./contracts/scripts/compiler.js";

const require = createRequire(import.meta.url);

// The compiler is the one in node_modules, so nothing is downloaded.
export default {
  solidity: {
    version: compilerVersion,
    path: require.resolve("solc/soljson.js"),
    settings: compilerSettings,
  },
  networks: {
    // A fixed start and rule set: gas measurements then repeat to the unit.
    default: { type: "edr-simulated", chainType: "l1", hardfork: "osaka", initialDate: "2033-01-01T00:00:00Z" },
  },
  paths: {
    sources: "./contracts",
    tests: { solidity: "./contracts/test" },
  },
  test: {
    solidity: {
      fuzz: { runs: 256, seed: "0x70726f76656e616e6365" },
      fsPermissions: { readDirectory: ["./tests/vectors"] },
    },
  },
};
